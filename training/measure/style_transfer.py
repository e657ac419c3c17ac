"""The third view of style, where the base is large: how much a worked example of the writer's helps it to write a text.

After OSST (Miralles-Gonzalez et al., arXiv 2510.13302): the frozen base sees a plain rewrite of a text, and before it a worked example,
a plain rewrite and what its author had made of it. The rewrite gives the content away, so what the text gains in likelihood when the
example is the writer's, against an example by somebody else, is style. The base writes all rewrites itself, greedily, and no text
leaves the machine. There it grows with the model; a base below five billion parameters is not asked.

As with the other views, 1 is the mean of the writer's held-out answers, and 0 that of plain rewrites or of other writers.
"""

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training.answer.arms import LoadedArm
    from training.measure.style import Scores, Style  # with scikit-learn, a second of a start: imported where it is used
    from training.rows.data import Message, Row

LEAST_PARAMETERS = 5_000_000_000
EXAMPLES = 2
"""Worked examples of the writer, and as many of others; each text is read after each of them."""
MOST_TOKENS = 160
"""Of a text, at its beginning, in every language: each text is read four times, which with 256 took half of an evaluation's time at
Qwen2.5-7B's shape. That costs separation: on SmolLM2, which is not asked, the demo's writer stands out from plain rewrites with an
AUC of 0.75 to 0.78 instead of 0.84 to 0.89, and from other writers with 0.89 to 0.91 instead of 0.92 to 0.98 (training/LOG.md)."""
MOST_STRANGERS = 100
"""Texts of other writers, and plain rewrites, that are scored for the floor."""
PLAINLY = {
    "en": "Rewrite the text below as plain, neutral prose. Keep every fact and opinion, in the same order. Take out all personality, "
    "jokes, rhythm and unusual words. Write only the rewrite.\n\n",
    "zh": "把下面的文字改写成平实、中性的文字：事实、观点和顺序一个不少；去掉个人语气、玩笑、口头禅和修辞。只写改写后的文字。\n\n",
}
IN_THE_STYLE = {
    "en": "Write the text below in the author's own style.\n\n",
    "zh": "用作者本人的风格写出下面的文字。\n\n",
}
Gains = Mapping[str, Sequence[float | None]]
"""Crowd of texts to the gain of each, in nats per token; None for a text without words."""


def hears_transfer(parameters: int) -> bool:
    """Whether a base of so many parameters is large enough for this view."""
    return parameters >= LEAST_PARAMETERS


def transfer_gains(
    loaded: "LoadedArm",
    crowds: Mapping[str, Sequence[str]],
    training: Sequence[str],
    others: Sequence[str],
    twins: Mapping[int, str],
    language: str,
    seed: int,
) -> dict[str, tuple[float | None, ...]]:
    """The gain of every text of `crowds`, of other writers' and of plain rewrites; `loaded` is the base without an adapter.

    `training` are the writer's other answers, of which examples are drawn, and `twins` rewrites of them by their place. No example is
    scored, nor a rewrite of one.
    """
    from training.measure.style import OTHERS, TWINS

    own, foreign = (_examples(texts, seed) for texts in (training, others))
    strangers = {
        OTHERS: [text for place, text in enumerate(others) if place not in foreign][:MOST_STRANGERS],
        TWINS: [text for place, text in twins.items() if place not in own][:MOST_STRANGERS],
    }
    tokenizer = loaded.base.tokenizer
    texts = {name: _beginnings(tokenizer, crowd) for name, crowd in {**crowds, **strangers}.items() if crowd}
    examples = ([training[place] for place in own], [others[place] for place in foreign])
    shown = [_beginnings(tokenizer, side) for side in examples]
    scored = list(dict.fromkeys(text for crowd in texts.values() for text in crowd if text))
    plain = _rewrites(loaded, list(dict.fromkeys([*scored, *shown[0], *shown[1]])), language)
    of_own, of_foreign = (np.mean([_nats(loaded, example, scored, plain, language) for example in side], axis=0) for side in shown)
    gains = dict(zip(scored, (of_foreign - of_own).tolist(), strict=True))
    return {name: tuple(gains.get(text) for text in crowd) for name, crowd in texts.items()}


def transfer_style(gains: Gains) -> "Style":
    """The scores of each crowd of texts, or why they are withheld."""
    from training.measure.style import MIN_TEXTS, OTHERS, WRITER, Style, scaled, separation, unseparated

    found: dict[str, Scores] = {name: np.array(values, np.float64) for name, values in gains.items()}
    sizes = {name: int(np.isfinite(found[name]).sum()) for name in (WRITER, OTHERS)}
    if min(sizes.values()) < MIN_TEXTS:
        return Style(
            withheld=f"there are {sizes[WRITER]} held-out answers and {sizes[OTHERS]} texts of others, and it needs {MIN_TEXTS} of each"
        )
    worded = {name: values[np.isfinite(values)] for name, values in found.items()}
    apart = separation(worded)
    if unclear := unseparated(apart):
        return Style({}, apart[OTHERS], f"the base's likelihoods {unclear}", apart)
    return Style(scaled(found, list(apart)), apart[OTHERS], "", apart)


def _examples(texts: Sequence[str], seed: int) -> list[int]:
    """Places of some texts of middling length."""
    by_length = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
    middling = by_length[len(texts) // 4 : max(len(texts) // 4 + EXAMPLES, 3 * len(texts) // 4)]
    return random.Random(seed).sample(middling, min(EXAMPLES, len(middling)))


def _beginnings(tokenizer: Any, texts: Sequence[str]) -> list[str]:
    """Each text up to its MOST_TOKENS-th token."""
    if not texts:
        return []
    places = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    return [text[: ends[:MOST_TOKENS][-1][1] if ends else 0].strip() for text, ends in zip(texts, places, strict=True)]


def _rewrites(loaded: "LoadedArm", texts: Sequence[str], language: str) -> dict[str, str]:
    """Plain rewrites by the base, as long as their texts at most."""
    chat = loaded.base.chat
    prompts = [chat.prompt([{"role": "user", "content": PLAINLY[language] + text}]) for text in texts]
    limits = [len(ids) for ids in chat.encode(texts)]
    answers = loaded.answers(prompts, limits, lambda _done: None)
    return {text: answer.text for text, answer in zip(texts, answers, strict=True)}


def _nats(loaded: "LoadedArm", example: str, texts: Sequence[str], plain: Mapping[str, str], language: str) -> "Scores":
    """The loss on each text behind one example, in nats per token."""
    nats, tokens = loaded.nats([_row(loaded, example, text, plain, language) for text in texts])
    a_token: Scores = np.array(nats, np.float64) / np.array(tokens)
    return a_token


def _row(loaded: "LoadedArm", example: str, text: str, plain: Mapping[str, str], language: str) -> "Row":
    from training.rows.data import Row  # torch comes with it

    turns = ((IN_THE_STYLE[language] + plain[one], one) for one in (example, text))
    messages: list[Message] = [
        message for asked, told in turns for message in ({"role": "user", "content": asked}, {"role": "assistant", "content": told})
    ]
    prompt = loaded.base.chat.prompt(messages[:-1])
    return Row("transfer", prompt + loaded.base.chat.answer(messages), len(prompt))
