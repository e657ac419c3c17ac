"""Messages when a task failed, an approval waits, or the champion changed: Airflow's own notifiers, for a writer whose file has `[notify]`.

The templates are rendered by Airflow in the task's process. A failure is told in the words that the task left for the person
(`ghostwriter.tasks.notify.PROBLEM`), never in those of an exception nobody looked at: those may hold an address or a key.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ghostwriter.errors import MessageRefused
from ghostwriter.tasks.chat_services import Kind
from ghostwriter.words.catalogue import Language, say
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

log = logging.getLogger(__name__)

PROBLEM, PROBLEM_CODE = "problem", "problem_code"
"""XCom keys under which a failed task leaves what the person should do, for the page and for messages, and the kind of error."""
OF_TASK = "ti.xcom_pull(task_ids=ti.task_id, key='%s', map_indexes=ti.map_index)"
SPENT = ("budget_exceeded", "month_spent")
CAPPED = f"{OF_TASK % PROBLEM_CODE} in {SPENT}"
LINK = "{{ ti.log_url }}"
REACHED_CAP, FAILED = "the task {{ ti.task_id }} reached its cap.", "the task {{ ti.task_id }} failed."
LOG_SAYS_WHY = "Its log says why."
SAID = "said"
"""What the templates call a sentence into the writer's language with."""
VERDICT = "{{ said(ti.xcom_pull(task_ids='judge').summary) }}"
WHY = "{{ params.get('why') or said(ti.xcom_pull(task_ids='judge').summary) }}"
CHAMPION = "Version {{ ti.xcom_pull(task_ids=ti.task_id) }} is now the champion of %(writer)s."
WAITING = ("A new version of %(writer)s waits for your word.", VERDICT, "Without an answer within 7 days it counts as rejected.", LINK)
TOLD = ("{{ params.what }}", "{{ params.words }}")
"""Lines of Jinja; the first is a mail's subject."""


@dataclass(frozen=True)
class Message:
    """A task's callback. Its notifier is made when it is called: the HTTP one takes half a second to import, and DAGs are parsed often."""

    lines: tuple[str, ...]
    connection: str
    to: tuple[str, ...] = ()
    """Where a mail goes; a webhook has none."""
    kind: Kind = "generic"
    """The service of a webhook."""
    language: Language = "en"

    def __call__(self, context: "Context | dict[str, Any]") -> None:
        """Send it. What goes wrong stands in the task's log and does not change how the task ended."""
        self.notifier()({**context, SAID: partial(say_sentence, language=self.language)})

    def notifier(self) -> "BaseNotifier":
        """Airflow's own: SmtpNotifier, or HttpNotifier with a service's form."""
        if self.to:
            from airflow.providers.smtp.notifications.smtp import SmtpNotifier

            page = "".join(f"<p>{{% filter e %}}{line}{{% endfilter %}}</p>" for line in self.lines)
            return SmtpNotifier(smtp_conn_id=self.connection, to=list(self.to), subject=self.lines[0], html_content=page)
        from ghostwriter.tasks.chat_notifier import ChatNotifier

        return ChatNotifier(kind=self.kind, text="\n".join(self.lines), http_conn_id=self.connection)


def on_failure(writer: Writer) -> list[Message]:
    """For `on_failure_callback`: it is called once, after the last try."""
    capped, failed, log_says_why = (say(words, writer.tongue) for words in (REACHED_CAP, FAILED, LOG_SAYS_WHY))
    first = "{{ dag.dag_display_name }}: {% if " + CAPPED + " %}" + capped + "{% else %}" + failed + "{% endif %}"
    return _messages(writer, (first, "{{ " + f"{OF_TASK % PROBLEM} or '{log_says_why}'" + " }}", LINK))


def on_new_champion(writer: Writer) -> list[Message]:
    """For `on_success_callback` of a task that moves the champion and returns its version; a skipped task calls nobody."""
    return _messages(writer, _of(writer, (CHAMPION, WHY, LINK)))


def on_waiting(writer: Writer) -> list[Message]:
    """For a task that waits for a person after the task `judge`."""
    return _messages(writer, _of(writer, WAITING))


def send_each(messages: Sequence[Message], context: "Context") -> None:
    """Send from inside a task, which goes on whatever becomes of its messages; the log says what did not arrive."""
    from airflow.sdk.exceptions import AirflowException

    for message in messages:
        try:
            message(context)
        except (AirflowException, MessageRefused, OSError) as error:  # OSError: requests' and SMTP's errors are kinds of it
            log.warning("The message to %s was not sent: %s", message.connection, error)


def tell(writer: Writer, what: str, words: str) -> int:
    """Send a message that no task sends, now; returns to how many places. What a sender raises is raised."""
    messages = _messages(writer, TOLD)
    for message in messages:
        message({"params": {"what": what, "words": words}})
    return len(messages)


def _of(writer: Writer, lines: tuple[str, ...]) -> tuple[str, ...]:
    first, *others = (say(line, writer.tongue) for line in lines)
    return first % {"writer": writer.name}, *others


def _messages(writer: Writer, lines: tuple[str, ...]) -> list[Message]:
    """To whom the writer file names."""
    notify, language = writer.notify, writer.tongue
    mail = [Message(lines, notify.mail, notify.to, language=language)] if notify and notify.mail else []
    return mail + ([Message(lines, notify.webhook, kind=notify.kind, language=language)] if notify and notify.webhook else [])
