"""Motion faults: reported by their kind, never followed by motion of their own, made good by homing.

A controller that is cut off from the host ends the one move that it has begun: the links have no dead-man.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from faults.table import reported_by

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout, PositionError, PositionUntrusted
from drivers.geometry.pose import Pose
from drivers.protocols import Arm
from station.rig.devices import open_arm

HERE, THERE = Pose(-60.0, 40.0, 258.0, 0.0, -90.0), Pose(100.0, -90.0, 220.0, 20.0, -90.0)
NOISY_MOVES = 6
ATTEMPTS = 3
LONGEST_S = 20.0  # then it counts as hanging
READING_TOLERANCE = 0.06
TOLD_TO_A_COUNT = 0.2  # mm and degrees: its protocol counts 0.1 mm, and a count that was changed is no other place

GRBL, HAL, MYCOBOT = "grbl", "grblhal", "mycobot"
Errors = tuple[type[DeviceError], ...]


@dataclass(frozen=True)
class ArmFault:
    kind: str
    injected: str
    when: Literal["at rest", "moving"]
    expected: Errors  # empty: nothing is to be reported, and the move is right
    repair: str = ""
    words: str = ""
    or_right: bool = False  # the driver may get over it: then the move must be right

    def __str__(self) -> str:
        return f"{self.kind} {self.when} {self.injected}"


SILENT: Errors = (DeviceTimeout,)
STOPPED: Errors = (PositionUntrusted, DeviceTimeout)


def wire_faults(kind: str) -> list[ArmFault]:
    """A lost reply of a poll is no loss: the myCobot driver asks again."""
    asks_again = kind == MYCOBOT
    return [
        ArmFault(kind, "gantry.freeze", "at rest", SILENT, "gantry.thaw"),
        ArmFault(kind, "gantry.silence", "at rest", SILENT, "gantry.thaw"),
        ArmFault(kind, "gantry.split 5", "at rest", (), "gantry.split 0"),
        ArmFault(kind, "gantry.coalesce 50", "at rest", (), "gantry.coalesce 0"),
        ArmFault(kind, "gantry.drop_reply", "at rest", SILENT, or_right=asks_again),
        ArmFault(kind, "gantry.garble_reply", "at rest", SILENT, or_right=asks_again),
        ArmFault(kind, "gantry.late_reply 0.5", "at rest", ()),
        ArmFault(kind, "gantry.late_reply 5", "at rest", SILENT, or_right=asks_again),
        ArmFault(kind, "gantry.unplug", "moving", (DeviceLost,), "gantry.plug"),
        ArmFault(kind, "gantry.reset", "moving", STOPPED),
    ]


ROWS = [
    *wire_faults(GRBL),
    ArmFault(GRBL, "gantry.freeze", "moving", SILENT, "gantry.thaw"),
    ArmFault(GRBL, "gantry.reset", "at rest", (PositionUntrusted,), words="restarted by itself"),
    *(
        fault
        for kind in (GRBL, HAL)
        for fault in (
            ArmFault(kind, "gantry.alarm 1", "moving", (PositionUntrusted,), words="ALARM:1"),
            ArmFault(kind, "gantry.silent_alarm 1", "moving", STOPPED),
            ArmFault(kind, "gantry.limit X", "moving", (PositionUntrusted,), words="limit"),
            ArmFault(kind, "gantry.door open", "moving", (PositionUntrusted,), "gantry.door closed", "door"),
            ArmFault(kind, "gantry.door open", "at rest", (PositionUntrusted,), "gantry.door closed", "door"),
            ArmFault(kind, "gantry.hold", "moving", (PositionUntrusted,), words="hold"),
            ArmFault(kind, "gantry.estop", "moving", (PositionUntrusted,), "gantry.estop released"),
            ArmFault(kind, "gantry.wrong_position 2", "at rest", (PositionError,), words="stands at 98"),
            ArmFault(kind, "gantry.foreign $J=G91 G21 X-20 F30000", "at rest", (PositionUntrusted,)),
            ArmFault(kind, "gantry.foreign G20 G91", "at rest", ()),
            ArmFault(kind, "gantry.pins P", "at rest", (), "gantry.pins"),
        )
    ),
    ArmFault(HAL, "gantry.estop", "at rest", (PositionUntrusted,), "gantry.estop released", "emergency stop"),
    *wire_faults(MYCOBOT),
    ArmFault(MYCOBOT, "gantry.power_loss", "moving", STOPPED),
    ArmFault(MYCOBOT, "gantry.release", "moving", (PositionUntrusted, PositionError, DeviceTimeout)),
    ArmFault(MYCOBOT, "gantry.lost_set", "at rest", (DeviceTimeout, PositionError, PositionUntrusted)),
    ArmFault(MYCOBOT, "gantry.false_acknowledge", "at rest", (DeviceTimeout, PositionError, PositionUntrusted)),
    ArmFault(MYCOBOT, "gantry.refused_set", "at rest", (CommandRefused,), words="answered 00"),
    ArmFault(MYCOBOT, "gantry.garbled_set 3", "at rest", (PositionError,), words="told to go"),
    ArmFault(MYCOBOT, "gantry.pause", "moving", (PositionError, DeviceTimeout), words="paused"),
    ArmFault(MYCOBOT, "gantry.garbage", "at rest", ()),
    ArmFault(MYCOBOT, "gantry.wrong_position 2", "at rest", (PositionError,)),
]


class OpenArm:
    """The arm of one kind, reopened when its port has died."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.arm: Arm = open_arm(bench.file)

    def ready(self) -> Arm:
        if not self.arm.position_trusted:
            self.arm.home()
        self.arm.move_to(HERE)
        return self.arm

    def cure(self, fault: ArmFault) -> None:
        if fault.repair:
            self.bench.inject(fault.repair)
        self.reopen()
        self.arm.home()

    def reopen(self) -> None:
        self.arm.close()
        self.arm = open_arm(self.bench.file)


