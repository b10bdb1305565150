"""The measuring place: a target in the fixture, one light, one frame; on a live rig or on the Scene alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.record import Picture
from drivers.protocols import CameraSettings, Frame, Pose
from station.rig.devices import Rig

Target = Literal["sphere_mirror", "sphere_diffuse", "plane_white", "empty"]
Roi = tuple[int, int, int, int]  # x, y, width, height, binned pixels
Progress = Callable[[str], None]
Place = Callable[[Target, float, float], None]

PIXEL_FORMAT = "Mono12"
LONGEST_EXPOSURE_US = 500_000.0
ATTEMPTS = 8


class Bench(Protocol):
    """The camera over the fixture; `channel` None is dark."""

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None: ...

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose calibration it is."""

    camera: str
    lights: str
    temperature_c: float | None  # of the camera as it was asked; None where it does not tell


class LiveBench:
    """A rig whose camera stands at one pose; what lies in the fixture is changed by `place`."""

    def __init__(self, rig: Rig, pose: Pose, place: Place) -> None:
        self._rig = rig
        self._place = place
        self._settings: CameraSettings | None = None
        self.stand_at(pose)

    def stand_at(self, pose: Pose) -> None:
        """Move there; the camera is configured anew, whoever used it meanwhile."""
        self._rig.lights.off()
        if not self._rig.arm.position_trusted:
            self._rig.arm.home()
        self._rig.arm.move_to(pose)
        self._settings = None

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        self._rig.lights.off()
        self._place(target, x_mm, y_mm)

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        x, y, width, height = roi or (0, 0, None, None)
        settings = CameraSettings(PIXEL_FORMAT, binning, width, height, x, y)
        if settings != self._settings:
            self._rig.camera.configure(settings)
            self._settings = settings
        if channel is None:
            self._rig.lights.off()
        else:
            self._rig.lights.on(channel, 1.0)
        return self._rig.camera.expose(exposure_us)

    def identity(self) -> Identity:
        read = getattr(self._rig.camera, "temperature_c", None)  # not every driver has it, nor every camera
        temperature: float | None = read() if callable(read) else None
        return Identity(
            self._rig.camera.identity.serial_number,
            self._rig.lights.identity.serial_number or self._rig.lights.identity.model,
            None if temperature is None else round(temperature, 1),
        )


class Recorder:
    """A bench that remembers a hash of every picture."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._target = "empty"
        self.pictures: list[Picture] = []

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        self._bench.place(target, x_mm, y_mm)
        self._target = f"{target} {x_mm:+g} {y_mm:+g}"

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        frame = self._bench.photograph(channel, exposure_us, binning, roi)
        light = "dark" if channel is None else f"channel {channel}"
        name = f"{len(self.pictures) + 1:03d} {self._target}, {light}, {exposure_us:.0f} us"
        digest = hashlib.sha256(np.ascontiguousarray(frame.pixels).astype("<u2").tobytes()).hexdigest()
        self.pictures.append(Picture(name=name, sha256=digest))
        return frame


def light_of(frame: Frame) -> NDArray[np.float32]:
    """(H, W) counts above the black level."""
    return np.asarray(frame.pixels, np.float32) - np.float32(frame.black_level_dn)


def span_dn(frame: Frame) -> float:
    return frame.full_scale_dn - frame.black_level_dn


def find_exposure_us(
    bench: Bench, channel: int, binning: int, start_us: float, quantile: float, share: float = 0.6
) -> float:
    """Exposure at which the `quantile` of the picture reaches `share` of full scale.

    Raises ValueError when no exposure up to LONGEST_EXPOSURE_US does, or the shortest tried still clips.
    """
    exposure = start_us
    for _ in range(ATTEMPTS):
        frame = bench.photograph(channel, exposure, binning)
        level = float(np.quantile(light_of(frame), quantile)) / span_dn(frame)
        if 0.6 * share <= level <= 1.35 * share and level < 0.9:
            return exposure
        factor = 0.15 if level > 0.97 else share / max(level, 0.02)
        exposure = min(max(exposure * factor, 10.0), LONGEST_EXPOSURE_US)
    raise ValueError(
        f"channel {channel}: no exposure brings the picture to {share:.0%} of full scale "
        f"(last {exposure:.0f} us, level {level:.0%}); is the light on, and the right target in place?"
    )
