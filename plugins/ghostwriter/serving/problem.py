"""What the gateway refuses, and how: OpenAI's form of an error, with a status and perhaps a time to ask again."""

from typing import Any

from ghostwriter.errors import GhostwriterError

KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 502: "server_error", 503: "server_error"}


class Problem(GhostwriterError):
    """A request that gets no answer, or a stream that ends without one; the message is for whoever asked."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = status, code, param, retry_after

    @property
    def body(self) -> dict[str, Any]:
        """The error in OpenAI's form."""
        kind = KINDS.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After`, in seconds, where asking again can help."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def invalid(message: str, param: str | None = None, code: str = "invalid_request") -> Problem:
    """A request that nobody can answer as it stands."""
    return Problem(400, code, message, param=param)
