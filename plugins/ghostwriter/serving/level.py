"""How the registry stands for one writer: who is the champion, who was, and what there is to know of each version.

The registry is asked again every few seconds, and its answer is all that counts: no event is needed, none can be lost.
"""

from dataclasses import dataclass

from ghostwriter.judging.mlmodel import DIGEST_TAG
from ghostwriter.judging.moves import CHAMPION, PENDING_TAG, PREVIOUS
from ghostwriter.judging.promote import model_name
from ghostwriter.mlflow_runs.registry import Json, MlflowSilent, Registry, named

BASE, CANDIDATE = "base", "candidate"


@dataclass(frozen=True)
class Facts:
    """One version of a writer's model, or the base under it (`number` is `base` then, and `digest` its name), or a candidate."""

    writer: str
    number: str
    digest: str
    """SHA-256 of the adapter's weights."""
    base: str
    revision: str | None
    created: int
    """Seconds since the epoch."""
    run_id: str = ""
    pipeline_run: str = ""

    @property
    def name(self) -> str:
        """What requests call it."""
        return f"{self.writer}@{'v' if self.number.isdigit() else ''}{self.number}"

    @property
    def key(self) -> str:
        """What it is loaded under: the same for the same weights, whatever they are called."""
        return f"{self.writer}-{self.digest[:16]}" if self.number != BASE else f"{self.writer}-base-{self.plain_base}"

    @property
    def plain_base(self) -> str:
        """The base's name as part of a file's."""
        kept = "".join(letter if letter.isalnum() else "-" for letter in f"{self.base} {self.revision or ''}".strip())
        return kept.strip("-")[-60:]

    def under(self) -> "Facts":
        """The base of this version."""
        return Facts(self.writer, BASE, self.base, self.base, self.revision, self.created)


@dataclass(frozen=True)
class Level:
    """A registered model at one moment."""

    champion: Facts | None
    previous: Facts | None
    versions: dict[str, Facts]
    """By number."""
    made: str
    """When the registered model was made: one that was deleted and made again counts from 1 again."""
    is_moving: bool
    """Whether a move of the champion is under way, or was cut off: the aliases may be half moved."""


def read_level(registry: Registry, writer: str, before: Level | None = None, *, again: bool = False) -> Level | None:
    """Ask the registry; None when the writer has no model. One request where nothing changed since `before`. Raises MlflowSilent."""
    try:
        return _read_level(registry, writer, before, again)
    except (KeyError, TypeError, ValueError) as error:
        raise MlflowSilent(f"What answers at {registry.uri} answers otherwise than MLflow does ({error!r}).") from error


def _read_level(registry: Registry, writer: str, before: Level | None, again: bool) -> Level | None:
    model = registry.model(model_name(writer))
    if model is None:
        return None
    aliases = {alias["alias"]: str(alias["version"]) for alias in model.get("aliases", [])}
    made, versions = str(model.get("creation_timestamp", "")), dict[str, Facts]()
    if before and before.made == made:
        versions = before.versions
    if again or not set(aliases.values()) <= set(versions):
        versions = {str(found["version"]): _facts(writer, found) for found in registry.versions(model_name(writer))}
    return Level(
        champion=versions.get(aliases.get(CHAMPION, "")),
        previous=versions.get(aliases.get(PREVIOUS, "")),
        versions=versions,
        made=made,
        is_moving=PENDING_TAG in named(model.get("tags", [])),
    )


def _facts(writer: str, found: Json) -> Facts:
    tags = named(found.get("tags", []))
    return Facts(
        writer=writer,
        number=str(found["version"]),
        digest=tags.get(DIGEST_TAG, ""),
        base=tags.get("base", ""),
        revision=tags.get("revision") or None,
        created=int(found["creation_timestamp"]) // 1000,
        run_id=found.get("run_id", ""),
        pipeline_run=tags.get("pipeline_run", ""),
    )
