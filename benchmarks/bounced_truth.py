"""Normals under light that bounces, against the Scene's truth: before and after the refinement `bounced`. Simulated.

    python benchmarks/bounced_truth.py [--json] [--lights 4]

Parts of one matte albedo, K = 8, the Scene with six bounces. A pixel is *concave* where more than 5 % of the light
under lights that reach it has bounced, else *open*. Errors are means in degrees over pixels of the part that three
lights or more reach: `masked` as the first pass has them; `same` those of `masked` where the refined normal is
observable; `refined`; and the share of them that is called observable. `held` is the share of observable pixels whose
error lies within the stated 95 % interval (goals: 90 % on open, concave and all pixels of each view; mean error of
the observable 1.5 degrees). `too few lights` is how many pixels that fewer than three lights reach are called
observable. Four of the doubt's weights were fitted on connector and knob at 0.2 and 0.5; block and lever took no part
in that. The other weights were chosen with all of these results in sight. `normals_truth.py` prints
this table too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from truth_views import BINNING, DISTANCE_MM, EIGHT, FOUR, VIEWS, View, near_lights, photographed, solved

from drivers.simulated.scene import Scene, make_part
from drivers.simulated.scene.patches import Material
from station.photometric_stereo.bounced.refine import BouncedMap, without_bounced_light
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.uncertainty import SensorNoise

CASES = [(p, a) for p in ("connector", "knob", "block", "lever") for a in (0.2, 0.5)]
SHOWN = ("top", "front", "right")
BOUNCES, CONCAVE_SHARE = 6, 0.05
GOAL_HELD, GOAL_DEG = 0.9, 1.5
FULL_EXPOSURE_US = 6000.0  # of albedo 0.5: bounced light must not saturate
HEADER = f"{'part':<11}{'albedo':>6}  {'view':<7}{'pixels':<9}{'number':>8}{'masked':>8}{'same':>7}{'refined':>9}"
HEADER += f"{'observable':>12}{'held':>8}"


@dataclass(frozen=True)
class BouncedRow:
    """One kind of pixel in one view."""

    product: str
    albedo: float
    view: str
    where: str
    pixels: int
    masked_deg: float
    same_pixels_deg: float
    refined_deg: float
    observable_share: float
    held_share: float

    @property
    def is_met(self) -> bool:
        return self.held_share >= GOAL_HELD and (self.where != "all" or self.refined_deg <= GOAL_DEG)

    def as_text(self) -> str:
        return (
            f"{self.product:<11}{self.albedo:>6.2f}  {self.view:<7}{self.where:<9}{self.pixels:>8}"
            f"{self.masked_deg:>8.2f}{self.same_pixels_deg:>7.2f}{self.refined_deg:>9.2f}{self.observable_share:>12.1%}{self.held_share:>8.1%}"
            f"{'' if self.is_met else '   NOT MET'}"
        )


def matte_scene(product: str, albedo: float, bounces: int) -> Scene:
    """The product without gloss and texture; the plate stays as it is."""
    part = make_part(product, 6)
    matte = Material((albedo,) * 3, f0=(0.0, 0.0, 0.0), alpha=1.0)
    patches = tuple(replace(patch, paints=()) for patch in part.body.patches)
    body = replace(part.body, patches=patches, materials=dict.fromkeys(part.body.materials, matte))
    return Scene(replace(part, body=body), bounces=bounces)


def concave(bounced: View, direct: View, dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W): over CONCAVE_SHARE of the light that comes under the lights that reach a pixel has bounced."""
    total, straight = (
        np.stack([f.pixels.astype(np.float64) - f.black_level_dn for f in view.frames]) for view in (bounced, direct)
    )
    share = np.where(dark, 0, (total - straight) / np.maximum(total, 1)).sum(axis=0)
    return np.asarray(share / np.maximum((~dark).sum(axis=0), 1) > CONCAVE_SHARE)


