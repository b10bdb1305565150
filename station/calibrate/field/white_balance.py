"""`station calibrate white`: the gains of red, green and blue with which the screen draws a white plane white."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.calibrate.bench.target_bench import LONGEST_EXPOSURE_US, Place
from station.documents.document import load_document
from station.errors import BadInput
from station.judge.diffuse_picture import diffuse_rgb
from station.recipe.edit import update_recipe_values
from station.recipe.fields import LightChoice, Recipe, WhiteBalance
from station.rig.devices import Rig

MIDDLE = 4  # the middle quarter of the picture's width and height is read
BRIGHTEST, DARKEST = 0.85, 0.05  # of full scale: the level of the strongest and the weakest colour
WANTED = 0.6  # of full scale, for the strongest colour
CLIPPED_SHARE = 0.001
MOST_GAIN = 4.0
ATTEMPTS = 6


@dataclass(frozen=True)
class WhiteBalanceReport:
    """The gains that were written into the recipe, and the exposure that showed the plane."""

    recipe: str
    red: float
    green: float
    blue: float
    exposure_us: float

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """The gains in one line."""
        gains = f"red {self.red:.3f}, green {self.green:.3f}, blue {self.blue:.3f}"
        return f"{self.recipe}: the screen multiplies {gains}; nothing else changes"


def colour_recipe(recipe: Path) -> Recipe:
    """The recipe, read; opens no device. Raises BadInput for one without colours, DocumentError."""
    found = load_document(recipe, Recipe)
    if not found.capture.is_color:
        raise BadInput(f"{recipe}: capture.pixel_format: {found.capture.pixel_format} has no colours to balance")
    return found


def calibrate_white(rig: Rig, place: Place, recipe: Path) -> WhiteBalanceReport:
    """Photographs the white plane under the recipe's diffuse light and writes the gains into the recipe.

    The camera must stand over the plane. Raises BadInput for a recipe without colours and for a plane that is no
    white plane; DocumentError for the recipe, DeviceError for the rig.
    """
    found = colour_recipe(recipe)
    rig.camera.configure(found.camera_settings())
    place("plane_white", 0.0, 0.0)
    light = next(light for light in found.lights if light.kind == "diffuse")
    try:
        frame = _well_exposed(rig, light)
    finally:
        rig.lights.off()
    levels = _levels(frame)
    if levels.max() > MOST_GAIN * levels.min():
        shares = ", ".join(f"{level:.3f}" for level in levels)
        raise BadInput(f"red, green, blue at {shares} of full scale: that is no white plane, or a colour is missing")
    gains = [round(float(levels.max() / level), 4) for level in levels]
    balance = WhiteBalance(red=gains[0], green=gains[1], blue=gains[2])
    update_recipe_values(recipe, white_balance=balance)
    return WhiteBalanceReport(str(recipe), *balance.gains, frame.exposure_us)


def _well_exposed(rig: Rig, light: LightChoice) -> Frame:
    """A frame in which no colour is clipped or dark, from the recipe's exposure on. Raises BadInput where none is."""
    exposure_us = light.exposure_us
    rig.lights.on(light.channel, light.brightness)
    for _ in range(ATTEMPTS):
        frame = rig.camera.expose(exposure_us)
        levels = _levels(frame)
        is_clipped = _clipped_share(frame) > CLIPPED_SHARE
        if levels.min() >= DARKEST and levels.max() <= BRIGHTEST and not is_clipped:
            return frame
        factor = 0.3 if is_clipped else float(np.clip(WANTED / max(levels.max(), 1e-3), 0.1, 10.0))
        exposure_us = min(exposure_us * factor, LONGEST_EXPOSURE_US)
    raise BadInput(
        f"light {light.name!r}: no exposure shows the white plane well (last {exposure_us:.0f} us, levels of red, "
        f"green, blue {levels.round(3).tolist()} of full scale): is the plane in place and the light on?"
    )


def _levels(frame: Frame) -> NDArray[np.float64]:
    """(3,) mean of red, green, blue in the middle of the picture, share of full scale."""
    image = diffuse_rgb(frame)
    rows, columns = (slice((n - n // MIDDLE) // 2, (n + n // MIDDLE) // 2) for n in image.shape[1:])
    return np.asarray(image[:, rows, columns].mean(axis=(1, 2)), np.float64)


def _clipped_share(frame: Frame) -> float:
    """The share of the raw pixels at full scale."""
    return float(np.mean(frame.pixels >= frame.full_scale_dn))
