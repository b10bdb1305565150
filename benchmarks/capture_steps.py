"""What stepping by software and by strobe costs per frame beyond the simulated hardware's own times.

`python benchmarks/capture_steps.py [--recipe FILE] [--lights KIND] [--rounds N] [--json FILE]` walks the recipe's plan
with the station's devices and capture loop, on a rig process that keeps the hardware's own times. The rig renders
each picture in a first round that is not counted, so that rendering is not taken for hardware.

A step by software has an own time of: settling of the light, its commands on the wire, exposure, and readout or
transfer, whichever is longer. By strobe the commands travel during readout, so only the longer of the two counts.
At the first step of each view nothing is read out, and both count in full.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from drivers.genicam.pixels import BY_NAME
from drivers.protocols import CameraSettings
from drivers.simulated.config import Imperfections, LightsKind, SimulatedRigConfig
from station.acquire.capture import capture
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep, lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.rig.devices import Rig, open_rig
from station.rig.file import Stepping, load_rig
from station.rig.simulated import running_rig

SENSOR_WIDTH, SENSOR_HEIGHT = 5472, 3648
SEED = 1
BITS_PER_BYTE = 10
BAUD_RATES = {
    "ccs": 9600,
    "ccs_strobe": 9600,
    "sa0255": 19200,
}  # of the simulated controllers whose baud rate takes time
REPLY_BYTES = {"ccs": 8, "ccs_strobe": 8, "sa0255": 3}  # of one reply, on average


@dataclass(frozen=True)
class Round:
    """One walk over the plan, all in ms."""

    total: float
    move: float
    light: float
    expose: float
    wire: float  # what the light commands and their replies need on the wire
    settle: float  # of one light, by software


def readout_ms(settings: CameraSettings, config: SimulatedRigConfig) -> float:
    """The longer of readout and transfer, computed as the simulated camera computes them."""
    width, height = SENSOR_WIDTH // settings.binning, SENSOR_HEIGHT // settings.binning
    size = BY_NAME[settings.pixel_format].row_bytes(width) * height
    return max(config.camera.readout_ms_full, size / config.camera.link_bytes_per_s * 1e3)


def round_of(rig: Rig, plan: tuple[CaptureStep, ...], config: SimulatedRigConfig, settle_ms: float) -> Round:
    """Capture the whole plan once; the wire's time is computed from the commands that the lights' driver sent."""
    times = StageTimes()
    written = rig.lights.port.written  # type: ignore[attr-defined]  # each serial driver keeps this log
    before = len(written)
    started_s = time.perf_counter()
    frames = sum(1 for _ in capture(rig, plan, JobSignal(), times))
    total_ms = (time.perf_counter() - started_s) * 1e3
    assert frames == len(plan)
    commands = list(written)[before:]
    wire_ms = len(commands) * config.serial_latency_ms
    if config.lights_kind in BAUD_RATES:
        sent = sum(len(c.data) for c in commands) + REPLY_BYTES[config.lights_kind] * len(commands)
        wire_ms += sent * BITS_PER_BYTE / BAUD_RATES[config.lights_kind] * 1e3
    stages = times.as_dict()
    exposing_ms = stages["expose"] + stages.get("transfer", 0.0)
    return Round(total_ms, stages["move"], stages["light"], exposing_ms, wire_ms, settle_ms)


def measured(config: SimulatedRigConfig, plan: tuple[CaptureStep, ...], settings: CameraSettings, rounds: int) -> Round:
    """The fastest of `rounds` on a fresh rig, after one round that is not counted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_rig(Path(folder), config, frame_timeout_s=120.0) as (_, rig_file),
        open_rig(file := load_rig(rig_file)) as rig,
    ):
        settle_ms = 1e3 * float(file.lights.model_dump()["settle_s"])
        rig.arm.home()
        rig.camera.configure(settings)
        round_of(rig, plan, config, settle_ms)
        return min((round_of(rig, plan, config, settle_ms) for _ in range(rounds)), key=lambda r: r.total)


def report(
    stepping: Stepping, done: Round, plan: tuple[CaptureStep, ...], settings: CameraSettings, config: SimulatedRigConfig
) -> dict[str, float]:
    """Measured stages, own times and the difference (`overhead`), in ms per frame."""
    frames, views = len(plan), len({step.pose for step in plan})
    exposure = sum(step.exposure_us for step in plan) / 1e3 / frames
    readout, wire = readout_ms(settings, config), done.wire / frames
    if stepping == "software":
        own = done.settle + wire + exposure + readout
    else:
        hidden = max(readout, wire) * (1 - views / frames)
        own = exposure + hidden + (wire + readout) * views / frames
    step = (done.total - done.move) / frames
    return {
        "step": step,
        "light": done.light / frames,
        "expose": done.expose / frames,
        "own exposure": exposure,
        "own readout": readout,
        "own wire": wire,
        "own step": own,
        "overhead": step - own,
    }


def run(recipe_file: Path, rounds: int, lights: LightsKind) -> dict[str, Any]:
    """Both ways of stepping that this kind of lights offers, on rigs without errors of the arm."""
    recipe = load_recipe(recipe_file, need_model=False).recipe
    plan = lit_steps(make_plan(recipe))
    settings = CameraSettings(recipe.capture.pixel_format, binning=recipe.capture.binning)
    still = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0)
    result: dict[str, Any] = {"recipe": recipe.recipe_id, "frames": len(plan), "lights": lights}
    ways: tuple[Stepping, ...] = ("software",) if lights == "sa0255" else ("software", "strobe")
    for stepping in ways:
        kind: LightsKind = "ccs_strobe" if (lights, stepping) == ("ccs", "strobe") else lights
        config = SimulatedRigConfig(
            name="steps", serial_number=f"STEPS-{stepping}", seed=SEED, imperfections=still, prerendered=True,
            lights_kind=kind, stepping=stepping,
        )  # fmt: skip
        done = measured(config, plan, settings, rounds)
        result[stepping] = {
            "round": round(done.total, 1),
            "move": round(done.move, 1),
            **{name: round(ms, 2) for name, ms in report(stepping, done, plan, settings, config).items()},
        }
    result["load average"] = round(os.getloadavg()[0], 1)
    return result


def print_result(result: dict[str, Any]) -> None:
    """A column per way of stepping: the whole round and its moves in ms, everything else per frame."""
    ways = [way for way in ("software", "strobe") if way in result]
    print(f"{result['recipe']}: {result['frames']} frames, {result['lights']}, load {result['load average']}")
    print(f"{'ms':<28}" + "".join(f"{way:>12}" for way in ways))
    for name in result[ways[0]]:
        unit = name if name in ("round", "move") else f"{name} per frame"
        print(f"{unit:<28}" + "".join(f"{result[way][name]:>12}" for way in ways))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = DEMO_RECIPES / "connector.yaml"
    parser.add_argument("--recipe", type=Path, default=default)
    parser.add_argument("--lights", choices=[k for k in get_args(LightsKind) if k != "ccs_strobe"], default="gardasoft")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; the fastest is shown")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.recipe, arguments.rounds, arguments.lights)
    print_result(result)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
