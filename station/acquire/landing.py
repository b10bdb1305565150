"""Where each frame is unpacked to: into the memory of its view, in which solver and archive read it.

A camera that offers it (`drivers.protocols.LandsFrames`) unpacks its payload there, and no second copy is made. The
number of views in memory is bounded here: while the archive is behind, the arm waits before it exposes the next view.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from drivers.protocols import Camera, LandsFrames, Pixels
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.inspection.timeline import WAIT_FOR_JUDGE
from station.photometric_stereo.recycled import RecycledMemory
from station.photometric_stereo.view_memory import ViewMemory

LARGE_PX = 4_000_000  # of a picture: smaller ones stay in memory until the verdict, as many as there are
MOST_BYTES = 1_400_000_000  # of large frames: three views of eight lights at 5472 x 3648 and 12 bits, two of sixteen
FEWEST_VIEWS, MOST_VIEWS = 2, 3  # one is captured while another is judged; a third may wait for the archive
POLL_S = 0.01


class Landing:
    """The memory of one part's frames. It belongs to the thread that captures."""

    def __init__(self, memory: RecycledMemory, may_wait: Callable[[], bool]) -> None:
        """`memory` outlives the part. `may_wait`: whether judge or archive are at work, and so will free some."""
        self._memory = memory
        self._may_wait = may_wait
        self._order: tuple[CaptureStep, ...] = ()
        self._taken = 0
        self._view: ViewMemory | None = None
        self._large_view_bytes = 0  # of the last one; 0 for small pictures

    @contextmanager
    def of(self, camera: Camera) -> Iterator[None]:
        """Let the camera unpack into this memory, if it can."""
        if not hasattr(type(camera), "land_in"):
            yield
            return
        lands = cast(LandsFrames, camera)
        lands.land_in(self)
        try:
            yield
        finally:
            lands.land_in(None)
            self._view = None

    def begin(self, steps: tuple[CaptureStep, ...], stop: JobSignal, times: StageTimes) -> None:
        """The frames of one take of a view come next, in this order. Waits while too many views are in memory.

        Raises Stopped.
        """
        self._view, self._order, self._taken = None, steps, 0
        if not self._is_full:
            return
        with times.stage(WAIT_FOR_JUDGE):
            while self._is_full and self._may_wait():
                stop.check(at_view_boundary=False)
                time.sleep(POLL_S)

    def taken(self) -> ViewMemory | None:
        """The frame of the present step has come; the memory of its view, or None where no frame lies in any."""
        self._taken += 1
        return self._view

    def __call__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> Pixels | None:
        """Where the next frame of that shape (H, W) goes; None: into memory of its own."""
        step = self._order[self._taken] if self._taken < len(self._order) else None
        if step is None or step.kind == "dark":  # one a part, and the solver has no use for it
            return None
        if self._view is None:
            self._view = self._memory_of_view(shape, dtype)
        plane = self._view.plane(step.light)
        return plane if (plane.shape, plane.dtype) == (shape, dtype) else None

    def _memory_of_view(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> ViewMemory:
        directional = tuple(step.light for step in self._order if step.kind == "directional")
        others = tuple(step.light for step in self._order if step.kind not in ("directional", "dark"))
        frame_bytes = shape[0] * shape[1] * dtype.itemsize
        is_large = shape[0] * shape[1] >= LARGE_PX
        self._large_view_bytes = frame_bytes * (len(directional) + len(others)) if is_large else 0
        return ViewMemory(directional, others, shape, dtype, self._memory)

    @property
    def _is_full(self) -> bool:
        if self._large_view_bytes == 0:
            return False
        return self._memory.lent >= views_in_memory(self._large_view_bytes)


def views_in_memory(view_bytes: int) -> int:
    """How many views' frames may be in memory, where each has so many bytes of large frames."""
    return min(MOST_VIEWS, max(FEWEST_VIEWS, MOST_BYTES // view_bytes))
