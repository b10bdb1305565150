"""Devices that fail in the last view, while it is judged, or at rest: no PASS for a part that was not seen whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from quick_station import FIRST_VIEW_STEPS, LAST_STEP, WAIT_S, QuickStation, is_fault, step

from drivers.errors import DeviceError, DeviceLost, PositionUntrusted
from drivers.simulated.config import ArmKind
from station.engine import device_watch
from station.engine.device_watch import SILENCE_S, DeviceWatch, ask_devices, patience_at_rest_s
from station.engine.engine import Engine, NotNow
from station.engine.events import AcquisitionDone, Event, Fault, State
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict
from station.rig.devices import Rig

StationWith = Callable[[ArmKind], QuickStation]

# A myCobot has no inputs: its emergency stop cuts the servos' power.
SIX_AXIS_LOST = ["power_loss", "release", "reset", "unplug", "silence"]
GANTRY_LOST = ["gantry.estop", "gantry.door open", "gantry.alarm", "gantry.reset", "gantry.hold", "gantry.unplug"]
GANTRY_LOST_AT_REST = ["gantry.unplug", "gantry.freeze", "gantry.hold"]
OTHERS_LOST = ["camera.unplug", "lights.unplug"]
MENDED_BY = {
    "gantry.estop": "gantry.estop released",
    "gantry.door open": "gantry.door closed",
    **{f"{device}.unplug": f"{device}.plug" for device in ("gantry", "camera", "lights")},
    **{f"{device}.{fault}": f"{device}.thaw" for device in ("gantry", "lights") for fault in ("freeze", "silence")},
}


def mend(station: QuickStation, fault: str) -> None:
    if fault in MENDED_BY:
        station.inject(MENDED_BY[fault])


def lose_in_the_last_view(station: QuickStation, fault: str) -> None:
    """After the last frame, when nothing else would notice it."""
    inspection = station.inspect_with(fault, at=step(LAST_STEP))
    assert inspection.verdict is Verdict.UNDECIDED
    assert inspection.reasons[0].kind is ReasonKind.DEVICE_FAULT
    assert inspection.reasons[0].text
    assert station.engine.state is State.ERROR
    assert not station.was_done(), "the part was said to be free"
    assert station.engine.standing_fault == station.faults()[-1]
    mend(station, fault)
    if fault != "lights.unplug":  # of a lamp whose controller is gone nobody knows
        assert station.lit() == []
    station.ready()
    assert station.engine.standing_fault is None


def lose_at_rest(station: QuickStation, fault: str) -> None:
    station.inject(fault)
    reported = station.wait_for(is_fault)
    assert isinstance(reported, Fault)
    assert reported.text.startswith(("gantry", "arm") if fault.startswith("gantry") else fault.partition(".")[0])
    assert station.engine.state is State.ERROR
    assert station.engine.standing_fault == reported
    with pytest.raises(NotNow, match="reset"):
        station.engine.start_single_job("PART-2")
    mend(station, fault)
    station.ready()


@pytest.mark.parametrize("fault", SIX_AXIS_LOST)
def test_a_six_axis_arm_lost_in_the_last_view_makes_the_part_undecided(station_with: StationWith, fault: str) -> None:
    """Issue 15, points 3 and 13."""
    lose_in_the_last_view(station_with("mycobot"), f"gantry.{fault}")


@pytest.mark.parametrize("fault", ["release", "freeze"])
def test_a_six_axis_arm_lost_at_rest_is_reported_and_no_part_can_be_started(
    station_with: StationWith, fault: str
) -> None:
    """Issue 15, points 3 and 14."""
    lose_at_rest(station_with("mycobot"), f"gantry.{fault}")


@pytest.mark.parametrize("fault", [*GANTRY_LOST, *OTHERS_LOST])
def test_a_device_lost_in_the_last_view_makes_the_part_undecided(station_with: StationWith, fault: str) -> None:
    """Issue 15, points 3 and 13."""
    lose_in_the_last_view(station_with("grbl"), fault)


@pytest.mark.parametrize("fault", [*GANTRY_LOST_AT_REST, *OTHERS_LOST, "lights.silence"])
def test_a_device_lost_at_rest_is_reported_and_no_part_can_be_started(station_with: StationWith, fault: str) -> None:
    """Issue 15, points 3 and 14."""
    lose_at_rest(station_with("grbl"), fault)


@pytest.mark.parametrize("fault", ["gantry.estop", "gantry.hold"])
def test_a_device_lost_before_the_last_frame_is_noticed_after_it(station_with: StationWith, fault: str) -> None:
    """Issue 15, point 3: the last frame itself is exposed with the arm in fault."""
    station = station_with("grbl")
    inspection = station.inspect_with(fault, at=step(LAST_STEP - 1))
    assert (inspection.verdict, len(inspection.views)) == (Verdict.UNDECIDED, 2)
    assert station.engine.state is State.ERROR
    mend(station, fault)


def test_a_part_that_was_seen_whole_keeps_its_verdict_and_the_loss_is_reported(station_with: StationWith) -> None:
    """Issue 15, point 3: every device was asked after the last frame; what comes later ends in Error, not in Ready."""
    station = station_with("grbl")
    inspection = station.inspect_with("gantry.estop", at=lambda event: isinstance(event, AcquisitionDone))
    assert inspection.verdict is Verdict.PASS
    assert State.READY not in station.states()
    assert station.engine.state is State.ERROR
    station.inject("gantry.estop released")


def test_an_abort_while_the_last_view_is_judged_makes_the_part_undecided(station_with: StationWith) -> None:
    """Issue 15, point 3: a person stopped the station before the verdict was out."""
    station = station_with("grbl")
    station.may_judge.clear()
    station.engine.start_single_job("PART-1")
    station.wait_for(lambda event: isinstance(event, AcquisitionDone))
    aborting = threading.Thread(target=station.engine.abort)
    aborting.start()
    rig = station.engine._rig  # noqa: SLF001 - the arm is held before the judge may go on
    assert rig is not None
    held = threading.Event()
    while rig.arm.position_trusted:
        assert not held.wait(0.005)
    station.may_judge.set()
    aborting.join(WAIT_S)
    row = station.archive.history(1)[0]
    assert (row.verdict, station.engine.state) == (Verdict.UNDECIDED, State.HALTED)
    assert [reason.kind for reason in station.archive.load(row.inspection_id).reasons] == [ReasonKind.STOPPED]


def test_stopping_at_rest_costs_nothing(station_with: StationWith) -> None:
    """Issue 15, point 19: no reset, no homing, and the next part is not stopped by it."""
    station = station_with("grbl")
    station.engine.stop()
    assert station.engine.state is State.READY
    assert station.engine.inspect("PART-1").verdict is Verdict.PASS
    assert station.faults() == []


def test_a_sound_run_says_that_the_part_may_be_moved_after_all_its_frames(station_with: StationWith) -> None:
    """Issue 15, point 13."""
    station = station_with("grbl")
    assert station.engine.inspect("PART-1").verdict is Verdict.PASS
    done = [n for n, event in enumerate(station.events) if isinstance(event, AcquisitionDone)]
    last = [n for n, event in enumerate(station.events) if step(LAST_STEP)(event)]
    assert len(done) == len(last) == 1
    assert done > last


def test_a_stopped_run_never_says_that_the_part_may_be_moved(station_with: StationWith) -> None:
    """Issue 15, point 13: the arm stands over the part, and the rest of it was not seen."""
    station = station_with("grbl")
    unsubscribe = station.engine.subscribe(lambda event: station.engine.stop() if step(2)(event) else None)
    assert station.engine.inspect("PART-1").verdict is Verdict.UNDECIDED
    unsubscribe()
    assert not station.was_done()


def test_nothing_is_opened_or_moved_before_somebody_asks_and_the_state_says_why(tmp_path: Path) -> None:
    """Issue 15, point 15."""

    def refuse(_path: Path) -> Rig:
        raise AssertionError("a device was opened")

    engine = Engine(tmp_path / "rig.yaml", cast(Any, None), opener=refuse)
    heard: list[Event] = []
    engine.subscribe(heard.append)
    engine.stop()
    engine.abort()
    assert engine.state is State.PREOPERATIONAL
    assert "homing is due" in engine.state_reason
    assert (engine.standing_fault, heard) == (None, [])


def test_the_watch_takes_no_turn_while_a_verb_has_the_devices(station_with: StationWith) -> None:
    """Issue 15, point 3: the watch shares the engine's lock, and skips a turn in place of waiting for it."""
    station = station_with("grbl")
    engine = station.engine
    with engine._lock:  # noqa: SLF001 - as a verb holds it
        turn = threading.Thread(target=engine._look_at_rest)  # noqa: SLF001 - one turn of the watch
        turn.start()
        turn.join(WAIT_S)
        assert not turn.is_alive(), "the watch waits for the verb"


