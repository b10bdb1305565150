"""Large arrays leave memory once the archive has them; a retake and the verdict see whole views all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.archive import Archive, new_inspection_id
from station.engine import writing_ahead
from station.engine.judge_thread import JudgeThread
from station.engine.writing_ahead import WritingAhead, reduced, views_that_may_wait
from station.inspection.result import AnomalyMap, Verdict, ViewResult

POSE = Pose(0, 0, 250, 0, 0)
PLAN = tuple(CaptureStep(i, v, POSE, "a", 1, "directional", 1.0, 100.0, 0.0) for i, v in enumerate(("top", "left")))
SHAPE = (40, 60)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setattr(writing_ahead, "LARGE_PX", 1000)
    monkeypatch.setattr(writing_ahead, "SHOWN_WIDTH_PX", 15)
    with Archive.open(tmp_path / "archive") as opened:
        yield opened


class Judge:
    """Every view is a PASS, with a picture."""

    def take(self, _: CapturedFrame) -> None:
        """Keeps nothing."""

    def judge(self, view: Any) -> ViewResult:
        image = np.full((3, *SHAPE), 0.5, np.float32)
        return ViewResult(
            view.name, Verdict.PASS, 1.0, image, anomaly_map=AnomalyMap(np.zeros((4, 6), np.float32), 0.1)
        )

    def refine(self, _: Any, result: ViewResult) -> ViewResult:
        return result


def frame(number: int, step: CaptureStep, take: int = 1) -> CapturedFrame:
    pixels = np.full(SHAPE, number, np.uint16)
    return CapturedFrame(step, Frame(pixels, "Mono12", 12, 0.0, 100.0, 0.0, number, number), POSE, take=take)


def test_what_is_written_leaves_memory_and_stays_in_the_record(archive: Archive) -> None:
    writing = WritingAhead(archive.write_ahead(new_inspection_id(), is_simulated=True), times := StageTimes())
    seen: list[ViewResult] = []
    judging = JudgeThread(cast(Any, Judge()), PLAN, seen.append, writing)
    for number, step in enumerate(PLAN, start=1):
        judging.put(frame(number, step))
    judging.join()
    _until_written(judging)
    writing.finish()
    assert [view.pixels_of("a") for view in judging.views] == [0, 0]
    assert [result.image.shape for result in judging.results if result.image is not None] == [(3, 10, 15)] * 2
    assert all(result.image is not None and result.image.shape == (3, *SHAPE) for result in seen)
    assert {span.view for span in times.timeline().spans if span.stage == "write_ahead"} == {"top", "left"}


def _until_written(judging: JudgeThread) -> None:
    wait = threading.Event()
    for _ in range(3000):
        if all(result.is_reduced for result in judging.results):
            return
        wait.wait(0.01)
    raise AssertionError("the views were not written")


def test_a_view_that_was_taken_again_is_not_exchanged_for_its_first_take(archive: Archive) -> None:
    writing = WritingAhead(archive.write_ahead(new_inspection_id(), is_simulated=True), StageTimes())
    judging = JudgeThread(cast(Any, Judge()), PLAN, lambda _result: None, writing)
    judging.put(frame(1, PLAN[0]))
    judging.put(frame(2, PLAN[0], take=2))
    judging.join()
    _until_written(judging)
    writing.finish()
    (result,) = judging.results
    assert result.written_as == "top#2"
    assert [captured.frame.frame_id for view in judging.views for captured in view.captured] == [2]


def test_small_pictures_stay_as_they_are() -> None:
    small = ViewResult("top", Verdict.PASS, 1.0, np.zeros((3, 20, 30), np.float32))
    assert reduced(small) is small


FULL_PX = 5472 * 3648


@pytest.mark.parametrize(
    ("lights", "is_landed", "expected"), [(4, True, 2), (8, True, 1), (16, True, 0), (4, False, 1), (8, False, 0)]
)
def test_as_many_judged_views_wait_as_memory_has_room_for(lights: int, is_landed: bool, expected: int) -> None:
    frames = (lights + 1) * FULL_PX * 2
    assert views_that_may_wait(frames, FULL_PX, is_landed=is_landed) == expected


def test_small_pictures_never_wait_for_room() -> None:
    assert views_that_may_wait(9 * 456 * 684 * 2, 456 * 684, is_landed=True) > 100
