"""Where the time of a part goes at full resolution, against what the hardware alone would need.

    python benchmarks/cycle.py [--small] [--lights 4 8 16] [--bits 12] [--rounds 2] [--archive FOLDER] [--json FILE]

The engine inspects parts with five views and K lights by strobe. Arm and lights are real drivers on the simulated rig's
wires, at the hardware's own times, in a process of its own. The camera is a stand-in in the measured process: it waits
for exposure and readout (USB3: 47.8 ms or 380 MB/s) and reads stored frames from files that the system holds in
memory. The simulated camera would render for 1.6 s a frame on the cores that are measured. The frames are drawn before,
in another process (`cycle_station.py` says how); so nothing of the simulation costs time or memory here.

Floor: moves, settling, exposures and readouts, one after the other, each move as the fastest round had it. `goes` is
from Start until the part may be taken out, over the floor; it is below 1 where the arm leaves while a frame is still
read out. Alone: solving and judging one view of the same frames in the same process with nothing else at work, the
median of the five. Latency: from the end of the last exposure until the part is judged, and until its verdict is given
(stored, with all files synced). Memory is resident, of the measured process, at its peak. CPU is by threads.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cycle_station import Case, FewerChannels, PlayedCamera, TimedArm, draw_frames, loaded_case, write_recipe

from drivers.process_memory import peak_memory_mb
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive
from station.engine.engine import Engine
from station.engine.events import AcquisitionDone, Event, JobStarted, ResultReady, StepDone, ViewJudged
from station.engine.preparation import RecipeFiles
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.rig.devices import Rig, Strobes, open_arm, open_lights
from station.rig.file import load_rig
from station.rig.simulated import running_rig

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SETTLE_S = 0.1
GOALS = {"cycle / floor": 1.05, "latency / alone": 1.2, "peak MB": 2500.0}


class Sampler:
    """CPU seconds by the name of the thread, and the most resident memory, while it runs; four looks a second."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._names: dict[int, str] = {}
        self._ticks: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Sampler:
        self._look()
        self._before = dict(self._ticks)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            self._look()

    def _look(self) -> None:
        self._names |= {t.native_id: t.name for t in threading.enumerate() if t.native_id is not None}
        for task in Path("/proc/self/task").iterdir():
            try:
                fields = (task / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile: what it had used by the last look counts
                continue
            self._ticks[int(task.name)] = int(fields[11]) + int(fields[12])
        resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        self.peak_mb = max(self.peak_mb, int(resident.split()[1]) / 1e3)

    def cpu_s(self) -> dict[str, float]:
        """Name of the threads, without their numbers -> CPU seconds."""
        found: dict[str, float] = defaultdict(float)
        for task, ticks in self._ticks.items():
            name = self._names.get(task, "inference and other native").rstrip("0123456789_-")
            found[name] += (ticks - self._before.get(task, 0)) / TICKS_PER_S
        return {name: round(s, 2) for name, s in sorted(found.items(), key=lambda item: -item[1]) if s >= 0.01}


@dataclass(frozen=True)
class Round:
    """One part; seconds since its start, the last exposure's end among them."""

    exposed: float
    acquired: float
    judged: float
    given: float
    ready: float  # the engine may start the next part
    moves: tuple[float, ...]
    early_departures: int  # moves that began before the last frame of the view had come
    stages_ms: dict[str, float]
    cpu_s: dict[str, float]
    peak_mb: float


class Bench:
    """The engine over the played camera, and what it reports."""

    def __init__(self, folder: Path, case: Case, rig_file: Path, archive: Archive) -> None:
        loaded = loaded_case(folder)
        self.detector = AnomalyDetector.load(loaded.model_path)
        self.files = RecipeFiles(folder / "recipe.yaml", loaded, make_plan(loaded.recipe), self.detector)
        self.camera = PlayedCamera(folder, self.files.plan, case, SimulatedRigConfig().camera)
        self.arm: TimedArm | None = None
        self.engine = Engine(rig_file, archive, opener=self._open)
        self._marks: dict[str, float] = {}
        self._frames: list[tuple[float, str]] = []
        self.engine.subscribe(self._hear)

    def _open(self, rig_file: Path) -> Rig:
        file = load_rig(rig_file)
        lights: Any = FewerChannels(open_lights(file))
        lights.off()
        self.arm = TimedArm(open_arm(file))
        arm: Any = self.arm
        return Rig(file.name, True, self.camera, arm, lights, Strobes(self.camera, lights))

    def _hear(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, StepDone):
            self._frames.append((now, event.view))
        for kind, name in (
            (JobStarted, "started"), (ViewJudged, "judged"), (AcquisitionDone, "acquired"), (ResultReady, "given"),
        ):  # fmt: skip
            if isinstance(event, kind):
                self._marks[name] = now

    def round(self, number: int) -> Round:
        assert self.arm is not None
        self.arm.moves_s.clear()
        self.arm.departures_s.clear()
        self._frames.clear()
        with Sampler() as sampler:
            inspection = self.engine.inspect(f"P-{number}")
            ready = time.perf_counter()
        started = self._marks["started"]
        since = {name: at - started for name, at in self._marks.items()}
        print(f"  part {number}: {inspection.verdict.value}, {'; '.join(map(str, inspection.reasons[:1]))}", flush=True)
        return Round(
            self.camera.exposure_ends_s[-1] - started, since["acquired"], since["judged"], since["given"],
            ready - started, tuple(self.arm.moves_s), self._early(), inspection.processing_times_ms,
            sampler.cpu_s(), sampler.peak_mb,
        )  # fmt: skip

    def _early(self) -> int:
        assert self.arm is not None
        last_of_view = [
            at for (at, view), (_, after) in zip(self._frames, self._frames[1:], strict=False) if view != after
        ]
        return sum(gone < came for gone, came in zip(self.arm.departures_s[1:], last_of_view, strict=True))

    def alone_s(self) -> tuple[list[float], dict[str, float]]:
        """Seconds that each view takes to judge alone, and CPU seconds a view of each stage."""
        judge = ViewJudge(self.files.loaded, self.detector)
        judge.warm_up(self.camera.configure(self.files.loaded.recipe.camera_settings()))
        plan, times, found = self.files.plan, StageTimes(), []
        cpu = CpuStages(times)
        judge.begin_part(cpu)
        for name in dict.fromkeys(step.view for step in plan):
            view = CapturedView(name, plan)
            for step in plan:
                if step.view == name:
                    view.add(captured := CapturedFrame(step, self.camera.stored(step), step.pose))
                    judge.take(captured)
            started = time.perf_counter()
            judge.judge(view)
            found.append(time.perf_counter() - started)
        views = len(found)
        return found, {name: round(s / views, 3) for name, s in cpu.cpu_s.items()}


class CpuStages(StageTimes):
    """Adds up the CPU seconds of the whole process by stage: for work of one thread and its pools at a time."""

    def __init__(self, inner: StageTimes) -> None:
        super().__init__()
        self._inner = inner
        self.cpu_s: dict[str, float] = defaultdict(float)

    def stage(self, name: str) -> Any:
        return _CpuStage(self, name)


class _CpuStage:
    def __init__(self, times: CpuStages, name: str) -> None:
        self._times, self._name, self._began = times, name, 0.0

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._times.cpu_s[self._name] += time.process_time() - self._began


def measure(folder: Path, case: Case, rounds: int, archive: Path) -> dict[str, Any]:
    """In a process of its own, whose memory is measured."""
    config = SimulatedRigConfig(
        name="cycle", serial_number="FACET-SIM-0001", stepping="strobe",
        imperfections=Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0),
    )  # fmt: skip
    with running_rig(folder / "rig", config) as (_, rig_file), Archive.open(archive, purpose="a benchmark") as store:
        bench = Bench(folder, case, rig_file, store)
        bench.engine.initialize()
        bench.engine.prepare_recipe(bench.files)
        found = [bench.round(number) for number in range(rounds + 1)][1:]
        peak_mb = peak_memory_mb()
        bench.engine.close()
        alone_s, cpu_of_stage = bench.alone_s()
    return report(case, found, alone_s, cpu_of_stage, peak_mb, bench)


