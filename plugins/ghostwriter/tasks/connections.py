"""Secrets and addresses from Airflow connections; a missing one is a clear error before the first request."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ghostwriter.collecting.sources import stackexchange, zhihu
from ghostwriter.errors import ConnectionMissing
from ghostwriter.tasks.trusted_hosts import require_trusted
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer_settings import Source

if TYPE_CHECKING:
    from airflow.sdk import Connection

SITES = {"zhihu": zhihu.SITE, "stackexchange": stackexchange.SITE}
"""Where a connection without a host leads, by the kind of source; the others send nothing anywhere."""


def site_access(source: Source) -> dict[str, str | None]:
    """Cookie, User-Agent and site address for the collector; all None for a source without a connection. Raises HostChanged."""
    if source.connection is None:
        return {"cookie": None, "user_agent": None, "site": None}
    found = _connection(source.connection, "the password is the cookie as your browser sends it; User-Agent in the login field")
    if found.password and source.kind in SITES:
        require_trusted(source.connection, found.host or SITES[source.kind])
    return {"cookie": found.password, "user_agent": found.login, "site": found.host}


def teacher_endpoint(connection_id: str) -> Endpoint:
    """Base URL (the host field) and key (the password field) of the teacher. Raises HostChanged."""
    found = _connection(connection_id, "the host is the base URL (https://.../v1), the password the key")
    if not found.host:
        raise ConnectionMissing(f"The Airflow connection {connection_id!r} has no host. Write the teacher's base URL there.")
    endpoint = Endpoint(base_url=found.host, key=SecretStr(found.password or "none"))
    if found.password:
        require_trusted(connection_id, endpoint.base_url)
    return endpoint


def require_connections(connection_ids: Iterable[str]) -> None:
    """Raise ConnectionMissing for the first that does not exist; nothing is sent anywhere."""
    for connection_id in connection_ids:
        _connection(connection_id, "docs/own-writer.md says what each field holds")


def _connection(connection_id: str, fields: str) -> "Connection":
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        raise ConnectionMissing(
            f"There is no Airflow connection {connection_id!r}. Make it under Admin > Connections, of our type for it or HTTP: {fields}. "
            "(In containers, commands by hand run there: docker compose exec scheduler python -m ghostwriter ...)"
        ) from None
