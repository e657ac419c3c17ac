"""A DAG started from the page, on the snapshot or dataset that a person picked there."""

from typing import Annotated, Any, Literal

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from fastapi import APIRouter, Depends, Form, HTTPException, status
from fastapi.responses import RedirectResponse

from ghostwriter.errors import SnapshotError
from ghostwriter.home import Home
from ghostwriter.page.access import OneWriter, refuse_other_sites
from ghostwriter.page.rendering import prefix
from ghostwriter.snapshot import find

Stage = Literal["distill", "train", "compare"]
router = APIRouter()


@router.post("/start/{stem}", dependencies=[Depends(refuse_other_sites)])
def start(
    writer: OneWriter, user: GetUserDep, stage: Annotated[Stage, Form()], folder: Annotated[str, Form(max_length=100)]
) -> RedirectResponse:
    """Start a writer's DAG on the folder that was picked, as its form would; leads to the run's page."""
    home = Home.default()
    parent, field = (home.answers(writer.stem), "answers") if stage == "distill" else (home.datasets(writer.stem), "dataset")
    try:
        chosen = find(parent, folder).name
    except SnapshotError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None
    dag_id = f"{writer.stem}_{stage}"
    _check_may_trigger(dag_id, user)
    with create_session(scoped=False) as session:
        run = trigger_dag(
            dag_id=dag_id,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            conf={field: chosen},
            session=session,
        )
        if run is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no DAG {dag_id}.")
        return RedirectResponse(f"{prefix()}/dags/{dag_id}/runs/{run.run_id}", status.HTTP_303_SEE_OTHER)


def _check_may_trigger(dag_id: str, user: Any) -> None:
    """Raise HTTPException (403) for a user whom Airflow would not let trigger the DAG."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    allowed = get_auth_manager().is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user)
    if not allowed:
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"You may not trigger {dag_id}.")
