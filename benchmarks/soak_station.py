"""The whole station for an hour, part after part, on the simulated rig at ten times the hardware's speed.

`python benchmarks/soak_station.py [--minutes 60] [--speed 10] [--prerendered] [--json FILE] [--folder FOLDER]`
inspects simulated parts with the demo recipe through engine, judge and archive, one in ten with a scratch; the
retention thins between parts. At rest after every part it reads resident memory, threads, descriptors and what lies in
queues, of the station, and memory and descriptors of the rig's process. The first third warms up. After that, resident
memory may grow by 2 % at most from the median of the second third to that of the last, and nothing else may grow at
all; where descriptors do, it prints what the new ones are open on. A descriptor counts that is open over several looks
in a row: one that the retention has open for a moment does not. So that an hour fits on the disk, the benchmark
removes whole records beyond the last RECORDS_KEPT. It needs Linux (/proc).
The exit code is 1 if something grows, or if a part is not judged or not stored.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import queue
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drivers.simulated.config import SimulatedRigConfig
from station.archive import Archive
from station.archive.retention import FILE
from station.engine.engine import Engine
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig

RULE = "passes: {kept_days: 0, kept_latest: 10, then_one_in: 50}\n"
RECORDS_KEPT = 60
ALLOWED_GROWTH = 0.02
DEFECT_EVERY = 10
PAGE_BYTES = 4096
LOOKS, LOOK_EVERY_S = 5, 0.05  # at the open descriptors


@dataclass(frozen=True, slots=True)
class Sample:
    """At rest after one part."""

    part: int
    seconds: float
    part_s: float  # from start to verdict, the rig's rendering included
    resident_mb: float
    threads: int
    descriptors: int
    queued: int  # things in any queue of the station
    rig_resident_mb: float
    rig_descriptors: int
    open_on: dict[str, int]  # what the station's descriptors are open on, and how many of each


def sample(part: int, seconds: float, part_s: float, rig_pid: int) -> Sample:
    """Read what /proc says of both processes; garbage is collected first, so that only what is held counts."""
    gc.collect()
    queued = sum(found.qsize() for found in gc.get_objects() if isinstance(found, queue.Queue))
    open_on = _open_on("self")
    return Sample(
        part, seconds, part_s, _resident_mb("self"), threading.active_count(), open_on.total(), queued,
        _resident_mb(str(rig_pid)), _open_on(str(rig_pid)).total(), dict(open_on),
    )  # fmt: skip


def _resident_mb(process: str) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def _only_child() -> int:
    """The rig's process: the station starts no other."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    if len(children) != 1:
        raise RuntimeError(f"the station has the processes {children}, not the rig's alone")
    return int(children[0])


def _open_on(process: str) -> Counter[str]:
    """What its descriptors are open on, and how many of each were open at every look."""
    found = _open_now(process)
    for _ in range(LOOKS - 1):
        time.sleep(LOOK_EVERY_S)
        found &= _open_now(process)
    return found


