"""HTTP in, the engine's socket out: calls that are allowed, on containers made here."""

import io
import json
import logging
from http.server import BaseHTTPRequestHandler
from typing import Any

from guard import calls
from guard.calls import Call, body_length, parse_call
from guard.connections import BoundedServer, Deadline, RequestReader
from guard.engine import Answer, Container, Engine, Reply, Silent
from guard.keeper import Keeper
from guard.leases import Leases
from guard.parsing import Missing, Problem, Refused, printable
from guard.policy import OWNED, Policy
from guard.quota import Quota

log = logging.getLogger(__name__)

REQUEST_SECONDS = 20.0
"""For reading a whole request."""
ANSWER_SECONDS = 60.0
"""For writing a whole answer."""


class Guard(BoundedServer):
    """The guard's server. Its keeper must be run beside it."""

    def __init__(
        self,
        address: tuple[str, int],
        policy: Policy,
        engine: Engine,
        leases: Leases,
    ) -> None:
        self.policy, self.engine, self.leases = policy, engine, leases
        self.quota = Quota(engine, policy)
        self.keeper = Keeper(engine, policy.project, leases)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """One call of a client."""

    protocol_version = "HTTP/1.1"
    server: Guard

    def setup(self) -> None:
        """Read requests within their bounds."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(RequestReader(self.connection, REQUEST_SECONDS))

    def do_GET(self) -> None:
        """Answer one call, and close the connection."""
        self.close_connection = True
        try:
            self._carry_out(self._call())
        except Problem as problem:
            self._complain(problem)

    do_HEAD = do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Refusals are logged by what they say; a line for each look would hide them."""

    @property
    def _client(self) -> str:
        return str(self.client_address[0])

    def _call(self) -> Call:
        if self.request_version != "HTTP/1.1":
            raise Refused("Only HTTP/1.1 is spoken here.")
        body = self.rfile.read(body_length(self.headers))
        return parse_call(self.server.policy, self.command, self.path, body)

    def _carry_out(self, call: Call) -> None:
        if call.container:
            self._carry_out_on(self._owned(call.container), call)
        elif call.path == calls.CREATE:
            answer = self.server.quota.create(call.query, call.body)
            if answer.status == 201:  # whoever made a container follows it
                self.server.leases.renew(json.loads(answer.content)["Id"], self._client)
            self._say(answer)
        else:
            if call.path == calls.PING:
                self.server.keeper.check()
            self._say(self.server.engine.send(call.method, call.path, call.query))

    def _carry_out_on(self, container: Container, call: Call) -> None:
        leases = self.server.leases
        if call.method == "GET":
            leases.renew(container.id, self._client)
        elif not container.ended:
            leases.check(container.id, self._client)
        if call.path == calls.START:
            leases.renew(container.id, self._client)
            self._say(self.server.quota.start(container))
        else:
            self._send_on(call, container)

    def _send_on(self, call: Call, container: Container) -> None:
        path = call.path.format(id=container.id)
        seconds = ANSWER_SECONDS + int(call.query.get("t", "0"))
        with self.server.engine.open(call.method, path, call.query, seconds=seconds) as reply:
            if call.path == calls.LOGS and reply.status == 200:
                self._pass_on(reply)
            else:
                self._say(Answer(reply.status, reply.kind, reply.content()))

    def _owned(self, name: str) -> Container:
        """The container made through this guard. Raises Refused for any other, Missing for none."""
        container = self.server.engine.inspect(name)
        if container is None:
            raise Missing(f"No such container: {name}")
        if container.labels.get(OWNED) != self.server.policy.project:
            raise Refused(f"Container {name} was not made here.")
        return container

    def _complain(self, problem: Problem) -> None:
        if not isinstance(problem, Missing):  # a launcher asks for what it may have left behind
            log.warning("%s %s: %s", printable(self.command), printable(self.path), problem)
        before = "" if problem.status in (404, 502) else "The guarded Docker API refuses this: "
        content = json.dumps({"message": f"{before}{problem}"}).encode()
        self._say(Answer(problem.status, "application/json", content))

    def _say(self, answer: Answer) -> None:
        length = {} if answer.status == 204 else {"Content-Length": str(len(answer.content))}
        self._begin(answer.status, answer.kind, length)
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    def _pass_on(self, reply: Reply) -> None:
        """Content of any length, a piece at a time; an end that is missing tells of a failure."""
        deadline = self._begin(reply.status, reply.kind, {"Transfer-Encoding": "chunked"})
        if self.command == "HEAD":
            return
        try:
            for piece in reply.pieces():
                deadline.arm()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        except Silent as silent:
            log.warning("A log was cut off: %s", silent)

    def _begin(self, status: int, kind: str, headers: dict[str, str]) -> Deadline:
        deadline = Deadline(self.connection, ANSWER_SECONDS)
        deadline.arm()
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        return deadline
