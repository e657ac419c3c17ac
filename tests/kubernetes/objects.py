"""What all objects of the double's cluster have in common: a namespace, labels, times, and how a request about them is refused."""

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
NAMESPACE = "training"
VERSION = "1.34"


class Refused(Exception):
    """An answer that is an error, as the API server words it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": status}


def now() -> str:
    """As the API server writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def matches(labels: dict[str, str], selector: str) -> bool:
    """Whether labels fulfil a selector of `a=b`, `a!=b`, `a` and `!a`."""
    return all(_matches(labels, part) for part in selector.split(",") if part)


def _matches(labels: dict[str, str], part: str) -> bool:
    if "!=" in part:
        name, value = part.split("!=")
        return labels.get(name) != value
    if "=" in part:
        name, value = part.split("=")
        return labels.get(name) == value
    return part[1:] not in labels if part.startswith("!") else part in labels
