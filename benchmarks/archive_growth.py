"""What grows with an archive: opening, history, search, the time between two parts, and thinning, at N parts.

`python benchmarks/archive_growth.py [--parts 1000 10000 100000] [--json FILE]` fills archives with rows and empty
folders of that many inspections (five views under nine lights each, 3000 parts a day, one in 50 FAIL), and measures
each action in wall and CPU milliseconds, the least and the median of several calls. The data base is made by SQL alone,
so that 100,000 parts take a minute or two and about 1.5 GB below the temporary folder.
The exit code is 1 if at the largest archive the time between two parts is more than twice that of the smallest one
plus 2 ms of CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import create_engine, text

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.archive import Archive, ArchivedFrame, new_inspection_id
from station.archive.ids import first_id_of
from station.archive.lock import LOCK_FILE
from station.inspection.result import Inspection, Verdict, ViewResult

VIEWS = ("top", "front", "right", "back", "left")
LIGHTS = (*(f"L{angle}" for angle in range(0, 360, 45)), "dome", "dark")
PARTS_PER_DAY = 3000
FRAME_BYTES = 200_000
RECIPE, CALIBRATION = "connector", "c" * 64
PROVENANCE = json.dumps({"calibration": CALIBRATION, "recipe": "r" * 64, "model": "m" * 64, "release": "3"})
ALLOWED_MS = 2.0
Figures = dict[str, dict[str, float]]

_VIEWS = " UNION ALL ".join(f"SELECT {n} AS position, '{name}' AS view" for n, name in enumerate(VIEWS))
_LIGHTS = " UNION ALL ".join(f"SELECT {n} AS number, '{name}' AS light" for n, name in enumerate(LIGHTS))


def fill(root: Path, parts: int) -> None:
    """Rows and empty folders of that many inspections, the last one of them an hour ago."""
    Archive.open(root).close()
    begin = datetime.now(UTC) - timedelta(hours=1, days=parts / PARTS_PER_DAY)
    step = timedelta(days=1) / PARTS_PER_DAY
    rows = []
    for number in range(parts):
        when = begin + number * step
        name = f"{first_id_of(when)[:10]}{number:016d}"
        rows.append((name, f"P-{number // 2}", "FAIL" if number % 50 == 0 else "PASS", when, f"{when:%Y-%m-%d}/{name}"))
    _folders(root, [row[4] for row in rows])
    engine = create_engine(f"sqlite:///{root / 'archive.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("PRAGMA synchronous=OFF"))
        _inspections(connection, rows)
        _details(connection)
    engine.dispose()
    Archive.open(root).close()  # takes up what an earlier version did not count


def _folders(root: Path, folders: list[str]) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)


def _inspections(connection: Any, rows: list[tuple[Any, ...]]) -> None:
    connection.execute(
        text(
            "INSERT INTO inspection (inspection_id, part_id, product, recipe_id, verdict, reasons, deciding_view,"
            " is_simulated, is_partial, creation_time, processing_times_ms, provenance, folder, manifest_sha256)"
            " VALUES (:id, :part, 'connector', :recipe, :verdict, '[]', 'top', 1, 0, :time, :times, :provenance,"
            " :folder, :sha)"
        ),
        [
            {
                "id": name, "part": part, "recipe": RECIPE, "verdict": verdict, "time": f"{when:%Y-%m-%d %H:%M:%S.%f}",
                "times": '{"total": 1.0}', "provenance": PROVENANCE, "folder": folder, "sha": "0" * 64,
            }
            for name, part, verdict, when, folder in rows
        ],
    )  # fmt: skip


def _details(connection: Any) -> None:
    """Views, lights and frames of every inspection, made by the data base itself."""
    connection.execute(
        text(
            "INSERT INTO view (inspection_id, position, name, verdict, score_limit, pred_score, is_simulated)"
            f" SELECT inspection_id, position, view, verdict, 1.0, 0.5, 1 FROM inspection, ({_VIEWS})"
        )
    )
    connection.execute(
        text(
            "INSERT INTO light (inspection_id, view, light, level, left_out_residual)"
            " SELECT inspection_id, view, light, 0.2 + abs(random() % 1000) * 1e-6, 0.02 + abs(random() % 1000) * 1e-6"
            f" FROM inspection, ({_VIEWS}), ({_LIGHTS}) WHERE light != 'dark'"
        )
    )
    connection.execute(
        text(
            "INSERT INTO frame (inspection_id, position, view, light, file, sha256, bytes, frame_id, timestamp_ns,"
            " exposure_us, gain_db, is_simulated)"
            " SELECT inspection_id, position * 10 + number, view, light, view || '/frame_' || light || '.tif', :sha,"
            f" :bytes, number, 0, 1000.0, 0.0, 1 FROM inspection, ({_VIEWS}), ({_LIGHTS})"
        ),
        {"sha": "0" * 64, "bytes": FRAME_BYTES},
    )


def part(number: int) -> tuple[Inspection, list[ArchivedFrame]]:
    """One small whole record with as many rows as the others."""
    views = tuple(ViewResult(name, Verdict.PASS, 1.0, light_levels=dict.fromkeys(LIGHTS[:-1], 0.2)) for name in VIEWS)
    found = Inspection(
        new_inspection_id(), f"N-{number}", "connector", RECIPE, Verdict.PASS, (), views, VIEWS, "top", True, False,
        datetime.now(UTC), {"total": 1.0}, json.loads(PROVENANCE),
    )  # fmt: skip
    frame = Frame(np.zeros((8, 12), np.uint8), "Mono8", 8, 0.0, 1000.0, 0.0, 1, 1)
    pose = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
    return found, [ArchivedFrame(view, light, frame, pose) for view in VIEWS for light in LIGHTS]


def timed(call: Callable[[], object], count: int) -> dict[str, float]:
    """Least and median wall and CPU time in ms of that many calls."""
    wall, cpu = [], []
    for _ in range(count):
        began, began_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - began_cpu) * 1e3)
    return {
        "wall_ms_least": min(wall), "wall_ms_median": statistics.median(wall),
        "cpu_ms_least": min(cpu), "cpu_ms_median": statistics.median(cpu), "n": count,
    }  # fmt: skip


def measure(root: Path) -> Figures:
    """Every action on the archive of one size."""
    found: Figures = {}
    found["open for reading"] = timed(lambda: Archive.open(root, read_only=True).close(), 5)
    found["open for writing"] = timed(lambda: Archive.open(root).close(), 5)
    with Archive.open(root) as archive:
        middle = archive.history(1)[0].part_id
        numbers = iter(range(10**6))

        def between() -> None:
            archive.check_room(1_000_000)
            archive.record(*part(next(numbers)))

        between()
        found["between two parts (room, record, row)"] = timed(between, 20)
        found["history of 200"] = timed(lambda: archive.history(200), 10)
        found["history of 50 FAIL"] = timed(lambda: archive.history(50, verdict=Verdict.FAIL), 10)
        found["history of 50 PASS"] = timed(lambda: archive.history(50, verdict=Verdict.PASS), 10)
        found["history of 50 UNDECIDED (there are none)"] = timed(
            lambda: archive.history(50, verdict=Verdict.UNDECIDED), 10
        )
        found["history of one part"] = timed(lambda: archive.history(50, part_id=middle), 10)
        found["lights with a recipe"] = timed(
            lambda: archive.light_readings(100, RECIPE, calibration=CALIBRATION, with_first=10), 3
        )
        found["lights with a new calibration"] = timed(
            lambda: archive.light_readings(100, RECIPE, calibration="new", with_first=10), 3
        )
        keeping = archive.housekeeping
        found["a look at the room, in the background"] = timed(keeping.outlook, 3)
        found["what would be thinned, on a full disk"] = timed(lambda: keeping.would_thin(is_disk_full=True), 3)
        found["what would be thinned, by age"] = timed(keeping.would_thin, 3)
    killed = _left_by_a_killed_writer(root)
    found["open after a kill"] = timed(lambda: _open_after(root, killed), 5)
    cut = '{"pid": 1, "purpose": "a station whose machine went down"}'
    found["open after a power cut (every page is checked)"] = timed(lambda: _open_after(root, cut), 2)
    return found


def _left_by_a_killed_writer(root: Path) -> str:
    with Archive.open(root):
        return (root / LOCK_FILE).read_text()


def _open_after(root: Path, left: str) -> None:
    (root / LOCK_FILE).write_text(left)
    Archive.open(root).close()


def main() -> int:
    """Measure every size, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[int, Figures] = {}
    for parts in sorted(arguments.parts):
        with tempfile.TemporaryDirectory(prefix="facet-growth-") as folder:
            root = Path(folder) / "archive"
            began = time.perf_counter()
            fill(root, parts)
            size = (root / "archive.sqlite").stat().st_size / 1e6
            print(f"{parts} parts: data base of {size:.0f} MB, made in {time.perf_counter() - began:.0f} s", flush=True)
            found[parts] = measure(root)
        for what, figures in found[parts].items():
            print(
                f"  {what:<42} wall {figures['wall_ms_median']:9.1f} ms, CPU {figures['cpu_ms_median']:9.1f} ms"
                f"  (n = {figures['n']:.0f})",
                flush=True,
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    least, most = (found[parts]["between two parts (room, record, row)"] for parts in (min(found), max(found)))
    return 0 if most["cpu_ms_median"] <= 2 * least["cpu_ms_median"] + ALLOWED_MS else 1


if __name__ == "__main__":
    sys.exit(main())
