"""Exposures chosen by looking at a good part: no pixel clipped, and most of the sensor's range used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from drivers.protocols import Frame
from station.errors import BadInput
from station.lights.levels import CLIPPED
from station.recipe.fields import LightChoice
from station.recipe.loaded import LoadedRecipe
from station.rig.devices import Rig

AIM = 0.75  # of full scale, for the part's brightest percentile
BRIGHT = 0.99  # that percentile, over the middle of the picture, where the part lies
MIDDLE = 0.5  # of the picture's width and height
HIGHEST, HIGHEST_AT = 0.95, 0.998  # so few pixels of the whole picture may be brighter than that
DIM = 0.05  # of full scale: darker pictures tell too little of the exposure that is needed
SHORTER, LONGER, MOST_TRIES = 0.25, 4.0, 8
LEAST_US, MOST_US = 20.0, 200_000.0


class TooDark(BadInput, ValueError):
    """No exposure shows the part; the text names view and light."""


@dataclass(frozen=True, slots=True)
class Look:
    """One frame of the part: shares of full scale over black, and the exposure at which they were seen."""

    bright: float  # the part's brightest percentile
    highest: float  # what nearly no pixel of the whole picture exceeds
    exposure_us: float

    @classmethod
    def at(cls, frame: Frame) -> Look:
        height, width = frame.pixels.shape[:2]
        top, left = (round(size * (1 - MIDDLE) / 2) for size in (height, width))
        middle = frame.pixels[top : height - top, left : width - left]
        black, full = frame.black_level_dn, frame.full_scale_dn
        bright, highest = (
            (float(np.quantile(pixels, share)) - black) / (full - black)
            for pixels, share in ((middle, BRIGHT), (frame.pixels, HIGHEST_AT))
        )
        return cls(bright, highest, frame.exposure_us)

    @property
    def is_clipped(self) -> bool:
        return max(self.bright, self.highest) >= CLIPPED

    @property
    def wanted_us(self) -> float:
        """The exposure that this view asks of the light: levels grow with it."""
        return self.exposure_us * min(AIM / max(self.bright, 1e-6), HIGHEST / max(self.highest, 1e-6))


@dataclass(frozen=True, slots=True)
class ChosenExposure:
    """What was chosen for a light, and the part's brightest percentile that is to be expected in each view."""

    light: str
    exposure_us: float
    bright: Mapping[str, float]

    def as_text(self) -> str:
        """One line: the exposure, and the range of the views."""
        most = max(self.bright, key=lambda view: self.bright[view])
        least = min(self.bright, key=lambda view: self.bright[view])
        return (
            f"{self.light}: {self.exposure_us:g} us; the part's brightest percentile is at {self.bright[most]:.0%} of "
            f"full scale in view {most}, {self.bright[least]:.0%} in view {least}"
        )


def choose_exposures(
    rig: Rig, loaded: LoadedRecipe, progress: Callable[[str], None]
) -> tuple[LoadedRecipe, tuple[ChosenExposure, ...]]:
    """The recipe with an exposure per light, the same in all views, for the good part that lies in the fixture.

    Every view is visited once, and its brightest view rules a light. Raises TooDark, DeviceError; the lights are off
    afterwards.
    """
    recipe = loaded.recipe
    start_us = {light.name: light.exposure_us for light in recipe.lights}
    looks: dict[str, dict[str, Look]] = {light.name: {} for light in recipe.lights}
    try:
        for number, viewpoint in enumerate(recipe.viewpoints, start=1):
            progress(f"view {viewpoint.name}, {number} of {len(recipe.viewpoints)}: looking for exposures")
            rig.lights.off()
            rig.arm.move_to(viewpoint.as_pose())
            for light in recipe.lights:
                look = _look(rig, loaded, viewpoint.name, light, start_us[light.name])
                looks[light.name][viewpoint.name] = look
                start_us[light.name] = look.exposure_us
    finally:
        rig.lights.off()
    chosen = tuple(_chosen(name, views) for name, views in looks.items())
    by_name = {choice.light: choice.exposure_us for choice in chosen}
    lights = tuple(light.model_copy(update={"exposure_us": by_name[light.name]}) for light in recipe.lights)
    return _with_lights(loaded, lights), chosen


def _chosen(light: str, views: Mapping[str, Look]) -> ChosenExposure:
    exposure_us = _rounded(min(MOST_US, max(LEAST_US, min(look.wanted_us for look in views.values()))))
    bright = {view: look.bright / look.exposure_us * exposure_us for view, look in views.items()}
    return ChosenExposure(light, exposure_us, bright)


def _look(rig: Rig, loaded: LoadedRecipe, view: str, light: LightChoice, exposure_us: float) -> Look:
    """A look that is neither clipped nor too dim to tell the exposure that is needed."""
    if rig.strobes is None:
        rig.lights.on(light.channel, light.brightness)
    look = None
    for _ in range(MOST_TRIES):
        look = Look.at(_exposed(rig, loaded, light, exposure_us))
        if look.is_clipped and exposure_us > LEAST_US:
            exposure_us = max(LEAST_US, exposure_us * SHORTER)
        elif look.bright < DIM and exposure_us < MOST_US:
            exposure_us = min(MOST_US, exposure_us * LONGER)
        else:
            break
    assert look is not None
    if look.is_clipped:
        raise TooDark(
            f"view {view!r}, light {light.name!r}: clipped even at {look.exposure_us:g} us; lower the light's "
            "brightness (--brightness), close the aperture, or keep other light out"
        )
    if not look.bright >= DIM / LONGER:
        raise TooDark(
            f"view {view!r}, light {light.name!r}: the middle of the picture stays dark at {look.exposure_us:g} us "
            f"({look.bright:.1%} of full scale); put a good part into the fixture, and look at the lamp, the lens's "
            "cap and the viewpoint"
        )
    return look


def _exposed(rig: Rig, loaded: LoadedRecipe, light: LightChoice, exposure_us: float) -> Frame:
    gain_db = loaded.recipe.capture.gain_db
    if rig.strobes is None:
        return rig.camera.expose(exposure_us, gain_db)
    rig.strobes.lights.arm(light.channel, light.brightness, exposure_us)
    rig.strobes.camera.trigger(exposure_us, gain_db)
    return rig.strobes.camera.collect()


def _rounded(exposure_us: float) -> float:
    """Down to two digits: what a person can read and type."""
    step = 10.0 ** (np.floor(np.log10(exposure_us)) - 1)
    return float(np.floor(exposure_us / step + 1e-9) * step)


def _with_lights(loaded: LoadedRecipe, lights: tuple[LightChoice, ...]) -> LoadedRecipe:
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"lights": lights}))
