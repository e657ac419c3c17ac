"""Secrets stay with the host they were first used with: whoever may edit a connection must not be sent its password.

The first use of a connection binds it. Another host stops before anything is sent, until `python -m ghostwriter trust`.
"""

from datetime import UTC, datetime

from sqlalchemy import DateTime, Engine, String, Text, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ghostwriter.addresses import origin
from ghostwriter.database import Base, open_database
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home


class HostChanged(GhostwriterError):
    """A connection leads to another host than its secret was first used with."""

    code = "host_changed"


class TrustedHostRow(Base):
    """Where the secret of a connection may be sent."""

    __tablename__ = "trusted_hosts"

    connection: Mapped[str] = mapped_column(String(250), primary_key=True)
    origin: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def require_trusted(connection: str, url: str, home: Home | None = None) -> None:
    """Bind the connection to the origin of `url` at its first use. Raises HostChanged for another one."""
    engine = open_database((home or Home.default()).database_url)
    try:
        bound, found = _bound(engine, connection, origin(url)), origin(url)
    finally:
        engine.dispose()
    if bound != found:
        raise HostChanged(
            f"The connection {connection!r} leads to {found}; its secret was first used with {bound}. Nothing was sent. If the move is "
            f"yours, confirm it where Ghostwriter runs: python -m ghostwriter trust {connection} {url}"
        )


def trusted_origins(home: Home) -> set[str]:
    """Where secrets of connections, whichever, have been sent or may be."""
    engine = open_database(home.database_url)
    try:
        with Session(engine) as session:
            return set(session.scalars(select(TrustedHostRow.origin)))
    finally:
        engine.dispose()


def trust(connection: str, url: str, home: Home) -> str:
    """Bind a connection to the origin of `url`, whatever it was bound to; returns the origin."""
    engine = open_database(home.database_url)
    try:
        with Session(engine) as session, session.begin():
            session.merge(TrustedHostRow(connection=connection, origin=origin(url), since=datetime.now(UTC)))
    finally:
        engine.dispose()
    return origin(url)


def _bound(engine: Engine, connection: str, found: str) -> str:
    """The origin the connection is bound to; `found` if it was bound to none until now."""
    with Session(engine) as session:
        row = session.get(TrustedHostRow, connection)
        if row is not None:
            return row.origin
        session.add(TrustedHostRow(connection=connection, origin=found, since=datetime.now(UTC)))
        try:
            session.commit()
        except IntegrityError:  # another process was first, in the same moment
            session.rollback()
            return session.get_one(TrustedHostRow, connection).origin
    return found
