"""Feishu, DingTalk, WeCom and Slack as their pages describe them: what a robot checks before it speaks, and the replies it gives.

    feishu    open.feishu.cn/document/client-docs/bot-v3/add-custom-bot (9499 form, 19001 address, 19021 signature, 19024 keyword)
    dingtalk  open.dingtalk.com/document/robots/custom-robot-access, .../customize-robot-security-settings (310000, 300001)
    wecom     developer.work.weixin.qq.com/document/path/91770 (93000 address)
    slack     docs.slack.dev/messaging/sending-messages-using-incoming-webhooks ("ok"; 403 invalid_token)

They answer their refusals with status 200, as the services do; Slack does not.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "SEC7c1f0a"
TOKEN = "tok-91c4"
PATHS = {
    "feishu": f"open-apis/bot/v2/hook/{TOKEN}",
    "dingtalk": f"robot/send?access_token={TOKEN}",
    "wecom": f"cgi-bin/webhook/send?key={TOKEN}",
    "slack": f"services/T0/B0/{TOKEN}",
}


@dataclass
class Robots:
    """One of each; `said` is what they put into their groups, `headers` what the requests bore."""

    url: str = ""
    said: list[tuple[str, str]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    def answer(self, path: str, body: Any) -> tuple[int, str]:
        """Status and body of the reply."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/open-apis/"):
            return 200, json.dumps(self._feishu(parts.path, body))
        if parts.path == "/robot/send":
            return 200, json.dumps(self._dingtalk(query, body))
        if parts.path == "/cgi-bin/webhook/send":
            return 200, json.dumps(self._wecom(query, body))
        return self._slack(parts.path, body)

    def _feishu(self, path: str, body: Any) -> Any:
        if path != "/" + PATHS["feishu"]:
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
        sign = _mac(f"{body.get('timestamp')}\n{KEY}", "")
        if abs(time.time() - int(body.get("timestamp", 0))) > 3600 or body.get("sign") != sign:
            return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
        if body.get("msg_type") != "text" or not isinstance(body["content"]["text"], str):
            return {"code": 9499, "msg": "Bad Request", "data": {}}
        if "Ghostwriter" not in body["content"]["text"]:
            return {"code": 19024, "msg": "Key Words Not Found"}
        self.said.append(("feishu", body["content"]["text"]))
        return {"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}

    def _dingtalk(self, query: dict[str, str], body: Any) -> Any:
        if query.get("access_token") != TOKEN:
            return {"errcode": 300001, "errmsg": "token is not exist"}
        milliseconds = query.get("timestamp", "0")
        if abs(time.time() - int(milliseconds) / 1000) > 3600 or query.get("sign") != _mac(KEY, f"{milliseconds}\n{KEY}"):
            return {"errcode": 310000, "errmsg": "sign not match, more: [https://ding-doc]"}
        if body["msgtype"] != "text":
            return {"errcode": 400105, "errmsg": "unsupported msgtype"}
        self.said.append(("dingtalk", body["text"]["content"]))
        return {"errcode": 0, "errmsg": "ok"}

    def _wecom(self, query: dict[str, str], body: Any) -> Any:
        if query.get("key") != TOKEN:
            return {"errcode": 93000, "errmsg": "invalid webhook url, hint: [...]"}
        if body["msgtype"] != "text" or len(body["text"]["content"].encode()) > 2048:
            return {"errcode": 40058, "errmsg": "text exceed max length 2048"}
        self.said.append(("wecom", body["text"]["content"]))
        return {"errcode": 0, "errmsg": "ok"}

    def _slack(self, path: str, body: Any) -> tuple[int, str]:
        if path != "/" + PATHS["slack"]:
            return 403, "invalid_token"
        self.said.append(("slack", body["text"]))
        return 200, "ok"


def _mac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


@contextmanager
def open_robots() -> Iterator[Robots]:
    """All of them, until the block ends."""
    robots = Robots()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            robots.headers.append(str(self.headers))
            status, reply = robots.answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply.encode())))
            self.end_headers()
            self.wfile.write(reply.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        robots.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield robots
        server.shutdown()
