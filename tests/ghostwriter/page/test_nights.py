"""How a run is put into words: a night without news, a verdict, a failure with its reason."""

import pytest

from ghostwriter.page.nights import in_words

STATEMENT = "3 new, 0 changed, 0 newly gone. 179 saved, as many as the site says."


@pytest.mark.parametrize(
    ("stage", "state", "tasks", "told", "expected"),
    [
        (
            "collect",
            "success",
            {"read_site": "success", "snapshot": "skipped"},
            {("read_site", "return_value"): {"statement": "0 new"}},
            ("quiet", "Nothing new, so nothing was trained."),
        ),
        (
            "collect",
            "success",
            {"read_site": "success", "snapshot": "success"},
            {("read_site", "return_value"): {"statement": STATEMENT}},
            ("good", STATEMENT),
        ),
        (
            "distill",
            "failed",
            {"ask_teacher": "failed"},
            {("ask_teacher", "problem"): "The teacher refused the key. Renew the connection."},
            ("bad", "The teacher refused the key. Renew the connection."),
        ),
        (
            "train",
            "failed",
            {"plan": "success", "train": "failed", "judge": "upstream_failed"},
            {},
            ("bad", "train failed. The log of the task says why."),
        ),
        (
            "train",
            "success",
            {"judge": "success", "promote": "skipped"},
            {("judge", "return_value"): {"summary": "Not promoted: it copies."}},
            ("quiet", "Not promoted: it copies."),
        ),
        (
            "train",
            "success",
            {"judge": "success", "promote": "success"},
            {("judge", "return_value"): {"summary": "Promote: better than base."}},
            ("good", "Promote: better than base."),
        ),
        (
            "distill",
            "success",
            {"estimate_cost": "success", "ask_teacher": "skipped"},
            {},
            ("quiet", "Only the cost was asked for; the log of estimate_cost says it."),
        ),
        ("distill", "success", {"find_answers": "skipped", "ask_teacher": "skipped"}, {}, ("quiet", "Nothing new, so nothing was done.")),
        ("train", "success", {"plan": "skipped", "train": "skipped"}, {}, ("quiet", "Nothing new, so nothing was done.")),
        ("train", "running", {"plan": "success", "train": "running", "judge": None}, {}, ("busy", "At work: train.")),
        ("train", "queued", {"plan": None}, {}, ("busy", "Waits for its turn.")),
    ],
)
def test_a_run_in_words(
    stage: str, state: str, tasks: dict[str, str | None], told: dict[tuple[str, str], object], expected: tuple[str, str]
) -> None:
    assert in_words(stage, state, tasks, told) == expected
