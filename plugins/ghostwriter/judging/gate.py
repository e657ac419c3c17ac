"""The gate: whether a candidate may become the champion. One pure function of figures, with every number and reason in words.

The words are English, in every record; who shows them to a person says them in that person's language (`words.sentences`).

Style counts as better only where all its views agree; where one is withheld the others decide, with none the loss.
Everything in `limits` must hold and one of `gains` must be there for certain: its 95 % interval, not its value, lies on the
better side. So two equal adapters never change places. What was not measured is said, and never counts as a gain.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

from ghostwriter.judging.content import Content
from ghostwriter.judging.serving import Tried
from ghostwriter.writer_settings import Gate
from training.contract import FEW_QUESTIONS, LM_EVAL, Estimate, EvaluateResult

BASE, WRITER = "base", "writer"
CHAMPION_ARM = "champion-v"
"""What the champion's arm is called in an evaluation, before its version."""
STYLE_VIEWS = {"style": "style %s", "style_grammar": "grammar %s", "style_transfer": "transfer %s"}
"""Measures that say how much an arm sounds like the writer, built differently, and how a verdict gives their change."""
MAY_BE_MISSING = (*STYLE_VIEWS, "ability", "ability_loss", "content")


class Check(BaseModel):
    """One thing the gate looked at: `figures` for the record, `fault` what a person would say when it does not hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str
    passed: bool
    figures: str
    fault: str

    def __str__(self) -> str:
        return f"yes  {self.measure}: {self.figures}" if self.passed else f"NO   {self.measure}: {self.figures}"


class Decision(BaseModel):
    """The verdict on one candidate; `summary` is the line a person reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    promote: bool
    summary: str
    candidate: str = ""
    rival: str = ""
    """The arm it was compared with: `champion-v3`, or `base` while there is no champion."""
    limits: tuple[Check, ...] = ()
    gains: tuple[Check, ...] = ()
    not_measured: dict[str, str] = {}
    scores: dict[str, Estimate] = {}
    """Every measure of the candidate."""
    differences: dict[str, Estimate] = {}
    """Every measure of the candidate minus the rival's."""

    @property
    def champion(self) -> str | None:
        """The version of the champion that the verdict was made against; None while there is none."""
        return self.rival.removeprefix(CHAMPION_ARM) if self.rival.startswith(CHAMPION_ARM) else None

    @property
    def numbers(self) -> dict[str, dict[str, list[float]]]:
        """Scores and differences, short enough for a tag (so without lm-eval's): measure to value, low, high."""
        return {
            what: {
                name: [round(number, 4) for number in (found.value, found.low, found.high)]
                for name, found in figures.items()
                if not name.startswith(LM_EVAL)
            }
            for what, figures in (("scores", self.scores), ("differences", self.differences))
        }

    @property
    def reasons(self) -> list[str]:
        """Every check in words, and what could not be checked."""
        missing = [f"--   {measure}: not measured, {why}" for measure, why in self.not_measured.items()]
        return [*map(str, self.limits), *map(str, self.gains), *missing]

    @classmethod
    def refused(cls, candidate: str, rival: str, why: str) -> Self:
        """A verdict that needs no figures; `why` without a full stop."""
        return cls(promote=False, summary=f"Not promoted: {why}.", candidate=candidate, rival=rival)


def rival_of(evaluation: EvaluateResult) -> str:
    """The arm a candidate must beat: the champion, or the base while there is none."""
    return next((arm for arm in evaluation.scores if arm.startswith("champion") and arm != evaluation.candidate), BASE)


