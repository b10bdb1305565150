"""Every way out of a job ends in a state from which a verb leads on, with the lights off and the part undecided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_bench import WAIT_S, Bench, in_time, refusal

from drivers.errors import DeviceLost
from station.engine.events import (
    AcquisitionDone,
    Event,
    JobStarted,
    LightsWatched,
    ResultReady,
    State,
    StateChanged,
    StepDone,
    ViewJudged,
)
from station.inspection.part_id import PartIdRefused
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict

ERRORS: tuple[BaseException, ...] = (
    DeviceLost("camera", "is gone"),
    OSError("handle is invalid"),
    MemoryError(),
    RuntimeError("can't start new thread"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    SystemExit(1),
)
DEVICE_STAGES = ("arm.move_to", "lights.on", "camera.expose", "lights.check")
JUDGE_STAGES = ("judge.begin_part", "judge.take", "judge.judge", "judge.refine")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def led_on(bench: Bench) -> None:
    """Whatever happened, a verb leads on, and the next part is inspected as if nothing had been."""
    assert bench.engine.state in (State.READY, State.ERROR)
    if bench.engine.state is State.ERROR:
        in_time(bench.engine.reset)
    assert bench.engine.state is State.READY
    in_time(lambda: bench.engine.inspect("P-next"))
    last = bench.results()[-1]
    assert (last.inspection.part_id, last.inspection.verdict, last.is_stored) == ("P-next", Verdict.PASS, True)
    assert bench.engine.state is State.READY


@pytest.mark.parametrize("stage", DEVICE_STAGES + JUDGE_STAGES)
def test_an_exception_at_any_stage_leaves_the_part_undecided_and_a_way_on(bench: Bench, stage: str) -> None:
    """Issue 15, point 5. A judge that died left the arm's thread waiting at a full queue, with a light on."""
    for error in ERRORS:
        bench.events.clear()
        bench.told.clear()
        bench.acts[stage] = raising(error)
        in_time(lambda: bench.engine.inspect("P-1"))
        bench.acts.clear()
        (result,) = bench.results()
        assert result.inspection.verdict is Verdict.UNDECIDED
        assert result.inspection.reasons
        assert result.is_stored
        assert [told for told in bench.told if told in ("lights.on", "lights.off")][-1] == "lights.off"
        if stage in DEVICE_STAGES and not isinstance(error, DeviceLost):
            assert "arm.stop" in bench.told, "whatever broke the inspection off, the arm may still move"
        if bench.engine.state is State.ERROR:
            in_time(bench.engine.reset)
        assert bench.engine.state is State.READY
    led_on(bench)


@pytest.mark.parametrize("error", ERRORS[1:], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["record", "keep_aside"])
def test_an_exception_while_storing_leaves_the_part_undecided_and_a_way_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    """Issue 15, point 5: anything but an ArchiveError left the engine in SingleExecution for ever."""
    for name in {where, "record"}:
        monkeypatch.setattr(type(bench.archive), name, lambda *_: raising(error)())
    in_time(lambda: bench.engine.inspect("P-1"))
    monkeypatch.undo()
    monkeypatch.setenv("FACET_SPOOL", str(bench.spool))
    monkeypatch.setattr("station.engine.engine.read_recipe_files", lambda *_: bench.engine._prepared.files)  # noqa: SLF001
    (result,) = bench.results()
    assert (result.inspection.verdict, result.is_stored) == (Verdict.UNDECIDED, False)
    assert result.inspection.reasons[0].kind is ReasonKind.NOT_STORED
    assert bench.engine.state is State.ERROR
    in_time(bench.engine.reset)
    assert bench.results()[-1].inspection.verdict is Verdict.PASS
    assert bench.archive.verify(result.inspection.inspection_id) == []


def test_a_record_that_can_never_be_written_is_given_up_at_reset_and_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 5: no station may be stuck behind one inspection for ever."""
    monkeypatch.setattr(type(bench.archive), "record", lambda *_: raising(ERRORS[4])())
    monkeypatch.setattr(type(bench.archive), "keep_aside", lambda *_: raising(ERRORS[4])())
    in_time(lambda: bench.engine.inspect("P-1"))
    assert "not stored" in refusal(lambda: bench.engine.start_single_job("P-2"))
    in_time(bench.engine.reset)
    assert bench.engine.state is State.READY
    assert "was given up" in bench.faults()[-1].text
    assert len(bench.results()) == 1, "its verdict stays UNDECIDED"


@pytest.mark.parametrize("name", ["judge", "archive_0", "storing"])
def test_a_machine_without_threads_leaves_a_way_on(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Issue 15, point 5."""
    without_thread(monkeypatch, name, *(["archive_0"] if name == "storing" else []))
    in_time(lambda: bench.engine.inspect("P-1"))
    (result,) = bench.results()
    assert result.inspection.verdict is Verdict.UNDECIDED
    monkeypatch.setattr(threading.Thread, "start", THREAD_START)
    in_time(bench.engine.reset)
    led_on(bench)


