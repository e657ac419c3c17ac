"""What can go wrong between us and the place the answers come from, one class for each thing a person does differently.

    SourceError
    └── SourceFailure
        ├── AuthMissing AuthExpired NeedLogin                        the cookie
        ├── SignatureRequired RiskBlocked UnhumanVerification CaptchaHtml EmptyBody   the site suspects a robot
        ├── NotFound AccountGone BadRequest                          the account or the request
        ├── RateLimited ServerError NetworkError TruncatedJson       passing troubles, retried
        ├── ShapeChanged PaginationLoop UnsafeNextUrl UnknownError   the site does not behave as known
        ├── Incomplete                                               all went well, but answers are missing
        └── AlreadyRunning SourceFileUnusable AddressRefused                     on this machine

Each message says what happened, what was kept, and what to do. `code` is the class's name in snake case.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from ghostwriter.errors import SourceError

BACKOFF = (5.0, 15.0, 45.0)
RATE_LIMIT_BACKOFF = (60.0, 120.0, 240.0)
RENEW = "Log in with your browser, copy the whole Cookie header and the User-Agent of that browser again, and run the same command."
OTHER_WAYS = (
    "Import a HAR file instead (python -m ghostwriter import har FILE --writer WRITER): "
    "scroll the answers page with the network tab open, and save it."
)


class SourceFailure(SourceError):
    """Base of the tree: `what` happened, `kept` (filled in by the collector), and the class's `advice`."""

    advice: ClassVar[str] = ""
    waits: ClassVar[tuple[float, ...]] = ()
    """Seconds before each retry of the same request; empty: never retried."""
    anti_bot: ClassVar[bool] = False
    code = "unknown_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, what: str, *, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.kept = ""
        self.retry_after = retry_after
        self.report: object = None
        """The collector's report of what was kept."""

    def scrub(self, clean: Callable[[str], str]) -> None:
        """Take secrets out of what happened; a server may echo them."""
        self.what = clean(self.what)
        self.args = (self.what,)

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.kept, self.advice) if part)


class AuthMissing(SourceFailure):
    """No cookie, one without its login or device part, or one the site does not count as a login."""

    advice = RENEW
    exit_status = 10


class AuthExpired(SourceFailure):
    """The login ticket in the cookie is not valid any more."""

    advice = RENEW
    exit_status = 11


class NeedLogin(SourceFailure):
    """The site wants a login before it shows more."""

    advice = RENEW
    anti_bot = True
    exit_status = 12


class SignatureRequired(SourceFailure):
    """The site wants a request signature or a browser challenge, which this program does not forge."""

    advice = f"A fresh cookie with its own User-Agent helps sometimes. {OTHER_WAYS}"
    anti_bot = True
    exit_status = 13


class RiskBlocked(SourceFailure):
    """The site has blocked this address or account for a while; the cookie is probably still good."""

    advice = f"Wait some hours before the next try, with a longer --pace. {OTHER_WAYS}"
    anti_bot = True
    exit_status = 14


class UnhumanVerification(SourceFailure):
    """The site asks for a proof that a person is there."""

    advice = "Open the site in the same browser, solve what it asks, wait an hour, copy the cookie again, and run the same command."
    anti_bot = True
    exit_status = 15


class CaptchaHtml(SourceFailure):
    """A captcha page came instead of data."""

    advice = UnhumanVerification.advice
    anti_bot = True
    exit_status = 16


class EmptyBody(SourceFailure):
    """An empty answer with status 200: a silent block."""

    advice = RiskBlocked.advice
    waits = (30.0,)
    anti_bot = True
    exit_status = 17


class NotFound(SourceFailure):
    """There is no such account or page."""

    advice = "Check `account` in the writer file: it is TOKEN in the address /people/TOKEN."
    exit_status = 18


class AccountGone(SourceFailure):
    """The account was closed."""

    advice = "Nothing more will come from it; what is archived can still be exported and trained on."
    exit_status = 19


class BadRequest(SourceFailure):
    """The site did not understand the request."""

    advice = (
        "Check `account` in the writer file; if it is right, the site's interface has changed: please report it with the output of `probe`."
    )
    exit_status = 20


class RateLimited(SourceFailure):
    """Too many requests."""

    advice = "Run the same command later, with a longer --pace: it goes on where it stopped."
    waits = RATE_LIMIT_BACKOFF
    retryable = True
    exit_status = 21


class ServerError(SourceFailure):
    """The site has troubles of its own."""

    advice = "Run the same command later: it goes on where it stopped."
    waits = BACKOFF
    retryable = True
    exit_status = 22


class NetworkError(SourceFailure):
    """The site cannot be reached, or the connection broke."""

    advice = "Check the network and run the same command again: it goes on where it stopped."
    waits = BACKOFF
    retryable = True
    exit_status = 23


class TruncatedJson(SourceFailure):
    """The answer was cut, or is no valid JSON."""

    advice = ServerError.advice
    waits = BACKOFF
    retryable = True
    exit_status = 24


class ShapeChanged(SourceFailure):
    """Valid JSON, but not the fields this program knows."""

    advice = (
        "The site's interface has probably changed: please report it with the output of "
        "`python -m ghostwriter probe WRITER`, which holds no text and no cookie."
    )
    exit_status = 25


class PaginationLoop(SourceFailure):
    """The list of answers repeats itself or never ends."""

    advice = "Run the same command later; if it happens again, please report it with the output of `python -m ghostwriter probe WRITER`."
    exit_status = 26


class UnsafeNextUrl(SourceFailure):
    """The page names a next page on another host or path. It was not requested."""

    advice = "Do not run this again with the same cookie before you know why the site sends you elsewhere (a proxy or portal in between?)."
    exit_status = 27


class UnknownError(SourceFailure):
    """An answer that fits nothing known; shown as it came."""

    advice = "Please report it, with the site's answer if one was saved: it holds no cookies and tokens."
    exit_status = 28


class Incomplete(SourceFailure):
    """The site counts more answers than were found, by more than the tolerance."""

    advice = (
        "Run it with --full to read everything again; "
        "if the site really hides that many, raise `tolerance` under [source] in the writer file."
    )
    exit_status = 29


class AlreadyRunning(SourceFailure):
    """Another collection of the same writer is at work."""

    advice = "Wait until it has ended."
    retryable = True
    exit_status = 30


class SourceFileUnusable(SourceFailure):
    """A file or folder to read answers from is missing or holds none."""

    exit_status = 31


class AddressRefused(SourceFailure):
    """The address given for the site is none a cookie may be sent to."""

    exit_status = 32
