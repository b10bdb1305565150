"""Faults that every acknowledge hides: the station finds them in the frames, and the view is UNDECIDED, never PASS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from drivers.simulated.config import SimulatedRigConfig
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedView
from station.acquire.job_signal import JobSignal
from station.acquire.plan import make_plan
from station.acquire.stage_times import StageTimes
from station.engine.preparation import read_recipe_files
from station.inspection.result import Verdict, ViewResult
from station.judge.view_judge import ViewJudge
from station.recipe.demo import DEMO_RECIPES
from station.rig.devices import Rig, open_rig
from station.rig.simulated import running_rig

RECIPE = DEMO_RECIPES / "connector.yaml"
VIEW = "right"
PART_SEED = 7
CLOCK_SPEED = 20.0


@dataclass(frozen=True)
class PictureFault:
    injected: str
    repair: str
    words: str
    wait_s: float = 0.0  # until a drift has come far enough

    def __str__(self) -> str:
        return self.injected


ROWS = [
    PictureFault("lights.light_dead 4", "lights.light_repaired 4", "light 'L135' is dead"),
    PictureFault("lights.light_weak 4 0.6", "lights.light_repaired 4", "light 'L135' is weak"),
    PictureFault("lights.light_drift 4 100", "lights.light_repaired 4", "light 'L135' is", wait_s=1.5),
    PictureFault("lights.light_stuck_on 4", "lights.light_repaired 4", "light"),
    PictureFault("lights.light_stuck_on 3 0.3", "lights.light_repaired 3", "every light is above"),
    PictureFault("lights.lights_swapped 2 6", "lights.lights_swapped 2 6", "light 'L225' is too bright"),
    PictureFault("ambient 0.05", "ambient 0", "with every light off there is still"),
    PictureFault("ambient 0.3", "ambient 0", "every light is above"),
    PictureFault("camera.saturation 50", "camera.saturation 1", "light"),
]


class ViewBench:
    """One view of a good part, captured and judged as the station does."""

    def __init__(self, rig: Rig, control: Any) -> None:
        files = read_recipe_files(RECIPE)
        self._recipe = files.loaded.recipe
        self.rig = rig
        self.control = control
        self._judge = ViewJudge(files.loaded, files.detector)
        dark, *lit = make_plan(self._recipe)
        own = tuple(step for step in lit if step.view == VIEW)
        self._steps = (replace(dark, view=VIEW, pose=own[0].pose), *own)
        rig.arm.home()
        rig.camera.configure(self._recipe.camera_settings())

    def inject(self, words: str) -> None:
        fault, *arguments = words.split()
        self.control.inject(fault, *arguments)

    def look(self) -> ViewResult:
        times = StageTimes()
        self._judge.begin_part(times)
        view = CapturedView(VIEW, self._steps)
        for captured in capture(self.rig, self._steps, JobSignal(), times):
            view.add(captured)
            self._judge.take(captured)
        return self._judge.judge(view)


@pytest.fixture(scope="module")
def view(make_bench: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewBench]:  # noqa: ARG001
    config = SimulatedRigConfig(name="pictures", serial_number="PICTURES-1", clock_speed=CLOCK_SPEED)
    with ExitStack() as stack:
        process, file = stack.enter_context(running_rig(tmp_path_factory.mktemp("rig"), config, frame_timeout_s=60.0))
        process.control.load("connector", PART_SEED)
        yield ViewBench(stack.enter_context(open_rig(file)), process.control)


def test_the_good_part_passes_without_a_fault(view: ViewBench) -> None:
    result = view.look()
    assert (result.verdict, result.reasons) == (Verdict.PASS, ())


@pytest.mark.parametrize("fault", ROWS, ids=str)
def test_a_fault_in_the_picture_is_told_by_name(fault: PictureFault, view: ViewBench, table: Any) -> None:
    view.inject(fault.injected)
    time.sleep(fault.wait_s)
    started_s = time.monotonic()
    spoilt = view.look()
    after_s = time.monotonic() - started_s
    view.inject(fault.repair)
    assert spoilt.verdict is Verdict.UNDECIDED
    assert any(fault.words in reason.text for reason in spoilt.reasons), spoilt.reasons
    assert view.look().verdict is Verdict.PASS
    said = f"UNDECIDED: {spoilt.reasons[0].advice}"
    table.note("What only the pictures show", "station", fault.injected, "one view", said, after_s, "PASS")


def test_a_light_controller_that_restarts_behind_its_acknowledge_is_told(
    view: ViewBench, monkeypatch: pytest.MonkeyPatch, table: Any
) -> None:
    lights = view.rig.lights
    switch_on = lights.on

    def on_then_restart(channel: int, brightness: float) -> None:
        switch_on(channel, brightness)
        if channel == 4:
            view.inject("lights.reset")

    monkeypatch.setattr(lights, "on", on_then_restart)
    started_s = time.monotonic()
    spoilt = view.look()
    after_s = time.monotonic() - started_s
    monkeypatch.undo()
    assert spoilt.verdict is Verdict.UNDECIDED
    assert "light 'L135' is dead" in spoilt.reasons[0].text
    assert view.look().verdict is Verdict.PASS
    said = f"UNDECIDED: {spoilt.reasons[0].advice}"
    table.note("What only the pictures show", "station", "lights.reset", "after the acknowledge", said, after_s, "PASS")
