"""Does the engine answer as the export was proved to? Asked greedily, over the same HTTP as everybody else.

Where the engine chose another token than the proved answer has, the two may be as good as equal: then its own figures say so, and the
answer counts up to there. An adapter that was lost on the way gives the base's answers, which are not the proved ones.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2

from ghostwriter.serving.engine import EngineFailed, Running, problem_of

ALTERNATIVES = 5
SECONDS = 300.0
ID_PREFIX = "token_id:"
"""How vLLM writes a token's id, when it is asked to."""


async def probe(
    client: httpx2.AsyncClient, running: Running, questions: Sequence[str], proved: Sequence[Sequence[int]], most: int, near: float
) -> None:
    """Ask all questions at once, for at most `most` tokens each. Raises EngineFailed unless the answers are `proved`, as token ids."""
    asked = (_answer(client, running, question, most) for question in questions)
    answers = zip(await asyncio.gather(*asked), proved, strict=True)
    found = [same(tokens, count, ids[:most], near) for (tokens, count), ids in answers]
    if wrong := found.count(False):
        raise EngineFailed(f"The engine gives {wrong} of {len(found)} answers otherwise than the export was proved to. It is not served.")


async def _answer(client: httpx2.AsyncClient, running: Running, question: str, most: int) -> tuple[list[dict[str, Any]], int]:
    """The tokens of a greedy answer, as OpenAI's `logprobs` have them, and how many there were."""
    body = {
        **running.extra,
        "model": running.model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": most,
        "logprobs": True,
        "top_logprobs": ALTERNATIVES,
        "return_tokens_as_token_ids": True,
    }
    headers = {"Authorization": f"Bearer {running.key}"}
    try:
        answer = await client.post(f"{running.address}/chat/completions", json=body, headers=headers, timeout=SECONDS)
        found = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise EngineFailed(f"The engine does not answer ({type(error).__name__}).") from error
    if answer.status_code != 200:
        raise EngineFailed(str(problem_of(answer.status_code, found)))
    tokens = list((found["choices"][0]["logprobs"] or {}).get("content") or [])
    return tokens, int(found["usage"]["completion_tokens"])


def same(served: Sequence[dict[str, Any]], count: int, proved: Sequence[int], near: float) -> bool:
    """Whether the tokens served are the proved ones, up to a near tie at most. `count`: how many were, with those not shown."""
    if not served:
        return count in (len(proved), len(proved) - 1)
    token, ahead = served[0], proved[: 1 + _held_back(served[0])]
    places = [place for place, wanted in enumerate(ahead) if wanted == _id(token)]
    if not places:
        others = token["top_logprobs"]
        return any(_id(other) in ahead[:1] and token["logprob"] - other["logprob"] <= near for other in others)
    return any(same(served[1:], count - place - 1, proved[place + 1 :], near) for place in places)


def _held_back(token: dict[str, Any]) -> int:
    """How many tokens at most are shown together with this one: llama.cpp holds back the parts of a letter until it is whole."""
    own = [other for other in token["top_logprobs"] if _id(other) == _id(token)]
    return len(token.get("bytes") or ()) - len(own[0].get("bytes") or ()) if own else 0


def _id(token: dict[str, Any]) -> int:
    return int(token["id"]) if "id" in token else int(str(token["token"]).removeprefix(ID_PREFIX))
