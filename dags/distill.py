"""`<writer>_distill` for each file in writers/: a snapshot of answers becomes a dataset, with the teacher's help."""

from airflow.sdk import DAG, dag, task

from ghostwriter.tasks import dataset_stages as stages, forms
from ghostwriter.tasks.assets import answers_asset, dataset_asset, location
from ghostwriter.tasks.batch_trigger import DistillInBatch
from ghostwriter.tasks.body import TEACHER_POOL, actionable, dag_defaults
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def distill_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    answers, dataset = answers_asset(writer.stem), dataset_asset(writer.stem)

    @dag(
        dag_id=f"{writer.stem}_distill",
        dag_display_name=f"{writer.name}: 2 distil",
        schedule=[answers],
        params=forms.distilling(writer),
        **dag_defaults(writer, "nightly"),
    )
    def distill() -> None:
        """### Snapshot of answers -> teacher -> dataset

        Shows the teacher a few of the writer's pairs and a question of the training split, and keeps its answer as training data. The
        writer's real answer to that question is never shown to it, and no held-out text ever is. Starts by itself after collecting;
        training follows by itself. From the form it can also say what it would cost, and ask nobody.

        **How long:** as long as the teacher takes; its log says how far it is. Every answer is paid for once.
        **When it fails:** the log's last line says what to do (a wrong key, a teacher that is down, the budget's cap). Then clear the
        task or trigger again: it goes on from the ledger.
        """

        @task(inlets=[answers])
        @actionable
        def find_answers(*, params: dict, triggering_asset_events: dict, inlet_events: dict) -> str:
            """Which snapshot of answers this run works on."""
            return str(location(params["answers"], triggering_asset_events, inlet_events[answers], f"answers of {writer.name}"))

        @task.short_circuit
        @actionable
        def estimate_cost(folder: str, *, params: dict, ti: object) -> bool:
            """Say what asking would cost before anything is spent; ends here when the form wants no more."""
            return stages.estimate_cost(writer.with_teacher_answers(params["wanted"]), folder, params, ti)

        @task(outlets=[dataset], pool=TEACHER_POOL, retries=1)
        @actionable
        def ask_teacher(folder: str, *, params: dict, outlet_events: dict) -> str:
            """Ask the teacher what the ledger does not hold yet, filter, split, and write the dataset."""
            made = stages.distill(writer.with_teacher_answers(params["wanted"]), folder, params["mode"])
            outlet_events[dataset].extra = {"location": made}
            return made

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
        dataset_folder = ask_teacher(folder)
        affordable >> dataset_folder
        record_totals(dataset_folder)

    return distill()


globals().update(writer_dags("distill", distill_dag))
