"""All that hardware is to the rest of the station: three Protocols, two for strobes, one for the watch at rest, and
the values they exchange.

Frames of reference. Station frame: millimetres, origin on the fixture where the part sits, x right
and y away from the operator, z up. Camera frame of pictures: origin at the top left pixel, x right,
y down, pixel centres at integers. Normals and light directions: x right, y up, z toward the camera.

A `Pose` is the camera's entrance pupil with its tilt and pan; `drivers/geometry/pose.py` has the formula. Every method
that talks to a device raises DeviceError (`drivers/errors.py`); the docstrings name what to expect beyond DeviceLost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Landing = Callable[[tuple[int, int], np.dtype[Any]], Pixels | None]  # of (H, W) and type; None: no memory for such


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who answered, as the device reports it; empty where it does not. Written into every archive record."""

    vendor: str
    model: str
    serial_number: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, copied out of the driver's buffers; it knows nothing of lights or views."""

    pixels: Pixels  # (H, W) or (H, W, 3); linear DN, uint8, or uint16 with `significant_bits` in the low bits
    pixel_format: str  # PFNC name as delivered: Mono8, Mono12, BayerRG8, BayerRG12 ...
    significant_bits: int  # 8, 10, 12 or 16: saturation is at 2**significant_bits - 1
    black_level_dn: float  # the level without light, to be subtracted
    exposure_us: float  # actual, from the chunk where there is one
    gain_db: float  # actual
    timestamp_ns: int  # device clock at the start of exposure
    frame_id: int  # counts by one per frame that the camera exposed

    @property
    def full_scale_dn(self) -> int:
        """The largest count of the pixel format, 2**significant_bits - 1: where a pixel saturates."""
        return int(2**self.significant_bits - 1)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What a recipe asks of the camera once; exposure and gain are asked for each frame."""

    pixel_format: str
    binning: int = 1  # both directions; pixels are averaged
    width: int | None = None  # after binning; None = all that the sensor has
    height: int | None = None
    offset_x: int = 0
    offset_y: int = 0


class Camera(Protocol):
    """A camera that exposes one frame when triggered. Use as a context manager, or call `close`."""

    @property
    def identity(self) -> DeviceIdentity: ...

    @property
    def frame_timeout_s(self) -> float:
        """How long `expose` waits beyond the exposure itself before it gives the frame up."""
        ...

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Stop, apply, read back, start. Returns the settings that the camera really uses.

        Raises FeatureMissing when the camera lacks a feature or the value is out of range.
        """
        ...

    def time_ns(self) -> int:
        """The device clock now, on the scale of `Frame.timestamp_ns`."""
        ...

    def expose(self, exposure_us: float, gain_db: float = 0.0) -> Frame:
        """Trigger one exposure and return its frame, once it has arrived and been copied.

        Raises DeviceTimeout, DeviceLost, FrameIncomplete, FrameOutOfOrder; never an old frame.
        """
        ...

    def close(self) -> None:
        """Give the camera back; safe to call twice."""
        ...


class Arm(Protocol):
    """A gantry or a robot arm that carries the camera."""

    @property
    def identity(self) -> DeviceIdentity: ...

    @property
    def position_trusted(self) -> bool:
        """False until homed, and again after anything that may have moved the axes unseen."""
        ...

    def home(self) -> None:
        """Search the reference switches; returns when the axes stand still and are trusted."""
        ...

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel, naming axis, value and limits, if the pose is outside the travel. Sends nothing."""
        ...

    def move_to(self, pose: Pose) -> Pose:
        """Move; returns the position read back, once the arm stands still within tolerance."""
        ...

    def position(self) -> Pose:
        """As the controller reports it, trusted or not. Raises PositionUntrusted while it cannot know."""
        ...

    def stop(self) -> None:
        """Hold now: the first byte leaves within 50 ms, from any thread. The position is not trusted afterwards."""
        ...

    def close(self) -> None:
        """Give the port back. A move in progress runs to its end."""
        ...


class Lights(Protocol):
    """A light controller with numbered channels; at most one channel is on at a time."""

    @property
    def identity(self) -> DeviceIdentity: ...

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of the rig file, which `on` takes."""
        ...

    def on(self, channel: int, brightness: float) -> None:
        """All others off, this one on at 0..1; returns when acknowledged and settled.

        Raises FeatureMissing, CommandRefused, DeviceTimeout, LightFault; then the light counts as possibly on.
        """
        ...

    def off(self) -> None:
        """All off, acknowledged; raises LightStateUnknown when it could not be confirmed."""
        ...

    def check(self) -> None:
        """Raise what the controller has reported unasked since `on`: LightFault, DeviceLost. Sends nothing."""
        ...

    def close(self) -> None:
        """Give the port back; it switches nothing."""
        ...


class StrobeLights(Lights, Protocol):
    """A controller whose trigger input, fired by the camera's exposure, lights the armed channel."""

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """Leave all others dark and deaf to the trigger, this one dark until it comes; returns when acknowledged.

        It then shines at each trigger, for `on_time_us` or for as long as the trigger input is high.
        Raises as `on` does; then nothing may be exposed before `off` has succeeded.
        """
        ...

    def disarm(self) -> None:
        """Let no channel answer the trigger, acknowledged; raises LightStateUnknown. `off` does it too."""
        ...


class StrobeCamera(Camera, Protocol):
    """A camera that puts its exposure out on a line, and reports its end before the frame has arrived."""

    def set_strobe(self, line: str = "Line1", source: str = "ExposureActive") -> str:
        """Put the exposure out on an output line, now and after each `configure`; returns the line's name.

        Raises FeatureMissing.
        """
        ...

    def trigger(self, exposure_us: float, gain_db: float = 0.0) -> None:
        """Start one exposure, as `expose` does, and return; `collect` brings its frame."""
        ...

    def wait_exposed(self) -> bool:
        """Return True once the triggered exposure is over; False at once where the camera does not report it."""
        ...

    def collect(self) -> Frame:
        """The frame of the last `trigger`. Raises as `expose` does."""
        ...


class LandsFrames(Protocol):
    """What a camera may offer besides: it unpacks its frames where the station reads them, so none is copied twice."""

    def land_in(self, landing: Landing | None) -> None:
        """Ask `landing` from now on where to unpack each frame of one channel; None: into memory of its own.

        What it returns is (H, W). Rows are contiguous, and may lie apart by the same number of pixels, which the last
        has behind it too.
        """
        ...


class AsksAtRest(Protocol):
    """What any of the three may offer besides: the station asks it after a part's last frame, and at rest.

    A driver without it is asked by what its Protocol has; see `station/engine/device_watch.py`.
    """

    def check_at_rest(self, silence_s: float | None = None) -> None:
        """Ask by one short exchange, which changes nothing, whether the device is still as it was left.

        An arm answers, is trusted, and stands where it was sent. Lights answer, and all were confirmed to be off. A
        camera is connected and answers. Raises DeviceError otherwise; for a device that is silent, after `silence_s`
        at most, where that is less than the driver's own patience.
        """
        ...
