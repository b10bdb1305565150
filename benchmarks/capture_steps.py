"""What software stepping costs per frame beside the simulated hardware's own times.

`python benchmarks/capture_steps.py [--recipe NAME] [--rounds N] [--json FILE]`: the rig process at the hardware's
own times, the station's devices and its capture loop, over the recipe's plan. The rig renders each picture
once, in a round that is not counted, so that rendering is not taken for hardware. Own times: exposure, readout
or transfer (the longer), settling of the light, and the way of one command and its reply on the serial line.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from drivers.genicam.pixels import BY_NAME
from drivers.protocols import CameraSettings
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from station.capture import StopSignal, capture
from station.devices import Rig, open_rig
from station.plan import CaptureStep, make_plan
from station.recipe import load_recipe
from station.rig import load_rig
from station.simulated_rig import running_rig
from station.stages import StageTimes

SENSOR_WIDTH, SENSOR_HEIGHT = 5472, 3648
SEED = 1


def hardware_expose_ms(step: CaptureStep, settings: CameraSettings, config: SimulatedRigConfig) -> float:
    """Exposure and then readout or transfer, as the rig itself reckons them."""
    width, height = SENSOR_WIDTH // settings.binning, SENSOR_HEIGHT // settings.binning
    size = BY_NAME[settings.pixel_format].row_bytes(width) * height
    transfer_ms = max(config.camera.readout_ms_full, size / config.camera.link_bytes_per_s * 1e3)
    return step.exposure_us / 1e3 + transfer_ms


def round_of(rig: Rig, plan: tuple[CaptureStep, ...]) -> tuple[dict[str, float], float]:
    times = StageTimes()
    started_s = time.perf_counter()
    frames = sum(1 for _ in capture(rig, plan, StopSignal(), times))
    assert frames == len(plan)
    return times.as_dict(), (time.perf_counter() - started_s) * 1e3


def run(recipe_file: Path, rounds: int) -> dict[str, Any]:
    recipe = load_recipe(recipe_file, need_model=False).recipe
    plan = make_plan(recipe)
    settings = CameraSettings(recipe.capture.pixel_format, binning=recipe.capture.binning)
    still = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0)
    config = SimulatedRigConfig(name="steps", serial_number="STEPS-1", seed=SEED, imperfections=still, prerendered=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_rig(Path(folder), config, frame_timeout_s=120.0) as (_, rig_file),
        open_rig(rig_file) as rig,
    ):
        settle_ms = load_rig(rig_file).lights.settle_s * 1e3
        rig.arm.home()
        rig.camera.configure(settings)
        round_of(rig, plan)
        measured = [round_of(rig, plan) for _ in range(rounds)]
    stages, total_ms = min(measured, key=lambda m: m[1])
    expose_ms = sum(hardware_expose_ms(step, settings, config) for step in plan)
    light_ms = len(plan) * (settle_ms + config.serial_latency_ms)
    return {
        "recipe": recipe.recipe_id,
        "frames": len(plan),
        "load_average": round(os.getloadavg()[0], 1),
        "round_ms": round(total_ms, 1),
        "move_ms": round(stages["move"], 1),
        "expose_ms_per_frame": round(stages["expose"] / len(plan), 2),
        "expose_hardware_ms_per_frame": round(expose_ms / len(plan), 2),
        "expose_overhead_ms_per_frame": round((stages["expose"] - expose_ms) / len(plan), 2),
        "light_ms_per_frame": round(stages["light"] / len(plan), 2),
        "light_hardware_ms_per_frame": round(light_ms / len(plan), 2),
        "light_overhead_ms_per_frame": round((stages["light"] - light_ms) / len(plan), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parents[1] / "station" / "recipes" / "connector.yaml"
    parser.add_argument("--recipe", type=Path, default=default)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds; the fastest is shown")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.recipe, arguments.rounds)
    print("\n".join(f"{name:<32} {value}" for name, value in result.items()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
