"""`<writer>_train` for each file in writers/: a dataset becomes an adapter, and a better adapter the champion."""

from airflow.sdk import DAG, dag, setup, task, teardown

from ghostwriter.launchers.stages import stage_task
from ghostwriter.tasks import forms, stages
from ghostwriter.tasks.approval import approval
from ghostwriter.tasks.assets import champion_asset, dataset_asset
from ghostwriter.tasks.body import TEACHER_POOL, actionable, dag_defaults, titled
from ghostwriter.tasks.notify import on_new_champion
from ghostwriter.tasks.stoppable import stoppable
from ghostwriter.tasks.time_limits import time_limits
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer


def train_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer; `compare_content` and `approve` are there when the writer file asks for them."""
    dataset, champion, limits = dataset_asset(writer.stem), champion_asset(writer.stem), time_limits(writer)

    @dag(
        dag_id=f"{writer.stem}_train",
        dag_display_name=titled(writer, "3 train and promote"),
        schedule=[dataset],
        **dag_defaults(writer, "nightly", limits.of_run("train"), "train"),
    )
    def train() -> None:
        """### Dataset -> adapter -> scores -> champion

        Trains a LoRA adapter, answers the held-out questions with it, with the base and with the champion, and makes it the champion
        only if it is better; `judge` says why. Starts by itself after distilling. The buttons on the Details tab of `train` and
        `measure` lead to MLflow. **How long:** the log says how much is left; the GPU is shared, so it may wait for another writer.
        **When it fails:** the log's last line says what to do. Trigger it again with the same form: it goes on from its checkpoint.
        """

        @setup
        @task(inlets=[dataset], doc_md="Open the MLflow run that holds everything below, and write the training request.")
        @actionable
        def plan(*, params: dict, dag_run: object) -> dict:
            folder = stages.dataset_to_train(writer, params["dataset"], dag_run)
            return stages.plan_training(writer, folder, params["arm"], params["recipe"], dag_run)

        @task(doc_md="Fetch the champion and write the evaluation request.")
        @actionable
        def plan_evaluation(mlflow_run: str, trained: dict) -> str:
            return stages.plan_evaluation(writer, [trained["request"]], mlflow_run)

        @stoppable(execution_timeout=limits.judge, pool=TEACHER_POOL, retries=3, doc_md="Have the judge compare what both say.")
        @actionable
        def compare_content(mlflow_run: str, evaluated: dict) -> dict:
            return stages.compare_content(writer, evaluated["request"], mlflow_run)

        @task(doc_md="Decide whether the candidate is better than the champion (the base, while there is none).")
        @actionable
        def judge(mlflow_run: str, evaluated: dict, content: dict | None) -> dict:
            return stages.judge(writer, evaluated["request"], mlflow_run, content)

        @task(outlets=[champion], on_success_callback=on_new_champion(writer), doc_md="Make a better candidate the champion; else skipped.")
        @actionable
        def promote(mlflow_run: str, trained: dict, verdict: dict, approved: dict, *, outlet_events: dict, dag_run: object) -> str:
            outlet_events[champion].extra = {"location": (new := stages.promote(writer, trained, verdict, approved, mlflow_run, dag_run))}
            return new

        @teardown
        @task(doc_md="End the MLflow run with a true status.")
        def close_run(mlflow_run: str, *, params: dict, ti: object) -> None:
            stages.close_run(writer, mlflow_run, params, ti)

        mlflow_run = (planned := plan())["run_id"]
        trained = stage_task("train", planned["request"], limits.train)
        asked = plan_evaluation(mlflow_run, trained.output)
        stage_task("evaluate", asked, limits.examine) >> (evaluated := stage_task("measure", asked, limits.examine))
        verdict = judge(mlflow_run, evaluated.output, compare_content(mlflow_run, evaluated.output) if writer.judge else None)
        approved = approval(writer, verdict, mlflow_run).output if writer.gate.approval else None
        promote(mlflow_run, trained.output, verdict, approved) >> close_run(mlflow_run)

    return train()


globals().update(writer_dags("train", train_dag, forms.training))