def test_the_watch_ends_with_the_engine() -> None:
    """Issue 15, point 3: after `close` no thread of it is left, and it can begin anew."""
    turns = threading.Semaphore(0)
    watch = DeviceWatch(turns.release, every_s=0.001)
    before = set(threading.enumerate())
    for _ in range(2):
        watch.start()
        watch.start()
        (thread,) = set(threading.enumerate()) - before
        assert turns.acquire(timeout=WAIT_S)
        watch.close()
        assert not thread.is_alive()


def test_a_turn_that_fails_does_not_end_the_watch() -> None:
    """Issue 15, point 3."""
    turns = threading.Semaphore(0)

    def turn() -> None:
        turns.release()
        raise RuntimeError("a driver of another package")

    watch = DeviceWatch(turn, every_s=0.001)
    watch.start()
    assert turns.acquire(timeout=WAIT_S)
    assert turns.acquire(timeout=WAIT_S)
    watch.close()


class Plain:
    """A device of another package: what its Protocol has, and nothing besides."""

    def __init__(self, *, trusted: bool = True, error: Exception | None = None) -> None:
        self.position_trusted = trusted
        self._error = error

    def ask(self) -> None:
        if self._error is not None:
            raise self._error

    position = time_ns = check = ask


def plain_rig(**devices: Plain) -> Any:
    return SimpleNamespace(**{name: devices.get(name, Plain()) for name in ("arm", "camera", "lights")})


