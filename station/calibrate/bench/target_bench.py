"""A sphere or plane in the fixture, one light and one frame at a time: the bench on which lights are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.record import Picture
from drivers.geometry.pose import Pose
from drivers.protocols import CameraSettings, Frame
from station.rig.devices import Rig

Target = Literal["sphere_mirror", "sphere_diffuse", "plane_white", "empty"]
Roi = tuple[int, int, int, int]  # x, y, width, height, binned pixels
Progress = Callable[[str], None]
Place = Callable[[Target, float, float], None]

PIXEL_FORMAT = "Mono12"
LONGEST_EXPOSURE_US = 500_000.0
ATTEMPTS = 8


class Bench(Protocol):
    """A camera over the fixture whose lights can be switched on one by one."""

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        """Returns when `target` lies in the fixture with its middle at x, y of the station's frame."""
        ...

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        """One frame under the light of `channel` at full brightness; with all lights off where it is None."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """The devices that a calibration belongs to."""

    camera: str  # serial number
    lights: str  # serial number of the light controller, or its model where it has none
    temperature_c: float | None  # of the camera's housing when it was asked; None where the camera has no sensor


class LiveBench:
    """A real or simulated rig whose camera stands at one pose; `place` changes what lies in the fixture."""

    def __init__(self, rig: Rig, pose: Pose, place: Place) -> None:
        self._rig = rig
        self._place = place
        self._settings: CameraSettings | None = None
        self.stand_at(pose)

    def stand_at(self, pose: Pose) -> None:
        """Moves the camera to `pose` with the lights off, and homes the arm first where its position is not trusted.

        The next picture configures the camera anew, because somebody else may have used it meanwhile.
        """
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
        """Asks the devices now, so that the temperature is that of the moment."""
        read = getattr(self._rig.camera, "temperature_c", None)  # not every driver has it, nor every camera
        temperature: float | None = read() if callable(read) else None
        return Identity(
            self._rig.camera.identity.serial_number,
            self._rig.lights.identity.serial_number or self._rig.lights.identity.model,
            None if temperature is None else round(temperature, 1),
        )


class Recorder:
    """A bench that keeps the name and SHA-256 of every picture taken through it, as evidence for the record."""

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
        self.pictures.append(evidence(name, frame))
        return frame


def evidence(name: str, frame: Frame) -> Picture:
    """The record's entry for a frame: its pixels are hashed row by row, 16 bit, little endian, whatever the machine."""
    digest = hashlib.sha256(np.ascontiguousarray(frame.pixels).astype("<u2").tobytes()).hexdigest()
    return Picture(name=name, sha256=digest)


def light_of(frame: Frame) -> NDArray[np.float32]:
    """(H, W) counts above the black level."""
    return np.asarray(frame.pixels, np.float32) - np.float32(frame.black_level_dn)


def span_dn(frame: Frame) -> float:
    """Counts between the black level and full scale."""
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
