"""X with its filtered stream on the loopback interface: rules, keep-alives, and connections that end in every way."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from platforms import X_TOKEN, XPlatform, XPost, _Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

STREAM, RULES = "/2/tweets/search/stream", "/2/tweets/search/stream/rules"
KEEP_ALIVE_SECONDS = 0.05


@dataclass(frozen=True)
class End:
    """How a connection ends: after `last`, which may be half a line, cleanly or (`abrupt`) without the end of the answer."""

    last: bytes = b""
    abrupt: bool = False


class XStreamPlatform(XPlatform):
    """As `XPlatform`; what is published while somebody listens is sent as well."""

    def __init__(self, now: Callable[[], datetime], posts: Iterable[XPost] = ()) -> None:
        super().__init__(now, posts)
        self.rules: dict[str, dict[str, str]] = {}
        self.refusals: list[int] = []  # statuses of the next connections
        self.connections = 0
        self.listening = 0
        self.streamed = 0
        self._queue: list[XPost | End] = []

    def publish(self, posts: Iterable[XPost]) -> None:
        """From now on these are found, and sent to whoever listens."""
        given = list(posts)
        super().publish(given)
        with self._changed:
            if self.listening:
                self._queue += given
                self._changed.notify_all()

    def end(self, end: End) -> None:
        """End the connection in this way."""
        with self._changed:
            self._queue.append(end)
            self._changed.notify_all()

    def await_(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for something that the server sees."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, "it did not happen"
            time.sleep(0.01)

    def answer(self, method: str, path: str, parameters: dict[str, str], headers: Any) -> Any:
        if path != RULES:
            return super().answer(method, path, parameters, headers)
        if headers.get("Authorization") != f"Bearer {X_TOKEN}":
            raise _Answer(401, self.error_body(401))
        if method == "GET":
            rules = list(self.rules.values())
            return {"meta": {"sent": "2026-03-05T00:00:00Z", "result_count": len(rules)}} | (
                {"data": rules} if rules else {}
            )
        asked = json.loads(parameters["json"])
        added = []
        for rule in asked.get("add", []):
            number = str(1_166_895_166_390_583_000 + len(self.rules) + self.connections)
            self.rules[number] = rule | {"id": number}
            added.append(self.rules[number])
        for number in asked.get("delete", {}).get("ids", []):
            del self.rules[number]
        return {"meta": {"sent": "2026-03-05T00:00:00Z", "summary": {}}} | ({"data": added} if added else {})

    def stream(self, path: str, headers: Any, write: Callable[[bytes], None]) -> int | None:
        parts = urlsplit(path)
        if parts.path != STREAM:
            return None
        if headers.get("Authorization") != f"Bearer {X_TOKEN}":
            return 401
        parameters = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        with self._changed:
            if self.refusals:
                return self.refusals.pop(0)
            if self.listening:
                return 429
            self.connections += 1
            self.listening += 1
            self._queue.clear()
        fields = set(parameters.get("tweet.fields", "id").split(","))
        try:
            write(b"\r\n")
            while True:
                with self._changed:
                    if not self._queue:
                        self._changed.wait(KEEP_ALIVE_SECONDS)
                    sent, self._queue = self._queue, []
                if not sent:
                    write(b"\r\n")
                for each in sent:
                    if isinstance(each, End):
                        if each.last:
                            write(each.last)
                        if not each.abrupt:
                            write(b"")
                        return 200
                    shown: dict[str, Any] = {"data": self._shown(each, fields)}
                    shown["includes"] = {"users": [{"id": each.author_id, "username": each.username, "name": "x"}]}
                    shown["matching_rules"] = [
                        {"id": number, "tag": rule["tag"]} for number, rule in self.rules.items()
                    ]
                    write(json.dumps(shown).encode() + b"\r\n")
                    self.streamed += 1
                    self._bill_posts([each])
        finally:
            with self._changed:
                self.listening -= 1