def decide(evaluation: EvaluateResult, thresholds: Gate, content: Content | None = None, tried: Tried | None = None) -> Decision:
    """Compare the candidate with its rival on the same held-out questions. `tried` is what the serving gateway found, if it was asked.

    Raises KeyError when the evaluation lacks a measure that is never withheld.
    """
    rival = rival_of(evaluation)
    limits = [
        _enough(evaluation.questions, thresholds.min_questions),
        *_style_kept(evaluation, rival, thresholds),
        *_content_kept(content, rival),
        *_whole_answers(evaluation, thresholds),
        _not_copied(evaluation, thresholds),
        *_ability_kept(evaluation, thresholds),
        _reloaded(evaluation.reloaded, thresholds.min_reloaded),
        *([_served(tried)] if tried else []),
    ]
    gains = [*_style_gain(evaluation, rival), *_content_gain(content, rival), _loss_gain(evaluation, rival, thresholds)]
    missing = _not_measured(evaluation, content)
    return Decision(
        promote=all(check.passed for check in limits) and any(gain.passed for gain in gains),
        summary=_summary(rival, limits, gains, missing, evaluation.questions),
        candidate=evaluation.candidate,
        rival=rival,
        limits=tuple(limits),
        gains=tuple(gains),
        not_measured=missing,
        scores=evaluation.scores[evaluation.candidate],
        differences=evaluation.differences[rival],
    )


def _summary(rival: str, limits: list[Check], gains: list[Check], missing: Mapping[str, str], questions: int) -> str:
    verdict = _verdict(rival, limits, gains, questions)
    unmeasured = "; ".join(f"{measure}, {why}" for measure, why in missing.items())
    return f"{verdict} Not measured: {unmeasured}." if missing else verdict


def _verdict(rival: str, limits: list[Check], gains: list[Check], questions: int) -> str:
    """The decision; of few questions also what it does not say."""
    faults = [f"{check.fault} ({check.figures})" for check in limits if not check.passed]
    better = [gain.figures for gain in gains if gain.passed]
    if faults:
        return f"Not promoted: {'; '.join(faults)}."
    if better:
        told = f"Promote: better than {rival} ({'; '.join(better)}) and within every limit, on {questions} questions."
        return f"{told} These are few: the report shows the answers themselves." if questions < FEW_QUESTIONS else told
    told = f"Not promoted: it is not certainly better than {rival} ({'; '.join(gain.figures for gain in gains)})."
    if questions >= FEW_QUESTIONS:
        return told
    return f"{told} On {questions} questions only a large difference is certain, so this says little against it; more answers would tell."


def _enough(questions: int, least: int) -> Check:
    figures = f"{questions} held-out questions, at least {least} are needed"
    if questions == 1:
        figures = f"{questions} held-out question, at least {least} are needed"
    return Check(measure="questions", passed=questions >= least, figures=figures, fault="there are too few questions to tell")


def _style_views(evaluation: EvaluateResult, rival: str) -> dict[str, Estimate]:
    """What each view there is says of the candidate minus the rival."""
    found = evaluation.differences[rival]
    return {words: found[measure] for measure, words in STYLE_VIEWS.items() if measure in found}


def _style_kept(evaluation: EvaluateResult, rival: str, thresholds: Gate) -> list[Check]:
    """No view may see a fall for certain, and one at least must see none."""
    views, most = _style_views(evaluation, rival), thresholds.max_style_drop
    if not views:
        return []
    passed = any(change.low >= -most for change in views.values()) and all(change.high >= -most for change in views.values())
    figures = f"{_views_in_words(views)} against {rival}, may fall by {most:.2f}"
    fault = f"it may write less like the writer than {rival}"
    return [Check(measure="style", passed=passed, figures=figures, fault=fault)]


def _style_gain(evaluation: EvaluateResult, rival: str) -> list[Check]:
    views = _style_views(evaluation, rival)
    if not views:
        return []
    passed = all(change.low > 0 for change in views.values())
    return [Check(measure="style", passed=passed, figures=_views_in_words(views), fault="")]


def _views_in_words(views: Mapping[str, Estimate]) -> str:
    return ", ".join(words % _change(change) for words, change in views.items())


def _content_kept(content: Content | None, rival: str) -> list[Check]:
    if content is None or content.preferred is None:
        return []
    fault = f"its answers say less than those of {rival}"
    return [Check(measure="content", passed=content.preferred.high >= 0.5, figures=_preference(content.preferred), fault=fault)]


def _content_gain(content: Content | None, rival: str) -> list[Check]:
    if content is None or content.preferred is None:
        return []
    return [Check(measure="content", passed=content.preferred.low > 0.5, figures=_preference(content.preferred), fault="")]


