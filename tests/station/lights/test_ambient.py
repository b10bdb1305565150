"""Other light on the part is told before it spoils normals, and never becomes a verdict."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.capture import capture
from station.acquire.job_signal import JobSignal
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.inspection.result import Inspection
from station.lights.ambient import (
    DARK_LEVEL,
    SHARE,
    DarkLevel,
    ambient_share,
    archived_dark_level,
    check_ambient,
    dark_level,
)
from station.lights.surface import DIFFUSE_SHARE, surface_warning
from station.lights.warning import ambient_warning
from station.rig.devices import Rig

POSES = (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(5.0, 0.0, 258.0, 0.0, -90.0))
DARK_STEP = CaptureStep(0, "view0", POSES[0], "dark", 0, "dark", 0.0, 5000.0, 0.0)
PLAN = (
    DARK_STEP,
    *(
        CaptureStep(1 + 2 * v + k, f"view{v}", pose, f"L{k}", k + 1, "directional", 1.0, 4000.0 + 1000.0 * k, 0.0)
        for v, pose in enumerate(POSES)
        for k in range(2)
    ),
)


def frame(level_dn: int, exposure_us: float = 8000.0) -> Frame:
    return Frame(np.full((8, 8), 64 + level_dn, np.uint16), "Mono12", 12, 64.0, exposure_us, 0.0, 1, 1)


class NotedRig:
    """Notes every call; its frames tell how many channels were lit."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.lit = 0
        self.arm = SimpleNamespace(move_to=self._move)
        self.lights = SimpleNamespace(on=self._on, off=self._off, check=lambda: None)
        self.camera = SimpleNamespace(time_ns=lambda: 0, expose=self._expose)
        self.strobes = None

    def _move(self, pose: Pose) -> Pose:
        self.told.append("move")
        return pose

    def _on(self, channel: int, _brightness: float) -> None:
        self.told.append(f"on {channel}")
        self.lit = channel

    def _off(self) -> None:
        self.lit = 0

    def _expose(self, exposure_us: float, _gain_db: float) -> Frame:
        self.told.append(f"expose {exposure_us:g} lit {self.lit}")
        return frame(self.lit, exposure_us)


def test_one_dark_frame_a_part_at_its_first_view_before_any_light() -> None:
    rig = NotedRig()
    frames = list(capture(cast(Rig, rig), PLAN, JobSignal(), StageTimes()))
    seen = [captured.step for captured in frames if captured.step.kind == "dark"]
    assert len(frames) == 4 + len(seen)
    assert rig.told[:4] == ["move", "expose 5000 lit 0", "on 1", "expose 4000 lit 1"]
    assert sum("lit 0" in call for call in rig.told) == 1
    assert seen == [DARK_STEP]


def test_a_dark_frame_that_a_plan_lists_last_is_still_taken_before_any_light() -> None:
    rig = NotedRig()
    first_view = [step for step in PLAN if step.view == "view0"]
    frames = list(capture(cast(Rig, rig), (*first_view[1:], first_view[0]), JobSignal(), StageTimes()))
    assert [captured.step.kind for captured in frames] == ["dark", "directional", "directional"]
    assert rig.told[1] == "expose 5000 lit 0"


def test_lights_go_off_before_an_error_of_whoever_takes_the_frames_is_handled() -> None:
    rig = NotedRig()

    def take_until_memory_is_full() -> None:
        with closing(capture(cast(Rig, rig), PLAN, JobSignal(), StageTimes())) as frames:
            if any(captured.step.kind == "directional" for captured in frames):
                raise MemoryError

    with pytest.raises(MemoryError):
        take_until_memory_is_full()
    assert rig.lit == 0


def test_the_share_is_of_what_the_lights_give_whatever_the_exposures() -> None:
    dark = dark_level("top", frame(round(0.002 * 4031), exposure_us=4000.0))
    levels = {"L0": 0.1, "L1": 0.1, "L2": 0.1, "diffuse": 0.9}
    share = ambient_share(dark, {"L0": 8000.0, "L1": 8000.0, "L2": 16000.0}, levels)
    assert share == pytest.approx(0.04, rel=0.02)
    assert math.isnan(ambient_share(dark, {"L0": 8000.0}, {}))


def test_above_its_limit_it_is_a_reason_and_not_knowing_is_one_too() -> None:
    assert check_ambient(0.025, 0.025) == ()
    assert "still 2.6% of the lights' level (limit 2.5%)" in check_ambient(0.026, 0.025)[0].text
    assert len(check_ambient(float("nan"), 0.025)) == 1


def with_share(inspection: Inspection, share: float) -> Inspection:
    views = tuple(replace(v, quality={SHARE: share, DARK_LEVEL: share / 100}) for v in inspection.views)
    return replace(inspection, views=views)


def test_the_warning_names_share_and_remedy_lasts_and_ends(good_inspection: Inspection) -> None:
    assert ambient_warning(with_share(good_inspection, 0.01), 0.01, None) is None
    first = ambient_warning(with_share(good_inspection, 0.018), 0.01, None)
    assert first is not None
    assert "1.8% of the lights' level while all of them are off" in first.text
    assert first.since == good_inspection.creation_time
    later = replace(with_share(good_inspection, 0.02), creation_time=good_inspection.creation_time + timedelta(hours=1))
    again: Any = ambient_warning(later, 0.01, first)
    assert (again.key, again.since) == (first.key, first.since)
    nothing_seen = replace(good_inspection, views=())
    assert ambient_warning(nothing_seen, 0.01, again) == again
    assert ambient_warning(with_share(good_inspection, 0.0), 0.01, again) is None


def test_a_surface_that_is_not_matte_is_warned_of_with_its_worst_view_until_it_is_gone(
    good_inspection: Inspection,
) -> None:
    def seen(*shares: float) -> Inspection:
        views = [
            replace(good_inspection.views[0], view=f"v{k}", quality={DIFFUSE_SHARE: s}) for k, s in enumerate(shares)
        ]
        return replace(good_inspection, views=tuple(views))

    assert surface_warning(seen(0.97, 0.91), None) is None
    first = surface_warning(seen(0.97, 0.72), None)
    assert first is not None
    assert "view v1 is explained on 72%" in first.text
    assert surface_warning(replace(good_inspection, views=()), first) == first
    assert surface_warning(seen(0.95), first) is None


def test_an_archived_part_is_judged_again_with_its_dark_frame(good_inspection: Inspection) -> None:
    assert archived_dark_level(with_share(good_inspection, 0.02), "top") == DarkLevel("top", 0.0002)
    assert archived_dark_level(good_inspection, "top") is None
