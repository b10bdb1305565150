"""The six-axis arm in conversation with firmware that misbehaves, judged by the bytes and by where the joints are."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    DeviceTimeout,
    FeatureMissing,
    OutOfTravel,
    PositionError,
    PositionUntrusted,
)
from drivers.geometry.pose import Pose
from drivers.geometry.rigid import from_coordinates
from drivers.serial_line.arms.ways_settings import BoxSettings, PlaceSettings, WaypointSettings, WaysSettings
from drivers.serial_line.mycobot.arm import MyCobotArm
from drivers.serial_line.mycobot.conversation import MyCobotConversation
from drivers.serial_line.mycobot.protocol import SEND_COORDINATES
from drivers.simulated.firmware.mycobot import geometry as stated

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
FRONT = Pose(0.0, -176.777, 184.777, 45.0, -90.0)
RIGHT = Pose(176.777, 0.0, 184.777, 45.0, 0.0)
QUICK = {"reply_timeout_s": 0.3, "move_margin_s": 0.5}
COORDINATE_SET = b"\xfe\xfe\x10\x25"
STOP = b"\xfe\xfe\x02\x29\xfa"
RELEASE = b"\xfe\xfe\x02\x13\xfa"


def sent(arm: MyCobotArm) -> bytes:
    return arm.port.written_bytes()


def moves_sent(arm: MyCobotArm) -> int:
    return sent(arm).count(COORDINATE_SET)


def move_in_background(arm: MyCobotArm, pose: Pose) -> tuple[threading.Thread, list[DeviceError]]:
    problems: list[DeviceError] = []

    def move() -> None:
        try:
            arm.move_to(pose)
        except DeviceError as error:
            problems.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    return thread, problems


def turn_joint_1(bench: Any, by_deg: float) -> None:
    """Past the driver, as a push or giving servos would."""
    angle = bench.firmware.joints_at(bench.clock.now_s())[0] + by_deg
    data = round(angle * 100).to_bytes(2, "big", signed=True)
    bench.firmware.receive(bytes.fromhex("fefe062101") + data + b"\x64\xfa")


def assert_it_works_again(bench: Any, arm: MyCobotArm) -> None:
    arm.home()
    found = arm.move_to(FRONT)
    assert bench.is_still()
    assert found.as_tuple() == pytest.approx(FRONT.as_tuple(), abs=0.2)
    assert bench.true_pose().as_tuple() == pytest.approx(FRONT.as_tuple(), abs=0.2)
    assert RELEASE not in sent(arm)


def test_the_conversation_of_connecting_homing_and_one_move(cobot: Any) -> None:
    arm = cobot.open()
    assert sent(arm).hex() == "fefe0214fafefe0202fa"
    assert arm.identity.model == "myCobot 320"
    assert arm.identity.firmware == "4.6"
    arm.home()
    assert bytes.fromhex("fefe0212fafefe0210fa") in sent(arm)  # asked, then powered
    arm.move_to(TOP)
    assert moves_sent(arm) == 1
    readings = bytes.fromhex("fefe0223fafefe0223fafefe0220fafefe0220fa")  # place and joints, each twice alike
    assert sent(arm).endswith(readings + bytes.fromhex("fefe02f7fa"))  # and at last what it was told
    assert RELEASE not in sent(arm)


@pytest.mark.parametrize("acknowledge", ["flag", "empty", "none"])
@pytest.mark.parametrize("fault", ["lost_set", "false_acknowledge"])
def test_a_lost_set_is_noticed_whatever_was_acknowledged_and_not_repeated(
    make_cobot: Any, fault: str, acknowledge: str
) -> None:
    bench = make_cobot(acknowledge=acknowledge)
    arm = bench.homed(**QUICK)
    bench.firmware.inject(fault)
    with pytest.raises(DeviceTimeout, match="did not move"):
        arm.move_to(TOP)
    assert moves_sent(arm) == 1
    assert not arm.position_trusted
    assert_it_works_again(bench, arm)


def test_standing_still_elsewhere_is_a_position_error(cobot: Any) -> None:
    arm = cobot.homed()
    cobot.firmware.inject("wrong_position", "3.0")
    with pytest.raises(PositionError, match=r"it stands \d+\.\d mm and \d\.\d deg from where it was sent"):
        arm.move_to(TOP)
    assert not arm.position_trusted
    assert_it_works_again(cobot, arm)


@pytest.mark.parametrize(
    ("fault", "found"), [("release", "displaced by"), ("power_loss", "no power"), ("reset", "no power")]
)
def test_what_happens_at_rest_is_seen_before_a_move_is_sent(
    cobot: Any, fault: str, found: str, wait_until: Any
) -> None:
    arm = cobot.homed()
    cobot.firmware.inject(fault)
    wait_until(cobot.is_still)
    with pytest.raises(PositionUntrusted, match=f"{found}.*home"):
        arm.move_to(TOP)
    assert moves_sent(arm) == 0
    assert not arm.position_trusted
    assert_it_works_again(cobot, arm)


@pytest.mark.parametrize("fault", ["release", "power_loss", "freeze"])
def test_the_watch_at_rest_notices_by_itself(cobot: Any, fault: str, wait_until: Any) -> None:
    arm = cobot.homed(watch_s=0.02, reply_timeout_s=0.1)
    cobot.firmware.inject(fault)
    wait_until(lambda: not arm.position_trusted)
    with pytest.raises(PositionUntrusted):
        arm.move_to(TOP)
    assert moves_sent(arm) == 0


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("power_loss", (PositionUntrusted, DeviceTimeout)),
        ("reset", (PositionUntrusted, DeviceTimeout)),
        ("release", (PositionError, PositionUntrusted)),
        ("freeze", (DeviceTimeout,)),
        ("unplug", (DeviceLost,)),
    ],
)
def test_what_happens_in_motion_ends_the_move_and_the_trust(
    make_cobot: Any, wait_until: Any, fault: str, kinds: tuple[type[DeviceError], ...]
) -> None:
    bench = make_cobot(speed=3.0)
    arm = bench.homed(**QUICK, speed_percent=30)
    mover, problems = move_in_background(arm, FRONT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject(fault)
    mover.join()
    assert isinstance(problems[0], kinds)
    assert not arm.position_trusted
    assert moves_sent(arm) == 1
    if fault == "unplug":
        with pytest.raises(DeviceLost):
            arm.stop()
        with pytest.raises(DeviceNotFound):
            bench.open()
        return
    bench.firmware.inject("thaw")
    wait_until(bench.is_still)
    assert_it_works_again(bench, arm)


@pytest.mark.parametrize("fault", [("drop_reply",), ("garble_reply",), ("garbage",), ("garbage", "3")])
def test_a_lost_or_broken_answer_is_asked_for_again_and_a_move_is_not(cobot: Any, fault: tuple[str, ...]) -> None:
    arm = cobot.homed(reply_timeout_s=0.2)
    cobot.firmware.inject(*fault)
    found = arm.move_to(TOP)
    assert cobot.is_still()
    assert found.as_tuple() == pytest.approx(TOP.as_tuple(), abs=0.2)
    assert moves_sent(arm) == 1
    assert_it_works_again(cobot, arm)


def test_a_late_answer_is_never_taken_for_an_arrival(make_cobot: Any) -> None:
    bench = make_cobot(speed=3.0)
    arm = bench.homed(reply_timeout_s=0.2)
    for pose in (FRONT, TOP, FRONT):
        bench.firmware.inject("late_reply", "0.9")  # simulated: 0.3 s, one attempt too late
        found = arm.move_to(pose)
        assert bench.is_still()
        assert bench.true_pose().as_tuple() == pytest.approx(found.as_tuple(), abs=0.2)


def test_stop_leaves_at_once_and_nothing_that_moves_follows(make_cobot: Any, wait_until: Any) -> None:
    bench = make_cobot(speed=3.0)
    arm = bench.homed(speed_percent=30)
    mover, problems = move_in_background(arm, FRONT)
    wait_until(lambda: not bench.is_still())
    arm.stop()
    mover.join()
    after = sent(arm)[sent(arm).index(STOP) :]
    assert b"\x25" not in after[len(STOP) :]
    assert isinstance(problems[0], PositionUntrusted)
    assert "the arm stands" in problems[0].message
    assert bench.is_still()
    assert RELEASE not in sent(arm)


def test_a_stop_right_before_a_set_keeps_it_back(cobot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arm = cobot.homed()
    works = MyCobotConversation.set

    def stopped_set(talk: MyCobotConversation, command: int, data: bytes = b"") -> None:
        arm.stop()
        works(talk, command, data)

    monkeypatch.setattr(MyCobotConversation, "set", stopped_set)
    with pytest.raises(PositionUntrusted):
        arm.move_to(TOP)
    assert moves_sent(arm) == 0
    monkeypatch.setattr(MyCobotConversation, "_drain", lambda _: None)  # the gate alone must hold it back
    with pytest.raises(PositionUntrusted, match="not sent: the arm was stopped"):
        works(vars(arm)["_conversation"], SEND_COORDINATES, b"")
    assert moves_sent(arm) == 0


def test_in_position_is_believed_only_with_the_coordinates_of_the_target(
    cobot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = cobot.homed()
    monkeypatch.setitem(vars(cobot.firmware)["_verbs"], 0x2A, lambda _: b"\x01")
    cobot.firmware.inject("wrong_position", "3.0")
    with pytest.raises(PositionError):
        arm.move_to(TOP)


def test_an_arm_that_gives_way_while_it_settles_is_at_the_wrong_place(
    cobot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = cobot.homed(settle_s=0.1)
    verbs: dict[int, Callable[[bytes], bytes | None]] = vars(cobot.firmware)["_verbs"]
    works = verbs[0x2A]

    def in_position(data: bytes) -> bytes | None:
        answer = works(data)
        if answer == b"\x01":
            cobot.firmware.inject("release")
        return answer

    monkeypatch.setitem(verbs, 0x2A, in_position)
    with pytest.raises(PositionError):
        arm.move_to(TOP)
    assert not arm.position_trusted


def test_a_stop_that_was_lost_is_repeated_until_the_arm_stands(
    make_cobot: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_cobot(speed=3.0)
    arm = bench.homed(speed_percent=5)
    stops: list[int] = []
    sets: dict[int, Callable[[bytes], bool]] = vars(bench.firmware)["_sets"]
    works = sets[0x29]

    def lose_the_first(data: bytes) -> bool:
        stops.append(1)
        return works(data) if len(stops) > 1 else False

    monkeypatch.setitem(sets, 0x29, lose_the_first)
    mover, problems = move_in_background(arm, FRONT)
    wait_until(lambda: not bench.is_still())
    arm.stop()
    mover.join()
    assert sent(arm).count(STOP) >= 2
    assert "the arm stands" in problems[0].message
    assert bench.is_still()


def test_stop_is_sent_within_50_ms_of_the_call_while_a_command_waits(make_cobot: Any, wait_until: Any) -> None:
    bench = make_cobot(speed=3.0)
    arm = bench.homed(**QUICK, speed_percent=30)
    delays_s = []
    for pose in (FRONT, RIGHT, FRONT):
        arm.home()
        mover, _ = move_in_background(arm, pose)
        wait_until(lambda: not bench.is_still())
        called_s = time.monotonic()
        arm.stop()
        delays_s.append(time.monotonic() - called_s)  # the port has taken the frame when stop() returns
        assert STOP in [w.data for w in arm.port.written if called_s <= w.time_s <= called_s + delays_s[-1]]
        mover.join()
    assert min(delays_s) < 0.05  # the machine may have better to do once, not three times


def test_the_smaller_arm_speaks_the_same(make_cobot: Any) -> None:
    bench = make_cobot(model="280", start=(0.0, -20.0, -60.0, -80.0, -60.0, -90.0))
    arm = bench.homed(model="280")
    for pose in (Pose(13.0, 114.0, 165.0, 8.0, -92.0), Pose(-38.0, 152.0, 154.0, 11.0, -108.0)):
        found = arm.move_to(pose)
        assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=0.2)
        assert bench.true_pose().as_tuple() == pytest.approx(pose.as_tuple(), abs=0.2)
    with pytest.raises(OutOfTravel, match="out of the arm's reach"):
        arm.move_to(RIGHT)


def test_an_arm_that_never_says_it_stands_is_stopped_after_the_computed_time(
    cobot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = cobot.homed(reply_timeout_s=0.2, move_margin_s=0.3)
    monkeypatch.setitem(vars(cobot.firmware)["_verbs"], 0x2B, lambda _: bytes([moves_sent(arm) > 0]))
    with pytest.raises(DeviceTimeout, match=r"after the computed time; stopped: IT DID NOT CONFIRM"):
        arm.move_to(TOP)
    assert STOP in sent(arm)
    assert moves_sent(arm) == 1
    assert not arm.position_trusted
    with pytest.raises(PositionUntrusted, match="moves without a command"):
        arm.home()
    monkeypatch.undo()
    assert_it_works_again(cobot, arm)


def test_a_wrong_model_or_tool_frame_is_refused_at_homing(cobot: Any) -> None:
    arm = cobot.open(model="280")
    with pytest.raises(FeatureMissing, match="is it another model, or is a tool or world reference set"):
        arm.home()
    assert not arm.position_trusted


def test_a_joint_beyond_its_configured_limit_is_not_homed_and_no_target_beyond_is_sent(cobot: Any) -> None:
    limits = list(cobot.open().joint_limits_deg)
    limits[1] = (-25.0, -21.0)
    cobot.arms[-1].close()
    arm = cobot.homed(joint_limits_deg=tuple(limits), tolerance_deg=1.5)
    before = len(sent(arm))
    with pytest.raises(OutOfTravel, match="beyond a joint limit"):
        arm.move_to(RIGHT)
    with pytest.raises(OutOfTravel, match=r"joint 2 = 0 deg is outside -25 \.\. -21"):
        arm.move_joints((0.0,) * 6)
    assert len(sent(arm)) == before
    arm.close()
    limits[0] = (-168.0, 0.0)
    with pytest.raises(PositionUntrusted, match=r"joint 1 stands at 30 deg, outside -168 \.\. 0"):
        cobot.homed(joint_limits_deg=tuple(limits))


def test_joints_can_be_sent_and_homing_can_lead_to_a_place(cobot: Any) -> None:
    arm = cobot.homed(home_joints_deg=(10.0, -20.0, -80.0, -60.0, -70.0, -90.0))
    assert cobot.firmware.joints_at(cobot.clock.now_s())[:2] == pytest.approx((10.0, -20.0), abs=0.02)
    assert arm.move_joints(stated.START_DEG) == pytest.approx(stated.START_DEG, abs=0.02)
    assert arm.move_to(TOP).z_mm == pytest.approx(258.0, abs=0.2)


def test_straight_moves_keep_out_of_boxes_and_what_cannot_is_refused_unsent(cobot: Any) -> None:
    near = replace(TOP, x_mm=30.0)
    boxes = (BoxSettings(name="clamp", low_mm=(10.0, -5.0, 200.0), high_mm=(20.0, 5.0, 262.0)),)
    ways = WaysSettings(
        keep_out=boxes,
        waypoints=tuple(
            WaypointSettings(name=name, pose=PlaceSettings(**asdict(replace(side, z_mm=270.0))))
            for name, side in (("left", TOP), ("right", near))
        ),
        transitions=(("left", "right"),),
    )
    cobot.homed().move_to(TOP)
    cobot.arms[-1].close()
    arm = cobot.homed(straight=True, ways=ways)
    arm.move_to(near)
    assert moves_sent(arm) == 3
    assert cobot.true_pose().as_tuple() == pytest.approx(near.as_tuple(), abs=0.2)
    before = len(sent(arm))
    with pytest.raises(OutOfTravel, match="keep-out box clamp"):
        arm.move_to(replace(TOP, x_mm=15.0))
    assert len(sent(arm)) == before
    arm.close()
    with pytest.raises(ValueError, match="straight moves only"):
        cobot.open(ways=WaysSettings(keep_out=boxes))


def test_a_straight_way_that_the_joints_cannot_follow_is_not_begun(cobot: Any) -> None:
    cobot.homed().move_to(FRONT)
    cobot.arms[-1].close()
    arm = cobot.homed(straight=True, **QUICK)
    with pytest.raises(DeviceTimeout, match="error 33: no straight way leads there"):
        arm.move_to(replace(FRONT, y_mm=176.777, pan_deg=90.0))
    assert cobot.true_pose().as_tuple() == pytest.approx(FRONT.as_tuple(), abs=0.2)


def test_a_dead_line_is_a_timeout_naming_the_port(cobot: Any) -> None:
    cobot.firmware.inject("freeze")
    with pytest.raises(DeviceTimeout, match=r"no answer to command 14 .* on .*arm"):
        cobot.open(reply_timeout_s=0.05)
    cobot.firmware.inject("thaw")
    cobot.open()  # the failed attempt gave the port back


def test_a_base_or_mount_moves_the_camera_with_it(make_cobot: Any) -> None:
    bench = make_cobot()
    shifted = from_coordinates(5.0, 0.0, 0.0, 0.0, 0.0, 0.0) @ stated.BASE
    arm = bench.homed(base=tuple(tuple(row) for row in shifted.tolist()))
    arm.move_to(TOP)
    assert bench.true_pose().x_mm == pytest.approx(-5.0, abs=0.2)  # the arm stands 5 mm left of where it was said to


def test_a_travel_that_cannot_be_meant(cobot: Any) -> None:
    with pytest.raises(ValueError, match="1 is not below 0"):
        cobot.open(travel_limits={**stated.TRAVEL, "x_mm": (1.0, 0.0)})
    with pytest.raises(ValueError, match=r"travel_limits\.y_mm\n  Field required"):
        cobot.open(travel_limits={"x_mm": (0.0, 1.0)})


@pytest.mark.parametrize("acknowledge", ["flag", "empty", "none"])
def test_a_move_is_right_however_the_firmware_acknowledges(make_cobot: Any, acknowledge: str) -> None:
    """Issue 16, point 9."""
    bench = make_cobot(acknowledge=acknowledge)
    assert_it_works_again(bench, bench.homed())


def test_a_refused_acknowledge_is_a_refusal(cobot: Any) -> None:
    """Issue 16, point 9."""
    arm = cobot.homed()
    before = cobot.true_pose()
    cobot.firmware.inject("refused_set")
    with pytest.raises(CommandRefused, match=r"refused the move \(answered 00\).*the arm stands"):
        arm.move_to(TOP)
    assert cobot.true_pose() == before
    assert moves_sent(arm) == 1
    assert not arm.position_trusted
    assert_it_works_again(cobot, arm)


@pytest.mark.parametrize("counts", ["2", "3", "-3"])
def test_a_byte_changed_on_the_way_to_the_arm_is_never_taken_for_right(cobot: Any, counts: str) -> None:
    """Issue 16, point 9: a few tenths of a millimetre are within any tolerance of such an arm."""
    arm = cobot.homed()
    cobot.firmware.inject("garbled_set", counts)
    with pytest.raises(PositionError, match=r"sent to .* asked where it was told to go, it answers .*bytes change"):
        arm.move_to(TOP)
    assert not arm.position_trusted
    cobot.firmware.inject("garbled_set", counts)
    arm.home()
    with pytest.raises(PositionError, match="asked where it was told to go"):
        arm.move_joints((10.0, -20.0, -80.0, -60.0, -70.0, -90.0))
    assert_it_works_again(cobot, arm)


def test_one_changed_answer_about_the_place_is_read_again(cobot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 16, point 9."""
    arm = cobot.homed()
    verbs = vars(cobot.firmware)["_verbs"]
    for command in (0x20, 0x23, 0xF7):
        works, answers = verbs[command], list[bytes]()

        def changed(data: bytes, works: Any = works, answers: list[bytes] = answers) -> bytes:
            answers.append(works(data))
            return bytes([answers[-1][0], answers[-1][1] ^ 4, *answers[-1][2:]]) if len(answers) == 1 else answers[-1]

        monkeypatch.setitem(verbs, command, changed)
    found = arm.move_to(TOP)
    assert found.as_tuple() == pytest.approx(cobot.true_pose().as_tuple(), abs=0.12)