def _loss_gain(evaluation: EvaluateResult, rival: str, thresholds: Gate) -> Check:
    change = evaluation.differences[rival]["heldout_loss"]
    figures = f"loss on the writer's answers {_change(change, 3)} nats a token"
    if thresholds.min_loss_gain:
        figures = f"{figures}, needs a fall of {thresholds.min_loss_gain:g}"
    return Check(measure="heldout_loss", passed=-change.high > thresholds.min_loss_gain, figures=figures, fault="")


def _whole_answers(evaluation: EvaluateResult, thresholds: Gate) -> list[Check]:
    own, writer = evaluation.scores[evaluation.candidate], evaluation.scores[WRITER]
    length = own["length_ratio"].value
    least, most = thresholds.min_length_ratio, thresholds.max_length_ratio
    return [
        _at_most("rep4", own, "of its 4-word runs are repeats", writer["rep4"].value + thresholds.max_rep4_rise, "it repeats itself"),
        _at_most("unfinished_share", own, "of its answers have no end", thresholds.max_unfinished_share, "it does not come to an end"),
        _at_most("empty_share", own, "of its answers are empty", thresholds.max_empty_share, "it says nothing"),
        Check(
            measure="length_ratio",
            passed=least <= length <= most,
            figures=f"{length:.2f} times the writer's length, from {least:g} to {most:g} is allowed",
            fault="its answers are too short" if length < least else "its answers are too long",
        ),
    ]


def _not_copied(evaluation: EvaluateResult, thresholds: Gate) -> Check:
    own, writer = evaluation.scores[evaluation.candidate], evaluation.scores[WRITER]
    limit = writer["verbatim_share"].value + thresholds.max_verbatim_rise
    return _at_most("verbatim_share", own, "of its text stands word for word in the training text", limit, "it copies the training text")


def _ability_kept(evaluation: EvaluateResult, thresholds: Gate) -> list[Check]:
    """Against the base, not the champion: else a little could be forgotten every night."""
    change, checks = evaluation.differences[BASE], []
    if drop := change.get("ability"):
        most = thresholds.max_ability_drop
        figures = f"other tasks solved {_change(drop)} against base, may not certainly fall by {most:g}"
        passed = drop.high >= -most  # 33 tasks: four that fall otherwise by chance are no proof
        checks.append(Check(measure="ability", passed=passed, figures=figures, fault="it has forgotten what the base could do"))
    if rise := change.get("ability_loss"):
        limit = thresholds.max_ability_loss_rise
        figures = f"loss on general text {_change(rise)} nats a token against base, may rise by {limit:g}"
        fault = "it has forgotten general language"
        checks.append(Check(measure="ability_loss", passed=rise.value <= limit, figures=figures, fault=fault))
    return checks


def _reloaded(share: float | None, least: float) -> Check:
    figures = "it was not tried" if share is None else f"{share:.0%} of the sampled answers are the same, {least:.0%} is needed"
    fault = "loaded again by plain peft, it does not answer as it was evaluated"
    return Check(measure="reloaded", passed=share is not None and share >= least, figures=figures, fault=fault)


def _served(tried: Tried) -> Check:
    passed = tried.state == "served"
    figures = "the serving engine answers as plain peft does" if passed else tried.why.rstrip(".")
    return Check(measure="served", passed=passed, figures=figures, fault="it cannot be served")


def _not_measured(evaluation: EvaluateResult, content: Content | None) -> dict[str, str]:
    found = evaluation.differences[BASE]
    missing = {name: why for name, why in evaluation.withheld.items() if name in MAY_BE_MISSING and name not in found}
    return {**missing, "content": content.withheld} if content and content.withheld else missing


def _at_most(measure: str, own: Mapping[str, Estimate], what: str, limit: float, fault: str) -> Check:
    value = own[measure].value
    return Check(measure=measure, passed=value <= limit, figures=f"{value:.1%} {what}, at most {limit:.1%}", fault=fault)


def _preference(preferred: Estimate) -> str:
    return f"preferred for content in {preferred.value:.0%} [{preferred.low:.0%}, {preferred.high:.0%}] of {preferred.questions} questions"


def _change(change: Estimate, digits: int = 2) -> str:
    """A difference with its interval: `+0.10 [+0.04, +0.16]`."""
    return f"{change.value:+.{digits}f} [{change.low:+.{digits}f}, {change.high:+.{digits}f}]"
