"""What Airflow itself loads: the buttons that lead from a task to MLflow, the page in the menu Browse, and tabs."""

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from ghostwriter.mlflow_runs.links import MlflowRunLink, ModelLink, ReportLink
from ghostwriter.tasks import preload

PREFIX = "/ghostwriter"
HERE = f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}{PREFIX}"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """The page; imported on its first request, because this file is read by every Airflow process and only the API server serves it."""
    from ghostwriter.page.app import app

    await app(scope, receive, send)


class GhostwriterPlugin(AirflowPlugin):
    """Registered under one name; the library itself is imported by the DAGs, not by the plugin loader."""

    name = "ghostwriter"
    operator_extra_links = [MlflowRunLink(), ReportLink(), ModelLink()]  # noqa: RUF012
    listeners = [preload]  # noqa: RUF012
    fastapi_apps = [{"app": page, "url_prefix": PREFIX, "name": "Ghostwriter"}]  # noqa: RUF012  Airflow declares these as an instance's
    external_views = [  # noqa: RUF012
        {
            # A link, not a frame: Airflow's frame lets no link out of it, neither to a run nor to MLflow. In a menu, because at the top
            # level Airflow 3.3 makes a button of a link, which leads nowhere.
            "name": "Ghostwriter",
            "href": f"{HERE}/",
            "destination": "nav",
            "category": "browse",
        },
        # Tabs. Airflow offers them on every DAG, and puts the ids into the braces.
        {"name": "Writer", "href": f"{HERE}/dag/{{DAG_ID}}", "destination": "dag", "url_route": "ghostwriter-writer"},
        {"name": "Report", "href": f"{HERE}/report/{{DAG_ID}}/{{RUN_ID}}", "destination": "dag_run", "url_route": "ghostwriter-report"},
    ]
