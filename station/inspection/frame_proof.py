"""What a frame is archived with, so that anybody can see later that it belongs to its light and to its place."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.geometry.pose import Pose


@dataclass(frozen=True, slots=True)
class FrameProof:
    """Beside a frame's own id, timestamp and exposure: what was commanded for it, and what the devices answered.

    Times are on the camera's clock, as `Frame.timestamp_ns` is. The commanded pose stands beside the frame.
    """

    channel: int  # of the light controller; 0 where every light was off
    brightness: float  # commanded, 0..1
    lit_ns: int | None  # the light was acknowledged by then; None for a dark frame: off since before the move
    exposure_end_ns: int  # the start of the exposure and its actual duration
    reached: Pose  # as the arm's controller reported it, at rest
    take: int = 1  # of the view; above 1 where the view was taken again
    re_exposed: int = 0  # exposures of this step before this one whose frames did not come whole
