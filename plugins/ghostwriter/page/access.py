"""Who asks, and which writers they may see: those whose DAGs they may read."""

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.utils.session import create_session
from fastapi import Depends, Header, HTTPException, status

from ghostwriter.page.overview import visible_writers
from ghostwriter.writer import Writer

Language = Annotated[str, Header(alias="accept-language")]


def writers_of_user(user: GetUserDep) -> list[Writer]:
    """The writers whose DAGs the user may read.

    In a session of its own: one that FastAPI hands in is held until the response has ended, and an
    answer that is written for minutes would keep a connection of Airflow's database for as long.
    """
    with create_session(scoped=False) as session:
        return visible_writers(get_auth_manager().get_authorized_dag_ids(user=user, session=session))


Writers = Annotated[list[Writer], Depends(writers_of_user)]


def writer_of_path(writers: Writers, stem: str) -> Writer:
    """The writer an address names. Raises HTTPException (404) for one the user may not see."""
    writer = next((writer for writer in writers if writer.stem == stem), None)
    if writer is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no writer {stem!r}.")
    return writer


OneWriter = Annotated[Writer, Depends(writer_of_path)]


def refuse_other_sites(sec_fetch_site: Annotated[str, Header()] = "same-origin") -> None:
    """Refuse what another site's page sends with the user's cookie. Raises HTTPException (403).

    A second lock: the cookie is SameSite=Lax, and no other origin may send JSON here. Programs send no such header.
    """
    if sec_fetch_site != "same-origin":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Only Ghostwriter's own page may send this.")
