"""A model of a writer's three DAGs in Airflow: runs that wait, work, fail, are killed, cleared or paused, and events that go astray.

Only the decisions are the real ones (`ghostwriter.tasks.chain`); what Airflow does around them is modelled: an event makes a run
unless the DAG is paused, one run of a DAG works at a time, and a run reads the data when it starts.
"""

from dataclasses import dataclass, field
from typing import Literal

from ghostwriter.tasks.chain import Level, can_train, next_work

Dag = Literal["collect", "distill", "train"]
Fate = Literal["ends well", "fails", "is killed"]
DAGS: tuple[Dag, ...] = ("collect", "distill", "train")
WAKES: dict[Dag, Dag] = {"collect": "distill", "distill": "train"}


@dataclass
class Run:
    """A DAG run: whether an event woke it, and the snapshot or dataset it works on since it started."""

    woken: bool
    works_on: int | None = None
    event: int | None = None
    """The snapshot that the event named; only an edge-triggered chain reads it."""


@dataclass
class Chain:
    """One writer's DAGs and data. Texts are numbered; a snapshot and its dataset carry the number of their text."""

    text: int = 0
    """What the archive holds now. A writer who takes a change back returns to an earlier number."""
    texts: int = 0
    snapshot: int | None = None
    dataset: int | None = None
    trained: list[int] = field(default_factory=list)
    """Datasets that woken runs trained on to a verdict, in their order."""
    marks: set[int] = field(default_factory=set)
    seen: dict[int, int] = field(default_factory=dict)
    """When each text last became the archive's, by a clock that counts changes."""
    order: list[int] = field(default_factory=list)
    """Of what was trained on: when it last became the archive's."""
    clock: int = 0
    paused: set[Dag] = field(default_factory=set)
    waiting: dict[Dag, list[Run]] = field(default_factory=lambda: {dag: [] for dag in DAGS})
    working: dict[Dag, Run] = field(default_factory=dict)
    ended: dict[Dag, list[Run]] = field(default_factory=lambda: {dag: [] for dag in DAGS})
    lose_events: bool = False
    double_events: bool = False

    # What people and the world do.

    def news(self) -> None:
        self.texts += 1
        self._change(self.texts)

    def take_back(self) -> None:
        """The writer's last change is undone."""
        self._change(max(0, self.text - 1))

    def tick(self) -> None:
        """A night begins."""
        if "collect" not in self.paused:
            self.waiting["collect"].append(Run(woken=False))

    def event(self, dag: Dag, names: int | None = None) -> None:
        """An event for a DAG, also one made by hand; a paused DAG never hears of it."""
        if dag not in self.paused:
            self.waiting[dag].append(Run(woken=True, event=names))

    def by_hand(self, dag: Dag) -> None:
        self.waiting[dag].append(Run(woken=False))

    def clear(self, dag: Dag) -> None:
        """The oldest run that has ended is run again: each task asks the data once more, a cleared training by its set-up."""
        if self.ended[dag]:
            old = self.ended[dag].pop(0)
            self.waiting[dag].append(Run(woken=old.woken, event=old.event))

    def start(self, dag: Dag) -> None:
        """The next run of a DAG looks what there is to do, and skips itself if there is nothing."""
        if dag in self.working or dag in self.paused or not self.waiting[dag]:
            return
        run = self.waiting[dag].pop(0)
        if self.has_work(dag, run):
            self.working[dag] = run
        else:
            self.skipped(dag)
            self.ended[dag].append(run)

    def end(self, dag: Dag, fate: Fate) -> None:
        """The run at work ends. After a kill its task is tried again: distilling looks anew, training goes on with what was planned."""
        if (run := self.working.get(dag)) is None:
            return
        if fate == "is killed" and (dag == "train" or self.has_work(dag, run)):
            return
        if fate == "ends well":
            self.done(dag, run)
        else:
            self.skipped(dag)
        self.ended[dag].append(self.working.pop(dag))

    def free_night(self) -> None:
        """Nothing is switched off, nothing fails, no event is lost, and everybody has time."""
        self.paused, self.lose_events, self.double_events = set(), False, False
        self.tick()
        for _ in range(1_000):
            for dag in DAGS:
                self.start(dag)
            for dag in DAGS:
                self.end(dag, "ends well")
            if not self.working and not any(self.waiting.values()):
                return
        raise AssertionError("The night does not end.")

    # What the DAGs do.

    @property
    def level(self) -> Level:
        return Level(_name(self.snapshot), _name(self.dataset), self.dataset in self.marks)

    def has_work(self, dag: Dag, run: Run) -> bool:
        if dag == "distill":
            run.works_on = self.snapshot
            return next_work(self.level) == "distil" or not (run.woken or self.snapshot is None)
        if dag == "train":
            run.works_on = self.dataset
            return can_train(self.level) or not (run.woken or self.dataset is None)
        return True

    def skipped(self, dag: Dag) -> None:
        """Distilling looks for a dataset that waits also when it has nothing to do itself, and when it failed."""
        if dag == "distill" and can_train(self.level):
            self._emit("train", self.dataset)

    def done(self, dag: Dag, run: Run) -> None:
        if dag == "collect":
            self.snapshot = self.text
            work = next_work(self.level)
            if work:
                self._emit("distill" if work == "distil" else "train", self.snapshot)
        elif dag == "distill":
            self.dataset = run.works_on
            if can_train(self.level):
                self._emit("train", self.dataset)
        elif run.works_on is not None:
            if run.woken:
                self.trained.append(run.works_on)
                self.order.append(self.seen.get(run.works_on, 0))
            self.marks.add(run.works_on)

    def _emit(self, dag: Dag, names: int | None) -> None:
        for _ in range(0 if self.lose_events else 2 if self.double_events else 1):
            self.event(dag, names)

    def _change(self, text: int) -> None:
        self.clock += 1
        self.text = text
        self.seen[text] = self.clock


class EdgeChain(Chain):
    """The same with the rules there were before: a run works on what its event names, and collecting tells each snapshot once."""

    told: int | None = None

    def has_work(self, dag: Dag, run: Run) -> bool:
        run.works_on = run.event if dag != "collect" else None
        return dag == "collect" or run.works_on is not None

    def skipped(self, dag: Dag) -> None:
        """Nothing was told."""

    def done(self, dag: Dag, run: Run) -> None:
        if dag == "collect":
            self.snapshot = self.text
            if self.snapshot != self.told:
                self._emit("distill", self.snapshot)
            self.told = self.snapshot
        elif dag == "distill":
            self.dataset = run.works_on
            self._emit("train", self.dataset)
        elif run.works_on is not None:
            self.trained.append(run.works_on)
            self.order.append(self.seen.get(run.works_on, 0))


def _name(number: int | None) -> str | None:
    return None if number is None else str(number)
