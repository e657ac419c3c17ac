"""Server-sent events of the chat page: one answer, or two side by side whose pace tells nothing.

    one   {"version"}, then {"text"} for each piece, {"end"} at last
    two   {"a", "b"} for each step, {"vote"} at last: the sealed comparison

Either ends with {"error"} instead, in the page's language, when the gateway fails in the middle.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence

from ghostwriter.page.gateway import Answer, GatewayError, ask
from ghostwriter.votes.comparison import Message, Sampling, Side
from ghostwriter.words.catalogue import Language
from ghostwriter.words.sentences import say_sentence

Events = AsyncIterator[bytes]
Pieces = asyncio.Queue[str | None]


def model_of(stem: str, version: str) -> str:
    """The gateway's name of a writer's version: `champion`, `previous`, `base` or `v7`."""
    return stem if version == "champion" else f"{stem}@{version}"


async def ask_two(stem: str, asked: tuple[str, str], messages: Sequence[Message], sampling: Sampling) -> tuple[Answer, Answer]:
    """Both answers, once both have begun. Raises GatewayError when one does not."""
    begun = await asyncio.gather(*(ask(model_of(stem, version), messages, sampling) for version in asked), return_exceptions=True)
    answers = [answer for answer in begun if isinstance(answer, Answer)]
    if failure := next((error for error in begun if isinstance(error, BaseException)), None):
        for answer in answers:
            await answer.close()
        raise failure
    return answers[0], answers[1]


async def one_answer(answer: Answer, asked: str, keep: Callable[[Side], None] | None, language: Language = "en") -> Events:
    """The events of one answer; `keep` is called with it once it is whole, before its end is said."""
    pieces = []
    try:
        yield event(version=answer.version)
        async for piece in answer.pieces():
            pieces.append(piece)
            yield event(text=piece)
        if keep:
            await asyncio.to_thread(keep, _side(answer, asked, pieces))
        yield event(end=answer.finish_reason or "stop")
    except GatewayError as error:
        yield event(error=say_sentence(str(error), language))
    finally:
        await answer.close()


async def two_answers(
    answers: tuple[Answer, Answer], asked: tuple[str, str], close: Callable[[Side, Side], str], language: Language = "en"
) -> Events:
    """The events of two answers; `close` makes the sealed comparison of both sides.

    A step has a piece of each, so the quicker one waits for the other; once one has ended, the other goes on alone.
    """
    pieces: tuple[list[str], list[str]] = ([], [])
    try:
        async for step in _in_step(answers):
            for piece, side in zip(step, pieces, strict=True):
                side.append(piece)
            yield event(a=step[0], b=step[1])
        a, b = (_side(*each) for each in zip(answers, asked, pieces, strict=True))
        yield event(vote=close(a, b))
    except GatewayError as error:
        yield event(error=say_sentence(str(error), language))
    finally:
        for answer in answers:
            await answer.close()


def event(**facts: str) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(facts)}\n\n".encode()


async def _in_step(answers: tuple[Answer, Answer]) -> AsyncIterator[tuple[str, str]]:
    """A piece of each at a time, empty for one that has ended. Both are read as fast as they come, so that neither is held up."""
    queues: tuple[Pieces, Pieces] = (asyncio.Queue(), asyncio.Queue())
    readers = [asyncio.create_task(_read(*each)) for each in zip(answers, queues, strict=True)]
    is_open = [True, True]
    try:
        while any(is_open):
            step = ["", ""]
            for number in (0, 1):
                if is_open[number] and (piece := await queues[number].get()) is not None:
                    step[number] = piece
                elif is_open[number]:
                    is_open[number] = False
                    await readers[number]  # raises what ended it before its end
            if any(step):
                yield step[0], step[1]
    finally:
        for reader in readers:
            reader.cancel()


async def _read(answer: Answer, queue: Pieces) -> None:
    """Every piece of an answer, and None at its end, however it ends."""
    try:
        async for piece in answer.pieces():
            queue.put_nowait(piece)
    finally:
        queue.put_nowait(None)


def _side(answer: Answer, asked: str, pieces: Sequence[str]) -> Side:
    return Side(asked=asked, version=answer.version, digest=answer.digest, text="".join(pieces))
