"""The judge's thread: every frame is kept, complete views alone are judged, and nothing is lost when a frame is bad."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep, Kind
from station.engine.judge_thread import QUEUE_DEPTH, JudgeThread
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult

POSE = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
LIGHTS = ("north", "east", "south", "diffuse")
KINDS: dict[str, Kind] = {"diffuse": "diffuse"}
PLAN = tuple(
    CaptureStep(
        4 * v + k, view, POSE, light, k + 1, "diffuse" if light == "diffuse" else "directional", 1.0, 900.0, 0.0
    )
    for v, view in enumerate(("top", "left", "right"))
    for k, light in enumerate(LIGHTS)
)


def captured(step: CaptureStep) -> CapturedFrame:
    pixels = np.full((4, 6), step.index, np.uint8)
    return CapturedFrame(step, Frame(pixels, "Mono8", 8, 0.0, step.exposure_us, 0.0, step.index, step.index), POSE)


class NotingJudge:
    """Notes what is asked of it; `judge` waits while `gate` is closed."""

    def __init__(self, bad_light: str = "") -> None:
        self.bad_light = bad_light
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[str] = []

    def take(self, frame: CapturedFrame) -> None:
        if frame.step.light == self.bad_light and frame.step.view == "left":
            raise ValueError("a frame of another size")

    def judge(self, view: CapturedView) -> ViewResult:
        self.gate.wait()
        self.asked.append(f"judge {view.name}")
        return ViewResult(view.name, Verdict.PASS, 1.0)

    def refine(self, view: CapturedView, result: ViewResult) -> ViewResult:
        self.asked.append(f"refine {view.name}")
        return result

    def reasons_of_part(self, _: Sequence[ViewResult]) -> tuple[Reason, ...]:
        return ()

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        return ViewResult(view, Verdict.UNDECIDED, 1.0, reasons=(reason.of_view(view),))


def thread_with(judge: NotingJudge) -> tuple[JudgeThread, list[str]]:
    reported: list[str] = []
    noting: Any = judge
    return JudgeThread(noting, PLAN, lambda result: reported.append(result.view)), reported


def test_every_complete_view_is_judged_refined_and_reported_in_order() -> None:
    judge = NotingJudge()
    judging, reported = thread_with(judge)
    for step in PLAN:
        judging.put(captured(step))
    judging.join()
    assert reported == ["top", "left", "right"]
    assert [result.view for result in judging.results] == reported
    assert [asked for asked in judge.asked if "judge" in asked] == ["judge top", "judge left", "judge right"]
    assert [c.step for view in judging.views for c in view.captured] == list(PLAN), "every frame is kept"


def test_a_view_that_is_cut_short_is_kept_and_not_judged() -> None:
    judge = NotingJudge()
    judging, reported = thread_with(judge)
    for step in PLAN[:6]:
        judging.put(captured(step))
    judging.join()
    assert reported == ["top"]
    assert [(view.name, view.is_complete, view.missing) for view in judging.views] == [
        ("top", True, ()),
        ("left", False, ("south", "diffuse")),
    ]
    assert sum(len(view.captured) for view in judging.views) == 6


def test_a_frame_that_cannot_be_taken_makes_its_view_undecided_and_no_other() -> None:
    judging, _ = thread_with(NotingJudge(bad_light="east"))
    for step in PLAN:
        judging.put(captured(step))
    judging.join()
    assert [result.verdict for result in judging.results] == [Verdict.PASS, Verdict.UNDECIDED, Verdict.PASS]
    (reason,) = judging.results[1].reasons
    assert (reason.kind, reason.view) == (ReasonKind.REFUSED_FRAME, "left")
    assert "a frame of another size" in reason.text


def test_refinement_is_left_out_while_frames_of_later_views_wait() -> None:
    judge = NotingJudge()
    judge.gate.clear()
    judging, _ = thread_with(judge)
    for step in PLAN[: 4 + QUEUE_DEPTH]:  # the first view is being judged, the queue is full behind it
        judging.put(captured(step))
    judge.gate.set()
    judging.join()
    assert judge.asked[:2] == ["judge top", "judge left"]
    assert judge.asked[-1] == "refine right", "nothing waits behind the last view"


def test_a_view_knows_its_frames_by_kind_and_which_are_missing() -> None:
    dark = replace(PLAN[0], light="dark", kind="dark", channel=0)
    view = CapturedView("top", (dark, *PLAN))
    assert view.missing == ("dark", *LIGHTS)
    for step in (PLAN[3], PLAN[1], dark):
        view.add(captured(step))
    assert view.missing == ("north", "south")
    assert list(view.frames) == ["east", "diffuse"], "in the plan's order, without the dark frame"
    assert [frame.frame_id for frame in view.directional] == [1]
    for step in PLAN[:3:2]:
        view.add(captured(step))
    assert view.is_complete
