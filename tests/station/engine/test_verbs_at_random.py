"""Verbs and device events in any order, by hypothesis: no deadlock, no illegal transition, no mixed frames.

Issue 12, acceptance. The engine, its job and its archive are the station's own; devices and judge are stand-ins, and
a frame takes a few milliseconds, so that verbs come in every phase. FACET_VERB_EXAMPLES runs more of it.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from engine_bench import LIGHTS, PLAN, VIEWS, WAIT_S, Bench, StandInJudge, in_time
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from drivers.errors import DeviceError, DeviceLost, FrameIncomplete, FrameOutOfOrder, LightFault
from station.acquire.captured_view import CapturedView
from station.engine.engine import NotNow
from station.engine.events import State, StateChanged
from station.engine.state_table import Kind, Verb, effect, steps
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.judge.re_look import ReLookWish, re_look_wish
from station.recipe.fields import ReLookChoice

EXAMPLES = int(os.environ.get("FACET_VERB_EXAMPLES", "6"))
FRAME_S = 0.002
FIRST_US = PLAN[0].exposure_us
RE_LOOK = ReLookChoice(takt_s=3600.0)
ARROWS = {(step.before, step.after) for step in steps()}
FAULTS: tuple[tuple[str, DeviceError], ...] = (
    ("arm.move_to", DeviceLost("arm", "is gone")),
    ("lights.on", LightFault("lights", "channel 1 is open")),
    ("camera.expose", FrameOutOfOrder("camera", "frame 3 follows frame 3: a duplicate")),
    ("camera.expose", FrameIncomplete("camera", "bytes are missing")),
    ("camera.expose", DeviceLost("camera", "is gone")),
    ("arm.check_at_rest", DeviceLost("arm", "is gone")),
    ("lights.check_at_rest", DeviceLost("lights", "is gone")),
    ("arm.home", DeviceLost("arm", "is gone")),
)


class WatchfulJudge(StandInJudge):
    """Notes every view whose frames are not of one take, in one piece. Where views clip, a second look does not."""

    mixed: list[str]
    clips = False

    def judge(self, view: CapturedView) -> ViewResult:
        found = [(captured.step.view, captured.take, captured.frame.frame_id) for captured in view.captured]
        is_of_one_take = len({take for _, take, _ in found}) == 1
        ids = [frame_id for _, _, frame_id in found]
        if not (is_of_one_take and ids == sorted(ids) and {name for name, _, _ in found} == {view.name}):
            self.mixed.append(f"{view.name}: {found}")
        if self.clips and view.frames["diffuse"].exposure_us >= FIRST_US:
            clips = Reason(ReasonKind.SATURATED, "saturates", light="diffuse", view=view.name)
            return ViewResult(view.name, Verdict.UNDECIDED, 1.0, reasons=(clips,))
        return super().judge(view)

    def re_look(self, result: ViewResult) -> ReLookWish | None:
        return re_look_wish(result, cast(Any, SimpleNamespace(re_look=RE_LOOK)))


class Verbs(RuleBasedStateMachine):
    """One operator, one cell. Verbs return while the job runs on in its own threads."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._folder = tempfile.TemporaryDirectory()
        self.bench = Bench(Path(self._folder.name), self._patch)
        self.judge = self.bench.judge = WatchfulJudge("judge", self.bench.told, self.bench.acts)
        self.judge.mixed = []
        self.bench.recipe.re_look = RE_LOOK
        self.bench.engine.prepare_recipe(Path("recipe.yaml"))  # with this judge
        self.bench.acts["camera.expose"] = self._expose
        self._faults: dict[str, DeviceError] = {}
        for what in {what for what, _ in FAULTS} - {"camera.expose"}:
            self.bench.acts[what] = lambda what=what: self._fail(what)  # type: ignore[misc]

    def _expose(self) -> None:
        time.sleep(FRAME_S)
        self._fail("camera.expose")

    def _fail(self, what: str) -> None:
        """The fault that waits for this call, once."""
        error = self._faults.pop(what, None)
        if error is not None:
            raise error

    @property
    def state(self) -> State:
        return self.bench.engine.state

    @property
    def is_busy(self) -> bool:
        return self.state in (State.SINGLE_EXECUTION, State.PAUSED)

    # -- what may happen ----------------------------------------------------------------------

    def _press(self, verb: Verb, call: Callable[[], object]) -> None:
        """A verb returns in time and raises what it may; one that the table gives nothing to do changes nothing."""
        before = self.bench.engine.state
        try:
            in_time(call)
        except (NotNow, DeviceError):
            return
        assert effect(before, verb).kind is not Kind.REFUSED or self.bench.engine.state is not before

    @rule(verb=st.sampled_from(Verb))
    def any_verb_in_any_state(self, verb: Verb) -> None:
        """As a person would who presses what he likes; the two that end everything come by a rule of their own."""
        if verb in (Verb.ABORT, Verb.HALT):
            return
        given = {Verb.START: ("P",), Verb.PREPARE_RECIPE: (Path("recipe.yaml"),)}.get(verb, ())
        self._press(verb, lambda: getattr(self.bench.engine, verb.value)(*given))

    @rule()
    def start(self) -> None:
        self._have_a_part()

    def _have_a_part(self) -> None:
        """What is due first: no precondition of hypothesis, because the job's threads change the state meanwhile."""
        if self.state not in (State.READY, State.SINGLE_EXECUTION, State.PAUSED):
            self._press(Verb.RESET, self.bench.engine.reset)
        if self.state is State.READY:
            self._press(Verb.START, lambda: self.bench.engine.start_single_job("P"))

    @rule(now=st.booleans())
    def pause(self, now: bool) -> None:
        self._have_a_part()
        self._press(Verb.PAUSE, lambda: self.bench.engine.pause(now=now))

    @rule(verb=st.sampled_from([Verb.RESUME, Verb.RETAKE_VIEW, Verb.SKIP_TO_VERDICT, Verb.STOP]))
    def direct(self, verb: Verb) -> None:
        self._have_a_part()
        self._press(verb, getattr(self.bench.engine, verb.value))

    @rule()
    def the_part_ends(self) -> None:
        """Wait for its verdict, and resume it as often as it pauses meanwhile."""
        deadline_s = time.monotonic() + WAIT_S
        while self.is_busy:
            assert time.monotonic() < deadline_s, f"the part does not end: {self.bench.told[-9:]}"
            if self.state is State.PAUSED:
                self._press(Verb.RESUME, self.bench.engine.resume)
            time.sleep(FRAME_S)

    @rule(verb=st.sampled_from([Verb.ABORT, Verb.HALT]), twice=st.booleans(), luck=st.integers(0, 3))
    def abort_or_halt(self, verb: Verb, twice: bool, luck: int) -> None:
        if luck or self.state in (State.HALTED, State.PREOPERATIONAL):
            return
        call = getattr(self.bench.engine, verb.value)
        self._press(verb, call)
        if twice:
            self._press(verb, call)
        assert self.state is State.HALTED, self.state
        told = self.bench.told
        assert _last(told, "arm.stop") > _last(told, "arm.move_to")
        assert _last(told, "lights.off") > _last(told, "lights.on")

    @rule()
    def reset_and_start(self) -> None:
        self._have_a_part()

    @rule(score=st.sampled_from([0.5, 0.5, 2.0]))
    def the_next_parts_look_so(self, score: float) -> None:
        self.judge.score = score

    @rule(clips=st.booleans())
    def the_next_views_clip(self, clips: bool) -> None:
        self.judge.clips = clips

    @rule(fault=st.sampled_from(FAULTS))
    def a_device_will_fail(self, fault: tuple[str, DeviceError]) -> None:
        self._faults[fault[0]] = fault[1]

    @rule(frames=st.integers(1, 4))
    def time_passes(self, frames: int) -> None:
        time.sleep(frames * FRAME_S)

    # -- what holds always --------------------------------------------------------------------

    @invariant()
    def every_transition_is_in_the_table(self) -> None:
        visited = [event.state for event in tuple(self.bench.events) if isinstance(event, StateChanged)]
        assert set(pairwise(visited)) <= ARROWS, visited

    @invariant()
    def no_view_is_made_of_two_takes(self) -> None:
        assert self.judge.mixed == []

    def teardown(self) -> None:
        """Let the part end; then look at everything that was stored."""
        try:
            self._faults.clear()
            in_time(self.bench.engine.abort)
            for ready in self.bench.results():
                assert ready.is_stored
                self._check_record(ready.inspection.inspection_id)
            self.every_transition_is_in_the_table()
            told = self.bench.told
            assert _last(told, "lights.off") > _last(told, "lights.on")
        finally:
            self.bench.close()
            self._patch.undo()
            self._folder.cleanup()
        assert not [thread.name for thread in threading.enumerate() if thread.name in ("acquire", "judge")]

    def _check_record(self, inspection_id: str) -> None:
        """A PASS shows every view, each by one take alone; whatever else is stored mixes no takes either."""
        found = self.bench.archive.load_figures(inspection_id)
        taken: dict[str, set[int]] = {}
        lights: dict[str, list[str]] = {}
        for frame in self.bench.archive.load_frames(inspection_id):
            assert frame.proof is not None
            assert int(frame.frame.pixels[0, 0]) == frame.frame.frame_id % 256
            taken.setdefault(frame.view, set()).add(frame.proof.take)
            lights.setdefault(frame.view, []).append(frame.light)
        assert all(len(takes) == 1 for takes in taken.values()), taken
        if found.verdict is Verdict.PASS:
            assert lights == {view: list(LIGHTS) for view in VIEWS}
            assert found.reasons == ()


def _last(told: list[str], what: str) -> int:
    """The place of the last such verb; -1 where it never came."""
    return max((place for place, verb in enumerate(told) if verb == what), default=-1)


Verbs.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    derandomize="FACET_VERB_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
TestVerbsAtRandom = pytest.mark.timeout(WAIT_S * 60)(Verbs.TestCase)
