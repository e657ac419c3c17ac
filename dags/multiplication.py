"""`multiplication`: a task with known answers proves the training code before anyone trusts it with style."""

from airflow.sdk import Param, dag, setup, task, teardown

from ghostwriter.launchers.stages import stage_task
from ghostwriter.tasks import multiplication as stages
from ghostwriter.tasks.body import actionable
from ghostwriter.tasks.time_limits import LONG, SHORT, longest
from training.contract import recipe_names

EXAM = "Examination"


def number(default: int, field: str, title: str, description: str, section: str | None = None) -> Param:
    """A whole number of the form, within the bounds of the field it becomes; folded away under its section, if it has one."""
    return Param(default, type="integer", title=title, description=description, **stages.bounds(field), section=section)


@dag(
    dag_id="multiplication",
    dag_display_name="The multiplication check",
    schedule=None,
    max_active_runs=1,
    tags=["ghostwriter", "by hand"],
    dagrun_timeout=longest(2 * LONG),
    default_args={"owner": "ghostwriter", "execution_timeout": SHORT},
    params={
        "recipe": Param("smollm2-135m-arithmetic-cpu", enum=recipe_names(), title="Recipe", description="GPU: smollm2-135m-arithmetic."),
        "samples": number(64, "samples", "Samples", "Worked chains to train on. The article: 10000."),
        "digits": number(1, "digits", "Digits", "Digits of a factor, at most. The article: 3."),
        "epochs": Param(1, type="integer", minimum=1, maximum=100, title="Epochs", description="Rounds through the data. The article: 3."),
        "phrasings": number(1, "phrasings", "Phrasings", "Ways of asking to train on. With one, other words are not understood.", "Data"),
        "pairs": number(500, "pairs", "Unseen pairs", "Pairs to examine that are in no training row; fewer where there are fewer.", EXAM),
        "reworded_pairs": number(0, "reworded_pairs", "Reworded", "Of these, asked again in eight other ways. On a GPU: 500.", EXAM),
        "beyond_pairs": number(0, "beyond_pairs", "Beyond training", "Pairs of numbers one digit longer. On a GPU: 500.", EXAM),
        "ability": Param(False, type="boolean", title="Other abilities", description="What else it can, before and after.", section=EXAM),
    },
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


multiplication()
