"""`multiplication`: a task with known answers proves the training code before anyone trusts it with style."""

from airflow.sdk import dag, setup, task, teardown

from ghostwriter.launchers.stages import stage_task
from ghostwriter.tasks import forms, multiplication as stages
from ghostwriter.tasks.body import actionable
from ghostwriter.tasks.in_language import common_language, form_in, speak
from ghostwriter.tasks.time_limits import LONG, SHORT, longest
from ghostwriter.words.catalogue import say

LANGUAGE = common_language()


@dag(
    dag_id="multiplication",
    dag_display_name=say("The multiplication check", LANGUAGE),
    schedule=None,
    max_active_runs=1,
    tags=["ghostwriter", "by hand"],
    dagrun_timeout=longest(2 * LONG),
    default_args={"owner": "ghostwriter", "execution_timeout": SHORT},
    params=form_in(forms.multiplying(), LANGUAGE),
)
def multiplication() -> None:
    """### Multiplications -> adapter -> every line of every chain checked

    Trains the recipe on worked chains and has the base and each epoch's adapter multiply pairs that nobody trained on. In MLflow's
    experiment `multiplication`: the article's table beside this run, accuracy by epoch, and wrong chains with the first wrong line marked.
    **How long:** the form as it stands, two to three minutes on two cores. **When it fails:** trigger it again with the same form;
    it goes on where it stopped.
    """

    @setup
    @task
    @actionable
    def plan(*, params: dict, dag_run: object) -> dict:
        """Open the MLflow run that holds everything below, write the dataset and the training request."""
        return stages.plan(params, dag_run)

    @task
    @actionable
    def plan_examination(mlflow_run: str, trained: dict, *, params: dict) -> str:
        """Write the examination request."""
        return stages.plan_examination(trained["request"], mlflow_run, ability=params["ability"])

    @task
    @actionable
    def summarise(mlflow_run: str, examined: dict) -> dict:
        """Give the MLflow run its headline figures and the article's table."""
        return stages.summarise(examined["request"], mlflow_run)

    @teardown
    @task
    def close_run(mlflow_run: str, *, ti: object) -> None:
        """End the MLflow run with a true status."""
        stages.close_run(mlflow_run, ti)

    planned = plan()
    mlflow_run = planned["run_id"]
    trained = stage_task("train", planned["request"])
    examined = stage_task("examine", plan_examination(mlflow_run, trained.output))
    summarise(mlflow_run, examined.output) >> close_run(mlflow_run)


speak(multiplication(), LANGUAGE)
