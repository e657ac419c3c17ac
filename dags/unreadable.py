"""A DAG that stands for each file in writers/ that cannot be read, so that one bad file stops no other writer and is not overlooked."""

from airflow.sdk import DAG, dag, task
from airflow.sdk.exceptions import AirflowFailException

from ghostwriter.errors import WriterFileError
from ghostwriter.writer import unreadable_writers


def unreadable_dag(stem: str, error: WriterFileError) -> DAG:
    """Build the DAG whose page says what is wrong with the file."""

    @dag(
        dag_id=f"{stem}_collect",
        dag_display_name=f"{stem}: the writer file cannot be read",
        schedule=None,
        tags=["ghostwriter", "unreadable"],
        default_args={"owner": "ghostwriter"},
        doc_md=f"### {stem}.toml cannot be read\n\n```\n{error}\n```",
    )
    def unreadable() -> None:
        @task
        def explain() -> None:
            """Fail with what is wrong with the file."""
            raise AirflowFailException(str(error))

        explain()

    return unreadable()


for name, reason in unreadable_writers().items():
    unreadable_dag(name, reason)
