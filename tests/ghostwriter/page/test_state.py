from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy.orm import Session

from ghostwriter.database import open_database
from ghostwriter.page.state import read_state
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.teacher.month import month_start
from tests.distill_case import make_writer


def test_this_months_spending_has_the_judges_calls_and_what_was_perhaps_paid(tmp_path: Path) -> None:
    writer, url, now = make_writer(), f"sqlite:///{tmp_path / 'ghostwriter.db'}", datetime.now(UTC)
    before = month_start(now, "UTC") - timedelta(days=1)
    sends = [
        (writer.stem, "paid", "0.25", now),
        (writer.stem, "perhaps_paid", None, now),
        (writer.stem, "free", None, now),
        (f"{writer.stem}-judge", "paid", "0.5", now),
        ("another", "paid", "8", now),
        (writer.stem, "paid", "16", before),
    ]
    with Session(open_database(url)) as session, session.begin():
        for number, (name, state, cost, sent) in enumerate(sends):
            paid = Decimal(cost) if cost else None
            row = SendRow(id=str(number), key=str(number), writer=name, run="run", state=state, sent=sent, worst=Decimal(1), cost=paid)
            session.add(row)
    assert read_state(url, writer).spent == Decimal("1.75")
