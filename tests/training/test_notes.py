"""A question with notes reads the same in training and when it is asked."""

from training.notes import asking_for_notes, with_notes


def test_notes_stand_under_the_question_in_its_language() -> None:
    assert with_notes("Why is it so?", "It just is.") == "Why is it so?\n\nNotes:\nIt just is."
    assert with_notes("为什么这样？", "It just is.") == "为什么这样？\n\n要点：\nIt just is."


def test_a_draft_is_asked_for_in_the_language_of_the_question() -> None:
    assert asking_for_notes("Why?").startswith("Why?\n\nAnswer briefly, in plain, neutral prose")
    assert asking_for_notes("为什么？").startswith("为什么？\n\n请用平实、中性的文字简要回答")
