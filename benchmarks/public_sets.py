"""`station solve` on downloaded folders in DiLiGenT's layout, beside the published least-squares figures.

    python benchmarks/public_sets.py FOLDER [FOLDER ...] [--lights 8] [--weights luma]

A folder holds filenames.txt, light_directions.txt and, where there are any, light_intensities.txt, mask.png and
Normal_gt.mat: an object of DiLiGenT as it is downloaded (ballPNG, catPNG ...). Each method runs in a process of its
own, first with every light, then with `--lights` of them evenly spread over the list; errors are over the whole
mask. Seconds are wall time of the whole command, with the start of Python; memory is the process's peak; CPU-s are of
all its threads. `published` is the mean of the benchmark's own least squares (Shi et al., PAMI 2019, table 2), and
the run ends with 1 where `ls` with luma weights and all lights misses it by more than 0.05 degrees.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PUBLISHED_LS_DEG = {
    "ball": 4.10, "cat": 8.41, "pot1": 8.89, "bear": 8.39, "pot2": 14.65,
    "buddha": 14.92, "goblet": 18.50, "reading": 19.80, "cow": 25.60, "harvest": 30.62,
}  # fmt: skip
TOLERANCE_DEG = 0.05


def solved(folder: Path, method: str, weights: str, lights: list[str] | None) -> dict[str, Any]:
    """The report of one run, with its seconds, CPU-seconds and peak MB."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        command = [sys.executable, "-m", "station", "solve", str(folder), "--out", str(out)]
        command += ["--method", method, "--weights", weights, "--json"]
        command += [] if lights is None else ["--lights", ",".join(lights)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        text, trouble = process.communicate()
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode != 0:
            raise SystemExit(f"{folder}, {method}: exit code {process.returncode}: {trouble.strip()}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report: dict[str, Any] = json.loads(text)
    return report | {"seconds": seconds, "cpu_s": cpu, "peak_mb": after.ru_maxrss / 1024}


def line(method: str, report: dict[str, Any]) -> str:
    truth = report["truth_whole_mask"]
    errors = "no truth in the folder          "
    if truth is not None:
        errors = f"{truth['mean_deg']:8.3f} {truth['median_deg']:8.3f} {truth['p95_deg']:8.3f}        "
    return (
        f"  {method:8s} {len(report['lights']):5d} {errors}{report['observable_share']:8.1%} "
        f"{len(report['suspicious_lights']):8d} "
        f"{report['seconds']:8.1f} {report['cpu_s']:8.1f} {report['peak_mb']:8.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--lights", type=int, default=8, help="how many to compare with all of them")
    parser.add_argument("--weights", default="luma")
    options = parser.parse_args()
    missed = False
    for folder in options.folders:
        names = [name.strip() for name in (folder / "filenames.txt").read_text().splitlines() if name.strip()]
        few = names[:: max(1, len(names) // options.lights)][: options.lights]
        print(f"{folder.name}: {len(names)} lights, weights {options.weights}")
        print(
            "  method  lights     mean   median      p95 degrees  seen  doubted  seconds    CPU-s  peak MB", flush=True
        )
        # ru_maxrss of children is the largest so far: the few lights come first
        runs = {(m, few is lights): solved(folder, m, options.weights, lights) for lights in (few, None)
                for m in ("ls", "masked", "robust")}  # fmt: skip
        for (method, _), report in runs.items():
            print(line(method, report))
        published = PUBLISHED_LS_DEG.get(folder.name.removesuffix("PNG").lower())
        truth = runs["ls", False]["truth_whole_mask"]
        if published is not None and truth is not None and options.weights == "luma":
            off = abs(truth["mean_deg"] - published)
            missed = missed or off > TOLERANCE_DEG
            print(f"  published ls: {published:.2f} degrees; ours {truth['mean_deg']:.3f}: off by {off:.3f}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
