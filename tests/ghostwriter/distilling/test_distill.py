"""The whole stage against a teacher over real HTTP: what is bought, what is shown, what is written."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from ghostwriter.database import open_database
from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.distilling.forecast import BuysAgain
from ghostwriter.distilling.split import is_heldout
from ghostwriter.errors import BudgetExceeded, ConnectionMissing, CorpusTooSmall
from ghostwriter.home import Home
from ghostwriter.lock import AlreadyRunning, only_one
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.teacher.client import TeacherUnfit
from ghostwriter.teacher.ledger import AnswerRow, SendRow
from ghostwriter.writer import Writer
from tests.distill_case import PRICES, answers_of, demo_pairs, distilled, endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer, invent

EXTRA = [f"{invent([{'role': 'user', 'content': f'extra {number}'}], (9, 12))}?" for number in range(952)]


def sends(home: Home) -> dict[str, int]:
    with open_database(home.database_url).connect() as connection:
        rows = connection.execute(select(SendRow.state, func.count().label("number")).group_by(SendRow.state))
        return {row.state: row.number for row in rows}


def test_a_dataset_holds_the_pairs_the_teachers_answers_and_the_heldout_pairs(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=90)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        folder = distill(writer, home, answers, endpoint(teacher))
    manifest = read_manifest(folder)
    heldout = [row for row in pairs(60) if is_heldout(row["question_id"], "tester", 0.1)]
    assert {name: entry.rows for name, entry in manifest.files.items()} == {
        "direct.jsonl": 60 - len(heldout),
        "distilled.jsonl": 90,
        "heldout.jsonl": len(heldout),
    }
    assert manifest.kind == "dataset"
    assert manifest.parents == (read_manifest(answers).digest,)
    assert manifest.facts["counts"] == {"planned": 90, "accepted": 90, "rejected": {}, "failed": {}}
    assert manifest.facts["teacher"]["prompt_hash"] == distilled(folder)[0]["prompt_hash"]
    row = distilled(folder)[0]
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
    assert len(row["examples"].split()) == 3
    columns = {name: {column: type(value) for column, value in read_rows(folder, name)[0].items()} for name in manifest.files}
    assert columns["direct.jsonl"] == columns["distilled.jsonl"] == columns["heldout.jsonl"]


def test_a_rerun_buys_nothing_and_returns_the_same_folder(either_database: Home) -> None:
    home, writer = either_database, make_writer()
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        first = distill(writer, home, answers, endpoint(teacher))
        again = distill(writer, home, answers, endpoint(teacher))
        assert (again, teacher.completions) == (first, 30)


def test_no_real_fourth_answer_and_no_heldout_text_reaches_a_prompt(tmp_path: Path) -> None:
    rows = [{**row, "text": f"{row['text']} canary-{row['question_id']}-canary"} for row in pairs(60)]
    home, writer = Home(tmp_path), make_writer(answers=200)
    with TeacherServer() as teacher:
        distill(writer, home, answers_of(home, rows), endpoint(teacher))
        prompts = [messages[-1]["content"] for messages in teacher.prompts]
    assert len(prompts) == 200
    heldout = [row for row in rows if is_heldout(row["question_id"], "tester", 0.1)]
    for prompt in prompts:
        asked = next(row for row in rows if prompt.rstrip().endswith(row["question"]))
        assert f"canary-{asked['question_id']}-canary" not in prompt
        assert prompt.count("-canary") == 3
        assert not any(row["question"] in prompt or f"canary-{row['question_id']}-canary" in prompt for row in heldout)


def test_one_question_more_among_a_thousand_buys_one_call(tmp_path: Path) -> None:
    home, file, rows = Home(tmp_path), tmp_path / "extra.txt", pairs(60)
    file.write_text("\n".join(EXTRA))
    writer = make_writer(answers=1000, extra_questions=file, concurrency=32)
    assert len(read_corpus(writer, answers_of(home, rows), home).questions) > 990
    with TeacherServer(keep_prompts=False) as teacher:
        first = distill(writer, home, answers_of(home, rows), endpoint(teacher))
        assert teacher.completions == 1000
        grown = answers_of(home, [*rows, *pairs(1, seed=5, start=1000)])
        plan = estimate(writer, home, grown)
        assert (plan.in_ledger, plan.to_buy, plan.because) == (999, 1, {"never asked": 1})
        second = distill(writer, home, grown, endpoint(teacher))
        assert teacher.completions == 1001
    before, after = ({row["id"] for row in distilled(folder)} for folder in (first, second))
    assert len(after - before) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": "zh"}, "the prompt changed"),
        ({"model": "other-teacher"}, "the model changed"),
        ({"temperature": 0.1}, "the settings changed"),
        ({"parameters": {"top_p": 0.9}}, "the settings changed"),
        ({"seed": 1}, "the question or an example changed"),
    ],
)
def test_a_change_that_buys_everything_says_so_before(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(40))
        distill(make_writer(answers=36), home, answers, endpoint(teacher))
        plan = estimate(make_writer(answers=36, **change), home, answers)
        assert teacher.completions == 36
    assert (plan.to_buy, sum(plan.because.values())) == (36, 36)
    assert plan.because[reason] >= 30
    assert f"{plan.because[reason]} because {reason}" in str(plan)


def test_a_changed_prompt_is_announced_in_the_log_and_then_bought(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home, caplog.handler.level = Home(tmp_path), logging.INFO
    caplog.set_level(logging.INFO, "ghostwriter")
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(40))
        distill(make_writer(answers=20), home, answers, endpoint(teacher))
        caplog.clear()
        distill(make_writer(answers=20, prompt="zh"), home, answers, endpoint(teacher))
        assert teacher.completions == 40
    lines = [record.message for record in caplog.records]
    announced = next(place for place, line in enumerate(lines) if "20 to buy: 20 because the prompt changed" in line)
    assert announced < next(place for place, line in enumerate(lines) if line.startswith("20/20 calls"))


@pytest.mark.parametrize(("language", "corpus"), [("en", "lamplight"), ("zh", "laocheng")])
def test_the_estimate_is_within_15_percent_of_what_the_test_teacher_costs(tmp_path: Path, language: str, corpus: str) -> None:
    lengths = {"en": (80, 140), "zh": (230, 300)}
    home, writer = Home(tmp_path), make_writer(language, answers=120, budget=PRICES)
    with TeacherServer(TeacherScript(words=lengths[language])) as teacher:
        answers = answers_of(home, demo_pairs(corpus))
        plan = estimate(writer, home, answers)
        assert (teacher.requests, sends(home)) == (0, {})
        actual = Decimal(read_manifest(distill(writer, home, answers, endpoint(teacher))).facts["cost"]["run"])
    assert actual * Decimal("0.85") <= plan.cost <= actual * Decimal("1.15")
    assert plan.worst_cost > actual


def test_an_estimate_after_some_calls_goes_by_their_usage(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        distill(make_writer(answers=50, budget=PRICES), home, answers, endpoint(teacher))
        plan = estimate(make_writer(answers=150, budget=PRICES), home, answers)
        facts = read_manifest(distill(make_writer(answers=150, budget=PRICES), home, answers, endpoint(teacher))).facts
    assert plan.basis == "50 earlier calls"
    assert (plan.in_ledger, plan.to_buy) == (50, 100)
    bought = Decimal(facts["cost"]["run"]) - plan.spent
    assert bought * Decimal("0.97") <= plan.cost <= bought * Decimal("1.03")


def test_the_cap_stops_the_run_and_a_higher_one_goes_on_from_there(either_database: Home) -> None:
    home = either_database

    def capped(cap: str) -> Writer:
        return make_writer(answers=60, budget={**PRICES, "cap": Decimal(cap)})

    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(BudgetExceeded, match=r"cap of 0\.0700 is reached"):
            distill(capped("0.07"), home, answers, endpoint(teacher))
        stopped = teacher.completions
        assert 5 < stopped < 60
        spent = estimate(capped("0.07"), home, answers).spent
        assert Decimal("0.05") < spent <= Decimal("0.07")
        assert sends(home) == {"paid": stopped}
        folder = distill(capped("1"), home, answers, endpoint(teacher))
        assert teacher.completions == 60
    assert len(distilled(folder)) == 60


def test_a_changed_prompt_buys_nothing_again_until_a_person_says_so(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=60)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        distill(writer, home, answers, endpoint(teacher))
        changed = make_writer(answers=60, temperature=0.5, budget=PRICES)
        words = r"60 answers would be bought again, where the ledger holds 60: 60 because the settings changed\. Cost: about .*--buy-again"
        with pytest.raises(BuysAgain, match=words):
            distill(changed, home, answers, endpoint(teacher))
        assert teacher.completions == 60
        distill(changed, home, answers, endpoint(teacher), buy_again=True)
        assert teacher.completions == 120
        distill(changed, home, answers_of(home, pairs(64)), endpoint(teacher))  # news alone asks nobody
        assert teacher.completions < 140


def test_rejected_answers_are_replaced_by_further_samples_and_counted(tmp_path: Path) -> None:
    def every_third_refuses(messages: list[dict[str, str]]) -> str:
        text = invent(messages)
        return "I'm sorry, but I cannot help. " + text if len(text) % 3 == 0 else text

    home, writer = Home(tmp_path), make_writer(answers=60)
    with TeacherServer(TeacherScript(answer=every_third_refuses)) as teacher:
        folder = distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
        completions = teacher.completions
    counts = read_manifest(folder).facts["counts"]
    assert counts["accepted"] == 60
    assert counts["planned"] == completions == 60 + counts["rejected"]["refusal"]
    assert counts["rejected"]["refusal"] > 10
    assert read_manifest(folder).dropped["teacher:refusal"] == counts["rejected"]["refusal"]


def test_the_same_answer_to_everything_is_kept_once_and_the_run_fails_with_the_reasons(tmp_path: Path) -> None:
    text = invent([{"role": "user", "content": "the one answer"}])
    home, writer = Home(tmp_path), make_writer(answers=20)
    with TeacherServer(TeacherScript(answer=lambda messages: text)) as teacher:
        with pytest.raises(TeacherUnfit, match=r"1 of 20 answers wanted were accepted after 60 calls.* Rejected: 59 near_duplicate"):
            distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
        assert teacher.completions == 60
    assert not list(home.datasets("tester").glob("*"))


def test_a_run_ends_well_with_less_than_wanted_above_the_least_share(tmp_path: Path) -> None:
    def half_refuse(messages: list[dict[str, str]]) -> str:
        text = invent(messages)
        return "As an AI, " + text if len(text) % 2 else text

    home, writer = Home(tmp_path), make_writer(answers=50, attempts=1, accepted_share=0.3)
    with TeacherServer(TeacherScript(answer=half_refuse)) as teacher:
        folder = distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
    counts = read_manifest(folder).facts["counts"]
    assert counts["planned"] == 50
    assert 15 <= counts["accepted"] == len(distilled(folder)) < 50


def test_an_answer_the_teacher_knows_from_the_heldout_pairs_is_rejected(tmp_path: Path) -> None:
    rows = pairs(60)
    heldout = next(row for row in rows if is_heldout(row["question_id"], "tester", 0.1))
    script = TeacherScript(answer=lambda messages: heldout["text"] if len(messages[-1]["content"]) % 4 == 0 else invent(messages))
    home = Home(tmp_path)
    with TeacherServer(script) as teacher:
        folder = distill(make_writer(answers=40), home, answers_of(home, rows), endpoint(teacher))
    assert read_manifest(folder).facts["counts"]["rejected"]["heldout_leak"] > 3
    assert all(row["messages"][1]["content"] != heldout["text"] for row in distilled(folder))


def test_too_small_a_corpus_is_refused_before_any_call(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        with pytest.raises(CorpusTooSmall):
            distill(make_writer(), home, answers_of(home, pairs(4)), endpoint(teacher))
        assert teacher.requests == 0


def test_direct_asks_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = distill(make_writer(), home, answers_of(home, pairs(60)), None, mode="direct")
    assert distilled(folder) == []
    assert len(read_rows(folder, "direct.jsonl")) > 40
    assert read_manifest(folder).facts["mode"] == "direct"


def test_a_mode_that_needs_a_teacher_says_so_when_none_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(ConnectionMissing, match="Mode 'distilled' asks a teacher, and none was named"):
        distill(make_writer(), home, answers_of(home, pairs(60)), None)


def test_the_teachers_diversity_stands_beside_the_writers_at_equal_length(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        folder = distill(make_writer(answers=20), home, answers_of(home, pairs(60)), endpoint(teacher))
    report = read_manifest(folder).facts["diversity"]
    assert set(report) == {"writer", "teacher"}
    assert report["writer"]["words"] == report["teacher"]["words"] > 1000
    assert set(report["teacher"]) == {"words", "compression_ratio", "distinct_1", "distinct_2", "distinct_3", "self_repetition"}


def test_two_processes_never_distil_for_one_writer(either_database: Home) -> None:
    home, writer = either_database, make_writer()
    with TeacherServer() as teacher, only_one(open_database(home.database_url), "tester"):
        with pytest.raises(AlreadyRunning, match="Another process is distilling for 'tester'"):
            distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
        assert teacher.requests == 0


def test_the_ledger_keeps_what_each_answer_was_made_from(either_database: Home) -> None:
    home = either_database
    with TeacherServer() as teacher:
        folder = distill(make_writer(answers=5, budget=PRICES), home, answers_of(home, pairs(60)), endpoint(teacher))
    with open_database(home.database_url).connect() as connection:
        rows = connection.execute(select(AnswerRow)).all()
    by_key = {row["id"]: row for row in distilled(folder)}
    assert {row.key for row in rows} == set(by_key)
    for row in rows:
        assert (row.prompt, row.model, row.sample) == (by_key[row.key]["prompt_hash"], "test-teacher", 0)
        expected = (row.prompt_tokens * Decimal("2.5") + row.completion_tokens * Decimal(10)) / 1_000_000
        assert row.cost == expected
