"""Receivers of alerts on loopback: one that speaks HTTP and one that speaks SMTP, which can be down, slow, or refuse."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "s3cret-of-the-receiver"


@dataclass
class Got:
    """A message that a receiver has whole."""

    key: str
    title: str
    body: str
    pictures: list[bytes] = field(default_factory=list)


class HttpReceiver:
    """Takes what apprise's `json://` sends. `status` is what it answers, `hold` is called between having a message and answering."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.status = 200
        self.hold: Callable[[], Any] = lambda: None
        self.keys: list[str] = []  # of all that came, refused or not
        self._server: ThreadingHTTPServer | None = None
        self.up()
        assert self._server is not None
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"json://desk:{PASSWORD}@127.0.0.1:{self.port}/alerts"

    def up(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.keys.append(self.headers["Idempotency-Key"])
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pictures = [base64.b64decode(each["base64"]) for each in told["attachments"]]
                got = Got(self.headers["Idempotency-Key"], told["title"], told["message"], pictures)
                if receiver.status == 200:
                    receiver.got.append(got)
                status = receiver.status
                receiver.hold()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    return  # the sender is gone

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                return  # a sender that was killed

        self._server = Server(("127.0.0.1", getattr(self, "port", 0)), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def close(self) -> None:
        if self._server is not None:
            self.down()


class ChatReceiver:
    """Takes what Discord, Slack and Telegram are sent, by path and whether a file comes with it; pictures get `picture_answer`."""

    def __init__(self, picture_answer: tuple[int, bytes] = (200, b'{"ok":true}')) -> None:
        self.texts: list[str] = []
        self.pictures = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = 200, b'{"ok":true,"channel":"C1"}'
                if b"\x89PNG" in body or "files." in self.path:
                    receiver.pictures += 1
                    status, answer = picture_answer
                else:
                    receiver.texts.append(body.decode())
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SmtpReceiver:
    """Takes mail, with a password where one is asked for. `reply` is what it answers to the text of a mail."""

    def __init__(self, *, password: str | None = None) -> None:
        self.got: list[Got] = []
        self.reply = "250 OK"
        self.hold: Callable[[], Any] = lambda: None
        self._password = password
        self._controller: Controller | None = None
        self.port = 0
        self.up()

    @property
    def url(self) -> str:
        secret = f"desk:{PASSWORD}@" if self._password else ""
        return f"mailto://{secret}127.0.0.1:{self.port}?from=tracker@example.org&to=desk@example.org"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.reply.startswith("250"):
            read: Any = email.message_from_bytes(envelope.content, policy=email.policy.default)
            text = read.get_body(("plain", "html"))
            pictures = [part.get_payload(decode=True) for part in read.iter_attachments()]
            self.got.append(Got(read["Idempotency-Key"], read["Subject"], text.get_content(), pictures))
        self.hold()
        return self.reply

    def up(self) -> None:
        def login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
            assert isinstance(data, LoginPassword)
            right = self._password is not None and data.password == self._password.encode()
            return AuthResult(success=right, handled=False)

        options: dict[str, Any] = {}
        if self._password is not None:
            options = {"authenticator": login, "auth_require_tls": False}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port or _free_port(), **options)
        self._controller.start()
        self.port = self._controller.port

    def down(self) -> None:
        assert self._controller is not None
        self._controller.stop()
        self._controller = None

    def close(self) -> None:
        if self._controller is not None:
            self.down()


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
