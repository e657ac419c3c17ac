"""What one run of distilling buys: a purchase for each kind of call, with its ledger, its plan, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.harvest import Counts, Harvest
from ghostwriter.distilling.plan import Planner, run_name
from ghostwriter.distilling.rewrite import planner_of
from ghostwriter.modes import PURCHASES, Mode
from ghostwriter.teacher.ledger import Ledger, Spending
from ghostwriter.writer import Writer


@dataclass(frozen=True)
class Purchase:
    """One kind of call to buy; `mode` is one that buys a single kind, and `run` the name under which its spending is kept."""

    mode: Mode
    ledger: Ledger
    planner: Planner
    run: str

    @property
    def spent(self) -> Spending:
        """What the run has spent on it, in this process and before."""
        return self.ledger.spending(self.run)


@dataclass(frozen=True)
class Bought:
    """A purchase that has ended."""

    purchase: Purchase
    harvest: Harvest
    counts: Counts

    @property
    def facts(self) -> dict[str, Any]:
        """Who was asked and how, and where the calls went."""
        planner = self.purchase.planner
        prompt = {"prompt": planner.prompt.name, "prompt_hash": planner.prompt.hash}
        asked = {"model": planner.parameters["model"], "parameters": planner.parameters}
        return {"teacher": {**asked, **prompt}, "counts": self.counts.model_dump()}


def purchases_of(writer: Writer, corpus: Corpus, answers: Path, engine: Engine, mode: Mode) -> list[Purchase]:
    """What a mode buys, in its order. Raises CorpusTooSmall and WriterFileError."""
    found = []
    for part in PURCHASES[mode]:
        ledger = Ledger(engine, writer.ledger(part))
        planner = planner_of(writer, corpus, ledger, part)
        found.append(Purchase(part, ledger, planner, run_name(ledger, answers, planner)))
    return found


def cost_of(bought: Sequence[Bought]) -> dict[str, str]:
    """Of the answers, whenever they were bought, and of this run; all purchases together."""
    spent = [each.purchase.spent for each in bought]
    return {
        "answers": str(sum((each.harvest.cost for each in bought), Decimal(0))),
        "run": str(sum((each.total for each in spent), Decimal(0))),
        "run_perhaps_paid": str(sum((each.perhaps_paid for each in spent), Decimal(0))),
    }
