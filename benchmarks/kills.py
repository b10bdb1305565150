"""Kills the engine by SIGKILL at random moments, and looks at what it leaves in its archive.

`python benchmarks/kills.py [--kills N] [--seed S] [--within S] [--folder FOLDER]` starts a process that inspects part
after part with the station's own engine, job and archive, over stand-in devices and a stand-in judge (simulated data).
It is killed within a random time of its first part, 100 times by default, always on the same archive. After every kill:

- the archive opens for writing, and again for reading;
- every inspection whose verdict was acknowledged (ResultReady, stored) is there, with that verdict, and verifies;
- every inspection that the archive lists verifies, and a PASS among them has all frames and all views;
- no folder lies among the records that the archive does not list.

It prints in which phase the kills came. The exit code is 1 if a promise was broken. SIGKILL is not a power cut: what
the operating system has taken, it keeps.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.archive import Archive
from station.engine.engine import Engine
from station.engine.events import AcquisitionDone, Event, JobStarted, ResultReady
from station.engine.preparation import Prepared
from station.inspection.reasons import Reason
from station.inspection.result import AnomalyMap, Verdict, ViewResult
from station.rig.devices import Rig

ENDED = "the engine's process ended before it was killed; what it said is above"
VIEWS = ("top", "front", "left")
LIGHTS = ("dark", "L45", "L135", "L225", "L315", "dome")
SHAPE = (228, 342)
EXPOSURE_S = 0.002
PLAN = tuple(
    CaptureStep(
        len(LIGHTS) * v + k, view, Pose(float(v), 0.0, 258.0, 0.0, -90.0), light, k,
        "dark" if light == "dark" else "diffuse" if light == "dome" else "directional", 1.0 if k else 0.0, 900.0, 0.0,
    )
    for v, view in enumerate(VIEWS)
    for k, light in enumerate(LIGHTS)
)  # fmt: skip


@dataclass
class Tally:
    """What came of all kills. `broken` must stay empty."""

    kills: int = 0
    acknowledged: int = 0
    listed: int = 0
    interrupted: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        phases = ", ".join(f"{phase} {count}" for phase, count in self.phases.most_common())
        return "\n".join(
            [
                f"{self.kills} kills (simulated data): {phases}",
                f"{self.acknowledged} verdicts acknowledged, {self.listed} inspections in the archive, "
                f"{self.interrupted} interrupted records set aside, {len(self.broken)} promises broken",
                *self.broken,
            ]
        )


# -- the process that is killed ----------------------------------------------------------------


class Device:
    """Does every verb at once."""

    identity = SimpleNamespace(vendor="Acme", model="M", serial_number="1", firmware="1")
    position_trusted = True

    def __getattr__(self, _verb: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Arm(Device):
    """Arrives at once."""

    def move_to(self, pose: Pose) -> Pose:
        return pose


class NoisyCamera(Device):
    """Frames of noise, which a TIFF cannot make small, so that storing takes its time."""

    def __init__(self) -> None:
        self._noise = np.random.default_rng(1).integers(0, 4096, SHAPE).astype(np.uint16)
        self._count = 0

    def time_ns(self) -> int:
        return 1_000_000 * self._count

    def expose(self, exposure_us: float, gain_db: float) -> Frame:
        time.sleep(EXPOSURE_S)
        self._count += 1
        pixels = np.roll(self._noise, self._count)
        return Frame(pixels, "Mono12", 12, 0.0, exposure_us, gain_db, 1_000_000 * self._count, self._count)


class Judge:
    """Passes every view, with a map to store."""

    def begin_part(self, times: StageTimes) -> None:
        """Nothing to forget."""

    def take(self, captured: CapturedFrame) -> None:
        """Keeps no frame."""

    def judge(self, view: CapturedView) -> ViewResult:
        time.sleep(EXPOSURE_S)
        return ViewResult(view.name, Verdict.PASS, 1.0, anomaly_map=AnomalyMap(np.full((57, 38), 0.5, np.float32), 0.5))

    def refine(self, view: CapturedView, result: ViewResult) -> ViewResult:  # noqa: ARG002 - of the Protocol
        return result

    def reasons_of_part(self, views: Sequence[ViewResult]) -> tuple[Reason, ...]:  # noqa: ARG002 - of the Protocol
        return ()

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        return ViewResult(view, Verdict.UNDECIDED, 1.0, reasons=(reason.of_view(view),))


class ReportingArchive(Archive):
    """Says when storing begins."""

    def record(self, *given: Any) -> Path:
        say("storing")
        return super().record(*given)


def say(*words: str) -> None:
    """One line to the process that will kill this one; it is read before the kill or not at all."""
    os.write(1, f"{' '.join(words)}\n".encode())


def report(event: Event) -> None:
    """The phase, and every verdict as it is acknowledged."""
    match event:
        case JobStarted():
            say("capturing")
        case AcquisitionDone():
            say("judging")
        case ResultReady(inspection=found, is_stored=True):
            say("ACK", found.inspection_id, found.verdict.value)
            say("between")


def inspect_until_killed(folder: Path) -> None:
    """Inspect part after part into `folder`."""
    recipe = SimpleNamespace(
        recipe_id="kills", product="kills", viewpoints=[SimpleNamespace(name=name, limit=1.0) for name in VIEWS],
        capture=SimpleNamespace(settle_s=0.0, retakes_per_view=0),
        light_level_limits=SimpleNamespace(ambient_told_above=0.01), model=SimpleNamespace(judges="both"),
        re_look=None,
    )  # fmt: skip
    loaded = SimpleNamespace(
        recipe=recipe, files=list, sha256s={"calibration": "0"}, check_calibration=lambda: None, view_references=None,
        part_references=None,
    )  # fmt: skip
    files: Any = SimpleNamespace(
        path=folder, loaded=loaded, plan=PLAN, detector=SimpleNamespace(model_id="none"), release="draft: a benchmark"
    )
    rig = Rig("kills", True, cast(Any, NoisyCamera()), cast(Any, Arm()), cast(Any, Device()))
    with (
        patch("station.engine.engine.read_recipe_files", lambda *_: files),
        patch("station.engine.engine.prepare", lambda *_: Prepared(files, cast(Any, Judge()), 1000)),
        ReportingArchive.open(folder / "archive") as archive,
    ):
        engine = Engine(folder / "rig.yaml", archive, opener=lambda _: rig)
        engine.subscribe(report)
        engine.initialize()
        engine.prepare_recipe(folder / "recipe.yaml")
        count = 0
        while True:
            engine.inspect(f"P-{os.getpid()}-{count}")
            count += 1


def launch(folder: Path) -> None:
    """For each line of the input, fork a process that inspects until it is killed, and say when it has ended."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            inspect_until_killed(folder)
        say("pid", str(pid))
        os.waitpid(pid, 0)
        say("ended")