@pytest.mark.parametrize(
    ("devices", "expected", "words"),
    [
        ({"arm": Plain(trusted=False)}, PositionUntrusted, "no longer trusted"),
        ({"arm": Plain(error=DeviceLost("arm", "gone"))}, DeviceLost, "arm: gone"),
        ({"camera": Plain(error=DeviceLost("camera", "gone"))}, DeviceLost, "camera: gone"),
        (
            {"lights": Plain(error=OSError("no handle"))},
            DeviceError,
            "lights: it could not be asked: OSError",
        ),
    ],
)
def test_a_driver_without_a_check_of_its_own_is_asked_by_what_its_protocol_has(
    devices: dict[str, Plain], expected: type[DeviceError], words: str
) -> None:
    """Issue 15, point 3: drivers of a plant, written before there was such a check, are not left out."""
    ask_devices(plain_rig())
    with pytest.raises(expected, match=words):
        ask_devices(plain_rig(**devices))


@pytest.mark.parametrize(
    ("running", "average", "expected"),
    [(1, 0.5, SILENCE_S), (9, 0.5, None), (1, 9.0, None), (2, 3.9, SILENCE_S)],
)
def test_on_a_crowded_machine_a_silence_proves_nothing_so_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, running: int, average: float, expected: float | None
) -> None:
    """Issue 15, points 3 and 14: a loss is reported within 2 s, and a machine at its limit is no lost device."""
    counts = tmp_path / "loadavg"
    counts.write_text(f"0.1 0.1 0.1 {running}/400 4242\n")
    monkeypatch.setattr(device_watch, "RUNNING", counts)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (average, 0.1, 0.1), raising=False)
    assert patience_at_rest_s() == expected


def test_frames_that_did_not_come_whole_are_exposed_again_and_recorded(station_with: StationWith) -> None:
    """Issue 15, point 7: twice in a view, and the part is judged as any other."""
    station = station_with("grbl")
    inspection = station.inspect_with("camera.incomplete 2", at=step(FIRST_VIEW_STEPS))
    assert inspection.verdict is Verdict.PASS, inspection.reasons
    assert [view.re_exposed for view in inspection.views] == [0, 2]
    kept = station.archive.load(inspection.inspection_id)
    assert [view.re_exposed for view in kept.views] == [0, 2]
    assert station.archive.verify(inspection.inspection_id) == []


def test_too_many_of_them_in_one_view_end_the_inspection(station_with: StationWith) -> None:
    """Issue 15, point 7: bounded, and the reason names view, light and what was tried."""
    station = station_with("grbl")
    inspection = station.inspect_with("camera.incomplete 3", at=step(FIRST_VIEW_STEPS))
    assert inspection.verdict is Verdict.UNDECIDED
    assert "fewer bytes" in inspection.reasons[0].text
    assert "view 'front', light 'L225'; 2 frames of this view were exposed again before" in inspection.reasons[0].text
    assert station.engine.state is State.ERROR


def test_a_lost_frame_is_exposed_again(station_with: StationWith) -> None:
    """Issue 15, point 7: the camera still answers; the frame was lost on the way."""
    station = station_with("grbl")
    inspection = station.inspect_with("camera.dropped", at=step(FIRST_VIEW_STEPS))
    assert inspection.verdict is Verdict.PASS, inspection.reasons
    assert [view.re_exposed for view in inspection.views] == [0, 1]


@pytest.mark.parametrize("fault", ["camera.stale", "camera.duplicate"])
def test_a_frame_out_of_order_is_not_exposed_again(station_with: StationWith, fault: str) -> None:
    """Issue 15, point 7: only what did not come whole is."""
    station = station_with("grbl")
    inspection = station.inspect_with(fault, at=step(FIRST_VIEW_STEPS))
    assert inspection.verdict is Verdict.UNDECIDED
    assert all(view.re_exposed == 0 for view in inspection.views)


def test_a_watch_without_a_thread_can_be_closed_and_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 15, points 3 and 5: a thread that was never started was joined, and never started again."""
    turns = threading.Event()
    watch = DeviceWatch(turns.set, every_s=0.001)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            watch.start()
        watch.close()
    watch.start()
    assert turns.wait(WAIT_S)
    watch.close()
