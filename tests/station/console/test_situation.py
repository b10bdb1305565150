"""What the banner says after each sequence of events; no Qt is needed for that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from station.console.banner import BannerKind, banner_of
from station.console.situation import Situation
from station.engine.events import (
    AcquisitionDone,
    Fault,
    JobStarted,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
    StepDone,
)
from station.inspection.result import Inspection

FAULT = Fault("camera: no frame within 1200 ms", "check the cable, then RESET")
RECIPE = RecipePrepared("r1", "housing", ("top", "front"), (1.0, 1.0), "m1", False)


def situation(*events: object) -> Situation:
    built = Situation()
    for event in events:
        built.take(event)  # type: ignore[arg-type]
    return built


def test_before_anything_is_known_the_station_is_not_ready() -> None:
    assert banner_of(Situation()).kind is BannerKind.NOT_READY
    assert not Situation().can_start


def test_progress_counts_views_and_lights() -> None:
    running = situation(
        RECIPE,
        StateChanged(State.SINGLE_EXECUTION),
        JobStarted("1", "P1", 10),
        *(StepDone("1", k + 1, 10, "top", f"light {k}") for k in range(5)),
        *(StepDone("1", k + 6, 10, "front", f"light {k}") for k in range(2)),
    )
    banner = banner_of(running)
    assert banner.kind is BannerKind.INSPECTING
    assert banner.lines[:2] == ("part P1", "view 2/2 front   light 2/5 light 1")
    assert banner.progress == pytest.approx(0.7)


@pytest.mark.parametrize("result_first", [True, False])
def test_a_result_survives_the_ready_that_comes_before_or_after_it(
    good_inspection: Inspection, result_first: bool
) -> None:
    end = [StateChanged(State.READY), ResultReady(good_inspection, "")]
    if result_first:
        end.reverse()
    running = situation(StateChanged(State.SINGLE_EXECUTION), JobStarted("0001", "P", 25), end[0])
    assert banner_of(running).kind in (BannerKind.INSPECTING, BannerKind.PASS), "never READY between the two"
    running.take(end[1])
    assert banner_of(running).kind is BannerKind.PASS
    assert running.can_start


def test_a_fault_beats_an_old_pass_and_names_the_part(good_inspection: Inspection) -> None:
    banner = banner_of(situation(ResultReady(good_inspection, ""), StateChanged(State.ERROR, "x"), FAULT))
    assert banner.kind is BannerKind.FAULT
    assert "Do not reach in" in banner.lines[0]
    assert banner.lines[1] == FAULT.text
    assert FAULT.action in banner.lines[2]
    assert banner.muted[0].startswith("last part: P-0001, PASS at ")


def test_a_halt_says_stopped_and_why() -> None:
    banner = banner_of(situation(StateChanged(State.HALTED, "aborted by the operator")))
    assert banner.kind is BannerKind.STOPPED
    assert banner.lines[1] == "Aborted by the operator"
    assert "arm stands still and all lights are off" in banner.lines[2]
    assert "press RESET (F8)" in banner.lines[3]


def test_a_halt_without_acknowledge_of_the_lights_does_not_say_that_they_are_off() -> None:
    banner = banner_of(situation(StateChanged(State.HALTED, "aborted; lights off not confirmed: lights: silent")))
    assert banner.lines[1].startswith("Aborted; lights off not confirmed")
    assert not any("all lights are off" in line for line in banner.lines)


def test_while_a_reset_runs_the_banner_warns_of_the_arm() -> None:
    resetting = situation(StateChanged(State.HALTED, "aborted"))
    resetting.is_resetting = True
    for state in (State.HALTED, State.PREOPERATIONAL, State.INITIALIZED):
        resetting.take(StateChanged(state))
        assert "the arm drives to its reference switches" in banner_of(resetting).lines[0]
        assert "STOP" in banner_of(resetting).lines[1]


def test_a_job_that_broke_off_does_not_leave_the_station_busy() -> None:
    broken = situation(StateChanged(State.SINGLE_EXECUTION), JobStarted("1", "P", 5), StateChanged(State.ERROR, "died"))
    assert not broken.is_busy
    assert banner_of(broken).kind is BannerKind.FAULT


def test_the_part_may_be_removed_once_the_last_picture_is_taken() -> None:
    done = situation(RECIPE, JobStarted("1", "P", 1), StepDone("1", 1, 1, "top", "x"), AcquisitionDone("1"))
    assert "removed" in banner_of(done).lines[1]


def test_a_new_job_clears_the_old_verdict_and_fault(failed_inspection: Inspection) -> None:
    anew = situation(ResultReady(failed_inspection, ""), FAULT, JobStarted("2", "P2", 25))
    assert anew.result is None
    assert anew.fault is None


def test_kept_results_hold_no_pictures(make_inspection: Callable[..., Inspection]) -> None:
    kept = situation(ResultReady(make_inspection({"top": 0.5}), "")).result
    assert kept is not None
    assert kept.views[0].image is None
    assert kept.views[0].normal_map is None
    assert kept.views[0].pred_score == 0.5
