"""What Airflow itself loads: the button that leads from a training or evaluation task to its MLflow run."""

from airflow.plugins_manager import AirflowPlugin

from ghostwriter.operators import MlflowRunLink


class GhostwriterPlugin(AirflowPlugin):
    """Registered under one name; the library itself is imported by the DAGs, not by the plugin loader."""

    name = "ghostwriter"
    operator_extra_links = [MlflowRunLink()]  # noqa: RUF012  Airflow declares it as an instance's