def report(
    case: Case, rounds: list[Round], alone_s: list[float], cpu_of_stage: dict[str, float], peak_mb: float, bench: Bench
) -> dict[str, Any]:
    """All figures; times in seconds, of the round with the median way to the verdict."""
    plan = bench.files.plan
    moves = [min(times) for times in zip(*(r.moves for r in rounds), strict=True)]
    exposures = sum(step.exposure_us for step in plan) / 1e6
    readouts = len(plan) * bench.camera.readout_s
    settling = SETTLE_S * len(moves)
    floor = sum(moves) + settling + exposures + readouts
    alone = statistics.median(alone_s)
    middle = sorted(rounds, key=lambda r: r.given)[len(rounds) // 2]
    return {
        "case": asdict(case),
        "frames": len(plan),
        "floor": {
            "moves": sum(moves),
            "settling": settling,
            "exposures": exposures,
            "readouts": readouts,
            "sum": floor,
        },
        "alone_s": alone,
        "rounds": [asdict(r) for r in rounds],
        "goes / floor": [round(r.acquired / floor, 3) for r in rounds],
        "whole cycle / floor": [round(r.ready / floor, 3) for r in rounds],
        "judged latency / alone": [round((r.judged - r.exposed) / alone, 2) for r in rounds],
        "given latency / alone": [round((r.given - r.exposed) / alone, 2) for r in rounds],
        "peak_mb": peak_mb,
        "cpu_s of a view alone": cpu_of_stage,
        "middle": asdict(middle),
        "load": os.getloadavg()[0],
    }


def print_report(found: dict[str, Any]) -> None:
    """A block of lines for one K."""
    case, middle, floor = found["case"], found["middle"], found["floor"]
    print(
        f"K = {case['lights']}, {case['bits']} bit, binning {case['binning']}, {found['frames']} frames, "
        f"load {found['load']:.1f}"
    )
    parts = ", ".join(f"{name} {s:.2f}" for name, s in floor.items() if name != "sum")
    print(f"  hardware floor      {floor['sum']:.2f} s ({parts})")
    print(
        f"  part may be taken   {middle['acquired']:.2f} s; over the floor {_list(found['goes / floor'])} (goal 1.05)"
    )
    print(f"  ready for the next  {middle['ready']:.2f} s; over the floor {_list(found['whole cycle / floor'])}")
    print(f"  one view alone      {found['alone_s']:.2f} s")
    print(f"  judged after the last exposure  {middle['judged'] - middle['exposed']:.2f} s; over alone "
          f"{_list(found['judged latency / alone'])} (goal 1.2)")  # fmt: skip
    print(f"  given (stored)                  {middle['given'] - middle['exposed']:.2f} s; over alone "
          f"{_list(found['given latency / alone'])}")  # fmt: skip
    print(f"  peak resident       {found['peak_mb']:.0f} MB (goal 2500)")
    print(f"  early departures    {middle['early_departures']} of {len(middle['moves']) - 1}")
    total = sum(middle["cpu_s"].values())
    shares = ", ".join(f"{name} {s:.2f} ({s / total:.0%})" for name, s in middle["cpu_s"].items())
    print(f"  CPU s by threads    {total:.1f}: {shares}")
    stages = ", ".join(f"{name} {s:.2f}" for name, s in found["cpu_s of a view alone"].items() if s >= 0.005)
    print(f"  CPU s of a view     {stages}", flush=True)


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def run_case(case: Case, rounds: int, archive: Path | None) -> dict[str, Any]:
    """Draw the frames, then measure in a process of its own."""
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory(dir=archive) as kept:
        folder = Path(place)
        write_recipe(folder, case, SETTLE_S)
        draw_frames(folder, case)
        asked = {"folder": place, "case": asdict(case), "rounds": rounds, "archive": kept}
        subprocess.run([sys.executable, __file__, "--measure", json.dumps(asked)], check=True)
        found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lights", type=int, nargs="+", default=[4, 8, 16], choices=(4, 8, 16))
    parser.add_argument("--bits", type=int, default=12, choices=(8, 12))
    parser.add_argument("--rounds", type=int, default=2, help="counted parts, after one that is not")
    parser.add_argument("--small", action="store_true", help="at a quarter of the resolution: quick, for trying out")
    parser.add_argument("--archive", type=Path, help="where a temporary archive is made, for its disk's speed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        asked = json.loads(arguments.measure)
        folder = Path(asked["folder"])
        found = measure(folder, Case(**asked["case"]), asked["rounds"], Path(asked["archive"]))
        (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
        return
    base = Case(4, arguments.bits, 4 if arguments.small else 1)
    results = []
    for lights in arguments.lights:
        results.append(run_case(replace(base, lights=lights), arguments.rounds, arguments.archive))
        print_report(results[-1])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
