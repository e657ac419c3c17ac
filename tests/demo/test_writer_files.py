"""The writer files of the demo, and which of them TEACHER chooses."""

import pytest

from demo.__main__ import LIVE, RECORDED, choose_teacher
from demo.teacher import MODEL, RECORDED as RECORDED_MODEL
from ghostwriter.errors import WriterFileError
from ghostwriter.writer import load_writer, writers_folder
from ghostwriter.writer_settings import Gate


@pytest.mark.parametrize(("teacher", "model"), [(RECORDED, RECORDED_MODEL), (LIVE, MODEL)])
def test_the_teacher_that_is_asked_for_is_asked(monkeypatch: pytest.MonkeyPatch, teacher: str, model: str) -> None:
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(writers_folder()))
    choose_teacher(teacher)
    writer = load_writer("lamplight")
    assert writer.teacher.model == model
    assert writer.gate == Gate(), "the demo's gate is the one that is shipped"


def test_another_word_is_refused() -> None:
    with pytest.raises(WriterFileError, match="TEACHER=gpt is not known"):
        choose_teacher("gpt")
