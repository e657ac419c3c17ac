"""Where all state lives: one folder, `var/` unless `GHOSTWRITER_HOME` or `--home` says otherwise."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ghostwriter.errors import HomeError

ROOT = Path(__file__).resolve().parents[2]
LOW_WATER_BYTES = 500 * 2**20


@dataclass(frozen=True)
class Home:
    """The folders of one installation; nothing is created before it is written to."""

    path: Path

    @classmethod
    def default(cls) -> "Home":
        """The folder named by `GHOSTWRITER_HOME`, else `var/` beside the code."""
        return cls(Path(os.environ.get("GHOSTWRITER_HOME") or ROOT / "var").resolve())

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of archive and ledger: `GHOSTWRITER_DATABASE_URL`, else an SQLite file in this folder."""
        return os.environ.get("GHOSTWRITER_DATABASE_URL") or f"sqlite:///{self.path / 'ghostwriter.db'}"

    @property
    def models(self) -> Path:
        """Base models made ready once for training (safetensors folders)."""
        return self.path / "models"

    @property
    def kept_answers(self) -> Path:
        """What models answered in earlier evaluations, so that none is asked twice (`training.answer.kept_rows`); of all writers."""
        return self.models / "answers"

    def answers(self, writer: str) -> Path:
        """Snapshots of a writer's cleaned answers, one folder each."""
        return self.path / "answers" / writer

    def contrast(self, writer: str) -> Path:
        """Other people's answers to a writer's questions (`ghostwriter.collecting.other_answers`)."""
        return self.path / "contrast" / writer

    def datasets(self, writer: str) -> Path:
        """Datasets built for a writer, one folder each."""
        return self.path / "datasets" / writer

    def runs(self, writer: str) -> Path:
        """Run folders of training and evaluation: requests, checkpoints, adapters, samples, results."""
        return self.path / "runs" / writer

    def champions(self, writer: str) -> Path:
        """Adapters of versions fetched from MLflow, one folder each."""
        return self.models / "champions" / writer

    def exports(self, writer: str) -> Path:
        """Versions written for other programs, a folder for each version and form; made again at any time."""
        return self.path / "exports" / writer

    def panels(self, writer: str) -> Path:
        """Pages for readers, each with its key and what the readers said."""
        return self.path / "panels" / writer

    @property
    def serving_key(self) -> Path:
        """Where the key to the serving gateway stands, if one is wanted (0600)."""
        return self.path / "serving_key"

    def check_space(self, need_bytes: int = LOW_WATER_BYTES) -> None:
        """Make the folder; raise HomeError when it cannot be written or has less than `need_bytes` free."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".write-probe-{os.getpid()}"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as error:
            raise HomeError(
                f"{self.path} cannot be written ({error.strerror}). Free the disk or name another folder in GHOSTWRITER_HOME."
            ) from error
        free = shutil.disk_usage(self.path).free
        if free < need_bytes:
            raise HomeError(
                f"{self.path} has {free / 2**20:.0f} MiB free, {need_bytes / 2**20:.0f} MiB are needed. "
                "Free some space, or name another folder in GHOSTWRITER_HOME; what was done so far is kept."
            )


def read_serving_key(home: Home) -> str:
    """The serving gateway's key, where it stands in this home folder; empty when it has none. Raises HomeError."""
    try:
        return home.serving_key.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise HomeError(f"The serving gateway's key in {home.serving_key} cannot be read: {error.strerror}.") from None
