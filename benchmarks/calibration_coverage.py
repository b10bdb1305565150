"""How often the stated 95 % intervals hold the truth, over many simulated calibrations, each with a rig of its own.

    python benchmarks/calibration_coverage.py --runs 20

Every run draws lens, mount, arm errors, lights, sensor and noise anew. For each quantity the benchmark prints the
median and the worst error, and the share of cases in which the truth lay in the stated 95 % interval. It ends with 1 if
a share is below 90 %. 20 runs take some 20 minutes of one core; `--only lights` or `--only geometry` does half of the
work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from calibration.record import Calibration
from drivers.geometry.pose import Pose
from drivers.simulated.scene import LightHead, Sensor
from drivers.simulated.scene.mounted import MountedCamera, arm_frame
from station.calibrate.bench.camera_pose import TOP, CameraPose
from station.calibrate.bench.target_bench import Identity
from station.calibrate.lights.measured_lights import measure_lights
from station.calibrate.lights.settings import LightSettings
from station.calibrate.records.make_record import Release, make_record
from station.calibrate.runs.opened_rig import UNCALIBRATED
from station.calibrate.sensor.exposure_series import measure_sensor
from station.calibrate.studies.compare import compare
from station.calibrate.studies.scene_bench import SceneBench
from station.calibrate.studies.viewpoint_coverage import simulated_viewpoint_calibration
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING

Row = tuple[str, str, float, int, int]  # quantity, unit, error, in how many cases inside, of how many
LEAST_SHARE = 0.9


def lights_and_sensor(seed: int, binning: int, reference: Calibration) -> Iterator[Row]:
    """Lights and sensor, measured with a camera that is known exactly."""
    wrong = UNCALIBRATED
    head = LightHead.toleranced(seed, wrong.light_direction_deg, wrong.light_intensity_percent)
    camera = MountedCamera.toleranced(
        seed, wrong.focal_length_percent, wrong.principal_point_px, wrong.camera_mount_mm, wrong.camera_mount_deg
    )
    mm, deg = wrong.pose_repeatability_mm, wrong.pose_repeatability_deg
    x, y, z, tilt, pan = np.random.default_rng([seed, 7]).standard_normal(5)
    pose = Pose(float(x * mm), float(y * mm), float(258 + z * mm), float(tilt * deg), float(-90 + pan * deg))
    bench = SceneBench(head, pose, seed, camera=camera)
    known = reference.model_copy(
        update={
            "fx_px": camera.focal_px, "fy_px": camera.focal_px, "cx_px": camera.center_px[0],
            "cy_px": camera.center_px[1],
        }
    )  # fmt: skip
    settings = LightSettings(binning=binning)
    camera_pose = CameraPose(arm_frame(TOP) @ camera.mount(), known.working_distance_mm, deg)
    lights = measure_lights(bench, known, settings, lambda _: None, camera_pose)
    sensor = measure_sensor(bench, known, settings, lambda _: None)
    release = Release("coverage", datetime.now(UTC))
    record = make_record(known, lights, sensor, Identity("FACET-SIM-0001", "", None), [], release, f"run-{seed}")
    true = Sensor()
    truth = {
        "lights": [asdict(light) for light in head.lights if not light.is_dome],
        "sensor": {"gain_dn_per_e": true.gain_dn_per_e(12, 0.0), "read_noise_e": true.read_noise_e},
        "camera": {},
    }
    for row in compare(record, truth):
        yield row.quantity, row.unit, row.worst_error, row.inside, row.count


def geometry(seed: int, binning: int) -> Iterator[Row]:
    """Camera and viewpoints. The five viewpoints share the camera's mount, and so its error."""
    for name, (estimate, half, truth) in simulated_viewpoint_calibration(seed, binning).items():
        error = abs(estimate - truth)
        if name in ("fx", "fy"):
            yield f"focal length {name}", "%", 100 * error / truth, int(error <= half), 1
        elif name in ("cx", "cy"):
            yield f"principal point {name}", "px", error, int(error <= half), 1
        else:
            view, axis = name.split()
            kind = ("viewpoint position", "mm") if axis.endswith("_mm") else ("viewpoint angles", "degrees")
            yield *kind, error, int(error <= half), 1
            yield f"{kind[0]} {view}", kind[1], error, int(error <= half), 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--binning", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--only", choices=("lights", "geometry"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reference = load_document(SIMULATED_RIG_DRAWING, Calibration)
    rows: dict[str, list[Row]] = defaultdict(list)
    began = time.process_time()
    for seed in range(options.first_seed, options.first_seed + options.runs):
        found = [] if options.only == "geometry" else list(lights_and_sensor(seed, options.binning, reference))
        found += [] if options.only == "lights" else list(geometry(seed, options.binning))
        for row in found:
            rows[row[0]].append(row)
        misses = [f"{row[4] - row[3]} of {row[0]}" for row in found if row[4] > row[3]]
        counted = f"{sum(r[4] for r in found)} intervals, outside: {', '.join(misses) or 'none'}"
        print(f"seed {seed}: {counted}", file=sys.stderr, flush=True)
    summary: dict[str, dict[str, Any]] = {
        quantity: {
            "unit": own[0][1],
            "median_error": float(np.median([r[2] for r in own])),
            "worst_error": max(r[2] for r in own),
            "inside_share": sum(r[3] for r in own) / sum(r[4] for r in own),
            "cases": sum(r[4] for r in own),
        }
        for quantity, own in rows.items()
    }
    cpu_s = time.process_time() - began
    if options.json:
        print(json.dumps({"runs": options.runs, "cpu_s": cpu_s, "quantities": summary}, indent=2))
    else:
        print(f"{options.runs} simulated calibrations at binning {options.binning}, {cpu_s:.0f} CPU-s")
        for quantity, s in summary.items():
            mark = "ok " if s["inside_share"] >= LEAST_SHARE else "NOT"
            print(
                f"{mark} {quantity}: median {s['median_error']:.4f}, worst {s['worst_error']:.4f} {s['unit']}; "
                f"truth in the 95 % interval {s['inside_share']:.1%} of {s['cases']}"
            )
    return 0 if all(s["inside_share"] >= LEAST_SHARE for s in summary.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
