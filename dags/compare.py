"""`<writer>_compare` for each file in writers/: several arms on the same split, in one table. It promotes nothing."""

from airflow.sdk import DAG, dag, setup, task, teardown

from ghostwriter.launchers.stages import stage_task, stage_tasks
from ghostwriter.mlflow_runs import comparison
from ghostwriter.tasks import forms, stages
from ghostwriter.tasks.assets import dataset_asset
from ghostwriter.tasks.body import actionable, dag_defaults, titled
from ghostwriter.tasks.time_limits import MANY_ARMS, time_limits
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def compare_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    dataset, limits = dataset_asset(writer.stem), time_limits(writer, MANY_ARMS)

    @dag(
        dag_id=f"{writer.stem}_compare",
        dag_display_name=titled(writer, "compare arms"),
        schedule=None,
        **dag_defaults(writer, "by hand", limits.of_run("compare")),
    )
    def compare() -> None:
        """### Dataset -> several adapters -> one table

        Trains each arm with the same recipe, then answers the same questions with each, the base, the base that is shown examples, and
        the champion. The table, with 95 % intervals, is the description of the MLflow run `comparison ...`. Nothing is promoted.
        **How long:** a training for each arm, one after the other. **When it fails:** trigger it again with the same form:
        what is trained stays trained.
        """

        @setup
        @task(doc_md="Open the MLflow run that holds everything below.")
        @actionable
        def open_run(*, dag_run: object) -> str:
            return comparison.open_comparison(writer, dag_run)

        @task(inlets=[dataset], doc_md="Write a training request for each arm.")
        @actionable
        def plan(mlflow_run: str, *, params: dict) -> list:
            folder = stages.dataset_to_compare(writer, params["dataset"])
            return [stages.plan_arm(writer, folder, arm, params["recipe"], mlflow_run) for arm in params["arms"]]

        @task(doc_md="Write the request that examines all arms together.")
        @actionable
        def plan_evaluation(mlflow_run: str, trained: list) -> str:
            return stages.plan_evaluation(writer, [each["request"] for each in trained], mlflow_run, few_shot=True)

        @task(doc_md="Write the table of arms by measures.")
        @actionable
        def summarise(mlflow_run: str, evaluated: dict) -> int:
            return comparison.summarise(evaluated["request"], mlflow_run)

        @teardown
        @task(doc_md="End the MLflow run with a true status.")
        def close_run(mlflow_run: str, *, ti: object) -> None:
            comparison.close_run(mlflow_run, ti)

        trained = stage_tasks("train", plan(mlflow_run := open_run()), limits.train)
        asked = plan_evaluation(mlflow_run, trained.output)
        stage_task("evaluate", asked, limits.examine) >> (evaluated := stage_task("measure", asked, limits.examine))
        summarise(mlflow_run, evaluated.output) >> close_run(mlflow_run)

    return compare()


globals().update(writer_dags("compare", compare_dag, forms.comparing))
