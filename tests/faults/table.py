"""The table of faults: every row is run, and with FACET_FAULT_TABLES=docs written into `docs/faults.md`.

Each row injects by the rig's back door, as `station rig inject` does, and drives the device over its wire.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.errors import DeviceError
from drivers.simulated.config import SimulatedPart, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.rig.file import RigFile, Section, load_rig, make_rig
from station.rig.simulated import write_rig_file

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "faults.md"
CLOCK_SPEED = 5.0
REPLY_TIMEOUT_S = 0.6
FRAME_TIMEOUT_S = 3.0
SECTIONS = ("Motion", "Lights", "Camera", "What only the pictures show")
HEAD = f"""# Faults, and how the station reports them

Written by a test run: `FACET_FAULT_TABLES=docs pytest tests/faults`. Every test run repeats every row and asserts the
kind of error (or that there is none) and the last column. The wording of the messages, the times, and the counts of
the rows about noise are those of the run that wrote the row: they are not compared again.

Faults are injected as `station rig inject FAULT [ARGUMENTS]` does, into a **simulated** rig
whose clock runs {CLOCK_SPEED:g} times as fast as hardware's; drivers wait {REPLY_TIMEOUT_S:g} s for a reply and \
{FRAME_TIMEOUT_S:g} s for a frame. *After* is the time from
the injection (from the call, where it was injected at rest) until the driver reported it, on the machine that wrote
this. `plug` mends `unplug`: it brings the wire back as another pseudo-terminal behind the same stable name.
After every row the device was asked again as the last column states, and the answer agreed with the rig's truth.

What the whole station makes of each of them, in every phase of an inspection, stands in
[faults-of-the-station.md](faults-of-the-station.md).

No row may hang, crash, resume a motion, or yield a frame or an acknowledge that is wrong; the tests fail if one does.
On a noisy wire every move and light that is reported right is compared with the rig, and at least one light is right.
"""
COLUMNS = "| driver | injected | when | reported | after | then |\n|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    section: str
    driver: str
    injected: str
    when: str
    reported: str
    after_s: float
    then: str

    def as_text(self) -> str:
        cells = (self.driver, f"`{self.injected}`", self.when, self.reported, duration(self.after_s), self.then)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


class Table:
    """Rows in the order in which they were run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def note(
        self,
        section: str,
        driver: str,
        injected: str,
        when: str,
        reported: DeviceError | str,
        after_s: float,
        then: str,
    ) -> None:
        assert section in SECTIONS
        text = reported if isinstance(reported, str) else f"{type(reported).__name__}: {clean(reported.message)}"
        self.rows.append(Row(section, driver, injected, when, text, after_s, then))

    def as_text(self) -> str:
        parts = [HEAD]
        for section in SECTIONS:
            rows = [row.as_text() for row in self.rows if row.section == section]
            parts.append(f"\n## {section}\n\n{COLUMNS}{''.join(rows)}")
        return "".join(parts)


def clean(text: str) -> str:
    """Without what differs from run to run and from place to place."""
    text = re.sub(r"/\S+/(gantry|lights)\b", "PORT", text)
    text = re.sub(r"/[^\s']*?/(archive|spool)(?=[/:; ])", lambda found: found.group(1).upper(), text)
    text = re.sub(r"(SPOOL)/[0-9a-f]{16}", r"\1", text)
    text = re.sub(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "INSPECTION", text)
    text = re.sub(r"\bG53 G1[^']*", "G53 G1 ...", text)
    text = re.sub(r"frame \d+", "frame N", text)
    return re.sub(r"[\d.]+ ms before", "some ms before", text)


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def reported_by(work: Callable[[], Any]) -> tuple[DeviceError | None, float]:
    """What it raised, None for nothing, and after how many seconds."""
    started_s = time.monotonic()
    try:
        work()
    except DeviceError as error:
        return error, time.monotonic() - started_s
    return None, time.monotonic() - started_s


class RigBench:
    """A rig in a process of its own; its file has short timeouts, so that silence is reported soon."""

    def __init__(self, folder: Path, **kinds: Any) -> None:
        config = SimulatedRigConfig(
            name="faults", serial_number="FAULT-1", clock_speed=CLOCK_SPEED, part=SimulatedPart(seed=3), **kinds
        )
        content = load_rig(write_rig_file(folder, config)).model_dump(mode="json", exclude_none=True)
        for section, timeouts in (("arm", "reply_timeout_s"), ("lights", "reply_timeout_s")):
            content[section][timeouts] = REPLY_TIMEOUT_S
        content["arm"]["watch_s"] = 0.0  # a row is what the move itself reports; the watch at rest has tests of its own
        if content["arm"]["driver"] == "grbl":
            content["arm"]["speed"] = 0.5  # so that a fault finds it moving, on a busy machine too
        content["camera"]["frame_timeout_s"] = FRAME_TIMEOUT_S
        self.file: RigFile = make_rig(content)
        self.process = RigProcess(folder, config).start()

    def inject(self, words: str) -> None:
        fault, *arguments = words.split()
        self.process.control.inject(fault, *arguments)

    def axes(self) -> tuple[float, ...]:
        return tuple(self.process.control.call("status")["axes"][:5])

    def lit(self) -> dict[int, float]:
        levels = self.process.control.call("status")["light_levels"]
        return {int(channel): level for channel, level in levels.items() if level > 0}

    def name_of(self, section: Section) -> str:
        """The pseudo-terminal behind the stable name: another one after the cable was pulled and put back."""
        return str(Path(self.file.place_of(section)).readlink())

    def wait_still(self, timeout_s: float = 10.0) -> tuple[float, ...]:
        """Where the axes come to rest."""
        deadline_s = time.monotonic() + timeout_s
        before = self.axes()
        while True:
            time.sleep(0.05)
            now = self.axes()
            if now == before:
                return now
            assert time.monotonic() < deadline_s, "the axes do not come to rest"
            before = now

    def close(self) -> None:
        self.process.close()
