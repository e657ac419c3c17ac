"""A person's word before the champion changes: Airflow's own approval form, and what is kept of the answer in MLflow."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser

from ghostwriter.judging.gate import Decision
from ghostwriter.tasks.in_language import form_in
from ghostwriter.tasks.notify import Message, on_waiting, send_each
from ghostwriter.tasks.stages import record_answer
from ghostwriter.tasks.time_limits import APPROVAL_PATIENCE
from ghostwriter.words.catalogue import Language, say
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer import Writer


class PromotionApproval(ApprovalOperator):
    """Asks only when the gate would promote, and tells whom the writer file names.

    A rejection skips the promotion, and its reason stands in MLflow.
    """

    template_fields = ("subject", "body", "verdict", "mlflow_run")

    def __init__(self, *, verdict: Any, mlflow_run: Any, told: Sequence[Message] = (), language: Language = "en", **settings: Any) -> None:
        super().__init__(**settings)
        self.verdict, self.mlflow_run, self.told, self.language = verdict, mlflow_run, told, language

    def execute(self, context: Any) -> Any:
        """Wait for an answer, or skip when there is nothing to ask."""
        decision = Decision.model_validate(self.verdict)
        if not decision.promote:
            raise AirflowSkipException(decision.summary)
        summary, *reasons = (say_sentence(words, self.language) for words in (decision.summary, *decision.reasons))
        self.body = "\n".join([summary, "", *(f"- {reason}" for reason in reasons)])
        self.notifiers = [partial(send_each, self.told)]  # type: ignore[list-item]  # called once the question can be answered
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer before it takes effect."""
        if "error" not in event:
            record_answer(self.mlflow_run, Decision.model_validate(self.verdict), event)
        return super().execute_complete(context, event)


def approval(writer: Writer, verdict: Any, mlflow_run: Any) -> PromotionApproval:
    """The task that waits for a person; it asks once more when Airflow fails it, as it does if the answer comes within seconds."""
    return PromotionApproval(
        task_id="approve",
        verdict=verdict,
        mlflow_run=mlflow_run,
        subject=say("Make this adapter the champion of %(writer)s?", writer.tongue) % {"writer": writer.name},
        told=on_waiting(writer),
        language=writer.tongue,
        defaults=ApprovalOperator.REJECT,
        response_timeout=APPROVAL_PATIENCE,
        assigned_users=[HITLUser(id=user, name=user) for user in writer.gate.approvers] or None,
        retries=1,
        retry_delay=timedelta(seconds=10),
        params=form_in({"why": Param("", type="string", title="Why", description="Kept in MLflow with your name.")}, writer.tongue),
        doc_md="Wait for a person to approve the new champion; a rejection, or a week without an answer, ends the run without one.",
    )
