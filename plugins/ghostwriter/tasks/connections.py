"""Secrets and addresses from Airflow connections; a missing one is a clear error before the first request."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from ghostwriter.errors import ConnectionMissing
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer_settings import Source

if TYPE_CHECKING:
    from airflow.sdk import Connection


def site_access(source: Source) -> dict[str, str | None]:
    """Cookie, User-Agent and site address for the collector; all None for a source without a connection."""
    if source.connection is None:
        return {"cookie": None, "user_agent": None, "site": None}
    found = _connection(source.connection, "the password is the cookie as your browser sends it; User-Agent in the login field")
    return {"cookie": found.password, "user_agent": found.login, "site": found.host}


def teacher_endpoint(connection_id: str) -> Endpoint:
    """Base URL (the host field) and key (the password field) of the teacher."""
    found = _connection(connection_id, "the host is the base URL (https://.../v1), the password the key")
    if not found.host:
        raise ConnectionMissing(f"The Airflow connection {connection_id!r} has no host. Write the teacher's base URL there.")
    return Endpoint(base_url=found.host, key=SecretStr(found.password or "none"))


def _connection(connection_id: str, fields: str) -> "Connection":
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        raise ConnectionMissing(
            f"There is no Airflow connection {connection_id!r}. Make it under Admin > Connections, type HTTP: {fields}."
        ) from None
