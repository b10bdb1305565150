"""How often `station solve` doubts a good table of lights, and how often it finds a planted error.

    python benchmarks/light_table.py [--lights 4 5 6 8 12 16 32 96] [--sets 100] [--planted nothing] [--folder FOLDER]
    python benchmarks/light_table.py --bounced [--sets 50]

Simulated: a part of random bumps under K lights of a dome, with gloss, attached shadows and noise of 0.4 %; each good
table is itself off by 0.3 degrees per axis and 0.5 % of strength, as a calibration leaves it. With `--folder`, random
K of a downloaded folder's own lights and photographs are taken instead (DiLiGenT's layout; its table counts as good).
In each set one thing is planted: nothing; one direction off by 2, 5 or 10 degrees; two rows exchanged; one row
mirrored left-right. `found`: some light was doubted. `named`: exactly the planted ones were. For a good set `found` is
a false alarm. `limit`: degrees beyond which the median light is doubted. Some sets are too glossy or too flat for a
judgement, and `station solve` says so: `judged` counts the others. Shares are of those, with Wilson's 95 % interval.

`--bounced` asks another question: does light that bounced accuse good lights? Sets are views of the Scene with all
bounces, five of a drawn part each (connector, knob, block, lever in turn). The 8 near lamps are judged as `station
lights-trend` judges them, part by part and as one series; then each view under far lamps as `station solve` judges a
table. Both are repeated with planted errors, to see that the rules still find them. Half a minute a set.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.lights.consistency import judge_table
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BLACK_LEVEL_DN, DEFAULT_BOUNCES, LightHead, Scene, ViewTruth, make_part
from station.lights.series import LightReading, LightSeries, light_series
from station.lights.trend import STANDING_OUT, light_trends
from station.photometric_stereo.checks import leave_one_out_residuals, sampled_values
from station.photometric_stereo.lights import DirectionalLights, PointLights
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

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


STRONGER, TURNED_DEG, CHANNELS = 1.07, 5.0, tuple(range(1, 9))
BOUNCED_PRODUCTS = ("connector", "knob", "block", "lever")
FAR = 20.0  # times the lamps' distance, where they are far enough for a table of directions
VIEWS = (
    Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(0.0, -176.777, 184.777, 45.0, -90.0),
    Pose(176.777, 0.0, 184.777, 45.0, 0.0), Pose(0.0, 176.777, 184.777, 45.0, 90.0),
    Pose(-176.777, 0.0, 184.777, 45.0, 180.0),
)  # fmt: skip


def bounced_frames(number: int, head: LightHead, seed: int) -> tuple[list[Frame], ViewTruth]:
    """A view of a drawn part under each lamp, with light that bounced; five views after each other are of one part."""
    part, view = divmod(number, len(VIEWS))
    product = BOUNCED_PRODUCTS[part % len(BOUNCED_PRODUCTS)]
    scene = Scene(make_part(product, 1_000 * seed + part), head=head, bounces=DEFAULT_BOUNCES)
    pose = VIEWS[view]
    pictures = [
        scene.photograph(
            pose, {channel: 1.0}, exposure_us=8000.0, gain_db=0.0, pixel_format="Mono12", binning=8, roi=None,
            frame_seed=50 + k,
        )
        for k, channel in enumerate(CHANNELS)
    ]  # fmt: skip
    frames = [Frame(p, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, 8000.0, 0.0, k, k) for k, p in enumerate(pictures)]
    return frames, scene.truth(pose, 8)


def near_residuals(frames: list[Frame], powers: F64, positions_mm: F64) -> F64:
    """(K,) left-out residuals, as the judge records them, for lamps that the calibration has like this."""
    height, width = frames[0].pixels.shape
    lights = PointLights(
        tuple(map(str, CHANNELS)), positions_mm, powers, 250 / 24429 * 8,
        (width / 2 - 0.5, height / 2 - 0.5), 0.0, 1.0,
    )  # fmt: skip
    solver = PhotometricStereo(lights, (height, width))
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    found = leave_one_out_residuals(frames, lights, SolverSettings(), solver.solve().observable, samples=1_000)
    return np.array(list(found.values()))


def trends_of(views: list[F64]) -> tuple[LightSeries, list[str]]:
    """The series of inspections of five views each, and the lights that all of them together accuse."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    readings = [
        LightReading(f"{n // 5:04d}", start + timedelta(minutes=n), "r", str(n % 5), str(c), 0.3, float(value))
        for n, of_one in enumerate(views)
        for c, value in zip(CHANNELS, of_one, strict=True)
        if np.isfinite(value)
    ]
    return light_series(readings), [trend.light for trend in light_trends(readings).flagged]


def accused(series: LightSeries) -> list[str | None]:
    """Per inspection, the light that stands out, if one does."""
    found: list[str | None] = []
    for inspection in series.times:
        ratios = {light: by.get(inspection, 0.0) for light, by in series.over_median.items()}
        worst = max(ratios, key=lambda light: ratios[light])
        found.append(worst if ratios[worst] > STANDING_OUT else None)
    return found