@pytest.fixture(scope="module")
def arms(make_bench: Callable[..., Any]) -> Iterator[Callable[[str], OpenArm]]:
    opened: dict[str, OpenArm] = {}

    def get(kind: str) -> OpenArm:
        if kind not in opened:
            opened[kind] = OpenArm(make_bench(arm_kind=kind))
        return opened[kind]

    yield get
    for one in opened.values():
        one.arm.close()


def move_under(fault: ArmFault, one: OpenArm) -> tuple[DeviceError | None, float]:
    """What the move was answered with, and how long after the injection or, at rest, after the call."""
    reported: list[tuple[DeviceError | None, float]] = []
    arm = one.arm

    def move() -> None:
        try:
            arm.move_to(THERE)
        except DeviceError as error:
            reported.append((error, time.monotonic()))
        else:
            reported.append((None, time.monotonic()))

    if fault.when == "at rest":
        one.bench.inject(fault.injected)
    mover = threading.Thread(target=move, daemon=True)
    since_s = time.monotonic()
    mover.start()
    if fault.when == "moving":
        before = HERE.as_tuple()
        while max(abs(a - b) for a, b in zip(one.bench.axes(), before, strict=True)) < 1.0:
            assert time.monotonic() < since_s + LONGEST_S, "the move did not begin"
        one.bench.inject(fault.injected)
        since_s = time.monotonic()
    mover.join(LONGEST_S)
    assert not mover.is_alive(), f"{fault}: hangs"
    error, at_s = reported[0]
    return error, max(0.0, at_s - since_s)


