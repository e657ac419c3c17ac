"""The arms of one evaluation on several GPUs: one process per GPU asks some of them, on a base of its own.

What they answer is kept beside the base models (training.answer.kept_rows), where the process that goes
on when all have ended finds it. So nothing is sent between them, and a killed one costs its last batch.
"""

from training.answer.arms import SharedBase
from training.contract import EvaluateRequest
from training.measure.asking import ask_arm, limit_of, load_corpus
from training.processes import Processes, leave
from training.progress import Progress
from training.signals import StopFlag


def ask_own_arms(request: EvaluateRequest, stop: StopFlag) -> None:
    """In one of several processes: ask this one's arms.

    Raises TrainingError, or Stopped with finished batches kept.
    """
    processes, corpus = Processes(), load_corpus(request)
    shared = SharedBase(request, stop)
    request = request.model_copy(update={"max_new_tokens": limit_of(request, corpus, shared.base)})
    arms = request.arms[processes.rank :: processes.count]
    others = request.run_folder / f"process-{processes.rank}"
    folder = request.run_folder if processes.is_main else others
    folder.mkdir(parents=True, exist_ok=True)
    of_each = len(corpus.heldout) * (2 if request.answers_greedily_too else 1)
    total, every = of_each * len(arms), request.batch or 1
    silent = not processes.is_main
    with Progress(folder, "evaluate", total, "answers", line_every=every, silent=silent) as progress:
        for index, arm in enumerate(arms):
            ask_arm(request, arm, corpus, shared, progress, index * of_each)
    leave()
