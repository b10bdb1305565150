"""Every verb in every state, twice: what the table promises comes, and nothing else; then pause, retake and skip.

Issue 12, point 1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from engine_bench import LIGHTS, PLAN, VIEWS, WAIT_S, Bench, in_time

from drivers.errors import DeviceError, DeviceLost, FrameOutOfOrder
from station.engine.engine import NotNow
from station.engine.events import RoomWatched, State, StateChanged, StepDone, ViewJudged, ViewRetaken
from station.engine.state_table import ALL_TAKEN, Kind, Verb, effect, steps
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection, Verdict
from station.inspection.retakes import RetakeKind

ARROWS = {(step.before, step.after) for step in steps()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()


class Gate:
    """Lets frames through by number, and says when the camera waits for the next one."""

    def __init__(self, bench: Bench) -> None:
        self._allowed = threading.Semaphore(0)
        self._waiting = threading.Semaphore(0)
        self._bench = bench
        self.is_open = False
        bench.acts["camera.expose"] = self._expose

    def let(self, frames: int) -> None:
        """Return when so many more frames were taken, and the camera is asked for the next one."""
        for _ in range(frames):
            self._allowed.release()
            assert self._waiting.acquire(timeout=WAIT_S), "the next frame was never asked for"

    def open(self) -> None:
        self.is_open = True
        self._allowed.release(1000)

    def start(self) -> None:
        self._bench.engine.start_single_job("P-1")
        assert self._waiting.acquire(timeout=WAIT_S)

    def _expose(self) -> None:
        self._waiting.release()
        assert self._allowed.acquire(timeout=WAIT_S)


def wait_until(is_so: Callable[[], bool], bench: Bench) -> None:
    """Return with the event that makes it so."""
    came = threading.Event()
    leave = bench.engine.subscribe(lambda _event: came.set())
    try:
        while not is_so():
            assert came.wait(WAIT_S), (bench.states(), bench.told[-5:])
            came.clear()
    finally:
        leave()


def in_state(bench: Bench, state: State) -> Callable[[], None]:
    """Bring the engine there; returns what lets a job end."""
    engine = bench.engine
    bench.acts.clear()
    if engine.state is not State.READY:
        engine.reset() if engine.state is not State.PREOPERATIONAL or engine.is_prepared else None
    gate = Gate(bench)
    match state:
        case State.PREOPERATIONAL:
            engine.close()
        case State.INITIALIZED:
            engine.close()
            engine.initialize()
        case State.SINGLE_EXECUTION:
            gate.start()
        case State.PAUSED:
            gate.start()
            engine.pause(now=True)
            gate.open()
            wait_until(lambda: engine.state is State.PAUSED, bench)
        case State.HALTED:
            engine.abort()
        case State.ERROR:
            bench.acts["arm.move_to"] = lost
            in_time(lambda: engine.inspect("P-0"))
            bench.acts.pop("arm.move_to")
    assert engine.state is state
    return gate.open


def lost() -> None:
    raise DeviceLost("arm", "is gone")


def press(bench: Bench, verb: Verb, let_end: Callable[[], None]) -> str:
    """Press it; a verb that waits for the job's end gets it. Returns the refusal, or an empty text."""
    call = getattr(bench.engine, verb.value)
    arguments = {Verb.START: ("P-2",), Verb.PREPARE_RECIPE: (bench.root / "recipe.yaml",)}.get(verb, ())
    if verb in (Verb.ABORT, Verb.HALT):
        let_end()
    try:
        in_time(lambda: call(*arguments))
    except NotNow as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("state", list(State))
def test_every_verb_does_in_this_state_what_the_table_says_and_may_be_pressed_twice(bench: Bench, state: State) -> None:
    for verb in Verb:
        let_end = in_state(bench, state)
        promised = effect(state, verb)
        bench.events.clear()
        said = press(bench, verb, let_end)
        if promised.kind is Kind.REFUSED:
            assert promised.text in said
            assert f"state {state.value}" in said
        else:
            assert said == ""
        if promised.kind is not Kind.ACTS:
            assert [event for event in bench.events if not isinstance(event, RoomWatched)] == []  # of the disk, at rest
            assert bench.engine.state is state
        press(bench, verb, let_end)
        let_end()
        wait_until(lambda: bench.engine.state is not State.SINGLE_EXECUTION, bench)
        if bench.engine.state is State.PAUSED:
            bench.engine.resume()
        wait_until(lambda: bench.engine.state not in (State.SINGLE_EXECUTION, State.PAUSED), bench)
        visited = [state, *(event.state for event in bench.events if isinstance(event, StateChanged))]
        assert set(pairwise(visited)) <= ARROWS, (verb, visited)


