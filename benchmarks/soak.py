"""Capture cycles on the simulated rig, each judged by the Scene's truth.

`python benchmarks/soak.py [--cycles N] [--fault-rate R] [--seed S] [--stepping WAY] [--steps N] [--lights KIND]
[--json FILE]` runs cycles through the station's own capture loop and drivers. A cycle is a move to a random pose
and one or more steps there, each with a random light and a frame of low resolution.
Replies and frames come late at random (benign latency). With a fault rate, some cycles are hit by a fault of
camera, lights or gantry; the devices are then brought back as an operator would, and the cycle counts as lost.
No frame may ever be given to a step whose light, pose or exposure is not what the rig had.
The exit code is 1 if one was, if memory grows, or if a run without faults reports anything or lacks a frame.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from drivers.errors import DeviceError
from drivers.genicam.camera import GenicamCamera
from drivers.geometry.pose import Pose
from drivers.process_memory import peak_memory_mb
from drivers.protocols import CameraSettings
from drivers.simulated.config import LightsKind, SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.rig.devices import Rig, open_rig
from station.rig.simulated import running_rig

log = logging.getLogger(__name__)

SETTINGS = CameraSettings("Mono8", binning=8, width=64, height=48, offset_x=312, offset_y=204)
BENIGN_SHARE = 0.1
BENIGN = ("camera.late", "lights.late_reply 0.05", "gantry.late_reply 0.05")
FAULTS = (
    "camera.incomplete",
    "camera.dropped",
    "camera.stale",
    "camera.duplicate",
    "camera.unplug",
    "lights.drop_reply",
    "lights.garble_reply",
    "lights.refuse",
    "gantry.drop_reply",
    "gantry.garble_reply",
    "gantry.wrong_position",
    "gantry.alarm",
    "gantry.limit X",
    "gantry.reset",
)
OWN_PICTURE = (None, "late", "duplicate")  # a duplicate id of a frame that was never delivered cannot be noticed
POSE_TOLERANCE_MM_DEG = 0.15  # over four sigma of the rig's repeatability, plus the step size
LEVEL_TOLERANCE = 0.02
AUDIT_EVERY = 50  # cycles
RECOVERY_ATTEMPTS = 6
LEAST_CYCLES_FOR_MEMORY = 600  # before that, caches and logs of bounded length are still filling
FLAT_MB = 4.0


@dataclass
class Report:
    """What happened. `wrong` must stay empty."""

    cycles: int = 0
    frames: int = 0
    benign_delays: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)  # fault and the exception that reported it
    unnoticed: Counter[str] = field(default_factory=Counter)  # injected, and yet the frame was right
    wrong: list[str] = field(default_factory=list)
    peak_memory_mb: list[float] = field(default_factory=list)  # of this process, at each audit
    rig_peak_memory_mb: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def faultless_failures(self, steps: int) -> list[str]:
        """What went wrong in a run without faults, in which nothing may be reported and no frame may be missing."""
        failures = [f"{count} x {what}" for what, count in self.reported.items()]
        if self.frames != self.cycles * steps:
            failures.append(f"{self.frames} frames of {self.cycles * steps} that were asked")
        return failures

    def memory_growth_mb(self) -> dict[str, float]:
        """Growth of each process's peak from one third of the audits, when caches and logs have filled, to the last."""
        settled = len(self.peak_memory_mb) // 3
        return {
            "station": round(self.peak_memory_mb[-1] - self.peak_memory_mb[settled], 1),
            "rig": round(self.rig_peak_memory_mb[-1] - self.rig_peak_memory_mb[settled], 1),
        }


