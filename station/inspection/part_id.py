"""Part ids: which ones are taken, and how any text of unknown origin is shown without doing anything to a screen.

An id comes from a scanner or a keyboard, or from an archive that an earlier version wrote. It may end in a terminal,
a window, a file and a data base, so nothing is let in that one of them acts on.
"""

from __future__ import annotations

import unicodedata

from station.errors import BadInput

MAXIMUM_LENGTH = 80
# control, format (such as right-to-left marks), surrogate, private, unassigned, line separator, paragraph separator
_REFUSED = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half of a character",
    "Co": "a character without a meaning of its own",
    "Cn": "a character that does not exist",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


class PartIdRefused(BadInput, ValueError):
    """The text cannot be a part's id; it says which character is wrong, and where."""


def check_part_id(text: str) -> str:
    """The id as it was given. Raises PartIdRefused: empty, blank at an end, too long, or with a refused character.

    Markup, quotes and path separators are text like any other; whoever shows an id must not interpret it.
    """
    if not text.strip():
        raise PartIdRefused("the part id is empty; scan or type the part's id or serial number")
    for place, character in enumerate(text, start=1):
        if (kind := _REFUSED.get(unicodedata.category(character))) is not None:
            raise PartIdRefused(
                f"the part id {text[:MAXIMUM_LENGTH]!r} holds {kind} (U+{ord(character):04X}) at place {place}; "
                "scan it again, or set the scanner to send printable characters only"
            )
    if text != text.strip():
        raise PartIdRefused(f"the part id {text[:MAXIMUM_LENGTH]!r} begins or ends with a blank; leave it out")
    if len(text) > MAXIMUM_LENGTH:
        raise PartIdRefused(
            f"the part id has {len(text)} characters, at most {MAXIMUM_LENGTH} are taken; "
            f"it begins with {text[:20]!r}: was more than one code scanned?"
        )
    return text


def visible(text: str, keep: str = "") -> str:
    """The text with every control, invisible or broken character as its escape, such as `\\x1b`; `keep` stays as it is.

    A terminal then shows what was written instead of obeying it.
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep or c == " " or c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
