"""The tables of a writer file for models that are asked over an API: `[teacher]`, `[student]`, `[judge]`, and what they may cost."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ghostwriter.writer_settings import Section

PROMPTS = Path(__file__).parent / "prompts"


def _plain_numbers(value: dict[str, Any]) -> dict[str, Any]:
    return {name: float(item) if isinstance(item, Decimal) else item for name, item in value.items()}


Parameters = Annotated[dict[str, Any], AfterValidator(_plain_numbers)]
"""Further fields of a request. TOML numbers are read as decimals for the prices; a request holds floats."""


def thinking_budget(parameters: Mapping[str, Any]) -> int:
    """Tokens a teacher may think before it answers, by DashScope's and SiliconFlow's `thinking_budget` or `thinking.budget_tokens`."""
    switch = parameters.get("thinking")
    budget = switch.get("budget_tokens") if isinstance(switch, Mapping) else parameters.get("thinking_budget")
    is_off = parameters.get("enable_thinking") is False
    return int(budget) if isinstance(budget, (int, float)) and not is_off else 0


class Teacher(Section):
    """The model whose answers become training data: any OpenAI-compatible endpoint."""

    connection: str
    """Airflow connection: the host is the base URL, the password the key."""
    model: str
    examples: int = Field(3, ge=1)
    """Pairs of the writer shown in each prompt."""
    answers: int = Field(10_000, ge=1)
    """Accepted answers wanted in all; the writer's questions are asked again until they are reached."""
    max_tokens: int = Field(1_024, ge=1)
    temperature: float = Field(0.8, ge=0)
    concurrency: int = Field(16, ge=1)
    """Most calls in flight at once."""
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name under which this teacher takes `max_tokens`."""
    parameters: Parameters = Field({})
    """Further fields of each request, as the teacher's API names them."""
    prompt: str | None = None
    """A file in plugins/ghostwriter/prompts, without `.md`; the one of the writer's language by default."""
    seed: int = 0
    """Of the order of questions and the rotation of examples."""
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    attempts: float = Field(3, ge=1)
    """Most calls for each answer wanted: rejected answers are replaced by further samples up to here."""
    accepted_share: float = Field(0.5, ge=0, le=1)
    """Least share of `answers` with which the stage still ends well when `attempts` are used up."""
    failed_share: float = Field(0.1, ge=0, le=1)
    """Share of calls that may fail before the whole stage fails."""
    timeout_seconds: float = Field(120, gt=0)
    """For one call, from its start to the last byte of its answer."""
    outage_seconds: float = Field(300, gt=0)
    """With nothing but errors for so long, the stage gives up; it goes on from there when it runs again."""
    extra_questions: Path | None = None
    """A text file with one more question a line; a relative one lies beside the writers' folder."""
    batch: bool = False
    """Buy through the vendor's Batch API: cheaper (`budget.batch_share`), within a day."""

    @property
    def thinking(self) -> int:
        """Tokens it may think before each answer; they are paid for, and read nowhere."""
        return thinking_budget(self.parameters)

    @property
    def longest_reply(self) -> int:
        """Tokens that are paid for at most: those of the answer and of the thoughts before it."""
        return self.max_tokens + self.thinking

    @model_validator(mode="after")
    def _thinks_within_bounds(self) -> Self:
        if self.parameters.get("enable_thinking") is True and not self.thinking:
            raise ValueError("enable_thinking without a bound, which no cap could hold: add thinking_budget = 512 to the parameters")
        return self

    @field_validator("prompt")
    @classmethod
    def _prompt_is_there(cls, value: str | None) -> str | None:
        if value is not None and value not in prompt_names():
            raise ValueError(f"there is no such prompt; there are: {', '.join(prompt_names())}")
        return value


class Budget(Section):
    """What the teacher may cost. Prices in the vendor's currency for a million tokens."""

    input_price: Decimal = Field(Decimal(0), ge=0)
    cached_input_price: Decimal | None = Field(None, ge=0)
    """Falls back to `input_price`."""
    output_price: Decimal = Field(Decimal(0), ge=0)
    cap: Decimal | None = Field(None, ge=0)
    """Most that one run may cost, in the same currency. A run is one snapshot asked with one prompt, model and set of parameters, its
    retries included: each night with news begins at 0, and the judge has a purse of its own. A call that could cross the cap by its
    worst price is not sent; what a vendor charges beyond these prices nobody here can see."""
    month: Decimal | None = Field(None, ge=0)
    """Most that the writer may cost in a calendar month of its time zone, judge and student included, in the same currency. At it a
    run stops as at the cap, says so, and the nights go on when the month is over. Only under [budget] itself."""
    batch_share: Decimal = Field(Decimal("0.5"), ge=0)
    """What a batch costs, as a share of these prices."""


class Student(Section):
    """The student as its own teacher, for mode `self-instruct`: where the recipe's base model is served, by vLLM or llama.cpp for instance.

    Everything not named here is asked for as from the teacher.
    """

    connection: str
    """Airflow connection: the host is the base URL, the password the key, if there is one."""
    model: str
    parameters: Parameters = Field({})
    """Further fields of each request, as this server names them."""
    budget: Budget = Budget()


class Judge(Section):
    """A model that compares what the candidate says with what its rival says, pair by pair. Without this table there is none."""

    connection: str | None = None
    """Airflow connection; the teacher's by default."""
    model: str | None = None
    """The teacher's by default."""
    questions: int = Field(60, ge=1)
    """Held-out questions compared, at most; each costs two calls, one in each order."""
    agreement_pairs: int = Field(24, ge=3)
    """Pairs whose better answer is known, to see whether the judge can be believed; the ledger keeps their verdicts."""
    min_agreement: float = Field(0.8, ge=0, le=1)
    """Share of those it must get right; below, its verdicts do not count."""
    max_tokens: int = Field(300, ge=16)
    parameters: Parameters = Field({})
    """Further fields of each request, as the judge's API names them."""
    budget: Budget | None = None
    """Prices and cap of a run of the judge; the teacher's by default."""


def prompt_names() -> list[str]:
    """Names of all prompts, sorted."""
    return sorted(path.stem for path in PROMPTS.glob("*.md"))