# -- the process that kills, and looks ---------------------------------------------------------


class Launcher:
    """Starts the process that is killed, again and again: a process of its own has everything imported, and forks."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "FACET_SPOOL": str(folder / "spool")}
        command = [sys.executable, __file__, "--launcher", "--folder", str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.__exit__(None, None, None)  # closes its pipes, which ends it, and waits

    def kill_once(self, wait_s: float) -> tuple[str, dict[str, str]]:
        """Start it and kill it so long after its first part began; its last phase, and what it acknowledged:
        inspection id -> verdict."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        pid = int(self._line().removeprefix("pid "))
        lines = [self._while_it_lives()]  # the first part has begun
        killed = threading.Event()
        killer = threading.Timer(wait_s, _kill, (pid, killed))
        killer.start()
        while (line := self._line()) != "ended":
            lines.append(line)
        killer.cancel()
        killer.join()
        if not killed.is_set():
            raise RuntimeError(ENDED)
        acknowledged = {words[1]: words[2] for words in map(str.split, lines) if words[0] == "ACK"}
        return next(line for line in reversed(lines) if not line.startswith("ACK")), acknowledged

    def _while_it_lives(self) -> str:
        if (line := self._line()) == "ended":
            raise RuntimeError(ENDED)
        return line

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise RuntimeError(ENDED)
        return line.strip()


def _kill(pid: int, killed: threading.Event) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended by itself, which `kill_once` reports
        return
    killed.set()


def look(folder: Path, acknowledged: dict[str, str], tally: Tally, verified: set[str]) -> None:
    """Open the archive as the next station would, and hold it against what was acknowledged since the beginning.

    Records in `verified` are held against the list alone; the others are read whole, and added.
    """
    with Archive.open(folder / "archive") as archive:
        tally.interrupted = len(archive.interrupted())
        if archive.incomplete():
            tally.broken.append("a half-written record is still there after opening")
    with Archive.open(folder / "archive", read_only=True) as archive:
        rows = {row.inspection_id: row for row in archive.history(limit=1_000_000)}
        tally.listed = len(rows)
        for name, verdict in acknowledged.items():
            if name not in rows:
                tally.broken.append(f"{name}: acknowledged as {verdict}, and lost")
            elif rows[name].verdict.value != verdict:
                tally.broken.append(f"{name}: acknowledged as {verdict}, stored as {rows[name].verdict.value}")
        for name in rows.keys() - verified:
            tally.broken += problems_of(archive, name)
            verified.add(name)
        tally.broken += [f"{name}: among the records, and not listed" for name in folders(folder) - set(rows)]


def problems_of(archive: Archive, name: str) -> list[str]:
    """What is wrong with a record that the archive lists."""
    found = [f"{name}: {problem}" for problem in archive.verify(name)]
    record = archive.load_figures(name)
    if not found and record.verdict is Verdict.PASS:
        lights = [(frame.view, frame.light) for frame in archive.load_frames(name)]
        if lights != [(step.view, step.light) for step in PLAN]:
            found.append(f"{name}: a PASS without all of its frames")
        if [view.view for view in record.views] != list(VIEWS):
            found.append(f"{name}: a PASS without all of its views")
    return found


def folders(folder: Path) -> set[str]:
    """Names of all records that lie in the archive, listed or not."""
    return {path.parent.name for path in (folder / "archive").glob("20*/[!.]*/manifest.json")}


def run(folder: Path, kills: int, seed: int, within_s: float) -> Tally:
    """Kill so often; in the end every record is read whole once more."""
    moments, tally = random.Random(seed), Tally()
    acknowledged: dict[str, str] = {}
    verified: set[str] = set()
    with Launcher(folder) as launcher:
        for _ in range(kills):
            phase, more = launcher.kill_once(moments.uniform(0.0, within_s))
            acknowledged |= more
            tally.kills += 1
            tally.phases[phase] += 1
            tally.acknowledged = len(acknowledged)
            look(folder, acknowledged, tally, verified)
            if tally.broken:
                return tally
    look(folder, acknowledged, tally, set())
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=3.0, help="seconds after the first part has begun")
    parser.add_argument("--folder", type=Path, help="kept afterwards; a temporary one by default")
    parser.add_argument("--launcher", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    logging.getLogger("station").setLevel(logging.ERROR)  # every opening reports what it sets aside
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    if given.launcher:
        launch(folder)
        return 0
    try:
        tally = run(folder, given.kills, given.seed, given.within)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(tally.as_text())
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
