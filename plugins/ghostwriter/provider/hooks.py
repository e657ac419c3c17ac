"""What the Test button does for each connection type: one cheap request, and its answer in words a person can act on.

Airflow fills the fields a person left masked with what is stored. So a secret goes only where it may go: Zhihu's cookie to Zhihu or a
server of one's own, a teacher's key to an address of a preset, of this network, or one that a night or `trust` has used it with.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from pydantic import SecretStr

from ghostwriter.addresses import ip_address, origin
from ghostwriter.collecting.sources import stackexchange, zhihu
from ghostwriter.collecting.sources.cookies import parse_cookie
from ghostwriter.collecting.sources.stackexchange import StackExchangeSource
from ghostwriter.collecting.sources.transport import Pacer
from ghostwriter.collecting.sources.zhihu import ZhihuSource
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.tasks.in_language import common_language
from ghostwriter.tasks.trusted_hosts import trusted_origins
from ghostwriter.teacher.client import Endpoint
from ghostwriter.teacher.presets import Preset, load_presets
from ghostwriter.teacher.trial import first_reply, models
from ghostwriter.words.catalogue import say_problem
from ghostwriter.words.sentences import say_sentence

Tested = tuple[bool, str]


class _Hook(BaseHook, ABC):
    """Airflow makes one with the connection's id; `test_connection` is what its button calls."""

    conn_name_attr = "connection_id"

    def __init__(self, connection_id: str, **_: Any) -> None:
        super().__init__()
        self.connection_id = connection_id

    def test_connection(self) -> Tested:
        """Whether it works, and what to do if not, in the language all writers share."""
        language = common_language()
        try:
            return True, say_sentence(self.tried(self.get_connection(self.connection_id)), language)
        except GhostwriterError as error:
            said = say_sentence(str(error), language)
            return False, said if said != str(error) else say_problem(error.code, said, language)

    @abstractmethod
    def tried(self, connection: Any) -> str:
        """What works, in words. Raises GhostwriterError."""


class ZhihuHook(_Hook):
    """A cookie: asks for the first page of an account's answers."""

    conn_type, hook_name, default_conn_name = "zhihu", "Zhihu 知乎", "zhihu"

    def tried(self, connection: Any) -> str:
        account = _extra(connection, "account", "Write one under Account, the part of the page's address behind /people/.")
        cookie = parse_cookie(connection.password or "")
        source = ZhihuSource(account, cookie, Pacer(0), user_agent=connection.login, site=connection.host or None, retry=False)
        source.check()
        _may_be_sent(connection.host or zhihu.SITE, {zhihu.SITE})
        return f"The cookie works: {_count(source.page(0).total)} answers of {account} can be read."


class StackExchangeHook(_Hook):
    """An API key, or none: asks for the first page of an account's answers."""

    conn_type, hook_name, default_conn_name = "stackexchange", "Stack Exchange", "stackexchange"

    def tried(self, connection: Any) -> str:
        account = _extra(connection, "account", "Write one under Account: site and user id, like cooking/12345.")
        source = StackExchangeSource(account, connection.password, Pacer(0), site=connection.host or None, retry=False)
        _may_be_sent(connection.host or stackexchange.SITE, {stackexchange.SITE})
        page = source.page(0)
        told = f"{_count(page.total)} answers of {account} can be read."
        return f"{told} {source.quota} requests are left today." if source.quota is not None and source.quota >= 0 else told


class TeacherHook(_Hook):
    """A base URL and a key: asks what is served, or a model for a few tokens."""

    conn_type, hook_name, default_conn_name = "teacher", "Teacher (OpenAI-compatible)", "teacher"

    def tried(self, connection: Any) -> str:
        if not connection.host:
            raise GhostwriterError("There is no address. Write the teacher's base URL, https://.../v1, under Base URL.")
        preset = _preset(connection.extra_dejson.get("preset"))
        endpoint = Endpoint(base_url=connection.host, key=SecretStr(connection.password or "none"))
        _may_be_sent(endpoint.base_url, {each.base_url for each in load_presets().values()})
        model = connection.extra_dejson.get("model")
        if not model:
            served = models(endpoint)
            return f"The key is accepted. Served: {', '.join(served[:12]) or 'it does not say; write a model under Model'}."
        reply = asyncio.run(first_reply(endpoint, {"model": model, preset.token_limit: 16, **preset.parameters}))
        if reply.thought:
            raise GhostwriterError(
                f"{model} answers, but it thinks first, which costs many tokens. Choose a preset that turns thinking off, or name"
                " the switch of your service under [teacher] in the writer file: parameters = { enable_thinking = false }."
            )
        return f"{model} answers: {reply.usage.prompt} tokens in, {reply.usage.completion} out." if reply.usage else f"{model} answers."


def _extra(connection: Any, name: str, advice: str) -> str:
    value = str(connection.extra_dejson.get(name) or "").strip()
    if not value:
        raise GhostwriterError(f"There is no account to ask for. {advice}")
    return value


def _preset(name: str | None) -> Preset:
    presets = load_presets()
    if name and name not in presets:
        raise GhostwriterError(f"There is no preset {name!r}; there are: {', '.join(presets)}.")
    return presets[name] if name else Preset(title="", base_url="")


def _may_be_sent(url: str, known: set[str]) -> None:
    """Raise for a secret that would go to an address nobody has confirmed."""
    host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
    address = ip_address(host)
    near = address.is_private if address else "." not in host
    if not near and origin(url) not in {origin(each) for each in known} | trusted_origins(Home.default()):
        raise GhostwriterError(
            f"The Test button sends secrets to addresses it knows only, and {origin(url)} is none yet; nothing was sent. Confirm it where"
            f" Ghostwriter runs: python -m ghostwriter trust CONNECTION {url}"
        )


def _count(total: int | None) -> str:
    return "an unknown number of" if total is None else f"{total:,}"
