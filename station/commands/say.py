"""The one place where a command prints its result."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(document: Any, as_json: bool, text: str) -> None:
    """Print `document` as one JSON document for machines, or `text` for people."""
    print(json.dumps(document, indent=2, default=str) if as_json else text)


def progress(text: str) -> None:
    """Print a line on standard error, so that standard output holds the result alone."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """`text` with control characters as escapes such as `\\x1b`, so that a terminal shows them and does not obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)