class Soak:
    """One run over open devices; the same seed draws the same poses, lights and faults."""

    def __init__(self, rig: Rig, control: RigControl, seed: int, fault_rate: float, steps: int = 1) -> None:
        self._rig = rig
        self._control = control
        self._random = random.Random(seed)
        self._fault_rate = fault_rate
        self._steps = steps
        self.report = Report()

    def run(self, cycles: int) -> Report:
        """Home, then run the cycles with an audit every 50. Raises RuntimeError if the devices do not come back."""
        started_s = time.monotonic()
        self._rig.arm.home()
        self._rig.camera.configure(SETTINGS)
        for index in range(cycles):
            self._cycle(index)
            self.report.cycles += 1
            if (index + 1) % AUDIT_EVERY == 0 or index + 1 == cycles:
                self._audit(index)
        self.report.seconds = time.monotonic() - started_s
        return self.report

    def _cycle(self, index: int) -> None:
        """Draw plan, delay and fault, capture, and judge every frame; a device's fault ends the cycle."""
        plan = self._draw_plan(index)
        if self._random.random() < BENIGN_SHARE:
            self._inject(self._random.choice(BENIGN))
            self.report.benign_delays += 1
        fault = self._random.choice(FAULTS) if self._random.random() < self._fault_rate else None
        if fault is not None:
            self._inject(fault)
            self.report.injected[fault] += 1
        try:
            for captured in capture(self._rig, plan, JobSignal(), StageTimes()):
                self.report.frames += 1
                self._judge(index, captured, fault)
        except DeviceError as error:
            self.report.reported[f"{fault or 'no fault'}: {type(error).__name__}"] += 1
            log.info("cycle %d, %s: %s", index, fault, error)
            self._recover(index)
            return
        if fault is not None:
            self.report.unnoticed[fault] += 1

    def _draw_plan(self, index: int) -> tuple[CaptureStep, ...]:
        """All steps of a cycle share one pose, drawn well inside the travel."""
        r = self._random
        pose = Pose(r.uniform(-40, 40), r.uniform(-40, 40), r.uniform(240, 270), r.uniform(0, 20), r.uniform(-120, -60))
        return tuple(self._draw_step(index, pose) for _ in range(self._steps))

    def _draw_step(self, index: int, pose: Pose) -> CaptureStep:
        """A random channel, brightness and exposure; channel 9 is the diffuse light."""
        r = self._random
        channel = r.randint(1, 9)
        kind: Literal["directional", "diffuse"] = "diffuse" if channel == 9 else "directional"
        return CaptureStep(
            index, "soak", pose, str(channel), channel, kind, r.choice((0.25, 0.5, 1.0)), r.uniform(200, 2000), 0.0
        )

    def _inject(self, words: str) -> None:
        name, *arguments = words.split()
        self._control.inject(name, *arguments)

    def _judge(self, index: int, captured: CapturedFrame, fault: str | None) -> None:
        """Compare the frame with the rig's record, which is the truth; the start of exposure identifies it."""
        frame, step = captured.frame, captured.step
        taken = self._control.call("frames", since_ns=frame.timestamp_ns)["frames"]
        truth = next((t for t in taken if t["timestamp_ns"] == frame.timestamp_ns), None)
        where = f"cycle {index}, {fault or 'no fault'}, frame {frame.frame_id}"
        if truth is None:
            self.report.wrong.append(f"{where}: the rig took no frame at {frame.timestamp_ns} ns")
            return
        levels = {int(channel): float(level) for channel, level in truth["lights"].items()}
        is_lit = set(levels) == {step.channel} and abs(levels[step.channel] - step.brightness) <= LEVEL_TOLERANCE
        if not is_lit:
            self.report.wrong.append(f"{where}: asked light {step.channel} at {step.brightness}, lit were {levels}")
        offsets = [abs(a - b) for a, b in zip(truth["pose"], step.pose.as_tuple(), strict=True)]
        if max(offsets) > POSE_TOLERANCE_MM_DEG or truth["moving"]:
            self.report.wrong.append(f"{where}: asked {step.pose}, the camera was at {truth['pose']}")
        if abs(truth["exposure_us"] - step.exposure_us) > 1.0:
            self.report.wrong.append(f"{where}: asked {step.exposure_us} us, exposed {truth['exposure_us']} us")
        if not (frame.pixels.shape == (SETTINGS.height, SETTINGS.width) and truth["fault"] in OWN_PICTURE):
            self.report.wrong.append(f"{where}: a {truth['fault']} frame of {frame.pixels.shape} was accepted")

    def _audit(self, index: int) -> None:
        """Compare what the drivers believe with the rig: an acknowledge taken for another would show here."""
        self._rig.lights.off()
        position = self._rig.arm.position().as_tuple()
        status = self._control.call("status")
        lit = {channel: level for channel, level in status["light_levels"].items() if level > LEVEL_TOLERANCE}
        if lit:
            self.report.wrong.append(f"audit after cycle {index}: off was acknowledged, lit are {lit}")
        if max(abs(a - b) for a, b in zip(position, status["axes"][:5], strict=True)) > POSE_TOLERANCE_MM_DEG:
            self.report.wrong.append(f"audit after cycle {index}: read {position}, the axes are at {status['axes']}")
        self.report.peak_memory_mb.append(round(peak_memory_mb(), 1))
        self.report.rig_peak_memory_mb.append(round(float(status["peak_memory_mb"]), 1))

    def _recover(self, index: int) -> None:
        """Bring the devices back as an operator would: camera plugged in, lights off, arm homed.

        Several attempts, because injected faults may still be pending.
        """
        for _ in range(RECOVERY_ATTEMPTS):
            try:
                camera = self._rig.camera
                if isinstance(camera, GenicamCamera) and camera.is_lost:
                    self._control.inject("camera.plug")
                    camera.reconnect()
                self._rig.lights.off()
                if not self._rig.arm.position_trusted:
                    self._rig.arm.home()
                self._rig.arm.position()
                return
            except DeviceError as error:
                log.info("cycle %d, recovering: %s", index, error)
        raise RuntimeError(f"cycle {index}: the devices did not come back in {RECOVERY_ATTEMPTS} attempts")


def run(
    cycles: int,
    fault_rate: float,
    seed: int,
    folder: Path,
    clock_speed: float = 20.0,
    steps: int = 1,
    **devices: Any,  # fields of SimulatedRigConfig
) -> Report:
    """Start a rig process in `folder`, open the station's devices on it and run the cycles; raises only if stuck."""
    config = SimulatedRigConfig(name="soak", serial_number="SOAK-1", seed=seed, clock_speed=clock_speed, **devices)
    with running_rig(folder, config, frame_timeout_s=2.0) as (process, rig_file), open_rig(rig_file) as rig:
        return Soak(rig, process.control, seed, fault_rate, steps).run(cycles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of cycles hit by a fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1, help="frames per cycle, at one pose")
    parser.add_argument("--stepping", choices=["software", "strobe"], default="software")
    parser.add_argument("--lights", choices=get_args(LightsKind), default="gardasoft")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        report = run(
            arguments.cycles, arguments.fault_rate, arguments.seed, Path(folder), steps=arguments.steps,
            stepping=arguments.stepping, lights_kind=arguments.lights,
        )  # fmt: skip
    document: dict[str, Any] = {name: getattr(report, name) for name in Report.__dataclass_fields__}
    growth = report.memory_growth_mb()
    document["memory_growth_mb"] = growth
    failures = report.faultless_failures(arguments.steps) if arguments.fault_rate == 0 else []
    document["failures_without_fault"] = failures
    print(json.dumps(document, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    is_flat = arguments.cycles < LEAST_CYCLES_FOR_MEMORY or max(growth.values()) <= FLAT_MB
    raise SystemExit(1 if report.wrong or failures or not is_flat else 0)


if __name__ == "__main__":
    main()