# -- pause -----------------------------------------------------------------------------------------------------------


def inspected(bench: Bench) -> Inspection:
    wait_until(lambda: bool(bench.results()) and bench.engine.state is not State.SINGLE_EXECUTION, bench)
    return bench.results()[-1].inspection


def takes(bench: Bench, inspection: Inspection) -> list[tuple[str, str, int]]:
    """View, light and take of each archived frame."""
    found = bench.archive.load_frames(inspection.inspection_id)
    return [(frame.view, frame.light, frame.proof.take if frame.proof else 0) for frame in found]


def test_a_pause_in_mid_view_throws_its_frames_away_and_takes_the_view_again(bench: Bench) -> None:
    gate = Gate(bench)
    gate.start()
    gate.let(1)  # of three in the first view; the second is being exposed
    bench.engine.pause(now=True)
    bench.engine.pause()
    gate.open()
    wait_until(lambda: bench.engine.state is State.PAUSED, bench)
    assert [told for told in bench.told if told.startswith("lights.o")][-1] == "lights.off"
    assert bench.engine.state_reason == "paused by the operator"
    bench.engine.resume()
    found = inspected(bench)
    assert found.verdict is Verdict.PASS
    (retake,) = found.retakes
    assert (retake.view, retake.take, retake.kind, len(retake.frame_ids)) == ("top", 1, RetakeKind.PAUSED, 2)
    assert takes(bench, found) == [(step.view, step.light, 2 if step.view == "top" else 1) for step in PLAN]
    assert bench.archive.load(found.inspection_id).retakes == found.retakes
    assert "paused" in found.processing_times_ms


def test_a_pause_after_this_view_keeps_the_view_and_a_retake_meanwhile_takes_it_again(bench: Bench) -> None:
    gate = Gate(bench)
    gate.start()
    bench.engine.pause()
    gate.open()
    wait_until(lambda: bench.engine.state is State.PAUSED, bench)
    assert [event.view for event in bench.events if isinstance(event, StepDone)] == ["top"] * len(LIGHTS)
    bench.engine.retake_view()
    bench.engine.retake_view()
    assert bench.engine.state is State.PAUSED, "nothing resumes by itself"
    bench.engine.resume()
    found = inspected(bench)
    assert found.verdict is Verdict.PASS
    assert [(retake.view, retake.kind) for retake in found.retakes] == [("top", RetakeKind.ASKED)]
    assert [view.view for view in found.views] == list(VIEWS)
    assert [event.result.view for event in bench.events if isinstance(event, ViewJudged)] == ["top", "top", "left"]


def test_a_defect_that_was_seen_stands_though_its_view_is_taken_again(bench: Bench) -> None:
    gate = Gate(bench)
    bench.judge.score = 2.0
    gate.start()
    bench.engine.pause()
    gate.open()
    wait_until(lambda: any(isinstance(event, ViewJudged) for event in bench.events), bench)
    wait_until(lambda: bench.engine.state is State.PAUSED, bench)
    bench.judge.score = 0.5
    bench.engine.retake_view()
    bench.engine.resume()
    found = inspected(bench)
    assert (found.verdict, found.deciding_view) == (Verdict.FAIL, "top")
    assert {take for view, _, take in takes(bench, found) if view == "top"} == {1}, "the frames that show it"


def test_a_device_that_is_lost_while_paused_leads_to_error(bench: Bench) -> None:
    let_end = in_state(bench, State.PAUSED)
    bench.acts["arm.check_at_rest"] = lost
    found = inspected(bench)
    let_end()
    assert bench.engine.state is State.ERROR
    assert (found.verdict, found.reasons[0].kind) == (Verdict.UNDECIDED, ReasonKind.DEVICE_FAULT)
    assert "arm.stop" in bench.told


@pytest.mark.parametrize("verb", ["stop", "skip_to_verdict", "abort", "halt"])
def test_every_way_out_of_a_pause_leaves_the_part_undecided(bench: Bench, verb: str) -> None:
    in_state(bench, State.PAUSED)
    in_time(getattr(bench.engine, verb))
    found = inspected(bench)
    kind = ReasonKind.SKIPPED if verb == "skip_to_verdict" else ReasonKind.STOPPED
    assert (found.verdict, found.reasons[0].kind) == (Verdict.UNDECIDED, kind)
    assert bench.engine.state is (State.HALTED if verb in ("abort", "halt") else State.READY)


