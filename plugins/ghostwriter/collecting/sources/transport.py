"""One connection to one host, slowly: pauses between requests, retries where they can help, no redirects, no other host."""

import email.utils
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import get_environ_proxies

from ghostwriter.collecting.sources.errors import NetworkError, SourceFailure, TruncatedJson

CONNECT_SECONDS, READ_SECONDS, WHOLE_REPLY_SECONDS = 15, 30, 90
LARGEST_BODY_BYTES = 32 * 2**20
LONGEST_WAIT_SECONDS = 900.0
JITTER = 1 / 3
REST_EVERY_PAGES = (20, 30)
REST_IN_PAUSES = 5

Parsed = TypeVar("Parsed")
Headers = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Reply:
    """What a server answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Pacer:
    """Pauses of `pace` seconds on average (4.5: 3 to 6), and a rest of five pauses every 20 to 30 pages. Pace 0: none at all."""

    pace: float
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)
    _pages: int = 0
    _rest_at: int = 0

    def before_page(self) -> None:
        """Pause, except before the first page."""
        self._pages += 1
        if self._pages == 1 or self.pace == 0:
            return
        pauses = 1
        if self._pages > self._rest_at:
            pauses = REST_IN_PAUSES if self._rest_at else 1
            self._rest_at = self._pages + self.chance.randint(*REST_EVERY_PAGES)
        self.sleep(self.pace * pauses * self.chance.uniform(1 - JITTER, 1 + JITTER))

    def before_retry(self, failure: SourceFailure, tries: int) -> bool:
        """Wait before the next try of the same page after `tries` tries; False when there should be none."""
        if tries > len(failure.waits) or (failure.retry_after or 0) > LONGEST_WAIT_SECONDS:
            return False
        own = failure.waits[tries - 1] if self.pace else 0.0
        self.sleep(own if failure.retry_after is None else failure.retry_after)
        return True


class Transport:
    """GET requests to the host of `base` alone, one after another over one connection."""

    def __init__(self, base: str, headers: Headers, pacer: Pacer, *, retry: bool = True) -> None:
        self.base = base.rstrip("/")
        self.headers = headers
        self.pacer = pacer
        self.retry = retry
        self.requests = 0
        self._session = _session(self.base)

    def fetch(self, path: str, query: str, judge: Callable[[Reply], Parsed]) -> Parsed:
        """What `judge` makes of the reply to GET `path?query`; its failures are retried as their classes say, then raised."""
        self.pacer.before_page()
        tries = 0
        while True:
            tries += 1
            try:
                return judge(self._get(f"{self.base}{path}?{query}"))
            except SourceFailure as failure:
                if not self.retry or not self.pacer.before_retry(failure, tries):
                    raise

    def _get(self, url: str) -> Reply:
        self.requests += 1
        try:
            with self._session.get(
                url, headers=dict(self.headers), allow_redirects=False, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, _body(response))
        except requests.RequestException as error:
            raise NetworkError(f"{urlsplit(url).netloc} cannot be reached ({_reason(error)}).") from None


def retry_after(reply: Reply) -> float | None:
    """Seconds the reply asks to wait (a number or an HTTP date); None when it does not, or not in a readable way."""
    value = reply.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _session(base: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a .netrc must not add a password
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the person's cookie is sent as it is, nothing is added to it
    if base.startswith("https://"):
        session.proxies.update(get_environ_proxies(base))
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _body(response: requests.Response) -> bytes:
    """The whole decoded body. A cut one raises TruncatedJson; one that drips in for too long or never ends, NetworkError."""
    deadline = time.monotonic() + WHOLE_REPLY_SECONDS
    parts, size = [], 0
    try:
        while part := response.raw.read1(2**16, decode_content=True):
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline or size > LARGEST_BODY_BYTES:
                raise NetworkError(f"An answer did not end within {WHOLE_REPLY_SECONDS} seconds and {LARGEST_BODY_BYTES // 2**20} MiB.")
    except (urllib3.exceptions.ProtocolError, urllib3.exceptions.DecodeError) as error:
        raise TruncatedJson(f"The connection ended in the middle of an answer ({type(error).__name__}).") from None
    except urllib3.exceptions.HTTPError as error:
        raise NetworkError(f"The connection broke in the middle of an answer ({type(error).__name__}).") from None
    return b"".join(parts)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return type(error).__name__
