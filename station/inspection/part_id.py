"""What a part's id may be: it is archived, printed and drawn as it is, so it must be plain text on one line."""

from __future__ import annotations

import unicodedata

from station.errors import BadInput

LONGEST = 80  # characters
_REFUSED_CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half a character (a surrogate)",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


class PartIdRefused(BadInput):
    """The part id cannot be used; the text says why and what helps."""


def check_part_id(text: str) -> str:
    """Return the id unchanged, or raise PartIdRefused: nothing is cut or stripped, or parts would be mixed up."""
    if not text:
        raise PartIdRefused("part id: it is empty; scan or type one")
    if len(text) > LONGEST:
        raise PartIdRefused(
            f"part id {text[:20]!r}...: it has {len(text)} characters, {LONGEST} are allowed; scan the label again"
        )
    for place, character in enumerate(text, start=1):
        what = _REFUSED_CATEGORIES.get(unicodedata.category(character))
        if what is not None:
            raise PartIdRefused(f"part id {text!r}: character {place} is {what}; set the scanner up to send plain text")
    if text != text.strip():
        raise PartIdRefused(f"part id {text!r}: it begins or ends with a blank; remove it")
    return text
