"""The strip says for how long the archive's room lasts, and from the first watermark on what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from station.archive.outlook import Mark, Outlook
from station.console.situation import Situation
from station.console.strip import StripKind, strip_of
from station.engine.events import Fault, RoomWatched, State, StateChanged

WELL = Outlook(
    root="archive", mark=Mark.WELL, free_bytes=800 * 10**9, total_bytes=10**12, refuse_below_bytes=10**9,
    thinnable_bytes=10**9, parts_a_day=300.0, bytes_a_day=50e9, lasting_bytes_a_day=20e9, days_measured=7.0,
    days_left=40.0,
)  # fmt: skip


def with_room(room: Outlook) -> Situation:
    situation = Situation()
    situation.take(StateChanged(State.READY))
    situation.take(RoomWatched(room))
    return situation


@pytest.mark.parametrize(
    ("days", "words"),
    [(40.0, "room for 40 days"), (3.25, "room for 3.2 days"), (999.0, "more than 999 days"), (None, "800.0 GB free")],
)
def test_the_days_that_are_left_stand_in_the_quiet_strip(days: float | None, words: str) -> None:
    """Issue 12, point 7."""
    strip = strip_of(with_room(replace(WELL, days_left=days)))
    assert strip.kind is StripKind.QUIET
    assert strip.text.startswith("No fault   Archive: ")
    assert words in strip.text


@pytest.mark.parametrize(
    ("mark", "words"), [(Mark.WARN, "room for"), (Mark.THIN, "are being removed"), (Mark.REFUSE, "no part is started")]
)
def test_a_watermark_names_the_room_and_the_remedy_until_a_fault_is_more_urgent(mark: Mark, words: str) -> None:
    situation = with_room(replace(WELL, mark=mark, free_bytes=9 * 10**9, days_left=1.5))
    strip = strip_of(situation)
    assert strip.kind is StripKind.CAUSE
    assert strip.text.startswith("The archive's disk has 9.0 GB free (1 %), room for 1.5 days")
    assert words in strip.text
    assert "What to do: move archive to a larger disk" in strip.text
    situation.take(Fault("the camera is unplugged", "plug it in"))
    assert "camera" in strip_of(situation).text
