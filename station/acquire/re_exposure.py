"""A frame that did not come whole is exposed again, under the same light in the same pose, before the part is given up.

Only that: a frame that is out of order, or not proven to be of its light, ends the capture at once.
"""

from __future__ import annotations

import logging

from drivers.errors import DeviceError, DeviceTimeout, FrameIncomplete
from drivers.protocols import Camera
from station.acquire.plan import CaptureStep

log = logging.getLogger(__name__)

RE_EXPOSURES_PER_VIEW = 2
NOT_WHOLE = (FrameIncomplete, DeviceTimeout)  # of the camera: bytes are missing, or the frame was lost on the way


class ReExposures:
    """Counts the frames of one view that did not come whole, and ends the capture when they are too many."""

    def __init__(self, camera: Camera, most: int = RE_EXPOSURES_PER_VIEW) -> None:
        self._camera = camera
        self._most = most
        self._in_view = 0
        self._of_step = 0

    def take_off(self) -> int:
        """How many exposures of the last step were in vain, for its record; the next step begins at 0."""
        found, self._of_step = self._of_step, 0
        return found

    def allow(self, step: CaptureStep, error: DeviceError) -> None:
        """Return if the step may be exposed again. Raises `error` anew once the view's are used up, and DeviceLost."""
        if self._in_view >= self._most:
            raise type(error)(
                error.device,
                f"{error.message} (view {step.view!r}, light {step.light!r}; {self._in_view} frames of this view were "
                "exposed again before: check the camera's cable and its link)",
            ) from error
        self._camera.time_ns()  # a camera that is gone raises DeviceLost here
        self._in_view += 1
        self._of_step += 1
        log.warning("view %r, light %r is exposed again: %s", step.view, step.light, error)
