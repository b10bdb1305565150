"""Brings judged views to the archive while the arm goes on, and lets go of large arrays once they are on the disk.

A part at 5472 x 3648 with eight lights of 12 bits is 1.9 GB of frames and 1.7 GB of pictures and maps. Of a view that
the archive has, only a picture and a map to be shown stay in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.landing import LARGE_PX, views_in_memory
from station.acquire.stage_times import StageTimes
from station.archive import Ahead, ArchivedFrame, ViewToWrite
from station.inspection.result import Inspection, ViewResult
from station.judge.model_grid import block_mean
from station.photometric_stereo.normal_map import PackedNormalMap

MOST_ARRAY_BYTES = 1_850_000_000  # of frames and maps; what else the process holds is some 500 MB
MAP_BYTES = 17  # of a pixel: the packed map and the picture in float32
SHOWN_WIDTH_PX = 1368  # at least, of what stays of a large one


def archived_frame(captured: CapturedFrame) -> ArchivedFrame:
    """A captured frame as the archive takes it."""
    step = captured.step
    return ArchivedFrame(step.view, step.light, captured.frame, step.pose, captured.proof(), captured.is_re_look)


class WritingAhead:
    """Of one part. `named` and `hand_on` belong to the judge's thread."""

    def __init__(self, ahead: Ahead, times: StageTimes) -> None:
        self._ahead = ahead
        self._times = times
        self._count = 0

    def named(self, result: ViewResult) -> ViewResult:
        """The result under a name of its own, by which the archive will know its files again."""
        self._count += 1
        return replace(result, written_as=f"{result.view}#{self._count}")

    def hand_on(self, view: CapturedView, result: ViewResult, swap: Callable[[ViewResult, ViewResult], None]) -> None:
        """Let the view be written.

        `swap` is called with the result and what is to stand for it from then on, once its files are written.
        """
        self._ahead.put(
            ViewToWrite(
                result,
                [archived_frame(captured) for captured in view.captured],
                lambda light: _let_go(view, light),
                lambda: swap(result, reduced(result)),
                lambda: self._timed(result.view),
            )
        )

    @property
    def is_busy(self) -> bool:
        """Whether a view is being written, or waits for it: its memory will be free then."""
        return self._ahead.is_busy

    def wait_for_room(self, view: CapturedView, *, is_landed: bool) -> None:
        """Return once so much is written that this view may be judged; `is_landed`: its frames are in memory once."""
        sizes = [captured.frame.pixels.nbytes for captured in view.captured]
        pixels = max(captured.frame.pixels.size for captured in view.captured)
        with self._times.stage("wait_for_archive"):
            self._ahead.wait_for_room(views_that_may_wait(sum(sizes), pixels, is_landed=is_landed))

    def finish(self) -> None:
        """Begin no further file; return once the present one is written."""
        self._ahead.finish()

    @contextmanager
    def _timed(self, view: str) -> Iterator[None]:
        self._times.enter_view(view)
        with self._times.stage("write_ahead"):
            yield


def views_that_may_wait(frame_bytes: int, pixels: int, *, is_landed: bool) -> int:
    """How many judged views may wait to be written while the next one is judged, so that arrays stay in bounds.

    `frame_bytes` of a view's frames, `pixels` of its picture. What is in memory besides: the frames of the views that
    `Landing` allows, and the maps of the view that is being judged. Frames that did not land are no part of that.
    """
    frames = frame_bytes * views_in_memory(max(1, frame_bytes))
    each = MAP_BYTES * pixels + (0 if is_landed else frame_bytes)
    return max(0, (MOST_ARRAY_BYTES - frames) // max(1, each) - 1)


def _let_go(view: CapturedView, light: str) -> None:
    if view.pixels_of(light) >= LARGE_PX:
        view.let_go(light)


def reduced(result: ViewResult) -> ViewResult:
    """The result with a picture and a map of about SHOWN_WIDTH_PX, where they were large; else the result itself."""
    image, found = result.image, result.normal_map
    shape = image.shape[1:] if image is not None else (0, 0) if found is None else found.albedo.shape
    if shape[0] * shape[1] < LARGE_PX:
        return result
    step = max(1, shape[1] // SHOWN_WIDTH_PX)
    return replace(
        result,
        image=None if image is None else block_mean(image, step),
        normal_map=None if found is None else _thinned(found.packed(), step),
        is_reduced=True,
    )


def to_be_shown(inspection: Inspection) -> Inspection:
    """The inspection, once it is archived, with small pictures in the place of large ones."""
    return replace(inspection, views=tuple(reduced(view) for view in inspection.views))


def _thinned(found: PackedNormalMap, step: int) -> PackedNormalMap:
    """Every `step`-th pixel of every `step`-th row, in arrays of its own."""
    few = (..., slice(None, None, step), slice(None, None, step))
    return PackedNormalMap(
        found.normals[few].copy(),
        found.albedo[few].copy(),
        found.lit_count[few].copy(),
        found.residual[few].copy(),
        found.observable[few].copy(),
        found.saturated[few].copy(),
        found.albedo_scale,
        found.residual_scale,
    )