def test_a_job_whose_thread_cannot_start_never_began(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 15, point 5."""
    without_thread(monkeypatch, "acquire")
    assert "close other programs" in refusal(lambda: bench.engine.start_single_job("P-1"))
    assert bench.engine.state is State.READY
    assert not [event for event in bench.events if isinstance(event, JobStarted)]
    in_time(bench.engine.abort)  # no thread to be joined that never ran
    assert bench.engine.state is State.HALTED
    monkeypatch.setattr(threading.Thread, "start", THREAD_START)
    in_time(bench.engine.reset)
    led_on(bench)


THREAD_START = threading.Thread.start


def without_thread(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def start(thread: threading.Thread) -> None:
        if thread.name in names:
            raise RuntimeError("can't start new thread")
        THREAD_START(thread)

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_abort_in_the_moment_of_start_neither_raises_nor_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Issue 15, point 5: abort joined a thread that had been made and not started."""
    held, aborting = threading.Event(), threading.Thread(target=lambda: bench.engine.abort(), name="aborting")
    bench.acts["arm.stop"] = held.set
    bench.acts["camera.expose"] = lambda: held.wait(WAIT_S)  # else the part could be judged before the abort is heard

    def start(thread: threading.Thread) -> None:
        if thread.name == "acquire" and moment == "before":
            THREAD_START(aborting)
            assert held.wait(WAIT_S)
        THREAD_START(thread)
        if thread.name == "acquire" and moment == "after":
            THREAD_START(aborting)
            assert held.wait(WAIT_S)

    monkeypatch.setattr(threading.Thread, "start", start)
    in_time(lambda: bench.engine.start_single_job("P-1"))
    aborting.join(WAIT_S)
    assert not aborting.is_alive()
    assert bench.engine.state is State.HALTED
    assert [result.inspection.verdict for result in bench.results()] == [Verdict.UNDECIDED], "its job had ended by then"
    monkeypatch.setattr(threading.Thread, "start", THREAD_START)
    in_time(bench.engine.reset)
    led_on(bench)


def test_a_listener_may_abort_on_hearing_of_any_event(bench: Bench) -> None:
    """Issue 15, point 5: on hearing of a view it waited for the thread that waited for it."""
    for kind in (StateChanged, JobStarted, StepDone, ViewJudged, AcquisitionDone, ResultReady):
        heard: list[Event] = []

        def listen(event: Event, kind: type = kind, heard: list[Event] = heard) -> None:
            if isinstance(event, kind) and not heard:
                heard.append(event)
                bench.engine.abort("from a listener")

        unsubscribe = bench.engine.subscribe(listen)
        in_time(lambda: bench.engine.inspect("P-1"))
        unsubscribe()
        assert heard
        assert bench.engine.state is State.HALTED
        in_time(bench.engine.reset)
    led_on(bench)


@pytest.mark.parametrize("error", [ValueError("no window"), SystemExit(1)], ids=lambda error: type(error).__name__)
def test_a_listener_that_raises_disturbs_no_part(bench: Bench, error: BaseException) -> None:
    """Issue 15, point 5."""
    for kind in (StateChanged, JobStarted, StepDone, ViewJudged, AcquisitionDone, ResultReady, LightsWatched):
        unsubscribe = bench.engine.subscribe(lambda event, kind=kind: refuse(event, kind, error))  # type: ignore[misc]
        in_time(lambda: bench.engine.inspect("P-1"))
        unsubscribe()
        assert bench.results()[-1].inspection.verdict is Verdict.PASS
        assert bench.engine.state is State.READY
    assert len(bench.results()) == 7


def refuse(event: Event, kind: type, error: BaseException) -> None:
    if isinstance(event, kind):
        raise error


def test_a_part_id_that_cannot_be_stored_or_shown_is_refused_before_anything_begins(bench: Bench) -> None:
    """Issue 15, points 5 and 11."""
    before = len(bench.events)
    for part_id in ("", "   ", "a\x1b[2K", "nul\x00", "two\nlines", "x" * 81, "half \ud800", " blank"):
        with pytest.raises(PartIdRefused):
            bench.engine.start_single_job(part_id)
    assert len(bench.events) == before
    assert bench.engine.state is State.READY


def test_a_reset_that_fails_half_way_still_prepares_the_recipe_the_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 5: after it, Reset ended in Initialized for ever, without a recipe."""
    in_time(bench.engine.abort)
    files = monkeypatch.setattr
    good = bench.engine._prepared.files  # type: ignore[union-attr] # noqa: SLF001
    files("station.engine.engine.read_recipe_files", lambda *_: raising(OSError("the disk is gone"))())
    with pytest.raises(OSError, match="the disk is gone"):
        in_time(bench.engine.reset)
    files("station.engine.engine.read_recipe_files", lambda *_: good)
    in_time(bench.engine.reset)
    led_on(bench)


def test_a_move_that_begins_at_the_very_moment_of_an_abort_is_held_too(bench: Bench) -> None:
    """500 random sequences of verbs had found it: the walk had asked a moment before whether it may go on."""
    held = threading.Event()
    aborting: list[threading.Thread] = []

    def abort_before_the_second_move() -> None:
        if aborting or "camera.expose" not in bench.told:
            return
        aborting.append(threading.Thread(target=bench.engine.abort))
        bench.acts["arm.stop"] = held.set
        aborting[0].start()
        assert held.wait(WAIT_S)

    bench.acts["lights.off"] = abort_before_the_second_move
    in_time(lambda: bench.engine.inspect("P"))
    aborting[0].join(WAIT_S)
    assert bench.engine.state is State.HALTED
    places = {what: [n for n, verb in enumerate(bench.told) if verb == what] for what in ("arm.stop", "arm.move_to")}
    assert places["arm.stop"][0] < places["arm.move_to"][-1] < places["arm.stop"][-1]
    assert bench.told[places["arm.move_to"][-1] :].count("lights.off") > 0
