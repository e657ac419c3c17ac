"""Airflow's HTTP notifier, for services that sign what they are sent and say in their reply whether they took it."""

import time
from typing import TYPE_CHECKING, Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.notifications.http import HttpNotifier

from ghostwriter.errors import MessageRefused
from ghostwriter.tasks.chat_services import Kind, compose, problem_in

if TYPE_CHECKING:
    from airflow.sdk import Context
    from requests import Session

POST_SECONDS = 10
SECRET = "secret"
"""The connection's extra field with the key that a robot's messages are signed with; Airflow masks a field of this name."""


class ChatNotifier(HttpNotifier):
    """Posts `text` to the connection's host; the rest of the address is its password, which Airflow masks in every log.

    Raises MessageRefused for what a service refuses with status 200, AirflowException for another status.
    """

    template_fields = ("http_conn_id", "text")  # type: ignore[assignment]  # the stock one names its own six

    def __init__(self, *, kind: Kind, text: str, http_conn_id: str) -> None:
        super().__init__(http_conn_id=http_conn_id, extra_options={"timeout": POST_SECONDS})
        self.kind, self.text = kind, text

    def notify(self, context: "Context") -> None:
        """Send it."""
        hook = _Hook(http_conn_id=self.http_conn_id)
        connection = hook.get_connection(self.http_conn_id)
        post = compose(self.kind, self.text, str(connection.extra_dejson.get(SECRET) or ""), time.time())
        endpoint = f"{connection.password or ''}{post.query}"
        reply = hook.run(endpoint=endpoint, json=post.body, extra_options=self.extra_options)
        if problem := problem_in(self.kind, reply.content):
            raise MessageRefused(problem)


class _Hook(HttpHook):
    """The stock hook sends a connection's extra fields as headers; the key to sign with stays here."""

    def get_conn(self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None) -> "Session":
        session = super().get_conn(headers, extra_options)
        session.headers.pop(SECRET, None)
        return session