def far_head() -> LightHead:
    """The nominal head with its lamps FAR times as far away, as strong on the part."""
    moved = []
    for light in LightHead.nominal().lights:
        if not light.is_dome:
            x, y, z = light.position_mm
            moved.append(replace(light, position_mm=(FAR * x, FAR * y, FAR * z), power=FAR**2))
    return LightHead(tuple(moved))


def far_set(frames: list[Frame], truth: ViewTruth) -> Frames:
    """Values at PIXELS pixels of the part, in the order of the picture, and the table of directions."""
    positions = np.array([LightHead.nominal().light(c).position_mm for c in CHANNELS])
    lights = DirectionalLights(
        tuple(map(str, CHANNELS)), positions / np.linalg.norm(positions, axis=1, keepdims=True), np.ones(8)
    )
    values, usable, _ = sampled_values(frames, lights, SolverSettings(), truth.part_mask, PIXELS)
    return values, usable & (values > SHADOW * np.quantile(values, 0.7, axis=0)), lights.directions


def bounced_section(sets: int, seed: int) -> None:
    """Prints how many good lights are accused under bounced light, and how many planted errors are found."""
    rng = np.random.default_rng(seed)
    parts = max(sets // len(VIEWS), 1)
    lights = rng.integers(8, size=parts)
    good: list[F64] = []
    stronger: list[F64] = []
    turned_aside: list[F64] = []
    standing = np.array([LightHead.nominal().light(c).position_mm for c in CHANNELS])
    doubted = unjudged = named = of_wrong = 0
    for number in range(parts * len(VIEWS)):
        light = lights[number // len(VIEWS)]
        frames, _ = bounced_frames(number, LightHead.nominal(), seed)
        aside = standing.copy()
        aside[light] = turned(standing[light], TURNED_DEG, np.random.default_rng([seed, number // len(VIEWS)]))
        good.append(near_residuals(frames, np.ones(8), standing))
        stronger.append(near_residuals(frames, np.where(np.arange(8) == light, STRONGER, 1.0), standing))
        turned_aside.append(near_residuals(frames, np.ones(8), aside))
        values, lit, table = far_set(*bounced_frames(number, far_head(), seed))
        judged = judge_table(values, lit, table)
        unjudged += bool(judged.why_not)
        doubted += bool(judged.doubts)
        wrong_table, rows = planted(table, "10 degrees", rng)
        verdict = judge_table(values, lit, wrong_table)
        of_wrong += not verdict.why_not
        named += set(verdict.doubted) == rows
        print(f"view {number + 1}: doubted {doubted}, not judged {unjudged}", flush=True)
    series, flagged = trends_of(good)
    false = sum(light is not None for light in accused(series))
    count = len(good)
    print(f"simulated, {DEFAULT_BOUNCES} bounces, {parts} parts of {len(VIEWS)} views, per cent with 95 % interval")
    print(f"near lamps, left out: a good light stands out of a part {interval(false, parts)}")
    print(f"    over all parts as one series: {', '.join(flagged) or 'none'}")
    planted_errors = ((f"{STRONGER - 1:.0%} too strong", stronger), (f"off by {TURNED_DEG:g} degrees", turned_aside))
    for what, readings in planted_errors:
        found = [a == str(CHANNELS[k]) for a, k in zip(accused(trends_of(readings)[0]), lights, strict=True)]
        print(f"    a lamp that the calibration has {what}: named {interval(sum(found), parts)}")
    print(
        f"far lamps, table: a good one doubted {interval(doubted, max(count - unjudged, 1))}, judged {count - unjudged}"
    )
    print(f"    one direction 10 degrees off: named {interval(named, max(of_wrong, 1))}, judged {of_wrong}")


def interval(hits: int, trials: int) -> str:
    """Share with Wilson's 95 % interval, in per cent."""
    z, share = 1.96, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return f"{100 * share:5.1f} ({100 * max(middle - half, 0):.1f} to {100 * min(middle + half, 1):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lights", type=int, nargs="+", default=[4, 5, 6, 8, 12, 16, 32, 96])
    parser.add_argument("--sets", type=int, help="100 by default; with --bounced, 50")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--planted", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bounced", action="store_true", help="do good lights stay unaccused under bounced light?")
    options = parser.parse_args()
    if options.bounced:
        bounced_section(options.sets or 50, options.seed)
        return
    sets = options.sets or 100
    draw = simulated if options.folder is None else photographed(options.folder)
    print(f"{'simulated' if options.folder is None else options.folder.name}, {sets} sets a row, per cent")
    print(f"{'K':>4s} {'planted':12s} {'judged':>6s} {'found':>22s} {'named':>22s} {'limit':>8s}")
    for count in options.lights:
        for case in options.planted:
            print(row(draw, count, case, sets, options.seed), flush=True)


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
