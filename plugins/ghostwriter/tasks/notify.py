"""Messages when a task failed and when the champion changed: Airflow's own notifiers, for a writer whose file has `[notify]`.

The templates are rendered by Airflow in the task's process. A failure is told in the words that the task left for the person
(`ghostwriter.tasks.notify.PROBLEM`), never in those of an exception nobody looked at: those may hold an address or a key.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

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
TOLD = ("{{ params.what }}", "{{ params.words }}")
"""Lines of Jinja; the first is a mail's subject."""


@dataclass(frozen=True)
class Message:
    """A task's callback. Its notifier is made when it is called: the HTTP one takes half a second to import, and DAGs are parsed often."""

    lines: tuple[str, ...]
    connection: str
    to: tuple[str, ...] = ()
    """Where a mail goes; a webhook has none."""

    def __call__(self, context: "Context | dict[str, Any]") -> None:
        """Send it. What goes wrong stands in the task's log and does not change how the task ended."""
        self.notifier()(context)

    def notifier(self) -> "BaseNotifier":
        """Airflow's own: SmtpNotifier or HttpNotifier."""
        if self.to:
            from airflow.providers.smtp.notifications.smtp import SmtpNotifier

            page = "".join(f"<p>{{% filter e %}}{line}{{% endfilter %}}</p>" for line in self.lines)
            return SmtpNotifier(smtp_conn_id=self.connection, to=list(self.to), subject=self.lines[0], html_content=page)
        from airflow.providers.http.notifications.http import HttpNotifier

        # Airflow masks a connection's password in every log, and nothing else of an address.
        secret_end = f"{{{{ (conn.get('{self.connection}') or {{}}).password or '' }}}}"
        body = {"text": "\n".join(self.lines)}
        return HttpNotifier(http_conn_id=self.connection, endpoint=secret_end, json=body, extra_options={"timeout": POST_SECONDS})


def on_failure(writer: Writer) -> list[Message]:
    """For `on_failure_callback`: it is called once, after the last try."""
    return _messages(writer, FAILURE)


def on_new_champion(writer: Writer) -> list[Message]:
    """For `on_success_callback` of a task that moves the champion and returns its version; a skipped task calls nobody."""
    return _messages(writer, (CHAMPION[0] % writer.name, *CHAMPION[1:]))


def tell(writer: Writer, what: str, words: str) -> int:
    """Send a message that no task sends, now; returns to how many places. What a sender raises is raised."""
    from airflow.sdk import BaseHook

    messages = _messages(writer, TOLD)
    for message in messages:
        message({"params": {"what": what, "words": words}, "conn": SimpleNamespace(get=BaseHook.get_connection)})
    return len(messages)


def _messages(writer: Writer, lines: tuple[str, ...]) -> list[Message]:
    """To whom the writer file names."""
    notify = writer.notify
    mail = [Message(lines, notify.mail, notify.to)] if notify and notify.mail else []
    return mail + ([Message(lines, notify.webhook)] if notify and notify.webhook else [])
