"""To which split a part of a collection goes where nobody says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from station.collection.folder import CollectedPart

Split = Literal["train", "calibrate", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
GOOD = "good"


def next_split(kind: str, part_id: str, parts: Iterable[CollectedPart]) -> str:
    """Defective parts test; good ones train and calibrate in turn. One part's captures stay in one split.

    A part that is learned from and held out as well would make limits that no other part keeps.
    """
    if kind != GOOD:
        return "test"
    good = [part for part in parts if part.kind == GOOD]
    same = [part.split for part in good if id_of(part) == part_id]
    if same:
        return same[0]
    counts = Counter(part.split for part in good)
    return "train" if counts["train"] <= counts["calibrate"] else "calibrate"


def id_of(part: CollectedPart) -> str:
    """The id of the part itself; its name in the collection where none was noted."""
    facts: Mapping[str, Any] = part.facts
    return str(facts.get("part_id", part.name))


def counts_text(parts: Iterable[CollectedPart]) -> str:
    """What a collection holds, in words."""
    found = Counter((part.split, GOOD if part.kind == GOOD else "defective") for part in parts)
    words = [f"{found[split, kind]} {kind} to {split}" for split in SPLITS for kind in (GOOD, "defective")
             if found[split, kind]]  # fmt: skip
    return ", ".join(words) or "no parts"
