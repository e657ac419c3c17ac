"""`<writer>_distill` for each file in writers/: a snapshot of answers becomes a dataset, with the teacher's help."""

from airflow.sdk import DAG, dag, task

from ghostwriter.tasks import dataset_stages as stages, forms
from ghostwriter.tasks.assets import answers_asset, dataset_asset
from ghostwriter.tasks.batch_trigger import DistillInBatch
from ghostwriter.tasks.body import TEACHER_POOL, actionable, dag_defaults, titled
from ghostwriter.tasks.stoppable import stoppable
from ghostwriter.tasks.time_limits import time_limits
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def distill_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    answers, dataset, limits = answers_asset(writer.stem), dataset_asset(writer.stem), time_limits(writer)

    @dag(
        dag_id=f"{writer.stem}_distill",
        dag_display_name=titled(writer, "2 distil"),
        schedule=[answers],
        **dag_defaults(writer, "nightly", limits.of_run("distill"), "distill"),
    )
    def distill() -> None:
        """### Snapshot of answers -> teacher -> dataset

        Shows the teacher a few of the writer's pairs and a question of the training split, and keeps its answer as training data. The
        writer's real answer to that question is never shown to it, and no held-out text ever is. Starts by itself after collecting;
        training follows by itself. From the form it can also say what it would cost, and ask nobody.

        **How long:** as long as the teacher takes; its log says how far it is. Every answer is paid for once. **When it fails:** the
        log's last line says what to do (a wrong key, a teacher that is down, the cap). Then clear the task: it goes on from the ledger.
        """

        @task(inlets=[answers])
        @actionable
        def find_answers(*, params: dict, dag_run: object) -> str:
            """Which snapshot of answers this run works on; skipped when an event woke it for nothing new."""
            return stages.answers_to_distill(writer, params, dag_run)

        @task.short_circuit
        @actionable
        def estimate_cost(folder: str, *, params: dict, ti: object) -> bool:
            """Say what asking would cost before anything is spent; ends here when the form wants no more."""
            return stages.estimate_cost(writer.with_teacher_answers(params["wanted"]), folder, params, ti)

        @stoppable(execution_timeout=limits.ask, pool=TEACHER_POOL, retries=3)
        @actionable
        def ask_teacher(folder: str, *, params: dict, dag_run: object) -> str:
            """Ask the teacher what the ledger does not hold yet, filter, split, and write the dataset of the newest answers."""
            return stages.distill(writer, folder, params, dag_run)

        @task(outlets=[dataset], trigger_rule="all_done")
        @actionable
        def wake_training(*, outlet_events: dict) -> None:
            """Wake training, also after a failure when an earlier night left a dataset; skipped after an experiment of the form's."""
            outlet_events[dataset].extra = {"location": stages.untrained_dataset(writer)}

        @task(retries=2)
        @actionable
        def record_totals(made: str, *, dag_run: object) -> str:
            """Log rows, calls, cost and diversity as a small run in the writer's MLflow experiment."""
            return stages.record(writer, made, dag_run)

        folder = find_answers()
        affordable = estimate_cost(folder)
        if writer.teacher.batch:
            waited = DistillInBatch(task_id="wait_for_batch", stem=writer.stem, answers=folder, pool=TEACHER_POOL, retries=1)
            affordable >> waited
            folder = waited.output
        affordable >> (dataset_folder := ask_teacher(folder))
        record_totals(dataset_folder)
        dataset_folder >> wake_training()

    return distill()


globals().update(writer_dags("distill", distill_dag, forms.distilling))
