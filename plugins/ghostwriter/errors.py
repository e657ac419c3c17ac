"""The errors a person can act on. Each says what is wrong, the value, and what to do next.

    GhostwriterError
    ├── WriterFileError       a file in writers/ cannot be used
    ├── SnapshotError         a snapshot folder is missing, unfinished or changed
    ├── HomeError             the state folder cannot be used (full disk, no permission)
    ├── SourceError           the site refused or answered nonsense (ghostwriter.sources)
    ├── CorpusTooSmall        not enough answers to split and distil
    ├── TeacherError          the teacher refused or cannot be reached (ghostwriter.teacher)
    ├── BudgetExceeded        the next call would cross the run's hard cap
    │   └── MonthSpent            or what the writer may cost in a month (ghostwriter.teacher.month)
    ├── ConnectionMissing     an Airflow connection a writer file names does not exist
    ├── LaunchError           a GPU stage ended without a result
    │   └── LaunchInterrupted     something outside ended it; it goes on when it is run again
    ├── PromotionError        the registry does not hold what a promotion or a roll back needs
    ├── PanelError            a panel cannot be made of what is there, or a reader's file cannot be used
    ├── TrackingError         MLflow does not answer, or refused
    ├── MessageRefused        a chat service did not take a message of [notify]
    └── ServiceError          one of the embedded services did not start or ended by itself

`retryable` says whether running the same task again, with nothing changed, can help; `exit_status` is the command line's.
"""


class GhostwriterError(Exception):
    """Base of all of them; `code` is the short name shown in logs and in `--json` output."""

    retryable = False
    code = "error"
    exit_status = 1


class WriterFileError(GhostwriterError):
    """A file in writers/ is missing, is no TOML, or holds a key or value that is not known."""

    code = "writer_file"


class SnapshotError(GhostwriterError):
    """A snapshot folder has no manifest, or its files are not those of its manifest."""

    code = "snapshot"


class HomeError(GhostwriterError):
    """The folder that holds all state cannot be written."""

    code = "home"


class SourceError(GhostwriterError):
    """The place the answers come from refused, or answered in a shape that is not known."""

    code = "unknown_error"


class CorpusTooSmall(GhostwriterError):
    """There are fewer usable answers than the split and the examples need."""

    code = "corpus_too_small"


class TeacherError(GhostwriterError):
    """The teacher refused a request, or cannot be reached."""

    code = "teacher"


class BudgetExceeded(GhostwriterError):
    """The next call could cross the hard cap; everything bought so far is kept."""

    code = "budget_exceeded"


class ConnectionMissing(GhostwriterError):
    """An Airflow connection that a writer file names does not exist, or lacks a field that can be used."""

    code = "connection_missing"


class LaunchError(GhostwriterError):
    """A training or evaluation process ended without a result file."""

    code = "launch"


class LaunchInterrupted(LaunchError):
    """A training or evaluation was stopped from outside, or its engine is away; running it again goes on from the checkpoint."""

    retryable = True


class PromotionError(GhostwriterError):
    """The model registry does not hold the version or alias that was asked for."""

    code = "promotion"


class PanelError(GhostwriterError):
    """There is too little to compare for a panel, or a reader's file is none of this panel's."""

    code = "panel"


class TrackingError(GhostwriterError):
    """The MLflow server does not answer, or refused what was asked; it may be back in a minute."""

    retryable = True
    code = "mlflow"


class MessageRefused(GhostwriterError):
    """A chat service did not take a message; the words are its own, with what to do."""

    code = "notify"


class ServiceError(GhostwriterError):
    """One of the embedded services (Airflow, MLflow, the demo's site and teacher) did not start, or ended by itself."""

    code = "service"
