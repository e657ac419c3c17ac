"""Writer files into DAGs, each in a guard of its own: what one file breaks takes no other writer's DAG away.

A DAG file ends with `globals().update(writer_dags("collect", collect_dag, forms.collecting))`. Airflow finds what stands among a
module's globals; DAGs that register themselves (`auto_register`) would be found half built, too. A file is read whole to list its
DAGs; a task that runs needs its own DAG only, and starts as soon among twenty writers as among one.
"""

import re
from collections.abc import Callable
from hashlib import sha256

from airflow.sdk import DAG, Param, dag, get_parsing_context, task
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import GhostwriterError
from ghostwriter.tasks.in_language import common_language, form_in, speak
from ghostwriter.words.catalogue import say
from ghostwriter.writer import STEM, Writer, readable_writers, unreadable_writers, writer_stems

UNBUILDABLE = (AirflowException, GhostwriterError, OSError, ValueError, LookupError, TypeError)
"""What a writer's settings or files can raise while a DAG is built: refused by Airflow, unreadable, or of another shape."""


def writer_dags(stage: str, build: Callable[[Writer], DAG], form: Callable[[Writer], dict[str, Param]]) -> dict[str, DAG]:
    """`<stem>_<stage>` for each readable writer file, by DAG id; one that cannot be built is stood in for.

    A DAG gets its form when its tasks are there: each would carry a copy, and Airflow validates every copy at every parse, three times.
    """
    stems = [stem for stem in writer_stems() if _is_wanted(f"{stem}_{stage}")]
    return {f"{writer.stem}_{stage}": _built(writer, stage, build, form) for writer in readable_writers(stems)}


def unreadable_dags() -> dict[str, DAG]:
    """A stand-in named `<stem>_collect` for each writer file that cannot be read, by DAG id."""
    ids = {stem: f"{safe_stem(stem)}_collect" for stem in writer_stems()}
    wanted = [stem for stem, dag_id in ids.items() if _is_wanted(dag_id)]
    unreadable = unreadable_writers(wanted)
    words = say("the writer file cannot be read", common_language()) if unreadable else ""
    return {ids[stem]: stand_in(ids[stem], f"{safe_stem(stem)}: {words}", str(error)) for stem, error in unreadable.items()}


def _is_wanted(dag_id: str) -> bool:
    """Whether this parse needs the DAG: one for a task needs that task's alone."""
    return get_parsing_context().dag_id in (None, dag_id)


def safe_stem(stem: str) -> str:
    """The stem where it may stand in a DAG's id; else what can be read of it and a part of its digest, so that none is met twice."""
    if re.fullmatch(STEM, stem):
        return stem
    digest = sha256(stem.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', stem)[:40]}_{digest[:6]}"


def stand_in(dag_id: str, title: str, problem: str) -> DAG:
    """A DAG that never starts by itself, whose page and whose only task say what is wrong."""
    problem = problem.encode("utf-8", "backslashreplace").decode()  # a file's name need not be UTF-8

    @dag(
        dag_id=dag_id,
        dag_display_name=title,
        schedule=None,
        tags=["ghostwriter", "unreadable"],
        default_args={"owner": "ghostwriter"},
        doc_md=f"### {title}\n\n```\n{problem}\n```",
        auto_register=False,
    )
    def unreadable() -> None:
        @task
        def explain() -> None:
            """Fail with what is wrong."""
            raise AirflowFailException(problem)

        explain()

    return unreadable()


def _built(writer: Writer, stage: str, build: Callable[[Writer], DAG], form: Callable[[Writer], dict[str, Param]]) -> DAG:
    try:
        built = speak(build(writer), writer.tongue)
        built.params = ParamsDict(form_in(form(writer), writer.tongue))
        return built
    except UNBUILDABLE as error:
        title = f"{writer.name}: {say('%(stage)s cannot be built', writer.tongue) % {'stage': stage}}"
        return stand_in(f"{writer.stem}_{stage}", title, f"{type(error).__name__}: {error}")
