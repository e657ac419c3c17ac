"""Tokens that rows have in common are read once, and nothing that comes after them changes."""

from pathlib import Path

import pytest
import torch

from training.answer.prefix import SharedPrefix
from training.answer.row_loss import nats_of_rows
from training.models.model import load_base
from training.rows.data import Row

ROWS = [[7, 8, 9, 10, 11], [7, 8, 9, 20], [7, 8, 9, 30, 31, 32, 33]]


def test_what_comes_after_the_prefix_is_as_if_each_row_were_read_whole(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    with torch.inference_mode():
        prefix = SharedPrefix(base.model, ROWS)
        hidden, layers = prefix.read(ROWS, 0)
        assert prefix.tokens == [7, 8, 9]
        assert layers[0][0].shape[2] == 7
        for row, found in zip(ROWS, hidden, strict=True):
            alone = base.model.get_decoder()(input_ids=torch.tensor([row])).last_hidden_state[0, 3:]
            torch.testing.assert_close(found[: len(row) - 3], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rows", "tokens"), [([[1, 2], [1, 2]], [1]), ([[1, 2], [3, 2]], []), ([[1], [1, 2]], []), ([[4, 5, 6]], [4, 5])])
def test_one_token_of_each_row_is_left_over(rows: list[list[int]], tokens: list[int], models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    assert SharedPrefix(base.model, rows).tokens == tokens


def test_losses_of_rows_are_the_same_together_and_alone(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    rows = [Row("", [5, 6, 7, 8, *answer], 4) for answer in ([9], [9, 10, 11], [20, 21])]
    together = nats_of_rows(base.model, base, rows)
    assert together == pytest.approx([nats_of_rows(base.model, base, [row])[0] for row in rows], rel=1e-5)
    labels = torch.tensor([[-100] * 4 + [9, 10, 11]])
    with torch.no_grad():
        expected = float(base.model(input_ids=torch.tensor([rows[1].ids]), labels=labels).loss) * 3
    assert together[1] == pytest.approx(expected, rel=1e-5)
