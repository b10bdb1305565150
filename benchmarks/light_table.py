"""How often `station solve` doubts a good table of lights, and how often it finds a planted error.

    python benchmarks/light_table.py [--lights 4 5 6 8 12 16 32 96] [--sets 100] [--planted nothing] [--folder FOLDER]

Simulated: a part of random bumps under K lights of a dome, with gloss, attached shadows and noise of 0.4 %; each good
table is itself off by 0.3 degrees per axis and 0.5 % of strength, as a calibration leaves it. With `--folder`, random
K of a downloaded folder's own lights and photographs are taken instead (DiLiGenT's layout; its table counts as good).
In each set one thing is planted: nothing; one direction off by 2, 5 or 10 degrees; two rows exchanged; one row
mirrored left-right. `found`: some light was doubted. `named`: exactly the planted ones were. For a good set `found` is
a false alarm. `limit`: degrees beyond which the median light is doubted. Some sets are too glossy or too flat for a
judgement, and `station solve` says so: `judged` counts the others. Shares are of those, with Wilson's 95 % interval.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.lights.consistency import judge_table

F64 = NDArray[np.float64]
Frames = tuple[F64, NDArray[np.bool_], F64]  # values (K, n), lit (K, n), table (K, 3)
Draw = Callable[[int, np.random.Generator], Frames]
PIXELS, SHADOW = 2_000, 0.08
CASES = ("nothing", "2 degrees", "5 degrees", "10 degrees", "exchanged", "mirrored")


def dome(count: int, rng: np.random.Generator) -> F64:
    """(K, 3) spread evenly, 15 to 60 degrees off the axis, each jittered."""
    k = np.arange(count)
    azimuth = 2.39996 * k + rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.1, count)
    slant = np.deg2rad(15 + 45 * np.sqrt((k + 0.5) / count)) + rng.normal(0, 0.02, count)
    return np.stack([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.cos(slant)], axis=1)


def turned(row: F64, angle_deg: float, rng: np.random.Generator) -> F64:
    aside = np.cross(row, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    return np.asarray(np.cos(np.deg2rad(angle_deg)) * row + np.sin(np.deg2rad(angle_deg)) * aside)


def simulated(count: int, rng: np.random.Generator) -> Frames:
    """A bumpy part: slopes of 20 degrees rms, albedo 0.3 to 0.9, highlights of up to 0.15, noise of 0.4 %."""
    lights = dome(count, rng)
    row, column = np.divmod(np.arange(PIXELS), 50)
    slopes = np.zeros((2, PIXELS))
    for _ in range(4):
        wave = rng.uniform(0.1, 0.5, 2)
        bump = np.cos(wave[0] * row + wave[1] * column + rng.uniform(0, 6.28))
        slopes += rng.normal(0, 0.25, (2, 1)) * bump
    normals = np.stack([slopes[0], slopes[1], np.ones(PIXELS)])
    normals /= np.linalg.norm(normals, axis=0)
    half = lights + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    values = rng.uniform(0.3, 0.9, PIXELS) * np.maximum(lights @ normals, 0)
    values += rng.uniform(0, 0.15) * np.maximum(half @ normals, 0) ** 60 * (lights @ normals > 0)
    values = np.clip(values * rng.normal(1, 0.005, (count, 1)) + rng.normal(0, 0.004, values.shape), 0, 1)
    table = np.array([turned(light, abs(rng.normal(0, 0.3 * math.sqrt(2))), rng) for light in lights])
    return values, values > SHADOW * np.quantile(values, 0.7, axis=0), table


def photographed(folder: Path) -> Draw:
    """Random lights of the folder, at PIXELS pixels spread over its mask."""
    from station.photometric_stereo.photographs import read_photographs

    photographs = read_photographs(folder)
    where = np.flatnonzero(photographs.mask)
    y, x = np.divmod(where[:: max(1, where.size // PIXELS)], photographs.mask.shape[1])
    counts = np.stack([frame.pixels[0] for frame in photographs.pictures.sampled(y, x)])
    full = np.iinfo(counts.dtype).max
    values, usable = counts / full, counts < 0.99 * full

    def draw(count: int, rng: np.random.Generator) -> Frames:
        chosen = rng.choice(len(values), min(count, len(values)), replace=False)
        taken = values[chosen]
        lit = usable[chosen] & (taken > SHADOW * np.quantile(taken, 0.7, axis=0))
        return taken, lit, photographs.lights.directions[chosen]

    return draw


def planted(table: F64, case: str, rng: np.random.Generator) -> tuple[F64, set[int]]:
    """The table with one error in it, and the rows that are wrong."""
    table = table.copy()
    first, second = rng.choice(len(table), 2, replace=False).tolist()
    if case == "exchanged":
        table[[first, second]] = table[[second, first]]
        return table, {first, second}
    if case == "mirrored":
        first = int(rng.choice(np.flatnonzero(np.abs(table[:, 0]) >= np.median(np.abs(table[:, 0])))))
        table[first, 0] *= -1
        return table, {first}
    if case.endswith("degrees"):
        table[first] = turned(table[first], float(case.split()[0]), rng)
        return table, {first}
    return table, set()


def interval(hits: int, trials: int) -> str:
    """Share with Wilson's 95 % interval, in per cent."""
    z, share = 1.96, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return f"{100 * share:5.1f} ({100 * max(middle - half, 0):.1f} to {100 * min(middle + half, 1):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lights", type=int, nargs="+", default=[4, 5, 6, 8, 12, 16, 32, 96])
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--planted", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = simulated if options.folder is None else photographed(options.folder)
    print(f"{'simulated' if options.folder is None else options.folder.name}, {options.sets} sets a row, per cent")
    print(f"{'K':>4s} {'planted':12s} {'judged':>6s} {'found':>22s} {'named':>22s} {'limit':>8s}")
    for count in options.lights:
        for case in options.planted:
            print(row(draw, count, case, options.sets, options.seed), flush=True)


def row(draw: Draw, count: int, case: str, sets: int, seed: int) -> str:
    """One line of the table: the same sets whatever other rows are asked for."""
    rng = np.random.default_rng([seed, count, CASES.index(case)])
    found = named = 0
    limits = []
    for _ in range(sets):
        values, lit, good = draw(count, rng)
        table, wrong = planted(good, case, rng)
        verdict = judge_table(values, lit, table)
        if verdict.why_not:
            continue
        limits.append(float(np.median(verdict.limits_deg)))
        found += bool(verdict.doubts)
        named += bool(wrong) and set(verdict.doubted) == wrong
    judged = len(limits)
    if not judged:
        return f"{count:4d} {case:12s} {judged:6d}"
    shown = "-" if case == "nothing" else interval(named, judged)
    return f"{count:4d} {case:12s} {judged:6d} {interval(found, judged):>22s} {shown:>22s} {np.median(limits):8.1f}"


if __name__ == "__main__":
    main()
