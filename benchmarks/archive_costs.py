"""What an archive of many parts costs per part, and whether readers disturb its writer.

`python benchmarks/archive_costs.py [--parts N] [--records N]` builds a data base of N parts without frames (10,000 by
default; five views under nine lights each), and measures in CPU milliseconds: reading the lights with a recipe, and
comparing them after each part as the engine does. Then `--records` whole records are written (300 by default) while
other processes open the archive for reading, verify what they find, and read lights and history without a pause.
The exit code is 1 if the comparison takes 20 ms or more, or if a record or a reader's look fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from sqlalchemy import insert

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.archive import Archive, ArchivedFrame, ArchiveError, new_inspection_id
from station.archive.tables import InspectionRow, LightRow
from station.engine.light_watch import WATCHED, LightWatch
from station.inspection.result import Inspection, Verdict, ViewResult
from station.lights.series import LEAST_INSPECTIONS

GOAL_MS = 20.0
VIEWS = ("top", "front", "right", "back", "left")
LIGHTS = (*(f"L{angle}" for angle in range(0, 360, 45)), "dome")
RECIPE, CALIBRATION = "connector", "c" * 64
READER_PROCESSES = 2


def inspection(parts: int) -> Inspection:
    """One inspection with levels and residuals of every light."""
    random = np.random.default_rng(parts)
    views = tuple(
        ViewResult(
            view, Verdict.PASS, 1.0,
            light_levels={light: float(random.normal(0.2, 0.001)) for light in LIGHTS},
            left_out_residuals={light: float(random.normal(0.02, 0.002)) for light in LIGHTS[:-1]},
        )
        for view in VIEWS
    )  # fmt: skip
    return Inspection(
        new_inspection_id(), f"P-{parts}", "connector", RECIPE, Verdict.PASS, (), views, VIEWS, "top", True, False,
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=20 * parts), {"total": 1.0},
        {"calibration": CALIBRATION, "recipe": "r" * 64, "model": "m" * 64},
    )  # fmt: skip


def fill(archive: Archive, parts: int) -> None:
    """Rows of that many inspections, without any file."""
    for begin in range(0, parts, 500):
        inspections = [inspection(number) for number in range(begin, min(begin + 500, parts))]
        with archive._engine.begin() as connection:  # noqa: SLF001
            connection.execute(insert(InspectionRow), [_row(found) for found in inspections])
            connection.execute(insert(LightRow), [row for found in inspections for row in _light_rows(found)])


def _row(found: Inspection) -> dict[str, Any]:
    names = ("inspection_id", "part_id", "product", "recipe_id", "deciding_view", "is_simulated", "is_partial")
    return {name: getattr(found, name) for name in (*names, "creation_time", "processing_times_ms", "provenance")} | {
        "verdict": found.verdict.value, "reasons": [], "folder": f"2026-01-01/{found.inspection_id}",
        "manifest_sha256": "0" * 64,
    }  # fmt: skip


def _light_rows(found: Inspection) -> list[dict[str, Any]]:
    return [
        {
            "inspection_id": found.inspection_id, "view": view.view, "light": light, "level": level,
            "left_out_residual": view.left_out_residuals.get(light), "relighting_residual": None,
        }
        for view in found.views
        for light, level in view.light_levels.items()
    ]  # fmt: skip


def cpu_ms(call: Callable[[], object], count: int) -> str:
    """Median and greatest CPU time of that many calls, as text."""
    median, most = measured(call, count)
    return f"median {median:7.1f} ms, most {most:7.1f} ms (n = {count})"


def measured(call: Callable[[], object], count: int) -> tuple[float, float]:
    """Median and greatest CPU time in ms."""
    times = []
    for _ in range(count):
        begin = time.process_time()
        call()
        times.append((time.process_time() - begin) * 1e3)
    return statistics.median(times), max(times)


def measure(archive: Archive, parts: int) -> bool:
    """Print the costs; whether the comparison after a part is as cheap as it should be."""
    limits = SimpleNamespace(ambient_told_above=0.01)
    recipe = SimpleNamespace(recipe_id=RECIPE, light_level_limits=limits)
    loaded = cast(Any, SimpleNamespace(recipe=recipe, sha256s={"calibration": CALIBRATION}))
    watch = LightWatch(archive)
    read = lambda: archive.light_readings(  # noqa: E731
        WATCHED, RECIPE, calibration=CALIBRATION, with_first=LEAST_INSPECTIONS
    )
    print(f"{parts} archived parts, {len(VIEWS)} views under {len(LIGHTS)} lights; CPU time:")
    print(f"  the lights read from the data base       {cpu_ms(read, 5)}")
    print(f"  with each recipe (read and compare)      {cpu_ms(lambda: watch.with_recipe(loaded), 5)}")
    numbers = iter(range(parts, parts + 1000))
    median, most = measured(lambda: watch.after_part(loaded, inspection(next(numbers))), 20)
    print(f"  after each part                          median {median:7.1f} ms, most {most:7.1f} ms (n = 20)")
    print(f"  the history of the latest 200            {cpu_ms(lambda: archive.history(200), 5)}")
    return median < GOAL_MS


def look(root: Path, looking: Flag, done: Flag, problems: Any) -> None:
    """A reader in a process of its own: opens, verifies, lists, closes, without a pause."""
    looks = 0
    while not done.is_set():
        try:
            with Archive.open(root, read_only=True) as archive:
                for row in archive.history(5):
                    problems.extend(archive.verify(row.inspection_id))
                archive.light_readings(20)
            looks += 1
            looking.set()
        except ArchiveError as error:
            problems.append(f"a reader failed: {error}")
    print(f"  a reader looked {looks} times")


def stress(root: Path, records: int) -> list[str]:
    """Write whole records beside busy readers; every problem that either of them had."""
    context = multiprocessing.get_context("spawn")
    done, problems = context.Event(), context.Manager().list()
    with Archive.open(root) as archive:
        flags = [context.Event() for _ in range(READER_PROCESSES)]
        readers = [context.Process(target=look, args=(root, flag, done, problems)) for flag in flags]
        for reader in readers:
            reader.start()
        for flag in flags:
            flag.wait()
        found = [inspection(number) for number in range(records)]
        for one in found:
            archive.record(replace(one, creation_time=datetime.now(UTC)), _frames())
        done.set()
        for reader in readers:
            reader.join()
        left = [f"{path}: was left behind" for path in (*archive.incomplete(), *archive.interrupted())]
        lost = [text for one in found for text in archive.verify(one.inspection_id)]
    return [*problems, *left, *lost]


def _frames() -> list[ArchivedFrame]:
    frame = Frame(np.zeros((48, 64), np.uint8), "Mono8", 8, 0.0, 1000.0, 0.0, 1, 1)
    return [ArchivedFrame("top", light, frame, Pose(0.0, 0.0, 258.0, 0.0, -90.0)) for light in LIGHTS]


def main() -> int:
    """Run both parts and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facet-archive-") as folder:
        with Archive.open(Path(folder) / "many") as archive:
            fill(archive, arguments.parts)
            is_cheap = measure(archive, arguments.parts)
        problems = stress(Path(folder) / "busy", arguments.records)
    print(f"  {arguments.records} records written beside {READER_PROCESSES} readers: {len(problems)} problems")
    for problem in problems[:20]:
        print(f"    {problem}")
    return 0 if is_cheap and not problems else 1


if __name__ == "__main__":
    sys.exit(main())
