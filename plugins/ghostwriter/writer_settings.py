"""The tables of a writer file as typed settings, with the default of everything a file need not name.

Those of models that are asked over an API stand in ghostwriter.model_settings, that of housekeeping in ghostwriter.keep_settings.
"""

from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ghostwriter.words.catalogue import Language
from training.contract import Arm, recipe_names


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """Where the answers come from."""

    kind: Literal["zhihu", "har", "jsonl", "stackexchange"]
    account: str
    """Zhihu: the token in /people/TOKEN. Stack Exchange: `site/user id`. har, jsonl: a file or folder."""
    connection: str | None = None
    """Airflow connection: the password is the cookie (or API key); a host in it replaces the real site (the demo's)."""
    pace_seconds: float = Field(4.5, ge=0)
    """Mean pause between pages; each pause is jittered by a third."""
    tolerance: float = Field(0.05, ge=0, le=1)
    """Share of the site's own count that may be missing before the collection fails as incomplete."""
    consent: bool = False
    """The writer has agreed (or is you): answers whose reuse setting forbids or charges for reposting are trained on too."""


class Schedule(Section):
    """When collecting starts by itself."""

    cron: str | None = "0 3 * * *"
    timezone: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _comes_round(cls, value: str | None) -> str | None:
        if value and not _has_next(value):
            raise ValueError("no cron expression with a next time; write five fields, like '0 3 * * *'")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no time zone; write one like 'Asia/Shanghai'") from error
        return value


class Training(Section):
    """Which data and which recipe the nightly adapter is trained with."""

    arm: Arm = "distilled"
    recipe: str = "qwen2.5-7b-style"
    """A file in training/recipes, without `.toml`."""

    @field_validator("recipe")
    @classmethod
    def _recipe_is_there(cls, value: str) -> str:
        if value not in recipe_names():
            raise ValueError(f"there is no such recipe; there are: {', '.join(recipe_names())}")
        return value


class Evaluation(Section):
    """How an adapter is examined."""

    questions: int = Field(200, ge=1)
    """Held-out questions answered by each arm, at most."""
    heldout_share: float | None = Field(None, gt=0, lt=1)
    """Share of the questions that is held out, chosen by a hash of each question's id. By default a tenth; of fewer than 240
    questions as many as give about 24, up to a quarter."""
    heldout_questions: Path | None = None
    """Instead of a share, the held-out questions by name: a text file with one question a line, its id (what you like may
    follow after two spaces) or its text; a line that begins with # is a comment.
    A relative path lies beside the writers' folder. Name them before the first night: what was trained on cannot be held out."""
    twins: Path | None = None
    """Plain rewrites of the writer's answers (JSONL: `question`, `plain`), which the measures of style must tell from the writer.
    Those of training answers are used. A relative path lies beside the writers' folder."""
    max_new_tokens: int | None = Field(None, ge=1)
    """Tokens an answer may have; by default what 99 % of the writer's own answers need. A limit that cuts more than 5 % of them is
    refused, since a student that learned the writer's lengths could never end."""
    contrast: Path | None = None
    """Other people's answers, best to the same questions, for style to be measured against: a file or folder of recordings (HAR)
    of question pages, JSONL, text, Markdown or HTML; a relative path lies beside the writers' folder. Without names, never trained
    on, never shown to a teacher. From 100 texts on they replace the built-in ones."""
    cut_answers: bool = False
    """Answers may be cut all the same: for a demo or a test that has no time."""
    greedy: bool = False
    """Whether the report shows beside each arm's figures those of greedy answers, at twice the answering. The gate reads those of
    [answering]; both are the same where its temperature is 0."""
    ability: bool = True
    """Whether to probe what else the arms can do; without it the gate cannot see what was forgotten."""
    lm_eval: tuple[str, ...] = ()
    """Tasks of lm-eval to run on every arm, by name or YAML file (docs/lm_eval_task.yaml); shown, not judged. Needs
    requirements/lm-eval.txt in the training environment."""


