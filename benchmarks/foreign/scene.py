"""What the Scene shows of a rendered view, and how far the two lie apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from foreign.pixels import Mask, concave, contacts
from foreign.views import BINNING, PLATE_ALBEDO, RenderedView
from numpy.typing import NDArray
from truth_views import EIGHT, VIEWS

from drivers.geometry.pose import Pose
from drivers.simulated.scene import DIFFUSE_CHANNEL, Part, Placement, Scene, Sensor, make_part
from drivers.simulated.scene.geometry import region
from drivers.simulated.scene.head import SLANT_DEG
from drivers.simulated.scene.mounted import FOCAL_PX
from drivers.simulated.scene.part import Packed
from drivers.simulated.scene.patches import Material
from drivers.simulated.scene.scene import SIGNAL_E_PER_US

F64 = NDArray[np.float64]

LEAST_OF_ALBEDO = 0.01
DOME_UNIT_E_PER_US = SIGNAL_E_PER_US / 0.5  # of light 1 in RenderedView's units
LAMP_UNIT_E_PER_US = DOME_UNIT_E_PER_US / math.cos(math.radians(SLANT_DEG))
_EXACT_SENSOR = Sensor(saturation_e=1e8, read_noise_e=0.0, dark_e_per_s=0.0, prnu_percent=0.0, dsnu_e=0.0)
_BRIGHTEST, _BRACKET = 1.5, (1.0, 8.0, 64.0)  # light at full scale of the shortest exposure; exposures against it


class MattePart(Part):
    """A part on a plate without texture and gloss, as the renderer has it."""

    @cached_property
    def packed(self) -> Packed:
        packed = super().packed
        plate = Material((PLATE_ALBEDO,) * 3, f0=(0.0, 0.0, 0.0), alpha=1.0)
        return replace(packed, materials=np.vstack([packed.materials[:-1], plate.row()]))


def matte_part(product: str, albedo: float) -> Part:
    """The product as drawn, all of one matte albedo."""
    part = make_part(product, 0)
    matte = Material((albedo,) * 3, f0=(0.0, 0.0, 0.0), alpha=1.0)
    patches = tuple(replace(patch, paints=()) for patch in part.body.patches)
    body = replace(part.body, patches=patches, materials=dict.fromkeys(part.body.materials, matte))
    return MattePart(product, 0, (), Placement(), body, None)


def scene_of(product: str, albedo: float, bounces: int) -> Scene:
    """The matte part before a sensor without noise."""
    return Scene(matte_part(product, albedo), sensor=_EXACT_SENSOR, bounces=bounces)


def light_of(scene: Scene, pose: Pose, channel: int) -> F64:
    """(H, W) light of one channel in RenderedView's units, from photographs of three exposures without sensor noise."""
    unit = DOME_UNIT_E_PER_US if channel == DIFFUSE_CHANNEL else LAMP_UNIT_E_PER_US
    shortest_us = _EXACT_SENSOR.saturation_e / (_BRIGHTEST * LAMP_UNIT_E_PER_US)
    light = np.full(region(BINNING, None)[:1:-1], np.nan)
    for longer in _BRACKET:
        pixels = scene.photograph(
            pose, {channel: 1.0}, exposure_us=shortest_us * longer, gain_db=0.0, pixel_format="Mono12",
            binning=BINNING, roi=None, frame_seed=channel, black_level_dn=0.0,
        )  # fmt: skip
        seen = pixels * (_BRIGHTEST * LAMP_UNIT_E_PER_US / unit / 4095.0 / longer)
        light = np.where((pixels < 4000) | (longer == 1.0), seen, light)
    return light / _vignetting()


def _vignetting() -> F64:
    height, width = region(BINNING, None)[:1:-1]
    y, x = (
        a * (BINNING / FOCAL_PX)
        for a in np.mgrid[0:height, 0:width] - np.array([height - 1, width - 1])[:, None, None] / 2
    )
    return np.asarray((1.0 + x * x + y * y) ** -2.0)


@dataclass(frozen=True)
class Difference:
    """Of many pixels, in percent of the renderer's total light."""

    median: float
    p95: float
    bias: float  # of all light together, signed

    def as_text(self) -> str:
        return f"{self.median:7.2f}{self.p95:7.2f}{self.bias:+7.2f}"


@dataclass(frozen=True)
class SceneRow:
    """One view of one part, one kind of pixel."""

    product: str
    albedo: float
    view: str
    where: str
    pixels: int
    direct: Difference
    total: Difference | None
    dome_direct: Difference
    dome_total: Difference | None
    shadow_share: float  # of pixels and lamps, that Scene and renderer judge apart
    noise_percent: float  # the renderer's own, of the view's bounced light, against its mean

    def as_text(self) -> str:
        columns = [self.direct, self.total, self.dome_direct, self.dome_total]
        figures = "  ".join(" " * 21 if c is None else c.as_text() for c in columns)
        start = f"{self.product:<10}{self.albedo:>5.2f} {self.view:<6}{self.where:<8}{self.pixels:>7}"
        return f"{start}  {figures}{self.shadow_share:>9.3%}{self.noise_percent:>7.1f}"


def scene_rows(product: str, albedo: float, name: str, view: RenderedView, bounces: int) -> list[SceneRow]:
    pose, direct = VIEWS[name], scene_of(product, albedo, 0)
    whole = scene_of(product, albedo, bounces) if bounces else None
    lamps = np.stack([light_of(direct, pose, channel) for channel in EIGHT])
    lamps_total = None if whole is None else np.stack([light_of(whole, pose, channel) for channel in EIGHT])
    dome = light_of(direct, pose, DIFFUSE_CHANNEL)
    dome_total = None if whole is None else light_of(whole, pose, DIFFUSE_CHANNEL)
    shadow = np.stack([direct.shadow(pose, channel, BINNING) for channel in EIGHT])
    hollow, contact = concave(view), contacts(direct.part, view, pose)
    rows = []
    for where, mask in (("open", view.part & ~hollow & ~contact), ("concave", hollow), ("contact", contact)):
        if not mask.any():
            continue
        rows.append(
            SceneRow(
                product, albedo, name, where, int(mask.sum()),
                _difference(lamps, view.direct, view.total, mask, albedo),
                None if lamps_total is None else _difference(lamps_total, view.total, view.total, mask, albedo),
                _difference(dome[None], view.dome_direct[None], view.dome_total[None], mask, albedo),
                None if dome_total is None
                else _difference(dome_total[None], view.dome_total[None], view.dome_total[None], mask, albedo),
                float((shadow == view.lit)[:, mask].mean()), 100.0 * view.noise,
            )
        )  # fmt: skip
    return rows


def _difference(
    ours: F64, theirs: NDArray[np.float32], total: NDArray[np.float32], mask: Mask, albedo: float
) -> Difference:
    """Maps (K, H, W) over the pixels of `mask`; NaN where no light comes."""
    a, b, whole = (np.asarray(light[:, mask], np.float64) for light in (ours, theirs, total))
    judged = whole > LEAST_OF_ALBEDO * albedo
    if not judged.any():
        return Difference(math.nan, math.nan, math.nan)
    apart = 100.0 * np.abs(a - b)[judged] / whole[judged]
    bias = 100.0 * float((a - b).sum() / whole.sum())
    return Difference(float(np.median(apart)), float(np.percentile(apart, 95)), bias)