# -- skip, retake, halt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "verdict"), [(0.5, Verdict.UNDECIDED), (2.0, Verdict.FAIL)])
def test_the_verdict_on_what_was_seen_is_a_fail_where_a_complete_view_fails(
    bench: Bench, score: float, verdict: Verdict
) -> None:
    gate = Gate(bench)
    bench.judge.score = score
    gate.start()
    gate.let(len(LIGHTS) + 1)
    bench.engine.skip_to_verdict()
    gate.open()
    found = inspected(bench)
    assert (found.verdict, found.reasons[0].kind, found.is_partial) == (verdict, ReasonKind.SKIPPED, True)
    assert bench.engine.state is State.READY


def test_nothing_is_paused_or_taken_again_once_every_view_was_taken(bench: Bench) -> None:
    judging = threading.Event()
    bench.acts["judge.judge"] = lambda: judging.wait(WAIT_S)
    bench.engine.start_single_job("P-1")
    wait_until(
        lambda: bench.told[-1:] != [] and any(type(e).__name__ == "AcquisitionDone" for e in bench.events), bench
    )
    for verb in (bench.engine.pause, bench.engine.retake_view):
        with pytest.raises(NotNow, match=ALL_TAKEN):
            verb()
    bench.engine.skip_to_verdict()
    judging.set()
    assert inspected(bench).verdict is Verdict.PASS


def test_halt_closes_the_devices_from_every_state_and_reset_opens_them_again(bench: Bench) -> None:
    for state in State:
        let_end = in_state(bench, state)
        let_end()
        bench.told.clear()
        in_time(bench.engine.halt)
        in_time(bench.engine.halt)
        assert bench.engine.state is State.HALTED, state
        if state is not State.PREOPERATIONAL:
            assert bench.told[-1] == "camera.close", state
            held = bench.told[bench.told.index("arm.stop") :]  # the job may have ended before
            assert held.index("lights.off") < held.index("arm.close"), state
    bench.acts.clear()
    bench.engine.reset()
    assert bench.engine.state is State.READY


# -- a frame that disagrees with its proof (point 4) -----------------------------------------------------------------


class Failing:
    """Raises at the exposures with these numbers, counted from 1."""

    def __init__(self, error: DeviceError, *numbers: int) -> None:
        self._error, self._numbers, self._count = error, numbers, 0

    def __call__(self) -> None:
        self._count += 1
        if self._count in self._numbers:
            raise self._error


def test_a_frame_out_of_order_rejects_its_view_which_is_taken_again_and_recorded(bench: Bench) -> None:
    bench.acts["camera.expose"] = Failing(FrameOutOfOrder("camera", "frame 5 follows frame 5: a duplicate"), 5)
    found = bench.engine.inspect("P-1")
    assert found.verdict is Verdict.PASS
    (retake,) = found.retakes
    assert (retake.view, retake.kind, len(retake.frame_ids)) == ("left", RetakeKind.FRAME_PROOF, 1)
    assert "a duplicate" in retake.text
    assert [event.retake for event in bench.events if isinstance(event, ViewRetaken)] == [retake]
    assert {take for view, _, take in takes(bench, found) if view == "left"} == {2}


def test_a_view_whose_retakes_are_used_up_ends_the_part_undecided(bench: Bench) -> None:
    bench.acts["camera.expose"] = Failing(FrameOutOfOrder("camera", "frame 5 is stale"), 2, 4)
    found = bench.engine.inspect("P-1")
    assert (found.verdict, bench.engine.state) == (Verdict.UNDECIDED, State.ERROR)
    assert "was taken again 1 times before" in found.reasons[0].text
    assert len(found.retakes) == 1


def test_each_frame_is_archived_with_what_was_commanded_and_what_was_answered(bench: Bench) -> None:
    found = bench.engine.inspect("P-1")
    for step, frame in zip(PLAN, bench.archive.load_frames(found.inspection_id), strict=True):
        proof = frame.proof
        assert proof is not None
        assert (proof.channel, proof.brightness, proof.reached) == (step.channel, step.brightness, step.pose)
        assert proof.lit_ns is not None
        assert proof.lit_ns <= frame.frame.timestamp_ns < proof.exposure_end_ns
        assert proof.exposure_end_ns - frame.frame.timestamp_ns == 900_000
