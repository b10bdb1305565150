"""Are the stated uncertainties honest? Many simulated calibrations, each with lights, sensor and noise of its own.

    python benchmarks/calibration_coverage.py --runs 20 --binning 8

For each quantity: how far off at the median and at worst, and in what share of the cases the truth lay in the stated
95 % interval.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from calibration.record import Calibration
from drivers.protocols import Pose
from drivers.simulated.scene import LightHead, Sensor
from station.calibrate.bench import Identity
from station.calibrate.compare import Comparison, compare
from station.calibrate.measure import LightSettings, measure_lights, measure_sensor
from station.calibrate.records import Release, make_record
from station.calibrate.scene_bench import SceneBench
from station.calibrate.station_open import REFERENCE, UNCALIBRATED
from station.documents import load_document


def one_run(seed: int, binning: int, reference: Calibration) -> tuple[tuple[Comparison, ...], bool]:
    wrong = UNCALIBRATED
    head = LightHead.toleranced(seed, wrong.light_direction_deg, wrong.light_intensity_percent)
    mm, deg = wrong.pose_repeatability_mm, wrong.pose_repeatability_deg
    x, y, z, tilt, pan = np.random.default_rng([seed, 7]).standard_normal(5)
    pose = Pose(float(x * mm), float(y * mm), float(258 + z * mm), float(tilt * deg), float(-90 + pan * deg))
    bench = SceneBench(head, pose, seed)
    settings = LightSettings(binning=binning)
    lights = measure_lights(bench, reference, settings, lambda _: None)
    sensor = measure_sensor(bench, reference, settings, lambda _: None)
    release = Release("coverage", datetime.now(UTC))
    record = make_record(reference, lights, sensor, Identity("FACET-SIM-0001", "", None), [], release, f"run-{seed}")
    true = Sensor()
    truth = {
        "lights": [asdict(light) for light in head.lights if not light.is_dome],
        "sensor": {"gain_dn_per_e": true.gain_dn_per_e(12, 0.0), "read_noise_e": true.read_noise_e},
        "camera": {"fx_px": reference.fx_px},
    }
    about = record.provenance
    return compare(record, truth), about is not None and about.released_by is not None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--binning", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reference = load_document(REFERENCE, Calibration)
    rows: dict[str, list[Comparison]] = defaultdict(list)
    released, began = 0, time.process_time()
    for seed in range(options.first_seed, options.first_seed + options.runs):
        found, ok = one_run(seed, options.binning, reference)
        released += ok
        for row in found:
            rows[row.quantity].append(row)
    summary = {
        quantity: {
            "unit": own[0].unit,
            "median_error": float(np.median([r.median_error for r in own])),
            "worst_error": max(r.worst_error for r in own),
            "inside_share": sum(r.inside for r in own) / sum(r.count for r in own),
            "cases": sum(r.count for r in own),
            "runs_within_limits": sum(r.ok for r in own),
        }
        for quantity, own in rows.items()
    }
    cpu_s = time.process_time() - began
    if options.json:
        print(json.dumps({"runs": options.runs, "released": released, "cpu_s": cpu_s, "quantities": summary}, indent=2))
    else:
        print(f"{options.runs} calibrations at binning {options.binning}, {released} released, {cpu_s:.0f} CPU-s")
        for quantity, s in summary.items():
            held = f"limits held in {s['runs_within_limits']} runs"
            print(
                f"{quantity}: median {s['median_error']:.3f}, worst {s['worst_error']:.3f} {s['unit']}; "
                f"truth in the 95 % interval {s['inside_share']:.0%} of {s['cases']}; {held}"
            )
    return 0 if all(s["inside_share"] >= 0.9 for s in summary.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
