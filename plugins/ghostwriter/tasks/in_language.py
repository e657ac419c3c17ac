"""DAGs, names of their tasks, and forms in a writer's language.

Ids and log lines stay as they are, and with them the line that says what a task does: it is logged.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.mappedoperator import MappedOperator

from ghostwriter.words.catalogue import Language, say, say_page
from ghostwriter.writer import readable_writers

SHOWN = ("title", "section")


def common_language() -> Language:
    """That of DAGs which are no writer's: the one all writers share, else English."""
    tongues = {writer.tongue for writer in readable_writers()}
    return tongues.pop() if len(tongues) == 1 else "en"


def speak(built: DAG, language: Language) -> DAG:
    """Say what the DAG is and what its tasks are called; `built` itself is returned.

    The DAG's name is left to `titled`.
    """
    built.doc_md = say_page(built.doc_md or "", language)
    for task in built.tasks:
        if (name := say(task.task_id, language)) == task.task_id:
            continue
        if isinstance(task, MappedOperator):
            task.partial_kwargs["task_display_name"] = name
        else:
            task._task_display_name = name  # what its argument `task_display_name` sets
    return built


def form_in(form: Mapping[str, Param], language: Language) -> dict[str, Param]:
    """A form in the language: titles, help, sections and what its choices are called."""
    for field in form.values():
        field.description = field.description and say(field.description, language)
        _translate(field.schema, language)
    return dict(form)


def _translate(schema: dict[str, Any], language: Language) -> None:
    for name in SHOWN:
        if schema.get(name):
            schema[name] = say(schema[name], language)
    if "values_display" in schema:
        schema["values_display"] = {value: say(words, language) for value, words in schema["values_display"].items()}
