"""What passes between the simulated camera and the rig that exposes for it: a request, and what the sensor saw."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.protocols import Pixels


@dataclass(frozen=True, slots=True)
class ExposureRequest:
    """What the camera's registers held at the trigger; sizes and offsets in pixels after binning."""

    frame_id: int
    exposure_us: float
    gain_db: float
    black_level_dn: float
    binning: int
    width: int
    height: int
    offset_x: int
    offset_y: int
    pixel_format: str  # as the rig is asked for it: Mono8, Mono12, BayerRG8 or BayerRG12
    active_lines: int = 0  # bit n: output line n is on during the exposure
    binning_vertical: int = 1  # as the rig is asked for it, equal to `binning`

    @property
    def picture(self) -> tuple[object, ...]:
        """All of it that decides what a picture without noise looks like, but for exposure time and gain."""
        size = (self.offset_x, self.offset_y, self.width, self.height)
        return (*size, self.binning, self.pixel_format, self.black_level_dn)


@dataclass(slots=True)
class Exposed:
    """What the sensor saw: (H, W) uint8 for 8-bit formats, uint16 in the low 12 bits for 12-bit ones.

    Pixels that are not writeable and come again, as the very same object, are not copied again.
    """

    pixels: Pixels
    timestamp_ns: int  # start of exposure on the rig's clock
    complete: bool = True  # False: the lower half is lost on the way, and the frame is marked incomplete
    frame_id: int | None = None  # None: the request's; another number plays a stale or duplicate frame