def _open_now(process: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            name = os.readlink(entry)
        except FileNotFoundError:  # it was closed since the folder was read, or it is the folder itself
            continue
        found[name.partition(":[")[0] if ":[" in name else Path(name).name] += 1
    return found


def soak(
    folder: Path, minutes: float, speed: float, prerendered: bool
) -> tuple[list[Sample], Counter[str], dict[str, Any]]:
    """Inspect until the time is over; returns samples, verdicts, and what the archive holds at the end."""
    root = folder / "archive"
    root.mkdir(parents=True)
    (root / FILE).write_text(RULE)
    config = SimulatedRigConfig(clock_speed=speed, prerendered=prerendered)
    samples: list[Sample] = []
    verdicts: Counter[str] = Counter()
    with (
        running_rig(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (process, rig_file),
        Archive.open(root, purpose="a soak") as archive,
    ):
        engine = Engine(rig_file, archive)
        try:
            engine.initialize()
            engine.prepare_recipe(DEMO_RECIPES / "connector.yaml")
            rig_pid, began = _only_child(), time.monotonic()
            while time.monotonic() - began < minutes * 60:
                number = len(samples) + 1
                if not prerendered:
                    process.control.load("connector", number, (("scratch", 3),) if number % DEFECT_EVERY == 0 else ())
                started = time.monotonic()
                inspection = engine.inspect(f"SOAK-{number:05d}")
                part_s = time.monotonic() - started
                verdicts[inspection.verdict.value if not engine.unstored_problem else "not stored"] += 1
                del inspection
                _bound_disk(root)
                samples.append(sample(number, time.monotonic() - began, part_s, rig_pid))
                if number % 10 == 0:
                    print(f"  {samples[-1]}", flush=True)
        finally:
            engine.close()
        rows = archive.history(10**6)
        held = {"records": len(rows), "thinned": sum(row.is_thinned for row in rows)}
    return samples, verdicts, held


def _bound_disk(root: Path) -> None:
    """Remove whole records, which no station ever does: an hour of maps would not fit on every disk."""
    records = sorted((path for path in root.glob("20*/*") if not path.name.startswith(".")), key=lambda p: p.name)
    for record in records[:-RECORDS_KEPT]:
        shutil.rmtree(record)


def growth(samples: list[Sample]) -> dict[str, float]:
    """From the second third to the last: memory as a share of its median, the rest in counts of its greatest."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]

    def share(name: str) -> float:
        before, after = (statistics.median(getattr(s, name) for s in part) for part in (middle, last))
        return float(after / before - 1)

    def count(name: str) -> float:
        return float(max(getattr(s, name) for s in last) - max(getattr(s, name) for s in middle))

    return {
        "resident_share": share("resident_mb"), "rig_resident_share": share("rig_resident_mb"),
        "threads": count("threads"), "descriptors": count("descriptors"), "queued": count("queued"),
        "rig_descriptors": count("rig_descriptors"), "part_s_share": share("part_s"),
    }  # fmt: skip


def failures(samples: list[Sample], verdicts: Counter[str]) -> list[str]:
    """What is not as it should be."""
    if len(samples) < 6:
        return [f"only {len(samples)} parts were inspected: give it more minutes"]
    grown = growth(samples)
    found = [f"{name} grew by {grown[name]:.1%}" for name in ("resident_share", "rig_resident_share")
             if grown[name] > ALLOWED_GROWTH]  # fmt: skip
    found += [f"{name} grew by {grown[name]:g}" for name in ("threads", "descriptors", "queued", "rig_descriptors")
              if grown[name] > 0]  # fmt: skip
    if grown["descriptors"] > 0:
        third = len(samples) // 3
        middle, last = (
            max(part, key=lambda s: s.descriptors) for part in (samples[third : 2 * third], samples[2 * third :])
        )
        found.append(f"new descriptors are open on {dict(Counter(last.open_on) - Counter(middle.open_on))}")
    found += [
        f"{count} parts {verdict}" for verdict, count in verdicts.items() if verdict in ("UNDECIDED", "not stored")
    ]
    return found


def main() -> int:
    """Soak, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--speed", type=float, default=10.0, help="of the rig's clock; 1 is the hardware's own")
    parser.add_argument("--prerendered", action="store_true", help="one part, rendered once: more parts in the hour")
    parser.add_argument("--folder", type=Path, help="an empty folder on a disk with 5 GB; default: a temporary one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="facet-soak-") as folder:
        samples, verdicts, held = soak(
            Path(folder), arguments.minutes, arguments.speed, arguments.prerendered
        )  # fmt: skip
    wrong = failures(samples, verdicts)
    document = {
        "minutes": arguments.minutes, "speed": arguments.speed, "parts": len(samples), "verdicts": verdicts,
        "archive": held, "growth": growth(samples) if len(samples) >= 3 else {}, "failures": wrong,
        "first": asdict(samples[0]), "last": asdict(samples[-1]),
    }  # fmt: skip
    print(json.dumps(document, indent=2))
    if arguments.json is not None:
        text = json.dumps({**document, "samples": [asdict(found) for found in samples]}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
