"""A year of nights of two writers, by the folders, rows and registry that stages leave: `python -m benchmarks.year [--nights 365]`.

Each night has news: one more answer is archived, and becomes a snapshot and a dataset by the stages' own code; a training
program that only writes files stands for the GPU side, and every fifth candidate is promoted in a real MLflow store. Dates are
logical: what a night wrote is made as old as that night, and housekeeping runs every seventh. Printed: sizes, and how long a
night, a parse of all DAGs and the page's listing take, for the first and the last thirty nights.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from mlflow import MlflowClient  # noqa: E402

from ghostwriter.collecting.answers import snapshot_answers  # noqa: E402
from ghostwriter.collecting.collect import collect  # noqa: E402
from ghostwriter.distilling.distill import distill  # noqa: E402
from ghostwriter.home import ROOT, Home  # noqa: E402
from ghostwriter.judging.moves import Move, make_move  # noqa: E402
from ghostwriter.judging.promote import ADAPTER_FILE, adapter_digest, model_name  # noqa: E402
from ghostwriter.keeping.tidy import size, tidy  # noqa: E402
from ghostwriter.page.earlier import earlier  # noqa: E402
from ghostwriter.snapshot import read_manifest, set_current  # noqa: E402
from ghostwriter.tasks.chain import mark_trained, next_work, read_level  # noqa: E402
from ghostwriter.writer import Writer  # noqa: E402
from tests.distill_case import make_writer, pairs  # noqa: E402

FIRST_ANSWERS, SHOWN = 60, 30
END = datetime(2026, 12, 1, 3, tzinfo=UTC)
ADAPTER_BYTES = 2**20
"""Of the stand-in; one of rank 256 is 1,300 times as large."""


class Year:
    """Two writers in one home folder, from their first night on."""

    def __init__(self, folder: Path, nights: int) -> None:
        self.home, self.folder, self.nights = Home(folder / "home"), folder, nights
        self.client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        self.writers = [self._writer(stem) for stem in ("small", "other")]
        self.champion: dict[str, str] = {}

    def _writer(self, stem: str) -> Writer:
        self.client.create_experiment(stem, artifact_location=str(self.folder / "artifacts" / stem))
        self.client.create_registered_model(model_name(stem))
        writer = make_writer()
        source = writer.source.model_copy(update={"account": str(self.folder / f"{stem}.jsonl")})
        evaluation = writer.evaluation.model_copy(update={"heldout_share": None})  # a small writer's split looks at what was trained on
        return writer.model_copy(update={"stem": stem, "source": source, "evaluation": evaluation})

    def night(self, number: int, *, keep: bool) -> float:
        """A night of both writers; returns the processor seconds it took without what stands for the GPU side."""
        when, seconds = END - timedelta(days=self.nights - number), 0.0
        for writer in self.writers:
            self._write_source(writer, number)
            began = time.process_time()
            collect(writer, self.home)
            answers = snapshot_answers(writer, self.home)
            assert next_work(read_level(self.home, writer.stem)) == "distil"
            dataset = distill(writer, self.home, answers, None, mode="direct")
            set_current(dataset)
            assert next_work(read_level(self.home, writer.stem)) == "train"
            seconds += time.process_time() - began
            self._train(writer.stem, dataset, number, when)
            for each in (answers, dataset):
                age(each, when)
            if keep and number % 7 == 0:
                tidy(writer, self.home, self.client, when)
        return seconds

    def _write_source(self, writer: Writer, number: int) -> None:
        rows = pairs(FIRST_ANSWERS + number, seed=self.writers.index(writer) if hasattr(self, "writers") else 0)
        lines = [{"id": row["id"], "question_id": row["question_id"], "question": row["question"], "answer": row["text"]} for row in rows]
        Path(writer.source.account).write_text("".join(json.dumps(line) + "\n" for line in lines))

    def _train(self, stem: str, dataset: Path, number: int, when: datetime) -> None:
        """What a training and the verdict on it leave."""
        folder = self.home.runs(stem) / f"{number:016d}"
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / ADAPTER_FILE).write_bytes(str(number).encode() + b"\0" * ADAPTER_BYTES)
        (folder / "request.json").write_text(json.dumps({"dataset": str(dataset)}))
        moment = int(when.timestamp() * 1000)
        experiment = self.client.get_experiment_by_name(stem)
        assert experiment
        run = self.client.create_run(experiment.experiment_id, start_time=moment, tags={"ghostwriter.kind": "train"}).info
        self.client.log_artifacts(run.run_id, str(folder / "adapter"), "adapter")
        self.client.set_terminated(run.run_id, end_time=moment)
        (folder / "result.json").write_text(json.dumps({"run_id": run.run_id}))
        mark_trained(dataset, run.run_id)
        if number % 5 == 0:
            tags = {"dataset": read_manifest(dataset).digest, "adapter_sha256": adapter_digest(folder / "adapter")}
            made = self.client.create_model_version(model_name(stem), f"{run.artifact_uri}/adapter", run.run_id, tags=tags)
            move = {"kind": "promotion", "who": "year", "when": f"{when:%Y-%m-%dT%H:%M:%S.%fZ}", "why": "better"}
            make_move(self.client, model_name(stem), Move(**move, old=self.champion.get(stem), new=str(made.version)))
            self.champion[stem] = str(made.version)
        age(folder, when)

    def sizes(self) -> str:
        """MiB and folders of each kind."""
        told = []
        for name in ("answers", "datasets", "runs"):
            folders = [each for stem in (self.home.path / name).glob("*") for each in stem.iterdir() if each.is_dir()]
            told.append(f"{name} {len(folders)} folders {size(self.home.path / name) / 2**20:.1f} MiB")
        told.append(f"MLflow's adapters {size(self.folder / 'artifacts') / 2**20:.0f} MiB")
        return ", ".join(told)

    def listing(self) -> float:
        """Processor seconds in which the page lists what can be started on."""
        began = time.process_time()
        for writer in self.writers:
            earlier(self.home.datasets(writer.stem))
            earlier(self.home.answers(writer.stem))
        return time.process_time() - began

    def parse(self) -> float:
        """Processor seconds in which a process of its own reads the DAGs of both writers."""
        writers = self.folder / "writers"
        writers.mkdir(exist_ok=True)
        for stem in ("small", "other"):
            (writers / f"{stem}.toml").write_text((ROOT / "writers" / "lamplight.toml").read_text())
        return parse_seconds(self.home.path, writers)


def parse_seconds(home: Path, writers: Path) -> float:
    """Processor seconds in which a process of its own reads all DAGs of the writers in a folder."""
    program = (
        "import time\nfrom tests.dags.bag import read_dags\nfrom ghostwriter.tasks import stages\n"
        "began = time.process_time(); bag = read_dags(); assert not bag.import_errors; print(time.process_time() - began)"
    )
    environment = {**os.environ, "GHOSTWRITER_HOME": str(home), "GHOSTWRITER_WRITERS": str(writers)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout.splitlines()[-1])


def age(folder: Path, when: datetime) -> None:
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (when.timestamp(), when.timestamp()))


def simulate(nights: int, *, keep: bool) -> None:
    """One year, with or without housekeeping; prints its figures."""
    with TemporaryDirectory() as folder:
        year, times = Year(Path(folder), nights), []
        parse, listing = year.parse(), year.listing()
        for number in range(1, nights + 1):
            times.append(year.night(number, keep=keep))
        shown = min(SHOWN, nights // 2)
        print(f"{nights} nights of two writers {'with' if keep else 'without'} housekeeping: {year.sizes()}")
        print(f"  a night: median {median(times[:shown]):.2f} s of the first {shown}, {median(times[-shown:]):.2f} s of the last")
        print(f"  parse of all DAGs: {parse:.2f} s before, {year.parse():.2f} s after")
        print(f"  the page's lists: {listing:.3f} s before, {year.listing():.3f} s after", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--without", action="store_true", help="without housekeeping")
    arguments = parser.parse_args()
    simulate(arguments.nights, keep=not arguments.without)
