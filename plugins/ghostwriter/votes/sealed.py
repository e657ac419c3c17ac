"""A comparison as one text that the browser keeps until the vote: it can neither read nor change it.

So the server keeps nothing of an answer that nobody voted on, and any of its processes can take the
vote. Its length is that of its content, which does not depend on the order of the sides.
"""

import base64
from datetime import timedelta
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError

from ghostwriter.errors import GhostwriterError
from ghostwriter.votes.comparison import Comparison

LIFETIME = timedelta(hours=12)


class ComparisonUnknown(GhostwriterError):
    """What came with a vote is no comparison this installation has shown to that person of late."""

    code = "comparison_unknown"


class Seal:
    """Closes and opens comparisons with a key made of `secret`, which all processes of the server share."""

    def __init__(self, secret: str) -> None:
        key = sha256(b"ghostwriter comparison\n" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, comparison: Comparison) -> str:
        """The sealed text."""
        return self._fernet.encrypt(comparison.model_dump_json().encode()).decode()

    def open(self, text: str, writer: str, who: str) -> Comparison:
        """The comparison shown to `who`. Raises ComparisonUnknown when it is another's, too old, or none."""
        try:
            content = self._fernet.decrypt(text.encode(), ttl=int(LIFETIME.total_seconds()))
            comparison = Comparison.model_validate_json(content)
        except (InvalidToken, ValidationError, UnicodeEncodeError):
            raise ComparisonUnknown(
                f"This vote's two answers are unknown, or were shown more than {LIFETIME.seconds // 3600} "
                "hours ago. Nothing was kept: ask again, and vote on the new answers."
            ) from None
        if (comparison.writer, comparison.who) != (writer, who):
            raise ComparisonUnknown("These two answers were shown to someone else. Nothing was kept.")
        return comparison
