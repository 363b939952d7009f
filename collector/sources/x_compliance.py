"""Whether stored posts are still at X: by batch compliance jobs, or by plain look-ups, which are paid for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collector.budget import spent_until
from collector.page import RateLimited, Refused, TemporaryFailure
from collector.presence import Pending
from collector.sources.x import NAME
from collector.web import NotAnswered, ask, open_session
from data.errors import InputError
from data.spending import USD_PER_POST, x_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.budget import Budget
    from collector.presence import Check
    from data.settings import Settings
    from data.spending import Limits

JOB_POSTS = 50_000  # were all of them gone, the result would still be shorter than the longest answer that is read
LOOKUP_POSTS = 100
MOST_POLL_SECONDS = 60
MOST_TRIES = 3  # of a job that X fails at
# What X wants deleted; `scrub_geo` is about places, which are not kept.
_REASONS = {"deleted", "bounced", "protected", "suspended", "deactivated"}
_GONE = re.compile(r".*/problems/(resource-not-found|not-authorized-for-resource)")


def open_check(settings: Settings, *, lookup: bool = False) -> Check:
    """What asks whether posts are still there; `lookup`: post by post, for money. Raises InputError where no token is set."""
    if settings.x_bearer_token is None:
        raise InputError("x is off: set X_BEARER_TOKEN")
    token = settings.x_bearer_token.get_secret_value()
    return Lookup(token, settings.x_url, x_limits(settings)) if lookup else Jobs(token, settings.x_url)


class _Api:
    source = NAME

    def __init__(self, token: str, url: str) -> None:
        self.cost_usd = 0.0
        self._url = url.rstrip("/")
        self._session = open_session()  # without the token: a job's files are at another host
        self._headers = {"Authorization": f"Bearer {token}"}

    def site(self, id_: str) -> str | None:
        """See `collector.presence`."""
        return "" if re.fullmatch(r"[0-9]{1,19}", id_) else None

    def _ask(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        refusals = {401, 402, 403, 404, 409}
        response = ask(
            self._session,
            NAME,
            method,
            self._url + path,
            headers=self._headers,
            also=refusals | {201},
            allow_redirects=False,
            **arguments,
        )
        if response.status_code in refusals:
            raise Refused(self._refusal(response.status_code))
        try:
            answer = response.json()
        except (ValueError, RecursionError) as error:
            raise TemporaryFailure(f"x gave no usable answer ({type(error).__name__})") from None
        if not isinstance(answer, dict):
            raise TemporaryFailure("x gave an answer of another shape")
        return answer

    def _refusal(self, status: int) -> str:
        return {
            401: "x refused X_BEARER_TOKEN (401): check the token in the developer console",
            402: "x says that the credits are spent (402): top up, or wait for the next cycle",
            404: "x knows no such address (404): check TRACKER_X_URL",
        }.get(status, f"x refused the request ({status})")


class Jobs(_Api):
    """A batch compliance job: ids are uploaded, X works on them, and its answer names those that must be deleted."""

    page_posts = JOB_POSTS

    def gone(self, ids: Sequence[str], job: dict[str, Any] | None) -> set[str] | Pending:
        """See `collector.presence`."""
        if not job or "id" not in job:
            wanted = {"type": "tweets", "name": "ecitizen-tracker"}
            made = self._job(self._ask("POST", "/2/compliance/jobs", json=wanted))
            # Kept before anything is uploaded, so that no job is made twice.
            return Pending({"id": made["id"], "tries": (job or {}).get("tries", 0) + 1}, 0)
        found = self._job(self._ask("GET", f"/2/compliance/jobs/{job['id']}"))
        status = found.get("status")
        if status == "complete":
            return self._result(found, set(ids))
        if status in ("failed", "expired"):
            if job["tries"] >= MOST_TRIES:
                raise Refused(f"x {status} {MOST_TRIES} compliance jobs: look at them in the developer console")
            return Pending({"tries": job["tries"]}, 0)
        if status == "created" and not job.get("uploaded"):
            content = "".join(f"{id_}\n" for id_ in ids).encode()
            headers = {"Content-Type": "text/plain"}
            ask(self._session, NAME, "PUT", _address(found, "upload_url"), data=content, headers=headers, also={201})
            return Pending(job | {"uploaded": True, "polls": 0}, 1)
        if status not in ("created", "in_progress"):
            raise TemporaryFailure("x gave a compliance job without a status")
        polls = job.get("polls", 0) + 1
        return Pending(job | {"polls": polls}, min(2 ** min(polls, 6), MOST_POLL_SECONDS))

    def _job(self, answer: dict[str, Any]) -> dict[str, Any]:
        job = answer.get("data")
        if not isinstance(job, dict) or not re.fullmatch(r"[0-9]{1,19}", str(job.get("id"))):
            raise TemporaryFailure("x gave an answer without a compliance job")
        return job

    def _result(self, job: dict[str, Any], ids: set[str]) -> set[str]:
        response = ask(self._session, NAME, "GET", _address(job, "download_url"))
        gone = set()
        try:
            for line in response.content.decode().split("\n"):
                if line.strip():
                    told = json.loads(line)
                    if told["action"] == "delete" and told["reason"] in _REASONS:
                        gone.add(told["id"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise TemporaryFailure(f"x gave no usable result ({type(error).__name__})") from None
        return gone & ids

    def _refusal(self, status: int) -> str:
        if status == 403:
            return (
                "x does not grant this project batch compliance (403): `tracker comply x --lookup` asks for every post "
                f"instead, at ${USD_PER_POST:.3f} for each that is still there"
            )
        if status == 409:
            return (
                "x is at work on another compliance job of this project (409): run this again in a quarter of an hour"
            )
        return super()._refusal(status)


class Lookup(_Api):
    """Asks for the posts themselves: each that is still there is paid for as one that is read, from X's budget."""

    page_posts = LOOKUP_POSTS
    pays = NAME

    def __init__(self, token: str, url: str, limits: Limits) -> None:
        super().__init__(token, url)
        self.limits = limits
        self.budget: Budget | None = None

    def gone(self, ids: Sequence[str], _job: dict[str, Any] | None) -> set[str]:
        """See `collector.presence`."""
        assert self.budget is not None
        held = self.budget.reserve_posts(len(ids), len(ids), USD_PER_POST)
        if held is None:
            raise Refused(f"x: {spent_until(self.budget.standing())}")
        try:
            answer = self._ask("GET", "/2/tweets", params={"ids": ",".join(ids)})
        except (NotAnswered, RateLimited, Refused):  # any other failure may have been billed
            self.budget.settle(held, 0, 0.0)
            raise
        found, errors = answer.get("data", []), answer.get("errors", [])
        if not isinstance(found, list) or not isinstance(errors, list) or not (found or errors):
            raise TemporaryFailure("x gave an answer without posts")
        self.cost_usd += USD_PER_POST * len(found)
        self.budget.settle(held, len(found), USD_PER_POST * len(found))
        there = {post.get("id") for post in found if isinstance(post, dict)}
        return {
            str(id_)
            for error in errors
            if isinstance(error, dict)
            and _GONE.fullmatch(str(error.get("type")))
            and (id_ := error.get("resource_id") or error.get("value")) in ids
            and id_ not in there
        }


def _address(job: dict[str, Any], field: str) -> str:
    """The address of a job's file. It opens the file to whoever has it, so that it is neither kept nor shown."""
    address = job.get(field)
    try:
        if isinstance(address, str) and urlsplit(address).scheme in ("https", "http"):
            return address
    except ValueError:
        pass
    raise TemporaryFailure(f"x gave a compliance job without {field}")
