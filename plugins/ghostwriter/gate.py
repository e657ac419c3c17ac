"""The gate: whether a candidate may become the champion. One pure function of numbers, with every reason in words."""

from pydantic import BaseModel, ConfigDict

from ghostwriter.writer import Gate

Scores = dict[str, float]
LOSS, REP4, UNFINISHED = "heldout_loss", "rep4", "unfinished_share"


class Decision(BaseModel):
    """The verdict on one candidate; `summary` is the line a person reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    promote: bool
    summary: str
    reasons: tuple[str, ...]


ALREADY_CHAMPION = Decision(promote=False, summary="Not promoted: this adapter is the champion already.", reasons=())
"""The verdict on a run that had nothing new to train on."""


def decide(candidate: Scores, rival: Scores, writer: Scores, thresholds: Gate, rival_name: str) -> Decision:
    """Compare a candidate with its rival (the champion, or the base while there is none) on the same held-out questions.

    Better means a lower loss (nats a token) on the writer's real held-out answers; a tie does not promote. It must not
    repeat itself more than the writer does, nor run into the length limit too often.
    """
    checks = (
        _loss_check(candidate[LOSS], rival[LOSS], thresholds.min_loss_gain, rival_name),
        _limit_check(
            "repeated 4-grams", candidate[REP4], writer[REP4] + thresholds.max_rep4_rise, "the writer's own share plus the margin"
        ),
        _limit_check("answers without an end", candidate[UNFINISHED], thresholds.max_unfinished_share, "the limit"),
    )
    failed = [words for passed, words in checks if not passed]
    summary = f"Promote: better than {rival_name}, within every limit." if not failed else "Not promoted: " + "; ".join(failed) + "."
    return Decision(promote=not failed, summary=summary, reasons=tuple(words for _, words in checks))


def _loss_check(candidate: float, rival: float, margin: float, rival_name: str) -> tuple[bool, str]:
    gain = rival - candidate
    passed = gain > 0 and gain >= margin
    verdict = "better than" if passed else "not better than"
    return (
        passed,
        f"held-out loss {candidate:.4f} is {verdict} {rival_name}'s {rival:.4f} (gain {gain:+.4f}, needed more than {margin:.4f})",
    )


def _limit_check(what: str, value: float, limit: float, limit_name: str) -> tuple[bool, str]:
    passed = value <= limit
    return passed, f"{what} {value:.1%} {'within' if passed else 'above'} {limit:.1%} ({limit_name})"
