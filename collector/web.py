"""HTTP for the sources whose client leaves it to requests: time-outs, a limit on what is read, and failures by their kind."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from collector.page import RateLimited, Refused, TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 10, 30
WHOLE_ANSWER_SECONDS = 120  # a server that sends a byte now and then meets every other time-out
MAX_ANSWER_BYTES = 8 * 1024 * 1024  # unpacked; a page of 40 long posts takes less than 1 MB
MAX_REDIRECTS = 5
_RESET_HEADERS = ("X-RateLimit-Reset", "x-rate-limit-reset", "RateLimit-Reset")
USER_AGENT = "ecitizen-tracker (reads posts that mention a public service)"


class AnswerTooLarge(requests.RequestException):
    """The answer is longer than MAX_ANSWER_BYTES."""


class NotAnswered(TemporaryFailure):
    """Nothing of what was asked for was sent: the request did not arrive, or the platform gave a status in its place."""


class BadRequest(NotAnswered):
    """The platform does not take the request as it is."""


def open_session() -> requests.Session:
    """A session whose every request has time-outs and whose answers have an end."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = MAX_REDIRECTS
    for scheme in ("https://", "http://"):
        session.mount(scheme, Bounded())
    return session


def ask(
    session: requests.Session,
    name: str,
    method: str,
    url: str,
    *,
    advice: str = "check its address, or take it off the list",
    also: Collection[int] = (),
    **arguments: Any,
) -> requests.Response:
    """An answer with status 200 or 304, or one of `also`. `name` is what the messages call the source, `advice` what to do when it refuses.

    Raises RateLimited, Refused and TemporaryFailure, of which NotAnswered is one kind and BadRequest one of that.
    """
    try:
        response = session.request(method, url, **arguments)
    except AnswerTooLarge:
        raise Refused(too_large(name)) from None
    except (requests.RequestException, ValueError) as error:  # ValueError: an address in a redirect that is none
        kind = NotAnswered if never_sent(error) else TemporaryFailure
        raise kind(f"{name} gave no usable answer ({type(error).__name__})") from None
    status = response.status_code
    if status in {200, 304} or status in also:
        return response
    if status == 429 or (status == 503 and "Retry-After" in response.headers):
        raise RateLimited(f"{name} asks to wait ({status})", reset_at(response.headers))
    if status == 400:
        raise BadRequest(f"{name} does not take the request ({status})")
    if status in {401, 402, 403, 404, 410, 451}:
        raise Refused(f"{name} refused the request ({status}): {advice}")
    raise NotAnswered(f"{name} is failing ({status})")


def never_sent(error: Exception) -> bool:
    """Whether no connection was made, so that the platform cannot have answered, nor bill anything."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def too_large(name: str) -> str:
    """What is said of an answer that was not read to its end."""
    return f"{name} gave more than {MAX_ANSWER_BYTES // 1024**2} MB: check its address, or take it off the list"


def reset_at(headers: Mapping[str, str]) -> datetime | None:
    """When the platform answers again, from Retry-After (seconds, or a date) or its reset header (seconds, or ISO 8601).

    The header is Mastodon's X-RateLimit-Reset, X's x-rate-limit-reset or Bluesky's RateLimit-Reset.
    """
    after = headers.get("Retry-After", "")
    reset = next((headers[name] for name in _RESET_HEADERS if name in headers), "")
    ways: list[Callable[[], datetime]] = [
        lambda: datetime.now(UTC) + timedelta(seconds=float(after)),
        lambda: parsedate_to_datetime(after),
        lambda: datetime.fromtimestamp(float(reset), UTC),
        lambda: datetime.fromisoformat(reset),
    ]
    for read in ways:
        try:
            moment = read()
        except (ValueError, TypeError, OverflowError, OSError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


class Bounded(HTTPAdapter):
    """Every request has time-outs, and every answer an end."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does, with time-outs, and a body that ends."""
        kwargs["timeout"] = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        response = super().send(request, *args, **kwargs)
        response.raw = _Body(response.raw)
        return response


class _Body:
    """The body of an answer, up to MAX_ANSWER_BYTES and WHOLE_ANSWER_SECONDS."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """As urllib3 does. Raises AnswerTooLarge, and requests.Timeout where it takes too long."""
        read, until = 0, time.monotonic() + WHOLE_ANSWER_SECONDS
        for chunk in self._raw.stream(amount, decode_content=decode_content):
            read += len(chunk)
            if read > MAX_ANSWER_BYTES:
                raise AnswerTooLarge
            if time.monotonic() > until:
                raise requests.Timeout
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
