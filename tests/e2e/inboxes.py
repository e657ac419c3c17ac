"""Where messages arrive: a mail server (aiosmtpd), and an HTTP server that takes what is posted to it."""

import email
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

WEBHOOK_SECRET = "hook-c41de2a9"


@dataclass
class Inboxes:
    """Mails as they came, and the paths and bodies of posts."""

    mail_port: int
    hook_url: str
    mails: list[EmailMessage] = field(default_factory=list)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        """aiosmtpd calls this for each mail."""
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        return "250 kept"


@contextmanager
def open_inboxes(mail_port: int) -> Iterator[Inboxes]:
    """Both servers, until the block ends."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inboxes.posts.append((self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        inboxes = Inboxes(mail_port, f"http://127.0.0.1:{server.server_address[1]}")
        mail = Controller(inboxes, hostname="127.0.0.1", port=mail_port)
        mail.start()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield inboxes
        finally:
            server.shutdown()
            mail.stop()