def sensor_noise(scene: Scene) -> SensorNoise:
    """Of the simulated sensor, binned; at 0 dB and 12 bit."""
    dark_e = float(np.hypot(scene.sensor.read_noise_e, scene.sensor.dsnu_e))
    return SensorNoise(scene.sensor.gain_dn_per_e(12, 0.0) / BINNING**2, dark_e * BINNING)


def rows_of(product: str, albedo: float, name: str, channels: tuple[int, ...]) -> tuple[list[BouncedRow], str]:
    pose, exposure_us = VIEWS[name], FULL_EXPOSURE_US * 0.5 / albedo
    scene, straight = (matte_scene(product, albedo, bounces) for bounces in (BOUNCES, 0))
    view, direct = (photographed(s, pose, channels, exposure_us) for s in (scene, straight))
    dark = np.stack([straight.shadow(pose, channel, BINNING) for channel in channels])
    part, enough = view.truth.part_mask, (~dark).sum(axis=0) >= 3
    lights = near_lights(channels, round(DISTANCE_MM - float(np.median(view.truth.depth_mm[part])), 1))
    first = solved(view, lights, "masked")
    started = time.process_time()
    refined = without_bounced_light(view.frames, lights, SolverSettings(), sensor_noise(scene), camera_mm=DISTANCE_MM)
    cpu_s = time.process_time() - started
    truth = view.truth.normals.astype(np.float64)
    errors = tuple(angular_error_map(m.normals, truth) for m in (first, refined.normal_map))
    hollow = concave(view, direct, dark)
    kinds = {"open": ~hollow, "concave": hollow, "all": np.ones_like(hollow)}
    rows = [
        _row((product, albedo, name, where), part & chosen, enough, errors, refined) for where, chosen in kinds.items()
    ]
    few, seen = part & ~enough, refined.normal_map.observable
    note = f"{product} {albedo:g} {name}: too few lights, called observable: {np.sum(few & seen)} of {few.sum()}"
    return rows, f"{note} (masked: {np.sum(few & first.observable)}); {cpu_s:.1f} CPU-s"


def _row(
    case: tuple[str, float, str, str],
    chosen: NDArray[np.bool_],
    enough: NDArray[np.bool_],
    errors: tuple[NDArray[np.float64], ...],
    refined: BouncedMap,
) -> BouncedRow:
    before, after = errors
    reached, seen = chosen & enough, chosen & refined.normal_map.observable
    return BouncedRow(
        *case, int(reached.sum()), _mean(before[reached]), _mean(before[seen & enough]), _mean(after[seen & enough]),
        float((reached & seen).sum() / max(reached.sum(), 1)), float(np.mean(after[seen] <= refined.p95_deg[seen])),
    )  # fmt: skip


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def bounced_rows(channels: tuple[int, ...]) -> tuple[list[BouncedRow], list[str]]:
    """All parts, albedos and views under these lamps, and a note of each; minutes."""
    rows: list[BouncedRow] = []
    notes: list[str] = []
    for product, albedo in CASES:
        for name in SHOWN:
            found, note = rows_of(product, albedo, name, channels)
            rows, notes = [*rows, *found], [*notes, note]
    return rows, notes


def bounced_text(rows: list[BouncedRow], notes: list[str]) -> str:
    """The table, its notes, and how many goals are met."""
    missed = sum(not r.is_met for r in rows)
    return "\n".join(
        [
            f"light that bounces{'':<48}of those that three lights reach", HEADER, *(r.as_text() for r in rows), *notes,
            f"goals under light that bounces: {len(rows) - missed} of {len(rows)} rows meet theirs",
        ]
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lights", type=int, choices=(4, 8), default=8)
    given = parser.parse_args()
    rows, notes = bounced_rows(EIGHT if given.lights == 8 else FOUR)
    if given.json:
        print(json.dumps({"rows": [asdict(r) for r in rows], "notes": notes}, indent=1))
    else:
        print("\n".join([bounced_text(rows, notes), "simulated"]))
    return int(any(not r.is_met for r in rows))


if __name__ == "__main__":
    sys.exit(main())
