"""`<writer>_train` for each file in writers/: a dataset becomes an adapter, and a better adapter the champion."""

from airflow.sdk import DAG, Param, dag, setup, task, teardown

from ghostwriter import stages
from ghostwriter.assets import champion_asset, dataset_asset, location
from ghostwriter.operators import actionable, gpu_stage
from ghostwriter.writer import Writer, readable_writers
from training.contract import TRAINING_FILES, recipe_names


def train_dag(writer: Writer) -> DAG:
    """Build the DAG of one writer."""
    dataset, champion = dataset_asset(writer.stem), champion_asset(writer.stem)

    @dag(
        dag_id=f"{writer.stem}_train",
        dag_display_name=f"{writer.name}: 3 train and promote",
        schedule=[dataset],
        max_active_runs=1,
        tags=["ghostwriter", writer.stem],
        default_args={"owner": "ghostwriter"},
        params={
            "dataset": Param(None, type=["null", "string"], title="Dataset", description="A folder; empty: the newest one."),
            "arm": Param(writer.training.arm, enum=sorted(TRAINING_FILES), title="Arm", description="What to train on."),
            "recipe": Param(writer.training.recipe, enum=recipe_names(), title="Recipe", description="A file in training/recipes."),
        },
    )
    def train() -> None:
        """### Dataset -> adapter -> scores -> champion

        Trains a LoRA adapter, answers the held-out questions with it, with the base and with the champion, and moves the alias
        `champion` in MLflow only if the new adapter is better. The button on the task `train` leads to its MLflow run.
        **When it fails:** the log's last line says what to do. Trigger it again: training goes on from its last checkpoint.
        """

        @setup
        @task(inlets=[dataset])
        @actionable
        def plan(*, params: dict, triggering_asset_events: dict, inlet_events: dict, dag_run: object) -> dict:
            """Open the MLflow run that holds everything below, and write the training request."""
            folder = location(params["dataset"], triggering_asset_events, inlet_events[dataset], f"datasets of {writer.name}")
            return stages.plan_training(writer, folder, params["arm"], params["recipe"], dag_run)

        @task
        @actionable
        def plan_evaluation(mlflow_run: str, trained: dict) -> str:
            """Fetch the champion and write the evaluation request."""
            return stages.plan_evaluation(writer, trained["request"], mlflow_run)

        @task
        @actionable
        def judge(mlflow_run: str, evaluated: dict) -> dict:
            """Decide whether the candidate is better than the champion (the base, while there is none)."""
            return stages.judge(writer, evaluated["request"], mlflow_run)

        @task(outlets=[champion])
        @actionable
        def promote(mlflow_run: str, trained: dict, verdict: dict, *, outlet_events: dict, dag_run: object) -> str:
            """Make the candidate the champion; skipped, with the reason, when it is not better."""
            outlet_events[champion].extra = {"location": (version := stages.promote(writer, trained, verdict, mlflow_run, dag_run))}
            return version

        @teardown
        @task
        def close_run(mlflow_run: str, *, ti: object) -> None:
            """End the MLflow run with a true status."""
            stages.close_run(mlflow_run, ti)

        planned = plan()
        mlflow_run = planned["run_id"]
        trained = gpu_stage("train", planned["request"])
        evaluated = gpu_stage("evaluate", plan_evaluation(mlflow_run, trained.output))
        promote(mlflow_run, trained.output, judge(mlflow_run, evaluated.output)) >> close_run(mlflow_run)

    return train()


for readable in readable_writers():
    train_dag(readable)
