"""One view's frames while they come in: each bound to its step, and the one answer to whether all are there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.plan import CaptureStep
from station.inspection.frame_proof import FrameProof
from station.photometric_stereo.view_memory import ViewMemory


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame bound to the step that made it, with the position read back from the arm."""

    step: CaptureStep
    frame: Frame
    position: Pose
    re_exposed: int = 0  # exposures before this one whose frames did not come whole
    lit_ns: int | None = None  # the light was acknowledged by then, on the camera's clock; None for a dark frame
    take: int = 1  # of its view: a higher one replaces all frames of the view before
    is_re_look: bool = False  # of a second look at its view, which stands beside the first until it is judged
    memory: ViewMemory | None = None  # of its view, in which the solver finds it; None: its pixels are elsewhere

    def proof(self) -> FrameProof:
        """What shows that the frame belongs to its light and to its place, for the archive."""
        step, frame = self.step, self.frame
        end_ns = frame.timestamp_ns + round(frame.exposure_us * 1e3)
        return FrameProof(step.channel, step.brightness, self.lit_ns, end_ns, self.position, self.take, self.re_exposed)


class CapturedView:
    """The frames of one view, in the order in which they were captured. Used by one thread at a time.

    It alone holds the frames until they are archived; the solver reads their pixels in the view's memory.
    """

    def __init__(self, name: str, plan: tuple[CaptureStep, ...]) -> None:
        """`plan` is the whole part's, or any part of it that holds this view's steps."""
        self.name = name
        self._expected = tuple(step for step in plan if step.view == name)
        self._captured: dict[str, CapturedFrame] = {}  # by light: a plan has each once in a view

    def add(self, captured: CapturedFrame) -> None:
        """Take a frame of this view; one that was taken again replaces the first."""
        self._captured[captured.step.light] = replace(captured, memory=None)  # a frame that is let go keeps no other

    @property
    def missing(self) -> tuple[str, ...]:
        """The lights of the plan without a frame, in the plan's order."""
        return tuple(step.light for step in self._expected if step.light not in self._captured)

    @property
    def is_complete(self) -> bool:
        return not self.missing

    @property
    def captured(self) -> tuple[CapturedFrame, ...]:
        return tuple(self._captured.values())

    @property
    def re_exposed(self) -> int:
        """How many frames of this view did not come whole and were exposed again."""
        return sum(captured.re_exposed for captured in self._captured.values())

    @property
    def frames(self) -> dict[str, Frame]:
        """Light -> frame of every frame under a light, in the plan's order; the dark frame is not among them."""
        return {s.light: self._captured[s.light].frame for s in self._expected if s.kind != "dark" and self._has(s)}

    @property
    def directional(self) -> list[Frame]:
        """The directional lights' frames, in the plan's order: what the solver and its checks get."""
        return [self._captured[s.light].frame for s in self._expected if s.kind == "directional" and self._has(s)]

    def pixels_of(self, light: str) -> int:
        """How many pixels of the frame under this light are in memory."""
        captured = self._captured.get(light)
        return 0 if captured is None else int(captured.frame.pixels.size)

    def let_go(self, light: str) -> None:
        """Keep no pixels of the frame under this light, which are elsewhere; any thread, once the view is judged."""
        captured = self._captured[light]
        pixels = np.empty((0, 0), captured.frame.pixels.dtype)
        self._captured[light] = replace(captured, frame=replace(captured.frame, pixels=pixels))

    def _has(self, step: CaptureStep) -> bool:
        return step.light in self._captured
