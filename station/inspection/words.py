"""What a person says of an inspected part afterwards. It stands beside the machine's verdict and never changes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.errors import BadInput

MOST_BY, MOST_REASON = 64, 500  # characters


class Word(StrEnum):
    """The four things that can be said."""

    CONFIRMED = "confirmed"  # the verdict is right
    FALSE_CALL = "false-call"  # the part is good
    MISSED = "missed"  # the part is defective
    CANNOT_TELL = "cannot-tell"


FITTING = {  # the verdicts of which a word can be said
    Word.CONFIRMED: ("PASS", "FAIL"),
    Word.FALSE_CALL: ("FAIL", "UNDECIDED"),
    Word.MISSED: ("PASS", "UNDECIDED"),
    Word.CANNOT_TELL: ("PASS", "FAIL", "UNDECIDED"),
}


class WordRefused(BadInput, ValueError):
    """A word that cannot be said of this part; the text says why and what can be said."""


@dataclass(frozen=True, slots=True)
class GivenWord:
    """A word, by whom, why, and when (UTC)."""

    word: Word
    by: str
    reason: str
    when: datetime

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {"word": self.word.value, "by": self.by, "reason": self.reason, "when": self.when.isoformat()}


def check_word(verdict: str, word: Word, by: str, reason: str) -> None:
    """Raise WordRefused for a word that the verdict contradicts, and where name or reason are missing or too long."""
    for what, text, most in (("--by", by, MOST_BY), ("--reason", reason, MOST_REASON)):
        if not text.strip():
            raise WordRefused(f"{what} is empty: say who judged the part, and why")
        if len(text) > most:
            raise WordRefused(f"{what} has {len(text)} characters; at most {most} are kept")
    if verdict not in FITTING[word]:
        could = ", ".join(w.value for w in Word if verdict in FITTING[w])
        raise WordRefused(f"{word.value} cannot be said of a part that is {verdict}; of it can be said: {could}")


def is_good(verdict: str, word: Word) -> bool | None:
    """What the word says of the part: good, defective (False), or nothing (None)."""
    if word is Word.CANNOT_TELL:
        return None
    if word is Word.CONFIRMED:
        return verdict == "PASS"
    return word is Word.FALSE_CALL