class Gate(Section):
    """What a candidate must show before it becomes the champion; ghostwriter.gate says how each is used."""

    min_questions: int = Field(5, ge=1)
    """Held-out questions at least. An interval of one question has no width, and four lie on the better side by chance one night in 16."""
    max_style_drop: float = Field(0.05, ge=0)
    """Most by which style (0 is other writers, 1 the writer) may lie below the champion's, at the lower end of its interval."""
    min_loss_gain: float = Field(0.0, ge=0)
    """Nats a token by which the loss on the writer's real answers must fall to count as better, at the upper end of its interval."""
    max_rep4_rise: float = Field(0.05, ge=0)
    """Most by which the share of repeated 4-grams may exceed the writer's own."""
    max_unfinished_share: float = Field(0.2, ge=0, le=1)
    """Most answers that may run into the length limit without an end."""
    max_empty_share: float = Field(0.02, ge=0, le=1)
    min_length_ratio: float = Field(0.4, ge=0)
    """Words of all answers over those of the writer's."""
    max_length_ratio: float = Field(2.5, gt=0)
    max_verbatim_rise: float = Field(0.02, ge=0)
    """Most by which the share of text copied from the training text may exceed that of the writer's own held-out answers."""
    max_ability_drop: float = Field(0.1, ge=0)
    """Most by which the share of other tasks solved may fall below the base's, at the upper end of its interval."""
    max_ability_loss_rise: float = Field(0.2, ge=0)
    """Nats a token by which the loss on general text may rise above the base's."""
    min_reloaded: float = Field(1.0, ge=0, le=1)
    """Share of sampled answers that plain peft must give, too, token by token but for near ties (training.reload)."""
    approval: bool = False
    """A person must approve in Airflow, within a week, before the champion changes. [notify] is told that a candidate waits."""
    approvers: tuple[str, ...] = ()
    """Ids of the Airflow users who may; by default whoever may answer required actions there."""


class Serving(Section):
    """What the serving gateway (`python -m ghostwriter serve`) has to do with a promotion."""

    required: bool = False
    """A candidate becomes the champion only if the gateway's engine loads it and answers as it was scored; while no gateway answers,
    nothing is promoted."""


class Limits(Section):
    """Hours after which a task is ended and tried again. What is not named is three times what this file lets expect, an hour at least
    (ghostwriter.tasks.time_limits): name it where a site, a teacher or a GPU is slower than that."""

    collect: float | None = Field(None, gt=0)
    ask: float | None = Field(None, gt=0)
    """The teacher. By default from `answers`, `concurrency` and `requests_per_minute` at ten seconds an answer."""
    judge: float | None = Field(None, gt=0)
    train: float | None = Field(None, gt=0)
    """By default from the recipe, at the speed of a small card."""
    examine: float | None = Field(None, gt=0)
    """Answering the held-out questions, and once more measuring the answers."""


class Chat(Section):
    """Talking to the writer's models on the page, and what is kept of it."""

    max_tokens: int = Field(512, ge=1)
    """Tokens an answer may have."""
    keep: bool = False
    """Chats are kept in the database. Otherwise nothing is, but the answers somebody voted on."""
    keep_days: int = Field(365, ge=1)
    """After so many days votes and kept chats are removed."""


class Ui(Section):
    """What people read of this writer: names of DAGs, forms, pages, messages."""

    language: Language | None = None
    """By default the language the writer writes in."""


class Notify(Section):
    """Who is told when a task failed or reached its cap, an approval waits, or the champion changed. Without this table nobody is."""

    kind: Literal["feishu", "dingtalk", "wecom", "slack", "generic"] = "generic"
    """Which service `webhook` leads to: each has a body, a signature and replies of its own."""

    mail: str | None = None
    """Airflow connection of type SMTP; `from_email` among its extra fields is the sender."""
    to: tuple[str, ...] = ()
    """Where the mail goes."""
    webhook: str | None = None
    """Airflow connection of type HTTP: the message is posted to its host, and the rest of the address is its password. The key with which
    a robot of Feishu or DingTalk wants its messages signed stands in the extra field `secret`."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.mail) != bool(self.to):
            raise ValueError("mail wants both: `mail`, the name of an SMTP connection, and `to`, a list of addresses")
        if self.kind != "generic" and not self.webhook:
            raise ValueError(f"kind = {self.kind!r} wants `webhook`, the name of an HTTP connection that leads there")
        if not self.mail and not self.webhook:
            raise ValueError("name an Airflow connection in `mail` or in `webhook`, or leave the table out")
        return self


def _has_next(cron: str) -> bool:
    """Whether the expression can be read and is ever met: 30 February is not."""
    from croniter import CroniterError, croniter

    try:
        croniter(cron).get_next()
    except CroniterError:
        return False
    return True
