"""The demo's three parts and the verdict that each must get."""

from __future__ import annotations

from dataclasses import dataclass

from station.inspection.result import Verdict

DEAD_CHANNEL = 4


@dataclass(frozen=True, slots=True)
class DemoPart:
    """A simulated part, the defects (kind, seed) that it carries, and the light that is dead while it is inspected."""

    part_id: str
    seed: int
    defects: tuple[tuple[str, int], ...]
    dead_channel: int | None
    expected: Verdict


PARTS = (
    DemoPart("DEMO-GOOD", 501, (), None, Verdict.PASS),
    DemoPart("DEMO-SIDE-SCRATCH", 502, (("side_scratch", 502),), None, Verdict.FAIL),
    DemoPart("DEMO-DEAD-LIGHT", 503, (), DEAD_CHANNEL, Verdict.UNDECIDED),
)
