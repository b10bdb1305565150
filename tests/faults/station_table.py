"""The table of the whole station, written into `docs/faults-of-the-station.md` with FACET_FAULT_TABLES=docs."""

from __future__ import annotations

from faults.station_bench import CLOCK_SPEED, FRAME_TIMEOUT_S, REPLY_TIMEOUT_S, Outcome
from faults.station_rows import NOT_HERE, ROWS, SECTIONS
from faults.table import ROOT, clean, duration

DOCUMENT = ROOT / "docs" / "faults-of-the-station.md"
HEAD = f"""# Faults of the whole station

Written by a test run: `make fault-table`. Each row is one good part, inspected by the whole station (engine, judge,
model, archive, drivers) on a **simulated** rig, to which the fault comes in the phase that the row names. The rig
itself places it: in the middle of a move, of an exposure, of a readout, or of the last exposure of the last view.
*Idle* is before Start, *judging* is after the last frame, *storing* is as the archive begins to write.

For every row the run asserts:

- no PASS that the rig's truth contradicts: each step of the plan has a frame with its light alone, at its place, at
  rest, delivered whole, and the record is in the archive and verifies;
- no bare FAIL of the good part, and no UNDECIDED without a reason;
- what the station can know is reported in every phase, a loss at rest as well; what is harmless changes nothing;
- lights are off and the arm rests, before anybody did anything (without its cable no lamp can be put out);
- once the fault is gone, and after a reset where the state asks for one, the next good part passes.

Verdict `-`: Start was refused. *After* is the time from the fault until a person could read of it, on the machine
that wrote this; drivers wait {REPLY_TIMEOUT_S:g} s for a reply and {FRAME_TIMEOUT_S:g} s for a frame, and the rig's
clock runs {CLOCK_SPEED:g} times as fast as hardware's. Ordinary test runs repeat a few of these rows.
[What each driver reports](faults.md) of the same faults stands in a table of its own.
"""
COLUMNS = "| injected | phase | verdict | state | said | after | then |\n|---|---|---|---|---|---|---|\n"


class StationTable:
    """Outcomes in the order of the run."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @property
    def is_whole(self) -> bool:
        """Whether every row was run."""
        return {outcome.row for outcome in self.outcomes} == set(ROWS)

    def as_text(self) -> str:
        parts = [HEAD]
        for section, faults in SECTIONS.items():
            rows = [_as_text(outcome) for outcome in self.outcomes if outcome.row.fault in faults]
            parts.append(f"\n## {section}\n\n{COLUMNS}{''.join(rows)}")
        left_out = "".join(f"- `{fault}`: {why}\n" for fault, why in NOT_HERE.items())
        return "".join([*parts, "\n## Not in this table\n\n", left_out])


def _as_text(outcome: Outcome) -> str:
    fault, phase = outcome.row.fault, outcome.row.phase
    injected = f"`{fault.injected(phase)}`" + ("" if fault.arm == "grbl" else f" ({fault.arm})")
    after = "" if outcome.after_s is None else duration(max(0.0, outcome.after_s))
    then = outcome.then if not outcome.problems else f"**NOT KEPT: {'; '.join(outcome.problems)}**"
    cells = (injected, phase, outcome.verdict, outcome.state, clean(outcome.said) or "nothing", after, then)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"
