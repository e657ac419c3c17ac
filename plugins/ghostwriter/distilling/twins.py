"""Plain rewrites ("twins") of a writer's training answers: what the measures of style must tell the writer from at the same topic."""

import json
from collections.abc import Sequence
from pathlib import Path

from ghostwriter.errors import WriterFileError
from ghostwriter.pairs import Pair
from ghostwriter.writer import beside_writers


def read_twins(named: Path | None, training: Sequence[Pair]) -> list[Pair]:
    """The training pairs that the file has a rewrite of, with the rewrite as their answer. Raises WriterFileError.

    Lines about other questions, held-out ones among them, are left aside.
    """
    if named is None:
        return []
    path = beside_writers(named)
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        plain = {str(row["question"]).strip(): str(row["plain"]).strip() for row in rows}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise WriterFileError(
            f"evaluation.twins = {str(path)!r} cannot be read ({error}). It is a UTF-8 file with one JSON object a line: `question`,"
            " as the writer was asked, and `plain`, the writer's answer rewritten without the voice."
        ) from error
    return [Pair(pair.id, pair.question_id, pair.question, plain[pair.question]) for pair in training if plain.get(pair.question)]
