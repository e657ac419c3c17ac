"""Messages when a task failed and when the champion changed: Airflow's own notifiers, for a writer whose file has `[notify]`.

The templates are rendered by Airflow in the task's process. A failure is told in the words that the task left for the person
(`ghostwriter.operators.PROBLEM`), never in those of an exception nobody looked at: those may hold an address or a key.
"""

from typing import TYPE_CHECKING

from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

PROBLEM = "problem"
"""XCom key under which a failed task leaves what the person should do, for the page and for messages."""
POST_SECONDS = 10
FAILURE = (
    "{{ dag.dag_display_name }}: the task {{ ti.task_id }} failed.",
    f"{{{{ ti.xcom_pull(task_ids=ti.task_id, key='{PROBLEM}', map_indexes=ti.map_index) or 'Its log says why.' }}}}",
    "{{ ti.log_url }}",
)
CHAMPION = (
    "Version {{ ti.xcom_pull(task_ids=ti.task_id) }} is now the champion of %s.",
    "{{ params.get('why') or ti.xcom_pull(task_ids='judge').summary }}",
    "{{ ti.log_url }}",
)
"""Lines of Jinja; the first is a mail's subject."""


def on_failure(writer: Writer) -> "list[BaseNotifier]":
    """For `on_failure_callback`: it is called once, after the last try."""
    return _notifiers(writer, FAILURE)


def on_new_champion(writer: Writer) -> "list[BaseNotifier]":
    """For `on_success_callback` of a task that moves the champion and returns its version; a skipped task calls nobody."""
    return _notifiers(writer, (CHAMPION[0] % writer.name, *CHAMPION[1:]))


def _notifiers(writer: Writer, lines: tuple[str, ...]) -> "list[BaseNotifier]":
    """The notifiers a writer file asks for. Their modules are imported for such a writer only: DAG files are parsed often."""
    notify = writer.notify
    found: list[BaseNotifier] = []
    if notify and notify.mail:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        page = "".join(f"<p>{{% filter e %}}{line}{{% endfilter %}}</p>" for line in lines)
        found.append(SmtpNotifier(smtp_conn_id=notify.mail, to=list(notify.to), subject=lines[0], html_content=page))
    if notify and notify.webhook:
        from airflow.providers.http.notifications.http import HttpNotifier

        # Airflow masks a connection's password in every log, and nothing else of an address.
        secret_end = f"{{{{ (conn.get('{notify.webhook}') or {{}}).password or '' }}}}"
        found.append(
            HttpNotifier(
                http_conn_id=notify.webhook, endpoint=secret_end, json={"text": "\n".join(lines)}, extra_options={"timeout": POST_SECONDS}
            )
        )
    return found
