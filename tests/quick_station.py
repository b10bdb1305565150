"""A real engine on a simulated rig, in a hurry: small pictures, and a judge that passes every view at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drivers.protocols import CameraSettings
from drivers.simulated.config import ArmKind, Imperfections, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.acquire.captured_view import CapturedView
from station.acquire.plan import make_plan
from station.archive import Archive
from station.engine.engine import Engine
from station.engine.events import AcquisitionDone, Event, Fault, State, StateChanged, StepDone
from station.engine.preparation import Prepared, RecipeFiles
from station.inspection.result import Inspection, Verdict, ViewResult
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.devices import Rig
from station.rig.file import load_rig, make_rig, save_rig
from station.rig.simulated import write_rig_file

RECIPE = DEMO_RECIPES / "connector.yaml"
SMALL = CameraSettings("BayerRG12", binning=8, width=64, height=48, offset_x=312, offset_y=204)
EXACT_ARM = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0)
WAIT_S = 60.0  # for what must come; a test that waits so long has failed
FIRST_VIEW_STEPS, LAST_STEP = 4, 7  # a dark frame and three lights; then three lights in the second and last view


class PassingJudge:
    """Stands in for `ViewJudge`. `may_end` is cleared to keep it at work on the last view."""

    def __init__(self, loaded: LoadedRecipe, may_end: threading.Event) -> None:
        self._limits = {v.name: v.limit for v in loaded.recipe.viewpoints}
        self._may_end = may_end

    def begin_part(self, *_: object) -> None:
        """Nothing to forget."""

    def take(self, *_: object) -> None:
        """Keeps no frame."""

    def judge(self, view: CapturedView) -> ViewResult:
        if view.name == list(self._limits)[-1]:
            assert self._may_end.wait(WAIT_S), "the test never let the judge end"
        return ViewResult(view.name, Verdict.PASS, self._limits[view.name])

    def refine(self, _view: CapturedView, result: ViewResult) -> ViewResult:
        return result

    def reasons_of_part(self, _: object) -> tuple[()]:
        """The lamps stand where they should."""
        return ()


class QuickStation:
    """The rig's process, the engine on it, and what it has reported."""

    def __init__(self, folder: Path, arm_kind: ArmKind, patch: pytest.MonkeyPatch) -> None:
        config = SimulatedRigConfig(
            name="quick", serial_number="QUICK-1", clock_speed=20.0, prerendered=True, arm_kind=arm_kind,
            imperfections=EXACT_ARM,
        )  # fmt: skip
        loaded = _short_recipe()
        detector = cast(Any, SimpleNamespace(model_id="none"))
        self._files = RecipeFiles(RECIPE, loaded, make_plan(loaded.recipe), detector)
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone
        patch.setattr("station.engine.engine.read_recipe_files", lambda *_: self._files)
        patch.setattr("station.engine.engine.prepare", self._prepare)
        self.arm_kind = arm_kind
        self.may_judge = threading.Event()
        self.may_judge.set()
        self.rig_file = self._rig_file(folder / "rig", config)
        self.rig = RigProcess(folder / "rig", config).start()
        self.archive = Archive.open(folder / "archive")
        self.engine = Engine(self.rig_file, self.archive)
        self.events: list[Event] = []
        self.engine.subscribe(self.events.append)
        self.engine.initialize()
        self.engine.prepare_recipe(RECIPE)

    def _rig_file(self, folder: Path, config: SimulatedRigConfig) -> Path:
        path = write_rig_file(folder, config)
        content = load_rig(path).model_dump(mode="json", exclude_none=True)
        content["arm"]["reply_timeout_s"] = content["lights"]["reply_timeout_s"] = 3.0
        content["arm"]["watch_s"] = 0.0  # nothing but the engine's own watch may notice
        content["camera"]["frame_timeout_s"] = 5.0
        save_rig(path, make_rig(content))
        return path

    def _prepare(self, files: RecipeFiles, rig: Rig) -> Prepared:
        rig.camera.configure(SMALL)
        return Prepared(files, cast(Any, PassingJudge(files.loaded, self.may_judge)))

    def ready(self) -> None:
        """Ready again, with what stood in fault mended by the caller."""
        if self.engine.state is not State.READY:
            self.engine.reset()
        assert self.engine.state is State.READY
        self.events.clear()

    def inject(self, words: str) -> None:
        fault, *arguments = words.split()
        self.rig.control.inject(fault, *arguments)

    def inspect_with(self, words: str, at: Callable[[Event], bool]) -> Inspection:
        """Inspect a part; the fault is injected, once, with the first event that fits."""
        done = threading.Event()

        def listen(event: Event) -> None:
            if not done.is_set() and at(event):
                done.set()
                self.inject(words)

        unsubscribe = self.engine.subscribe(listen)
        try:
            return self.engine.inspect("PART-1")
        finally:
            unsubscribe()

    def wait_for(self, is_wanted: Callable[[Event], bool]) -> Event:
        """The first event, from now on or since the last `ready`, that fits; fails where none comes."""
        found, box = threading.Event(), list[Event]()

        def listen(event: Event) -> None:
            if is_wanted(event):
                box.append(event)
                found.set()

        unsubscribe = self.engine.subscribe(listen)
        try:
            for event in tuple(self.events):
                listen(event)
            assert found.wait(WAIT_S), "it was never reported"
            return box[0]
        finally:
            unsubscribe()

    def was_done(self) -> bool:
        """Whether the part was said to be free to be moved."""
        return any(isinstance(event, AcquisitionDone) for event in self.events)

    def faults(self) -> list[Fault]:
        return [event for event in self.events if isinstance(event, Fault)]

    def states(self) -> list[State]:
        return [event.state for event in self.events if isinstance(event, StateChanged)]

    def lit(self) -> list[str]:
        levels = self.rig.control.call("status")["light_levels"]
        return [channel for channel, level in levels.items() if level > 0]

    def allow_retakes(self, per_view: int) -> None:
        """Prepare the recipe anew with so many retakes of a view whose frames disagree with their proof."""
        recipe = self._files.loaded.recipe
        capture = recipe.capture.model_copy(update={"retakes_per_view": per_view})
        loaded = replace(self._files.loaded, recipe=recipe.model_copy(update={"capture": capture}))
        self._files = replace(self._files, loaded=loaded)
        self.engine.prepare_recipe(RECIPE)

    def close(self) -> None:
        self.may_judge.set()
        self.engine.close()
        self.archive.close()
        self.rig.close()


def _short_recipe() -> LoadedRecipe:
    """The demo recipe with two of its views and three of its lights."""
    loaded = load_recipe(RECIPE)
    few = {"viewpoints": loaded.recipe.viewpoints[:2], "lights": loaded.recipe.lights[2:]}
    return replace(loaded, recipe=loaded.recipe.model_copy(update=few))


def step(index: int) -> Callable[[Event], bool]:
    """Fits the report of that frame, counted from 1; the next one is exposed after it."""
    return lambda event: isinstance(event, StepDone) and event.index == index


def is_fault(event: Event) -> bool:
    return isinstance(event, Fault)