@pytest.mark.parametrize("fault", ROWS, ids=str)
def test_a_motion_fault_is_told_and_nothing_moves_by_itself(
    fault: ArmFault, arms: Callable[[str], OpenArm], table: Any
) -> None:
    one = arms(fault.kind)
    for _ in range(ATTEMPTS):
        arm = one.ready()
        name_before = one.bench.name_of("arm")
        error, after_s = move_under(fault, one)
        if fault.when == "at rest" or error is not None:
            break
        one.cure(fault)  # on a busy machine the move may have ended before the fault came
    stopped_at = one.bench.wait_still()
    if fault.repair:
        one.bench.inject(fault.repair)
        time.sleep(0.2)
    assert (one.bench.name_of("arm") != name_before) == fault.repair.endswith(".plug")
    resting_at = one.bench.wait_still()
    if error is None:
        assert fault.or_right or not fault.expected, "nothing was reported"
        assert stopped_at == pytest.approx(THERE.as_tuple(), abs=READING_TOLERANCE)
        table.note("Motion", fault.kind, fault.injected, fault.when, "nothing: the move is right", after_s, "moves")
        return
    assert isinstance(error, fault.expected), f"{fault}: {error!r}"
    assert fault.words in str(error)
    assert str(error).lower().count("home the arm") <= 1, "a remedy twice"
    assert not arm.position_trusted
    assert resting_at == pytest.approx(stopped_at, abs=READING_TOLERANCE), "it moved by itself"
    with pytest.raises((PositionUntrusted, DeviceLost)):
        arm.move_to(HERE)
    made_good(one, error)
    way = "opened anew, homed, moves" if isinstance(error, DeviceLost) else "homed, moves"
    table.note("Motion", fault.kind, fault.injected, fault.when, error, after_s, way)


@pytest.mark.parametrize("fault", ["gantry.drop_bytes 0.01", "gantry.corrupt_bytes 0.01"])
@pytest.mark.parametrize("kind", [GRBL, MYCOBOT])
def test_on_a_noisy_wire_every_move_is_right_or_told(
    kind: str, fault: str, arms: Callable[[str], OpenArm], table: Any
) -> None:
    one = arms(kind)
    one.ready()
    one.bench.inject(fault)
    reported: Counter[str] = Counter()
    longest_s = 0.0
    for number in range(NOISY_MOVES):
        target = replace(HERE, x_mm=HERE.x_mm + 5.0 * (number % 4))
        error, after_s = reported_by(lambda target=target: one.arm.move_to(target))  # type: ignore[misc]
        longest_s = max(longest_s, after_s)
        assert after_s < LONGEST_S, "hangs"
        reported["a right move" if error is None else type(error).__name__] += 1
        if error is None:
            off = TOLD_TO_A_COUNT if kind == MYCOBOT else READING_TOLERANCE
            assert one.bench.wait_still() == pytest.approx(target.as_tuple(), abs=off)
        elif one.arm.position_trusted:  # refused, and where it stands is known
            where, _ = reported_by(lambda: one.arm.position())
            assert where is None or not one.arm.position_trusted
        else:
            reported_by(one.arm.home)
    one.bench.inject(f"{fault.split()[0]} 0")
    one.bench.wait_still()
    one.reopen()
    made_good(one, None)
    said = ", ".join(f"{count} x {what}" for what, count in sorted(reported.items()))
    table.note("Motion", kind, fault, f"{NOISY_MOVES} moves", said, longest_s, "opened anew, homed, moves")


def made_good(one: OpenArm, error: DeviceError | None) -> None:
    """Homed by the operator, the arm goes where it is sent; no unlock and no resume was ever written."""
    written = getattr(one.arm, "port").written_bytes()  # noqa: B009 - every serial arm has one; the Protocol has not
    if b"$I" in written:
        assert b"~" not in written
        assert b"$X" not in written
    if isinstance(error, DeviceLost):
        one.reopen()
    one.arm.home()
    found = one.arm.move_to(THERE)
    assert one.bench.wait_still() == pytest.approx(found.as_tuple(), abs=READING_TOLERANCE)
