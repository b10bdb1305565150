"""A stand-in engine that emits real events, step by step as the test says, in the thread that calls it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from station.engine.events import (
    AcquisitionDone,
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    Listener,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
    StepDone,
    ViewJudged,
)
from station.inspection.result import HistoryRow, Inspection
from station.lights.warning import LightWarning

LIGHTS = ("diffuse", "north", "east", "south", "west")
VIEWS = ("top", "front", "right", "back", "left")
WAIT_S = 20.0


@dataclass
class ScriptedEngine:
    """Plays one made-up inspection per start; `gate` holds it after the first view until the test opens it."""

    outcomes: list[Inspection]
    fault: Fault | None = None
    hold: bool = False
    hold_reset: bool = False
    refusal: Exception | None = None
    recipe_refusal: Exception | None = None
    is_homed: bool = True
    standing_fault: Fault | None = None
    light_warnings: tuple[LightWarning, ...] = ()
    calls: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    finished: list[Inspection] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        listener(RecipePrepared("housing r1", "housing", VIEWS, (1.6,) * 5, "cprn-housing-3f9a", True))
        listener(StateChanged(State.READY if self.is_homed else State.PREOPERATIONAL))
        if self.standing_fault is not None:
            listener(self.standing_fault)
        return lambda: self.listeners.remove(listener)

    def emit(self, event: Event) -> None:
        for listener in list(self.listeners):
            listener(event)

    def start_single_job(self, part_id: str) -> None:
        self._called(f"start {part_id}")
        if self.refusal is not None:
            raise self.refusal
        inspection = self.outcomes.pop(0)
        self.emit(StateChanged(State.SINGLE_EXECUTION))
        self.emit(JobStarted(inspection.inspection_id, inspection.part_id, len(inspection.views) * len(LIGHTS)))
        for number, view in enumerate(inspection.views):
            for light_number, light in enumerate(LIGHTS):
                index = number * len(LIGHTS) + light_number
                self.emit(StepDone(inspection.inspection_id, index + 1, 25, view.view, light))
            self.emit(ViewJudged(inspection.inspection_id, view))
            if self.hold and number == 0:
                assert self.gate.wait(WAIT_S), "the test never opened the gate"
        if self.fault is None:
            self.emit(AcquisitionDone(inspection.inspection_id))
        self._finish(inspection)

    def _finish(self, inspection: Inspection) -> None:
        self.finished.insert(0, inspection)
        if self.fault is not None:
            self.emit(self.fault)
        self.emit(ResultReady(inspection, "archive/0001"))
        self.emit(LightsWatched("housing", inspection.inspection_id, self.light_warnings, ()))
        self.emit(StateChanged(State.READY if self.fault is None else State.ERROR))

    def stop(self) -> None:
        self._called("stop")
        self.gate.set()

    def abort(self) -> None:
        self._called("abort")
        self.gate.set()

    def pause(self, *, now: bool = False) -> None:
        self._called("pause now" if now else "pause")

    def resume(self) -> None:
        self._called("resume")

    def retake_view(self) -> None:
        self._called("retake_view")

    def skip_to_verdict(self) -> None:
        self._called("skip_to_verdict")

    def reset(self) -> None:
        self._called("reset")
        if self.hold_reset:
            assert self.gate.wait(WAIT_S), "nothing ended the homing"
        self.emit(StateChanged(State.READY))

    def history(self, limit: int, part_id: str | None = None) -> list[HistoryRow]:
        self.threads.add(threading.current_thread().name)
        return [
            HistoryRow(i.inspection_id, i.part_id, i.verdict, i.creation_time, i.deciding_view, i.is_simulated, "")
            for i in self.finished
            if part_id in (None, i.part_id)
        ][:limit]

    def read_recipe(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.recipe_refusal is not None:
            raise self.recipe_refusal

    def load(self, inspection_id: str) -> Inspection:
        self._called(f"load {inspection_id}")
        return next(i for i in self.finished if i.inspection_id == inspection_id)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def make_engine() -> Iterator[Callable[..., ScriptedEngine]]:
    """`ScriptedEngine`; whatever a test leaves waiting is let go."""
    made: list[ScriptedEngine] = []

    def make(*outcomes: Inspection, **options: object) -> ScriptedEngine:
        made.append(ScriptedEngine(list(outcomes), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for engine in made:
        engine.gate.set()
