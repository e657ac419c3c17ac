"""Files of batches at the vendor, over HTTP by the official client: they go once their answers are kept, and never before."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ghostwriter.distilling.batch import apply_batch, forget_batch, open_batch
from ghostwriter.distilling.distill import distill
from ghostwriter.errors import TeacherError
from ghostwriter.home import Home
from ghostwriter.keeping.batch_files import remove_batch_files
from ghostwriter.teacher.client import Endpoint, TeacherDown
from tests.batch_teacher import BatchTeacher
from tests.distill_case import answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import KEY, TeacherScript, TeacherServer

WRITER = make_writer(answers=12)
INPUT, OUTPUT, ERRORS = "file-1", "file-2", "file-3"
LATER = timedelta(days=WRITER.keep.days + 1)


def removed(home: Home, teacher: TeacherServer, after: timedelta = LATER, *, dry_run: bool = False) -> tuple[str, ...]:
    return remove_batch_files(WRITER, home, lambda: endpoint(teacher), datetime.now(UTC) + after, dry_run=dry_run)


def never() -> Endpoint:
    raise AssertionError("Nothing is to be removed, so no connection is read.")


def submitted(home: Home, teacher: BatchTeacher) -> str:
    batch = open_batch(WRITER, home, answers_of(home, pairs(60)), endpoint(teacher))
    assert batch
    return batch


def applied(home: Home, teacher: BatchTeacher) -> str:
    batch = submitted(home, teacher)
    apply_batch(WRITER, home, endpoint(teacher), batch)
    return batch


def test_they_go_once_the_answers_are_kept_and_nothing_is_bought_again(either_database: Home) -> None:
    home = either_database
    with BatchTeacher(TeacherScript(batch_drops=2)) as teacher:
        applied(home, teacher)
        assert removed(home, teacher, dry_run=True) == (INPUT, OUTPUT, ERRORS)
        assert set(teacher.files) == {INPUT, OUTPUT, ERRORS}
        assert removed(home, teacher) == (INPUT, OUTPUT, ERRORS)
        assert teacher.files == {}
        assert remove_batch_files(WRITER, home, never, datetime.now(UTC) + LATER) == ()
        folder = distill(WRITER, home, answers_of(home, pairs(60)), endpoint(teacher))
        assert teacher.completions == 12, "the two that were dropped, and no other"
    assert len(distilled(folder)) == 12


def test_of_a_batch_that_the_vendor_refused_what_was_asked_goes(home: Home) -> None:
    with BatchTeacher(refuse="no such model") as teacher:
        with pytest.raises(TeacherError, match="no such model"):
            applied(home, teacher)
        assert removed(home, teacher) == (INPUT,)
        assert teacher.files == {}


def unapplied(home: Home, teacher: BatchTeacher) -> None:
    submitted(home, teacher)


def given_up(home: Home, teacher: BatchTeacher) -> None:
    submitted(home, teacher)
    forget_batch(WRITER, home)


def read_in_part(home: Home, teacher: BatchTeacher) -> None:
    teacher.cut_output = True
    applied(home, teacher)


@pytest.mark.parametrize("state", [unapplied, given_up, read_in_part])
def test_none_goes_whose_answers_are_not_all_kept(home: Home, state: Callable[[Home, BatchTeacher], None]) -> None:
    with BatchTeacher() as teacher:
        state(home, teacher)
        assert remove_batch_files(WRITER, home, never, datetime.now(UTC) + LATER) == ()


def test_young_ones_stay(home: Home) -> None:
    with BatchTeacher() as teacher:
        applied(home, teacher)
        assert remove_batch_files(WRITER, home, never, datetime.now(UTC) + timedelta(days=1)) == ()


def test_what_a_kill_left_undone_is_finished(home: Home) -> None:
    with BatchTeacher() as teacher:
        applied(home, teacher)
        del teacher.files[INPUT]
        assert removed(home, teacher) == (INPUT, OUTPUT)
        assert teacher.files == {}


@pytest.mark.parametrize("answer", [404, 405])
def test_an_api_without_deletion_is_named_and_asked_once_a_week(home: Home, answer: int, caplog: pytest.LogCaptureFixture) -> None:
    with BatchTeacher(deletion=answer) as teacher, caplog.at_level(logging.WARNING):
        applied(home, teacher)
        assert removed(home, teacher) == ()
        assert "The teacher's API cannot delete files: those of 1 finished batches stay" in caplog.text
        assert set(teacher.files) == {INPUT, OUTPUT}
        teacher.deletion = 200
        assert removed(home, teacher) == (INPUT, OUTPUT), "the vendor learned it"


def test_at_another_address_nothing_is_touched(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    with BatchTeacher() as teacher, TeacherServer() as without, caplog.at_level(logging.WARNING):
        applied(home, teacher)
        assert removed(home, without) == ()
        assert "has no Batch API any more" in caplog.text
        assert removed(home, teacher) == (INPUT, OUTPUT)


def test_a_batch_that_the_vendor_forgot_is_not_asked_for_again(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    with BatchTeacher() as teacher, caplog.at_level(logging.WARNING):
        del teacher.batches[applied(home, teacher)]
        assert removed(home, teacher) == ()
        assert "does not know batch batch_1" in caplog.text
        assert remove_batch_files(WRITER, home, never, datetime.now(UTC) + LATER) == ()


def test_a_vendor_that_is_down_is_tried_again_and_the_key_is_not_told(home: Home) -> None:
    with BatchTeacher() as teacher:
        applied(home, teacher)
        teacher.script.fault, teacher.script.echo_key = lambda number: "503", True
        with pytest.raises(TeacherDown) as raised:
            removed(home, teacher)
        assert KEY not in str(raised.value)
        teacher.script.fault = lambda number: None
        assert removed(home, teacher) == (INPUT, OUTPUT)
