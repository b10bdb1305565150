"""The engine's verbs when they come at a bad moment, over stand-in devices: none hangs, no abort is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from station.engine.engine import Engine, NotNow
from station.engine.events import Event, LightsWatched, ResultReady, State, StateChanged
from station.engine.preparation import Prepared
from station.inspection.result import Inspection
from station.rig.devices import Rig
from station.rig.inference import CPU

WAIT_S = 20.0


def nothing() -> None:
    """What a device does besides taking note."""


class Device:
    """Notes in one common list what it was told; `faults` are raised by the call of that name."""

    identity = SimpleNamespace(vendor="Acme", model="M", serial_number="1", firmware="1")

    def __init__(
        self,
        name: str,
        told: list[str],
        faults: dict[str, Exception],
        acts: Mapping[str, Callable[[], object]] = MappingProxyType({}),
    ) -> None:
        self._name, self._told, self._faults, self._acts = name, told, faults, acts

    def __getattr__(self, verb: str) -> Callable[..., None]:
        def call(*_: object) -> None:
            what = f"{self._name}.{verb}"
            self._told.append(what)
            self._acts.get(what, nothing)()
            if what in self._faults:
                raise self._faults[what]

        return call


class Bench:
    """An engine whose opener, arm, recipe and job wait for the test where it says so."""

    def __init__(self, result: Inspection, patch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.acts: dict[str, Callable[[], object]] = {}
        self.gate = threading.Event()  # lets a job end
        self.results = threading.Semaphore(0)
        self.while_opening: Callable[[], None] = nothing
        self.while_preparing: Callable[[], None] = lambda: None
        self.result = SimpleNamespace(inspection=result, frames=(), fault=None)
        patch.setattr("station.engine.engine.run_job", self._job)
        patch.setattr("station.engine.engine.read_recipe_files", lambda *_: self._files())
        patch.setattr("station.engine.engine.prepare", self._prepare)
        patch.setattr("station.engine.engine.replace", lambda outcome, **_changes: outcome)
        archive = SimpleNamespace(
            keep_document=lambda *_: None,
            check_room=lambda *_: None,
            record=lambda *_: Path("kept"),
            write_ahead=lambda *_, **__: None,
            light_readings=lambda *_, **__: [],
        )
        self.engine = Engine(Path("rig.yaml"), cast(Any, archive), opener=cast(Any, self._open))
        self.engine.subscribe(lambda event: self.results.release() if isinstance(event, ResultReady) else None)

    def ready(self) -> Engine:
        self.engine.initialize()
        self.engine.prepare_recipe(Path("recipe.yaml"))
        return self.engine

    def _open(self, _path: Path) -> SimpleNamespace:
        self.told.append("open")
        self.while_opening()
        arm, lights, camera = (Device(name, self.told, self.faults, self.acts) for name in ("arm", "lights", "camera"))
        return SimpleNamespace(
            inference=CPU,
            name="bench",
            is_simulated=True,
            arm=arm,
            lights=lights,
            camera=camera,
            strobes=None,
            close=lambda: [],
        )

    def _files(self) -> SimpleNamespace:
        limits = SimpleNamespace(ambient_told_above=0.01)
        model = SimpleNamespace(judges="both")
        recipe = SimpleNamespace(recipe_id="r1", product="p", viewpoints=[], light_level_limits=limits, model=model)
        loaded = SimpleNamespace(
            recipe=recipe,
            files=list,
            sha256s={"calibration": "0"},
            check_calibration=lambda: None,
            view_references=None,
            part_references=None,
        )
        detector = SimpleNamespace(model_id="m")
        return SimpleNamespace(
            path=Path("recipe.yaml"), loaded=loaded, plan=(), detector=detector, release="draft: a test"
        )

    def _prepare(self, files: Any, _rig: object) -> Prepared:
        self.while_preparing()
        return Prepared(files, cast(Any, None))

    def _job(self, *_: object) -> SimpleNamespace:
        assert self.gate.wait(WAIT_S), "the test never let the job end"
        return self.result


@pytest.fixture
def bench(good_inspection: Inspection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(good_inspection, monkeypatch)
    yield made
    made.gate.set()
    made.engine.close()


def in_time(verb: Callable[[], object]) -> None:
    """Call it in a thread of its own: a verb that hangs fails the test instead of holding it up."""
    failures: list[BaseException] = []

    def call() -> None:
        try:
            verb()
        except NotNow as error:
            failures.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the verb hangs"
    if failures:
        raise failures[0]


def test_reset_during_a_run_is_refused_and_the_run_goes_on(bench: Bench) -> None:
    engine = bench.ready()
    engine.start_single_job("P-1")
    with pytest.raises(NotNow, match="SingleExecution"):
        in_time(engine.reset)
    bench.gate.set()
    assert bench.results.acquire(timeout=WAIT_S)
    in_time(lambda: engine.inspect("P-2"))
    assert engine.state is State.READY
    with pytest.raises(NotNow, match="Ready"):
        in_time(engine.reset)


@pytest.mark.parametrize("ends_in", [State.READY, State.ERROR])
def test_a_verb_that_comes_while_a_job_tells_of_its_end_does_not_hang(bench: Bench, ends_in: State) -> None:
    engine = bench.ready()
    telling, go_on = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, StateChanged) and event.state is ends_in and not telling.is_set():
            telling.set()
            assert go_on.wait(WAIT_S)

    engine.subscribe(listen)
    if ends_in is State.ERROR:
        bench.result.fault = RuntimeError("arm: alarm")
    engine.start_single_job("P-1")
    bench.gate.set()
    assert telling.wait(WAIT_S)
    threading.Timer(0.2, go_on.set).start()  # the verb below has begun to wait by then
    in_time(engine.reset if ends_in is State.ERROR else lambda: engine.start_single_job("P-2"))
    assert bench.results.acquire(timeout=WAIT_S)
    assert engine.state in (State.READY, State.SINGLE_EXECUTION)


def test_an_abort_while_devices_open_is_not_lost_and_the_arm_does_not_home(bench: Bench) -> None:
    bench.while_opening = bench.engine.abort
    with pytest.raises(NotNow, match="aborted by the operator"):
        bench.engine.initialize()
    assert bench.engine.state is State.HALTED
    assert "arm.home" not in bench.told
    assert bench.told[-1] == "lights.off"
    bench.while_opening = lambda: None
    bench.engine.reset()
    assert bench.engine.state is State.INITIALIZED
    assert "arm.home" in bench.told


def test_an_abort_from_another_thread_while_reset_opens_slowly(bench: Bench) -> None:
    engine = bench.ready()
    engine.abort()
    opening, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        opening.set()
        assert go_on.wait(WAIT_S)

    bench.while_opening = slowly
    bench.told.clear()
    resetting = threading.Thread(target=refused, args=(engine.reset,), daemon=True)
    resetting.start()
    assert opening.wait(WAIT_S)
    in_time(engine.abort)
    go_on.set()
    resetting.join(WAIT_S)
    assert engine.state is State.HALTED
    assert "arm.home" not in bench.told


def test_an_abort_while_the_recipe_is_prepared_ends_in_halted_not_ready(bench: Bench) -> None:
    engine = bench.ready()
    engine.abort()
    held = threading.Event()
    aborting = threading.Thread(target=engine.abort, daemon=True)

    def abort_meanwhile() -> None:
        bench.acts["arm.stop"] = held.set
        aborting.start()
        assert held.wait(WAIT_S)

    bench.while_preparing = abort_meanwhile
    with pytest.raises(NotNow, match="broken off"):
        engine.reset()
    aborting.join(WAIT_S)
    assert engine.state is State.HALTED
    with pytest.raises(NotNow, match="reset first"):
        engine.start_single_job("P-1")


def test_the_arm_is_held_again_until_homing_that_undid_the_first_hold_ends(bench: Bench) -> None:
    aborting, held_twice = threading.Event(), threading.Event()

    def hold() -> None:
        aborting.set()
        if bench.told.count("arm.stop") == 2:
            held_twice.set()

    def home() -> None:
        threading.Thread(target=bench.engine.abort, daemon=True).start()
        assert aborting.wait(WAIT_S)
        assert held_twice.wait(WAIT_S), "the arm homes on"

    bench.acts.update({"arm.stop": hold, "arm.home": home})
    with pytest.raises(NotNow, match="aborted by the operator"):
        in_time(bench.engine.initialize)
    assert bench.engine.state is State.HALTED


def test_what_a_foreign_driver_raises_when_held_does_not_keep_the_lights_on(bench: Bench) -> None:
    engine = bench.ready()
    bench.faults["arm.stop"] = OSError("handle is invalid")
    engine.abort()
    assert "lights.off" in bench.told
    assert engine.state is State.HALTED
    assert "arm hold not confirmed: OSError: handle is invalid" in engine.state_reason


def test_closing_goes_on_to_the_next_device_whatever_a_foreign_driver_raises() -> None:
    told: list[str] = []
    faults: dict[str, Exception] = {"lights.off": OSError("broken pipe"), "arm.close": ValueError("no handle")}
    arm, lights, camera = (cast(Any, Device(name, told, faults)) for name in ("arm", "lights", "camera"))
    problems = Rig("bench", True, camera, arm, lights).close()
    assert told == ["lights.off", "lights.close", "arm.close", "camera.close"]
    assert problems == [
        "lights off not confirmed: OSError: broken pipe",
        "arm closed not confirmed: ValueError: no handle",
    ]


def refused(verb: Callable[[], None]) -> None:
    with pytest.raises(NotNow):
        verb()


def test_lights_are_told_of_with_the_recipe_and_after_every_part(bench: Bench) -> None:
    told: list[LightsWatched] = []
    bench.engine.subscribe(lambda event: told.append(event) if isinstance(event, LightsWatched) else None)
    assert bench.engine.lights_event() is None
    engine = bench.ready()
    assert [event.recipe_id for event in told] == ["r1"]
    bench.gate.set()
    engine.inspect("P-1")
    assert len(told) == 2
    assert engine.lights_event() is told[-1]
