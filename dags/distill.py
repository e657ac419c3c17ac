"""`<writer>_distill` for each file in writers/: a snapshot of answers becomes a dataset, with the teacher's help."""

from airflow.sdk import DAG, Param, dag, task

from ghostwriter.assets import answers_asset, dataset_asset, location
from ghostwriter.operators import TEACHER_POOL, actionable
from ghostwriter.writer import Writer, readable_writers


def distill_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    answers, dataset = answers_asset(writer.stem), dataset_asset(writer.stem)

    @dag(
        dag_id=f"{writer.stem}_distill",
        dag_display_name=f"{writer.name}: 2 distil",
        schedule=[answers],
        max_active_runs=1,
        tags=["ghostwriter", writer.stem],
        default_args={"owner": "ghostwriter"},
        params={
            "answers": Param(None, type=["null", "string"], title="Snapshot of answers", description="A folder; empty: the newest one."),
            "wanted": Param(
                writer.teacher.answers, type="integer", minimum=1, title="Teacher answers wanted", description="Accepted ones, in all."
            ),
        },
    )
    def distill() -> None:
        """### Snapshot of answers -> teacher -> dataset

        Shows the teacher a few of the writer's pairs and a question of the training split, and keeps its answer as training data. The
        writer's real answer to that question is never shown to it, and no held-out text ever is.

        **How long:** as long as the teacher takes. Every answer is paid for once: a rerun goes on from the ledger.
        **When it fails:** the log's last line says what to do (a wrong key, a teacher that is down, the budget's cap).
        """

        @task(outlets=[dataset], inlets=[answers], pool=TEACHER_POOL, retries=1)
        @actionable
        def ask_teacher(*, params: dict, triggering_asset_events: dict, inlet_events: dict, outlet_events: dict) -> str:
            """Ask the teacher what the ledger does not hold yet, filter, split, and write the dataset."""
            from ghostwriter.connections import teacher_endpoint
            from ghostwriter.distill import distill as distill_answers
            from ghostwriter.home import Home

            home = Home.default()
            home.check_space()
            folder = location(params["answers"], triggering_asset_events, inlet_events[answers], f"answers of {writer.name}")
            chosen = writer.with_teacher_answers(params["wanted"])
            made = str(distill_answers(chosen, home, folder, teacher_endpoint(writer.teacher.connection)))
            outlet_events[dataset].extra = {"location": made}
            return made

        ask_teacher()

    return distill()


for readable in readable_writers():
    distill_dag(readable)
