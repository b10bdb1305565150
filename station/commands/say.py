"""The one place where a command prints its result, and what keeps a text from acting on the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from station.inspection.part_id import visible


def say(document: Any, as_json: bool, text: str) -> None:
    """Print `document` as one JSON document for machines, or `text` for people."""
    print(json.dumps(document, indent=2, default=str) if as_json else printable(text))


def progress(text: str) -> None:
    """Print a line on standard error, so that standard output holds the result alone."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text with control characters as escapes, but for line ends and tabs, and with what the terminal can encode.

    Ids of parts come from scanners and from old archives: one that moves the cursor must not be able to show a PASS.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return visible(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)
