"""Loss masks on the chat templates of Qwen2 and SmolLM2, row policies, padding."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_model import PAD, make_byte_tokenizer
from tests.training.conftest import pair
from training.errors import DatasetError, Stopped
from training.rows import data
from training.rows.data import IGNORED, ChatFormat, Row, collate, load_rows, preview

QWEN2 = (
    "{% for message in messages %}"
    "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SMOLLM2 = QWEN2.replace("You are a helpful assistant.", "You are a helpful AI assistant named SmolLM, trained by Hugging Face")
TEMPLATES = {"qwen2": QWEN2, "smollm2": SMOLLM2}


def chat(template: str, **tokens: str) -> ChatFormat:
    tokenizer: Any = make_byte_tokenizer()
    tokenizer.chat_template = template
    for name, token in tokens.items():
        setattr(tokenizer, name, token)
    return ChatFormat(tokenizer)


def write(folder: Path, *lines: str) -> Path:
    (folder / "direct.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_loss_is_on_the_answer_and_its_end_token_only(tmp_path: Path, template: str) -> None:
    format_ = chat(template)
    rows = load_rows(write(tmp_path, pair("How?", "With a lamp.")), ["direct.jsonl"], format_, 500).rows
    batch = collate(rows, format_.tokenizer.pad_token_id)
    carrying = [int(label) for label in batch.labels[0] if label != IGNORED]
    assert format_.tokenizer.decode(carrying) == "With a lamp.<|im_end|>"
    masked = batch.ids[0][batch.labels[0] == IGNORED].tolist()
    assert format_.tokenizer.decode(masked).endswith("<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n")
    assert batch.labels[0][-1] == format_.end_id


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_only_the_last_answer_of_a_conversation_carries_loss(template: str) -> None:
    format_ = chat(template)
    turns = [("user", "a"), ("assistant", "first"), ("user", "b"), ("assistant", "second")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert format_.tokenizer.decode(format_.answer(messages)) == "second<|im_end|>"
    assert "first<|im_end|>" in format_.tokenizer.decode(format_.prompt(messages[:-1]))


def test_the_end_token_carries_loss_even_when_it_is_also_the_padding_token(tmp_path: Path) -> None:
    format_ = chat(QWEN2, pad_token="<|im_end|>")
    rows = load_rows(write(tmp_path, pair("a", "long answer"), pair("b", "x")), ["direct.jsonl"], format_, 500).rows
    labels = collate(rows, format_.end_id).labels
    assert [int((row == format_.end_id).sum()) for row in labels] == [1, 1]


def test_padding_is_on_the_right_without_attention_or_loss() -> None:
    batch = collate([Row("a:1", [5, 6, 7, 8], 2), Row("a:2", [5, 6, 7], 1)], pad_id=9)
    assert batch.ids.tolist() == [[5, 6, 7, 8], [5, 6, 7, 9]]
    assert batch.labels.tolist() == [[-100, -100, 7, 8], [-100, 6, 7, -100]]
    assert batch.attention.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_row_is_tokenised_as_generation_sees_it(tmp_path: Path) -> None:
    format_ = chat(QWEN2)
    row = load_rows(write(tmp_path, pair("问题?", "\n回答。")), ["direct.jsonl"], format_, 500).rows[0]
    assert row.ids[: row.answer_start] == format_.prompt([{"role": "user", "content": "问题?"}])


def test_rows_over_the_limit_are_dropped_whole_and_counted(tmp_path: Path) -> None:
    found = load_rows(write(tmp_path, pair("a", "short"), pair("b", "long" * 100)), ["direct.jsonl"], chat(QWEN2), 120)
    assert [row.source for row in found.rows] == ["direct.jsonl:1"]
    assert found.dropped == {"too_long": 1}


def test_rows_over_the_limit_are_refused_by_name_when_asked(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"direct.jsonl:2: \d+ tokens are more than max_length = 120"):
        load_rows(write(tmp_path, pair("a", "short"), pair("b", "long" * 100)), ["direct.jsonl"], chat(QWEN2), 120, "refuse")


def test_a_row_exactly_at_the_limit_is_kept_with_its_end_token(tmp_path: Path) -> None:
    format_ = chat(QWEN2)
    length = len(load_rows(write(tmp_path, pair("a", "b")), ["direct.jsonl"], format_, 500).rows[0].ids)
    assert load_rows(tmp_path, ["direct.jsonl"], format_, length).rows[0].ids[-1] == format_.end_id
    with pytest.raises(DatasetError, match="1 too_long"):
        load_rows(tmp_path, ["direct.jsonl"], format_, length - 1)


def test_text_that_spells_a_special_token_is_dropped_and_counted(tmp_path: Path) -> None:
    found = load_rows(write(tmp_path, pair("a", "fine"), pair("b", "x<|im_end|>y")), ["direct.jsonl"], chat(QWEN2), 500)
    assert (len(found.rows), found.dropped) == (1, {"special_token": 1})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (pair("a", "  "), "direct.jsonl:1 has no answer"),
        ('{"messages": [{"role": "user", "content": "a"}]}\n', "direct.jsonl:1 has no answer"),
        ('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]}\n', "direct.jsonl:1 is no row"),
        ('{"text": "a"}\n', "direct.jsonl:1 is no row"),
        (pair("a", "b").replace("assistant", "machine"), "direct.jsonl:1 is no row .* role is 'machine', none of system, user, assistant"),
        (pair("a", r"b\ud800").replace("\\\\", "\\"), "direct.jsonl:1 is no row .* surrogates not allowed"),
        ('{"messages"\n', "direct.jsonl:1 is no row"),
        ("", "has no rows to train on in direct.jsonl\\.$"),
    ],
)
def test_a_dataset_that_cannot_be_trained_on_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_rows(write(tmp_path, line), ["direct.jsonl"], chat(QWEN2), 500)


def test_text_that_is_no_utf_8_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "direct.jsonl").write_bytes(pair("a", "b").encode() + pair("c", "café").encode("latin-1"))
    with pytest.raises(DatasetError, match=r"direct.jsonl:2 is no row .*can't decode byte 0xe9"):
        load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500)


def test_a_missing_file_is_named_also_when_an_empty_one_was_met_before(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no rows to train on"):
        load_rows(write(tmp_path, ""), ["direct.jsonl"], chat(QWEN2), 500, cache=tmp_path / "tokens")
    (tmp_path / "direct.jsonl").unlink()
    for cache in (None, tmp_path / "tokens"):
        with pytest.raises(DatasetError, match=r"direct.jsonl does not exist"):
            load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500, cache=cache)


def test_kept_tokens_that_cannot_be_read_are_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, lines = tmp_path / "tokens", [pair("a", "b"), pair("c", "d" * 200)]
    first = load_rows(write(tmp_path, *lines), ["direct.jsonl"], chat(QWEN2), 500, cache=cache)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"text"):
        kept.write_bytes(damaged)
        assert load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500, cache=cache) == first
        assert f"{kept} cannot be read; tokenising again" in caplog.text
        assert len(kept.read_bytes()) == len(whole)


def test_kept_tokens_do_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_KEPT_BYTES", 1)
    cache = tmp_path / "tokens"
    load_rows(write(tmp_path, pair("a", "b")), ["direct.jsonl"], chat(QWEN2), 500, cache=cache)
    (first,) = cache.iterdir()
    os.utime(first, (0, 0))
    load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500, cache=cache)  # a use
    load_rows(write(tmp_path, pair("a", "c")), ["direct.jsonl"], chat(QWEN2), 500, cache=cache)
    assert first.exists() and len(list(cache.iterdir())) == 2
    os.utime(first, (0, 0))
    load_rows(write(tmp_path, pair("a", "d")), ["direct.jsonl"], chat(QWEN2), 500, cache=cache)
    assert not first.exists()


def test_a_template_without_an_end_token_is_refused() -> None:
    with pytest.raises(DatasetError, match="no special token"):
        chat("{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}")


def test_a_template_that_prompts_otherwise_than_it_trains_is_refused() -> None:
    format_ = chat(QWEN2.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>"))
    with pytest.raises(DatasetError, match="another prompt for generation"):
        format_.answer([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])


def test_a_preview_shows_what_carries_loss(tmp_path: Path) -> None:
    format_ = chat(QWEN2)
    row = load_rows(write(tmp_path, pair("How?", "So.")), ["direct.jsonl"], format_, 500).rows[0]
    assert preview(row, format_.tokenizer).endswith("<|im_start|>assistant\n⟦So.<|im_end|>⟧\n")
    assert preview(row, format_.tokenizer).startswith("direct.jsonl:1  (")
    assert PAD not in preview(row, format_.tokenizer)


def test_tokens_are_kept_for_the_same_files_and_tokenizer_only(tmp_path: Path) -> None:
    cache, lines = tmp_path / "tokens", (pair("a", "x<|im_end|>y"), pair("b", "答"), pair("c", "long" * 100))
    first = load_rows(write(tmp_path, *lines), ["direct.jsonl"], chat(QWEN2), 120, cache=cache)
    assert (
        first
        == load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 120, cache=cache)
        == load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 120)
    )
    assert (len(first.rows), first.dropped) == (1, {"special_token": 1, "too_long": 1})
    assert len(list(cache.iterdir())) == 1
    other = load_rows(tmp_path, ["direct.jsonl"], chat(SMOLLM2), 500, cache=cache)
    assert other.rows[0].ids != first.rows[0].ids and len(list(cache.iterdir())) == 2
    load_rows(write(tmp_path, pair("b", "another")), ["direct.jsonl"], chat(QWEN2), 120, cache=cache)
    assert len(list(cache.iterdir())) == 3


def test_tokenising_looks_whether_it_is_to_end(tmp_path: Path) -> None:
    def look() -> None:
        raise Stopped("Stopped by SIGTERM.")

    with pytest.raises(Stopped):
        load_rows(write(tmp_path, pair("a", "b")), ["direct.jsonl"], chat(QWEN2), 500, cache=tmp_path / "tokens", look=look)
    assert not (tmp_path / "tokens").exists()


def test_kept_tokens_are_what_is_trained_on(tmp_path: Path) -> None:
    """So a cache that were ignored would be seen."""
    cache = tmp_path / "tokens"
    load_rows(write(tmp_path, pair("a", "b")), ["direct.jsonl"], chat(QWEN2), 500, cache=cache)
    (kept,) = cache.iterdir()
    columns = torch.load(kept, weights_only=True)
    torch.save({**columns, "ids": columns["ids"] + 1}, kept)
    plain = load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500).rows[0]
    assert load_rows(tmp_path, ["direct.jsonl"], chat(QWEN2), 500, cache=cache).rows[0].ids == [token + 1 for token in plain.ids]
