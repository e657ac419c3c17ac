"""What a writer's first run will cost and take, in words, before there is anything but the writer file."""

from math import ceil

from ghostwriter.collecting.page_sizes import PAGE_SIZES
from ghostwriter.commands.first_hour.writer_file import ANSWERS
from ghostwriter.distilling.typical_cost import typical_cost
from ghostwriter.home import Home
from ghostwriter.tasks.time_limits import RESTS, SECONDS_A_REPLY, SECONDS_AN_ANSWER, training_tokens
from ghostwriter.writer import Writer
from training.contract import load_recipe

H100_TOKENS_A_SECOND = 15_837
"""Of Qwen2.5-7B, rank 256, measured on one H100 on 2026-11-26: docs/speed.md."""


def answers_for(recipe: str) -> int:
    """Teacher answers that are worth having: no more than the recipe ever trains on."""
    settings = load_recipe(recipe)
    return min(ANSWERS, settings.max_steps * settings.batch) if settings.max_steps else ANSWERS


def first_run(writer: Writer, home: Home, total: int | None) -> list[str]:
    """A line each for collecting, the teacher, and training; `total` is how many answers the site counts."""
    return [f"Collecting: {_collecting(writer, total)}", f"Teacher: {_teacher(writer)} {typical_cost(writer, home)}", _training(writer)]


def _collecting(writer: Writer, total: int | None) -> str:
    page_size = PAGE_SIZES.get(writer.source.kind)
    if page_size is None:
        return "seconds, from files on this machine."
    if total is None:
        return f"{page_size} answers every {writer.source.pace_seconds:g} seconds."
    pages = ceil(total / page_size)
    return f"{duration(pages * (writer.source.pace_seconds * RESTS + SECONDS_A_REPLY))} for {total} answers, slowly, one page at a time."


def _teacher(writer: Writer) -> str:
    settings = writer.teacher
    seconds = settings.answers / settings.concurrency * SECONDS_AN_ANSWER
    return (
        f"{duration(seconds)} for {settings.answers:,} answers, if one takes {SECONDS_AN_ANSWER} s and "
        f"{settings.concurrency} are asked for at once."
    )


def _training(writer: Writer) -> str:
    name, recipe = writer.training.recipe, load_recipe(writer.training.recipe)
    if recipe.max_seconds:
        return f"Training: at most {recipe.max_seconds:.0f} seconds, which the recipe {name} sets; then the evaluation."
    tokens = training_tokens(writer)
    words = f"Training: about {tokens / 1e6:.1f} million tokens with {name}"
    if "7b" in name:
        words += f", {duration(tokens / H100_TOKENS_A_SECOND)} at the speed of an H100"
    return f"{words}; then the evaluation. How fast: docs/speed.md."


def duration(seconds: float) -> str:
    """`about 3 minutes`, `about 2 hours`; never less than a minute."""
    if seconds < 90:
        return "about a minute"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5_400 else f"about {seconds / 3600:.0f} hours"
