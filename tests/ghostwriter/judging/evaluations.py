"""An evaluation of 200 questions for tests: a candidate that is better than its rival in style and loss, until something is changed."""

from pathlib import Path

from training.contract import Estimate, EvaluateResult


def figure(value: float, width: float = 0.02) -> Estimate:
    """A figure with an interval of `width` on both sides."""
    return Estimate(value=value, low=round(value - width, 6), high=round(value + width, 6), questions=200)


CANDIDATE = {
    "heldout_loss": 2.60,
    "style": 0.70,
    "rep4": 0.02,
    "unfinished_share": 0.01,
    "empty_share": 0.0,
    "length_ratio": 0.95,
    "verbatim_share": 0.004,
    "ability": 0.80,
    "ability_loss": 3.10,
}
RIVAL = {**CANDIDATE, "heldout_loss": 2.70, "style": 0.60}
WRITER = {"style": 1.0, "rep4": 0.01, "unfinished_share": 0.0, "empty_share": 0.0, "length_ratio": 1.0, "verbatim_share": 0.003}


def evaluation(
    rival: str = "champion-v3", reloaded: float | None = 1.0, withheld: dict[str, str] | None = None, **changes: float
) -> EvaluateResult:
    """The evaluation, with some of the candidate's measures changed; what is withheld is in no arm."""
    gone = withheld or {}
    candidate = {name: value for name, value in {**CANDIDATE, **changes}.items() if name not in gone}
    others = dict.fromkeys({"base", rival}, RIVAL)
    return EvaluateResult(
        samples=Path("samples.jsonl"),
        candidate="distilled",
        scores={
            "base": {name: figure(value) for name, value in RIVAL.items()},
            "distilled": {name: figure(value) for name, value in candidate.items()},
            **({rival: {name: figure(value) for name, value in RIVAL.items()}} if rival != "base" else {}),
            "writer": {name: figure(value) for name, value in WRITER.items()},
        },
        differences={arm: {name: figure(round(candidate[name] - there[name], 6)) for name in candidate} for arm, there in others.items()},
        withheld=gone,
        reloaded=reloaded,
        questions=200,
        run_id=None,
        seconds=1.0,
    )