def test_firmware_that_does_not_report_its_target_is_named_and_judged_by_the_tolerance(
    make_cobot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 16, point 9."""
    bench = make_cobot(reports_plans=False)
    arm = bench.homed(reply_timeout_s=0.1)
    assert_it_works_again(bench, arm)
    assert [r for r in caplog.records if "does not report where it was told to go" in r.getMessage()]
    asked = sent(arm).count(b"\xfe\xfe\x02\xf7\xfa")
    arm.move_to(TOP)
    assert sent(arm).count(b"\xfe\xfe\x02\xf7\xfa") == asked  # never again
    bench.firmware.inject("garbled_set", "20")
    with pytest.raises(PositionError, match="from where it was sent"):
        arm.move_to(FRONT)


def test_a_pause_by_another_hand_is_named_and_nothing_goes_on_after_homing(make_cobot: Any, wait_until: Any) -> None:
    """Issue 16, point 9."""
    bench = make_cobot(speed=3.0)
    arm = bench.homed(**QUICK, speed_percent=30)
    mover, problems = move_in_background(arm, FRONT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("pause")
    mover.join()
    assert "it is paused" in problems[0].message
    assert not arm.position_trusted
    arm.home()
    assert arm.move_to(TOP).z_mm == pytest.approx(TOP.z_mm, abs=0.2)


def test_joints_without_power_are_named_and_not_a_wrong_port(cobot: Any) -> None:
    """Issue 16, points 4 and 9."""
    arm = cobot.open(reply_timeout_s=0.1)
    with pytest.raises(DeviceTimeout, match=r"23 \(its coordinates\).*it said last: .*joints have no power") as caught:
        arm.position()
    assert "right port" not in caught.value.message


def test_a_command_that_the_firmware_does_not_know_is_no_dead_arm(cobot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 16, point 9."""
    arm = cobot.homed(reply_timeout_s=0.1)
    monkeypatch.delitem(vars(cobot.firmware)["_verbs"], 0x23)
    with pytest.raises(DeviceTimeout, match="answers other commands: does its firmware know this one"):
        arm.position()


def test_a_way_is_planned_from_where_the_arm_stands_now(cobot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 16, point 1."""
    arm = cobot.homed()
    arm.move_to(TOP)
    turn_joint_1(cobot, 0.05)
    starts: list[Pose] = []
    plans = MyCobotArm._stops  # noqa: SLF001 - what the way is planned from shows nowhere else

    def stops(arm: MyCobotArm, start: Pose, target: Pose) -> tuple[Pose, ...]:
        starts.append(start)
        return plans(arm, start, target)

    monkeypatch.setattr(MyCobotArm, "_stops", stops)
    time.sleep(0.1)
    arm.move_to(FRONT)
    assert starts[0].as_tuple()[:2] != pytest.approx(TOP.as_tuple()[:2], abs=0.1)


@pytest.mark.parametrize("asks", ["the watch", "refused moves"])
def test_a_slow_displacement_adds_up_until_it_is_noticed(
    cobot: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    """Issue 16, point 9: each step is within the tolerance, their sum is not."""
    arm = cobot.homed()
    arm.move_to(TOP)

    def no_way(*_: object) -> tuple[Pose, ...]:
        raise OutOfTravel("arm", "no way")

    monkeypatch.setattr(MyCobotArm, "_stops", no_way)
    for _ in range(8):
        turn_joint_1(cobot, 0.05)
        wait_until(cobot.is_still)
        if asks == "the watch" and arm.position_trusted:
            with contextlib.suppress(PositionUntrusted):
                arm.check_at_rest()
        elif arm.position_trusted:
            with pytest.raises((OutOfTravel, PositionUntrusted)):
                arm.move_to(FRONT)
    assert not arm.position_trusted
    assert "displaced by" in arm.last_reason
    assert moves_sent(arm) == 1
    monkeypatch.undo()
    assert_it_works_again(cobot, arm)


def test_a_changed_target_is_not_driven_to_its_end_once_the_arm_has_shown_that_it_states_it_under_way(
    make_cobot: Any,
) -> None:
    """Issue 16, point 9."""
    bench = make_cobot(speed=2.0)
    arm = bench.homed(speed_percent=20)
    arm.move_to(FRONT)
    before = bench.true_pose()
    bench.firmware.inject("garbled_set", "100")
    with pytest.raises(
        PositionError, match=r"asked where it was told to go, it answers .*the arm stands: bytes change"
    ):
        arm.move_to(RIGHT)
    assert bench.is_still()
    assert STOP in sent(arm)
    assert abs(bench.true_pose().x_mm - RIGHT.x_mm) > 20.0  # it was a good way from the end
    assert bench.true_pose() != before
    assert not arm.position_trusted
    arm.home()
    assert arm.move_to(TOP).z_mm == pytest.approx(TOP.z_mm, abs=0.2)


@pytest.mark.parametrize("stated", ["the place planned for the moment", "where the way began", "nothing"])
def test_what_firmware_states_under_way_stops_no_move_where_it_is_no_target(
    make_cobot: Any, monkeypatch: pytest.MonkeyPatch, stated: str
) -> None:
    """Issue 16, point 9: the maker does not document which of them it is."""
    bench = make_cobot(speed=3.0)
    arm = bench.homed(speed_percent=30, reply_timeout_s=0.2)
    verbs: dict[int, Callable[[bytes], bytes | None]] = vars(bench.firmware)["_verbs"]
    works, here = verbs[0xF7], verbs[0x23]
    began, asked_under_way = here(b""), 0

    def plan(data: bytes) -> bytes | None:
        nonlocal asked_under_way
        if verbs[0x2B](b"") == b"\x00":
            return works(data)
        asked_under_way += 1
        if stated == "nothing":
            return None
        return began if stated == "where the way began" else here(data)

    monkeypatch.setitem(verbs, 0xF7, plan)
    for pose in (TOP, FRONT):
        began = here(b"")
        assert arm.move_to(pose).as_tuple() == pytest.approx(pose.as_tuple(), abs=0.2)
    assert asked_under_way
    assert STOP not in sent(arm)
