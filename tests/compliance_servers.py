"""X's compliance jobs and look-ups, and Bluesky's AppView, on the loopback interface."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from platforms import X_TOKEN, Platform, _Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class XCompliance(Platform):
    """Jobs that take some looks until they are done, and the posts themselves by id."""

    JOBS, FILES, LOOKUP = "/2/compliance/jobs", "/files/", "/2/tweets"

    def __init__(self, now: Callable[[], datetime], ids: Iterable[str] = ()) -> None:
        super().__init__(now)
        self.ids = set(ids)
        self.reasons: dict[str, str] = {}  # of those that are gone; "deleted" where nothing is said
        self.looks = 2  # at a job in progress
        self.jobs: dict[str, dict[str, Any]] = {}
        self.uploads = 0
        self.ends: list[str] = []  # how the next jobs end, where not well
        self.posts_read = 0

    def reads(self, path: str) -> bool:
        return True

    def error_body(self, code: int) -> Any:
        return {"title": "Fault", "detail": "of the test", "type": "about:blank", "status": code}

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        authorized = headers.get("Authorization") == f"Bearer {X_TOKEN}"
        if path.startswith(self.FILES):
            if "Authorization" in headers:  # which is for X alone
                raise _Answer(400, self.error_body(400))
            return self._file(method, path.removeprefix(self.FILES), parameters)
        if not authorized:
            raise _Answer(401, self.error_body(401))
        if path == self.LOOKUP and method == "GET":
            return self._lookup(parameters["ids"].split(","))
        if path == self.JOBS and method == "POST":
            wanted = json.loads(parameters["json"])
            if wanted["type"] != "tweets":
                raise _Answer(400, self.error_body(400))
            number = str(1_420_000_000_000_000_000 + len(self.jobs))
            self.jobs[number] = {"status": "created", "ids": [], "looks": 0}
            return {"data": self._shown(number)}
        number = path.removeprefix(f"{self.JOBS}/")
        if method != "GET" or number not in self.jobs:
            raise _Answer(404, self.error_body(404))
        job = self.jobs[number]
        if job["status"] == "in_progress":
            job["looks"] += 1
            if job["looks"] > self.looks:
                job["status"] = self.ends.pop(0) if self.ends else "complete"
        return {"data": self._shown(number)}

    def _shown(self, number: str) -> dict[str, Any]:
        address = f"{self.url}{self.FILES}{number}"
        shown = {"id": number, "type": "tweets", "status": self.jobs[number]["status"], "resumable": False}
        return shown | {"upload_url": f"{address}?signed=1", "download_url": f"{address}?signed=2"}

    def _file(self, method: str, number: str, parameters: dict[str, str]) -> Any:
        job = self.jobs[number]
        if method == "PUT" and parameters.pop("signed") == "1" and job["status"] == "created":
            self.uploads += 1
            job |= {"status": "in_progress", "ids": next(iter(parameters)).split()}
            return b""
        if method == "GET" and job["status"] == "complete":
            gone = [id_ for id_ in job["ids"] if id_ not in self.ids]
            return b"".join(json.dumps(self._told(id_)).encode() + b"\n" for id_ in gone)
        raise _Answer(403, self.error_body(403))

    def _told(self, id_: str) -> dict[str, str]:
        at = datetime(2026, 3, 5, tzinfo=UTC).isoformat()
        reason = self.reasons.get(id_, "deleted")
        return {"id": id_, "action": "delete", "created_at": at, "redacted_at": at, "reason": reason}

    def _lookup(self, ids: list[str]) -> dict[str, Any]:
        if not 1 <= len(ids) <= 100:
            raise _Answer(400, self.error_body(400))
        found = [{"id": id_, "text": "imelala"} for id_ in ids if id_ in self.ids]
        self.posts_read += len(found)
        kinds = {"protected": "not-authorized-for-resource", "withheld": "resource-unavailable"}
        errors = [
            {
                "value": id_,
                "resource_id": id_,
                "resource_type": "tweet",
                "parameter": "ids",
                "title": "Not Found Error",
                "type": "https://api.twitter.com/2/problems/"
                + kinds.get(self.reasons.get(id_, ""), "resource-not-found"),
            }
            for id_ in ids
            if id_ not in self.ids
        ]
        return ({"data": found} if found else {}) | ({"errors": errors} if errors else {})


class AppView(Platform):
    """Bluesky's posts by address."""

    ROUTE, repeated = "/xrpc/app.bsky.feed.getPosts", ("uris",)

    def __init__(self, now: Callable[[], datetime], uris: Iterable[str] = ()) -> None:
        super().__init__(now)
        self.uris = set(uris)
        self.asked: list[str] = []

    def reads(self, path: str) -> bool:
        return path == self.ROUTE

    def error_body(self, code: int) -> Any:
        return {"error": "Fault", "message": "of the test"}

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if method != "GET" or path != self.ROUTE or "Authorization" in headers:
            raise _Answer(404, self.error_body(404))
        uris = parameters["uris"].split()
        if not 1 <= len(uris) <= 25:
            raise _Answer(400, self.error_body(400))
        self.asked += uris
        return {"posts": [{"uri": uri, "cid": "bafy", "record": {"text": "x"}} for uri in uris if uri in self.uris]}
