"""All that hardware is, to the floors above: three Protocols, two for strobes, and the values that pass through them.

Frames of reference. Station frame: millimetres, origin on the fixture where the part sits, x right
and y away from the operator, z up. Camera frame of pictures: origin at the top left pixel, x right,
y down, pixel centres at integers. Normals and light directions: x right, y up, z toward the camera.

A camera at tilt t and pan p looks along f = -(sin t cos p, sin t sin p, cos t); the picture's up
direction is u = (-cos t cos p, -cos t sin p, sin t) and its right is f x u. Tilt 0, pan -90 is
the top view with the station's x to the right and y up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who answered: written into every archive record."""

    vendor: str
    model: str
    serial_number: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera stands (its entrance pupil, station frame) and how it looks."""

    x_mm: float
    y_mm: float
    z_mm: float
    tilt_deg: float
    pan_deg: float

    def as_tuple(self) -> tuple[float, float, float, float, float]:
        return (self.x_mm, self.y_mm, self.z_mm, self.tilt_deg, self.pan_deg)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, copied out of the driver's buffers; it knows nothing of lights or views."""

    pixels: Pixels  # (H, W) or (H, W, 3); linear DN, uint8, or uint16 with `significant_bits` in the low bits
    pixel_format: str  # PFNC name as delivered: Mono8, Mono12, BayerRG8, BayerRG12 ...
    significant_bits: int  # 8, 10, 12 or 16
    black_level_dn: float  # the DN of no light, to be subtracted
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
    """What a recipe asks of the camera once; exposure and gain are asked per frame."""

    pixel_format: str
    binning: int = 1  # both directions; pixels are averaged
    width: int | None = None  # after binning; None = all that the sensor has
    height: int | None = None
    offset_x: int = 0
    offset_y: int = 0


class Camera(Protocol):
    """A camera that exposes one frame when told to. Use as a context manager, or call `close`."""

    @property
    def identity(self) -> DeviceIdentity: ...

    @property
    def frame_timeout_s(self) -> float:
        """How long `expose` waits beyond the exposure itself before it gives the frame up."""
        ...

    def configure(self, settings: CameraSettings) -> CameraSettings:
        """Stop, apply, read back, start. Returns what the camera really does.

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

    def close(self) -> None: ...


class Arm(Protocol):
    """What carries the camera: a gantry, or an arm."""

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
        """Raise OutOfTravel, naming axis, value and limits, if the pose is outside the travel."""
        ...

    def move_to(self, pose: Pose) -> Pose:
        """Move; returns the position read back, once the arm stands still within tolerance."""
        ...

    def position(self) -> Pose: ...

    def stop(self) -> None:
        """Hold now: the first byte leaves within 50 ms, from any thread. The latch falls."""
        ...

    def close(self) -> None: ...


class Lights(Protocol):
    """A light controller with numbered channels; at most one channel is on at a time."""

    @property
    def identity(self) -> DeviceIdentity: ...

    @property
    def channels(self) -> tuple[int, ...]: ...

    def on(self, channel: int, brightness: float) -> None:
        """All others off, this one on at 0..1; returns when acknowledged and settled."""
        ...

    def off(self) -> None:
        """All off, acknowledged; raises LightStateUnknown when it could not be confirmed."""
        ...

    def check(self) -> None:
        """Raise what the controller has reported unasked since `on`: LightFault, DeviceLost. Sends nothing."""
        ...

    def close(self) -> None: ...


class StrobeLights(Lights, Protocol):
    """A controller whose trigger input, fired by the camera's exposure, lights the armed channel."""

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """All others dark and deaf to the trigger, this one dark until it comes; returns when acknowledged.

        It then shines for `on_time_us`, or for as long as the trigger input is high, at each trigger.
        Raises as `on` does; then nothing may be exposed before `off` has succeeded.
        """
        ...

    def disarm(self) -> None:
        """No channel answers the trigger, acknowledged; raises LightStateUnknown. `off` does it too."""
        ...


class StrobeCamera(Camera, Protocol):
    """A camera that tells its exposure on an output line, and when it is over, before the frame has arrived."""

    def set_strobe(self, line: str = "Line1", source: str = "ExposureActive") -> str:
        """Give the exposure out on an output line, now and after each `configure`. Raises FeatureMissing."""
        ...

    def trigger(self, exposure_us: float, gain_db: float = 0.0) -> None:
        """Start one exposure, as `expose` does, and return; `collect` brings its frame."""
        ...

    def wait_exposed(self) -> bool:
        """Return True once the triggered exposure is over; False at once where the camera cannot tell."""
        ...

    def collect(self) -> Frame:
        """The frame of the last `trigger`. Raises as `expose` does."""
        ...
