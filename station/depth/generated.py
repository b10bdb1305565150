"""Random reliefs as views with depth: photographed, solved by the station's own solver, and integrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from drivers.simulated.scene.head import DIRECTIONAL_CHANNELS, SLANT_DEG, position
from drivers.simulated.scene.reliefs import PART, SHAPES, draw_relief, photographed
from drivers.simulated.scene.reliefs.photographs import FINE
from models.depth_views import DepthView
from station.depth.measured import DepthTruth, depth_view
from station.photometric_stereo.lights import DirectionalLights
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

PIXEL_MM = (0.06, 0.18)  # of a relief, between these; the rig has 0.082 at a binning of 8, and twice that at 16
MARGIN_PX = 24  # around the patches of a relief: what lies beyond throws no shadow
NOISY_LIGHTS_DEG = 0.5  # how far a light stands from where the solver takes it to be
FOUR = slice(1, None, 2)  # every second light of the ring
SHARE_OF_FOUR = (
    0.75  # of the reliefs: under four lights two shadows leave a pixel unobserved, under eight hardly any is
)


@dataclass(frozen=True, slots=True)
class ReliefPatches:
    """How one relief is cut: `side` patches along and across, each of `size_px`."""

    size_px: int = 128
    side: int = 1

    @property
    def relief_px(self) -> int:
        """Side of the relief that they are cut from."""
        return self.size_px * self.side + 2 * MARGIN_PX


def ring_directions() -> NDArray[np.float64]:
    """(K, 3) unit vectors of the rig's directional lights, x right, y up, z toward the camera."""
    count = len(DIRECTIONAL_CHANNELS)
    return np.array([position(360.0 / count * k, SLANT_DEG, 1.0) for k in range(count)])


def relief_kind(seed: int) -> str:
    """A whole part every other time, and the single shapes in turn between them."""
    return PART if seed % 2 else SHAPES[seed // 2 % len(SHAPES)]


def relief_view(seed: int, size_px: int) -> DepthView:
    """A whole relief of size_px x size_px; everything that is random follows from the seed."""
    rng = np.random.default_rng([seed, 71])
    pixel_mm = float(np.exp(rng.uniform(*np.log(PIXEL_MM))))
    relief = draw_relief(relief_kind(seed), seed, size_px * FINE, pixel_mm / FINE)
    lit = FOUR if rng.uniform() < SHARE_OF_FOUR else slice(None)
    nominal, names = ring_directions()[lit], tuple(map(str, DIRECTIONAL_CHANNELS))[lit]
    shot = photographed(relief, _as_mounted(nominal, rng), seed, binning=int(rng.integers(2, 9)))
    lights = DirectionalLights(names, nominal, np.ones(len(names)))
    solver = PhotometricStereo(lights, (size_px, size_px), SolverSettings(method="masked"), threads=1)
    for index, pixels in enumerate(shot.frames):
        solver.add(index, Frame(pixels, "Mono12", 12, 0.0, 1000.0, 0.0, index, index))
    everywhere = np.ones((size_px, size_px), np.bool_)
    truth = DepthTruth(shot.height_mm, everywhere, shot.steps)
    return depth_view(shot.picture, solver.solve(), len(names), shot.pixel_mm, truth)


def cut_patches(view: DepthView, patches: ReliefPatches) -> list[DepthView]:
    """The patches of a relief, row by row; each is integrated as part of the whole, as in a real view."""
    at = [MARGIN_PX + patches.size_px * k for k in range(patches.side)]
    return [view.cut(top, left, patches.size_px, patches.size_px) for top in at for left in at]


def _as_mounted(directions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    moved = directions + rng.normal(0.0, np.radians(NOISY_LIGHTS_DEG), directions.shape)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))
