"""Which entries of a list that was read several times over a line without a checksum may be believed: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

ENOUGH_TO_CALL_IT_NOISE = 4  # readings, of which only one had the entry at all


def agreed(readings: Sequence[Mapping[K, V]]) -> dict[K, V] | None:
    """Every entry that at least two readings state alike, and none more often otherwise.

    None while any entry is undecided: it stands in one reading only, or the readings contradict each other. An entry
    that one of four readings has, and no other, is a garbled line.
    """
    found: dict[K, V] = {}
    for key in {key for reading in readings for key in reading}:
        votes = Counter(reading[key] for reading in readings if key in reading).most_common(2)
        (value, count), rival = votes[0], votes[1][1] if len(votes) > 1 else 0
        if count >= 2 and count > rival:
            found[key] = value
        elif rival or len(readings) < ENOUGH_TO_CALL_IT_NOISE:
            return None
    return found or None
