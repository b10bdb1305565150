"""The gantry driver in conversation with firmware that misbehaves, judged by the bytes and by where the axes are."""

from __future__ import annotations

import re
import threading
import time
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
from drivers.serial_line.arms.ways_settings import BoxSettings, PlaceSettings, WaypointSettings, WaysSettings
from drivers.serial_line.grbl.arm import GrblArm
from drivers.serial_line.grbl.conversation import GrblConversation
from drivers.serial_line.grbl.settings import AxisSettings, GrblSettings
from drivers.simulated.firmware.grbl.gantry import SIMULATED_GANTRY, SimulatedAxis

TOP = Pose(0.0, 0.0, 258.0, 45.0, 180.0)
LEFT = replace(TOP, x_mm=-150.0)
RIGHT = replace(TOP, x_mm=150.0)
SHORT = {"reply_timeout_s": 0.4, "move_margin_s": 0.4}


@pytest.fixture(params=["grbl", "grblhal"])
def dialect(request: Any) -> str:
    return str(request.param)


def sent(arm: GrblArm) -> bytes:
    return arm.port.written_bytes()


def assert_every_acknowledge_is_its_own(bench: Any, arm: GrblArm) -> None:
    """Were acknowledges off by one, a move would be reported done while the axes still run."""
    for pose in (LEFT, RIGHT, TOP):
        found = arm.move_to(pose)
        assert bench.is_still()
        assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=0.01)
        assert bench.true_pose().as_tuple() == pytest.approx(pose.as_tuple(), abs=0.01)


def assert_nothing_automatic(arm: GrblArm) -> None:
    assert b"$X" not in sent(arm)
    assert b"~" not in sent(arm)


def test_the_conversation_of_connecting_and_of_one_move(gantry: Any) -> None:
    arm = gantry.open()
    reading = b"\n$I\n$$\n"
    assert sent(arm) == b"?\x18\n$I\n$G\n" + 2 * reading + b"?"
    arm.home()
    assert sent(arm).endswith(b"?" + 2 * reading + b"$H\nG21 G90 G94\n$G\n?")
    before = len(sent(arm))
    arm.move_to(TOP)
    move, barrier, query = sent(arm)[before:].split(b"\n")
    assert move.startswith(b"?G21G90G94 G53 G1 X-221.000 Y-221.000 Z-63.000 A-16.000 B-21.000 F")
    assert (barrier, query) == (b"G4 P0.01", b"?")
    assert len(move) < 80  # the line buffer of Grbl


def test_identity_and_order_of_axes_come_from_the_controller(gantry: Any) -> None:
    arm = gantry.open()
    known = {"grbl": ("Grbl", "1.1h.20190830"), "grblhal": ("grblHAL", "1.1f.20260817")}
    assert (arm.identity.model, arm.identity.firmware) == known[gantry.firmware.dialect.name]
    assert arm.warnings == ()


def test_a_lost_ok_is_a_timeout_and_later_acknowledges_are_right(gantry: Any) -> None:
    arm = gantry.homed(**SHORT)
    gantry.firmware.inject("drop_reply")
    with pytest.raises(DeviceTimeout, match="no answer to 'G21G90G94 G53"):
        arm.move_to(TOP)
    assert not arm.position_trusted
    before = len(sent(arm))
    with pytest.raises(PositionUntrusted, match="home"):
        arm.move_to(TOP)
    assert len(sent(arm)) == before
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)
    assert_nothing_automatic(arm)


def test_a_late_ok_is_never_taken_for_the_next_one(gantry: Any, wait_until: Any) -> None:
    arm = gantry.homed(**SHORT)
    late_s = gantry.clock.speed * 1.0  # simulated; far beyond the timeout, and the banner waits behind it
    gantry.firmware.inject("late_reply", str(late_s))
    with pytest.raises(DeviceTimeout):
        arm.move_to(TOP)
    wait_until(lambda: gantry.firmware.outbox.next_due_s is None)
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)
    assert_nothing_automatic(arm)


def test_a_garbled_ok_is_not_an_ok(gantry: Any) -> None:
    arm = gantry.homed(**SHORT)
    gantry.firmware.inject("garble_reply")
    with pytest.raises(DeviceTimeout):
        arm.move_to(TOP)
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)


def test_after_a_timeout_hold_comes_first_then_reset_and_no_gcode(gantry: Any) -> None:
    arm = gantry.homed(**SHORT)
    before = len(sent(arm))
    gantry.firmware.inject("freeze")
    with pytest.raises(DeviceTimeout, match="reset failed too"):
        arm.move_to(TOP)
    assert sent(arm)[before:].replace(b"?", b"").rstrip(b"\x18") == b"!"
    assert sent(arm).endswith(b"\x18?")
    gantry.firmware.inject("thaw")
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)


def move_in_background(arm: GrblArm, pose: Pose) -> tuple[threading.Thread, list[DeviceError]]:
    problems: list[DeviceError] = []

    def move() -> None:
        try:
            arm.move_to(pose)
        except DeviceError as error:
            problems.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    return thread, problems


def test_stop_sends_hold_before_anything_else_and_no_line_after(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    arm.move_to(TOP)
    before = len(sent(arm))
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    arm.stop()
    mover.join()
    after = sent(arm)[before:]
    assert after.index(b"!") < after.index(b"\x18")
    assert b"G" not in after[after.index(b"!") :].replace(b"$G", b"")  # which only asks
    assert isinstance(problems[0], PositionUntrusted)
    assert "stopped" in problems[0].message
    assert_nothing_automatic(arm)


def test_stop_ends_homing_though_the_controller_ignores_a_hold_then(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0, start=(-200.0, 0.0, 100.0, 0.0, 0.0))
    arm = bench.open()
    problems: list[DeviceError] = []

    def home() -> None:
        try:
            arm.home()
        except DeviceError as error:
            problems.append(error)

    homing = threading.Thread(target=home)
    homing.start()
    wait_until(lambda: not bench.is_still())
    arm.stop()
    homing.join()
    assert b"$H\n!\x18" in sent(arm)
    assert isinstance(problems[0], PositionUntrusted)
    wait_until(bench.is_still)
    assert not arm.position_trusted


def test_an_alarm_in_motion_ends_the_trust_and_only_homing_restores_it(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("alarm", "1")
    mover.join()
    assert isinstance(problems[0], PositionUntrusted)
    assert "ALARM:1" in problems[0].message
    with pytest.raises(PositionUntrusted, match="hard limit"):
        arm.move_to(TOP)
    with pytest.raises(PositionUntrusted):
        arm.position()
    arm.home()
    assert_every_acknowledge_is_its_own(bench, arm)
    assert_nothing_automatic(arm)


def test_an_alarm_at_rest_is_heard(gantry: Any, wait_until: Any) -> None:
    arm = gantry.homed()
    gantry.firmware.inject("alarm", "1")
    wait_until(lambda: not arm.position_trusted)
    with pytest.raises(PositionUntrusted, match="ALARM:1"):
        arm.move_to(TOP)


def test_an_alarm_whose_line_was_lost_is_noticed_by_the_silence(gantry: Any) -> None:
    arm = gantry.homed(**SHORT)
    gantry.firmware.inject("silent_alarm")
    before = len(sent(arm))
    with pytest.raises((DeviceTimeout, PositionUntrusted), match=r"no answer to '\?'|locked by an alarm"):
        arm.move_to(TOP)
    assert b"G" not in sent(arm)[before:].partition(b"\x18")[0]
    assert not arm.position_trusted
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)


def test_a_restart_of_the_controller_in_motion_ends_the_trust(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("reset")
    mover.join()
    assert isinstance(problems[0], PositionUntrusted)
    assert "restarted" in problems[0].message
    arm.home()
    assert_every_acknowledge_is_its_own(bench, arm)


def test_idle_short_of_the_target_is_a_position_error(gantry: Any) -> None:
    arm = gantry.homed()
    gantry.firmware.inject("wrong_position", "2.0")
    with pytest.raises(PositionError, match=r"x_mm stands at -2\.000, sent to 0\.000"):
        arm.move_to(TOP)
    assert not arm.position_trusted


def test_lost_steps_are_seen_by_the_world_only(gantry: Any) -> None:
    arm = gantry.homed()
    gantry.firmware.inject("lost_steps", "2.0")
    assert arm.move_to(TOP).x_mm == pytest.approx(0.0, abs=0.01)
    assert gantry.true_pose().x_mm == pytest.approx(2.0, abs=0.01)


def test_homing_that_fails_is_not_trusted_though_an_ok_follows_the_alarm(gantry: Any) -> None:
    arm = gantry.open()
    gantry.firmware.inject("homing_switch_dead")
    with pytest.raises(PositionUntrusted, match="ALARM:9"):
        arm.home()
    assert not arm.position_trusted
    gantry.firmware.inject("homing_switch_dead", "no")
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)


def test_a_refusal_is_a_reply_and_the_next_line_is_in_step(gantry: Any) -> None:
    gantry.firmware.settings[22] = gantry.firmware.settings[20] = 0.0
    arm = gantry.open()
    assert [w for w in arm.warnings if "$22" in w]
    with pytest.raises(CommandRefused, match=r"'\$H' answered with error:5 \(homing is disabled"):
        arm.home()
    assert arm.position().x_mm == pytest.approx(gantry.firmware.axes[0].maximum + 1.0)


def gcode_after(arm: GrblArm, before: int) -> bytes:
    return sent(arm)[before:].replace(b"?", b"").replace(b"!", b"").partition(b"\x18")[0]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (("pins", "D"), "door open"),  # inputs were seen to be reported while the state stayed Idle
        (("pins", "R"), "reset input active"),
        (("pins", "E"), "emergency stop pressed"),
        (("door", "open"), r"door (was )?open"),  # its own word comes before its report
        (("hold",), "feed hold is active"),
    ],
)
def test_an_input_at_rest_is_seen_before_a_move_is_sent(gantry: Any, fault: tuple[str, ...], found: str) -> None:
    arm = gantry.homed()
    gantry.firmware.inject(*fault)
    before = len(sent(arm))
    with pytest.raises(PositionUntrusted, match=found):
        arm.move_to(TOP)
    assert gcode_after(arm, before) == b""
    assert not arm.position_trusted


def test_the_controllers_own_word_of_an_open_door_is_heard_at_once(gantry: Any, wait_until: Any) -> None:
    arm = gantry.homed(watch_s=0.0)
    gantry.firmware.inject("door", "open")
    wait_until(lambda: not arm.position_trusted)
    assert arm.last_reason == "the door was opened"


@pytest.mark.parametrize("fault", [("pins", "D"), ("door", "open"), ("hold",), ("freeze",), ("silent_alarm",)])
def test_the_watch_at_rest_notices_by_itself(gantry: Any, fault: tuple[str, ...], wait_until: Any) -> None:
    arm = gantry.homed(watch_s=0.02, reply_timeout_s=0.3)
    gantry.firmware.inject(*fault)
    wait_until(lambda: not arm.position_trusted)
    before = len(sent(arm))
    with pytest.raises(PositionUntrusted, match="home"):
        arm.move_to(TOP)
    assert gcode_after(arm, before) == b""
    assert_nothing_automatic(arm)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (("door", "open"), "door"),
        (("hold",), "feed hold"),
        (("estop",), "ALARM:10|restarted|ALARM:3"),
        (("limit", "X"), "ALARM:1"),
        (("pins", "E"), "emergency stop"),
    ],
)
def test_an_input_in_motion_ends_the_move_and_nothing_resumes(
    make_gantry: Any, wait_until: Any, fault: tuple[str, ...], found: str
) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed(reply_timeout_s=0.5, speed=0.5)
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject(*fault)
    mover.join()
    assert isinstance(problems[0], PositionUntrusted)
    assert re.search(found, problems[0].message)
    assert not arm.position_trusted
    wait_until(bench.is_still)
    stands = bench.true_pose()
    with pytest.raises(PositionUntrusted):
        arm.move_to(TOP)
    undo = {"door": ("door", "closed"), "estop": ("estop", "released"), "pins": ("pins",)}.get(fault[0])
    if undo is not None:
        with pytest.raises(PositionUntrusted, match=r"not homed|close the door|takes no reset"):
            arm.home()
        bench.firmware.inject(*undo)
    assert bench.true_pose() == stands  # closing the door or releasing the button moves nothing
    arm.home()
    assert arm.move_to(LEFT).x_mm == pytest.approx(LEFT.x_mm, abs=0.01)
    assert_nothing_automatic(arm)


def test_whatever_is_said_unasked_between_two_answers_is_no_answer(
    gantry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = gantry.firmware.outbox.send
    chatter = (
        b"[MSG:Pgm End]\r\n",
        b"[GC:G0 G54 G17 G21 G90 G94 F0]\r\n",
        b">G54G20:ok\r\n",
        b"[MSG:]\r\n",
        b"\xff\x00ok\r\n",
    )

    def send(data: bytes, now_s: float, *, is_response: bool = False) -> None:
        for line in chatter:
            works(line, now_s)
        works(data, now_s, is_response=is_response)
        for line in chatter:
            works(line, now_s)

    monkeypatch.setattr(gantry.firmware.outbox, "send", send)
    arm = gantry.homed()
    assert_every_acknowledge_is_its_own(gantry, arm)


def test_settings_lost_at_a_restart_are_told_and_their_error_answers_no_line(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("empty_memory")
    bench.firmware.inject("reset")
    mover.join()
    assert isinstance(problems[0], PositionUntrusted)
    assert "restarted" in problems[0].message
    with pytest.raises(CommandRefused, match="homing is disabled"):
        arm.home()
    assert not arm.position_trusted


def test_a_refused_line_does_not_poison_the_next_one(gantry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arm = gantry.homed()
    monkeypatch.setattr(GrblArm, "_move_line", lambda *_: "G2 X1")
    with pytest.raises(PositionUntrusted, match="error:20"):
        arm.move_to(TOP)
    monkeypatch.undo()
    assert not arm.position_trusted
    arm.home()
    assert_every_acknowledge_is_its_own(gantry, arm)


def test_a_barrier_refused_in_mid_move_stops_the_axes_and_ends_the_trust(make_gantry: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    arm.move_to(RIGHT)
    receive = bench.firmware.receive
    bench.firmware.receive = lambda data: receive(data.replace(b"G4 P0.01", b"G7 P0.01"))  # changed on the way
    before = len(sent(arm))
    with pytest.raises(PositionUntrusted, match=r"during 'G4 P0.01': error:20 .*the controller was reset"):
        arm.move_to(LEFT)
    assert bench.is_still()
    assert LEFT.x_mm < bench.true_pose().x_mm < RIGHT.x_mm  # the move itself was under way
    assert not arm.position_trusted
    after = sent(arm)[before:]
    assert after.index(b"G4 P0.01") < after.index(b"!") < after.index(b"\x18")
    bench.firmware.receive = receive
    arm.home()
    assert_every_acknowledge_is_its_own(bench, arm)
    assert_nothing_automatic(arm)


def test_an_unplugged_line_is_lost_for_good_and_a_new_one_works(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    mover, problems = move_in_background(arm, LEFT)
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("unplug")
    mover.join()
    assert isinstance(problems[0], DeviceLost)
    assert not arm.position_trusted
    for call in (arm.home, arm.position, arm.stop):
        with pytest.raises(DeviceLost, match="gantry"):
            call()
    with pytest.raises(DeviceNotFound):
        bench.open()
    bench.firmware.inject("plug")
    again = bench.homed()
    assert_every_acknowledge_is_its_own(bench, again)


def test_a_dead_line_is_a_timeout_naming_the_port(gantry: Any) -> None:
    gantry.firmware.inject("freeze")
    with pytest.raises(DeviceTimeout, match=r"no Grbl banner .* on .*gantry"):
        gantry.open(boot_timeout_s=0.3)
    gantry.firmware.inject("thaw")
    gantry.open()  # the failed attempt gave the port back


def test_a_port_that_is_not_there_or_taken_says_so(gantry: Any) -> None:
    with pytest.raises(DeviceNotFound, match=r"ttyNONE cannot be opened .* ports on this machine"):
        GrblArm.open(GrblSettings(port="/dev/ttyNONE", axes=gantry.axes))
    gantry.open()
    with pytest.raises(DeviceNotFound, match="in use by another program"):
        gantry.open()


def test_travel_that_does_not_fit_the_controller_is_refused_at_open(gantry: Any) -> None:
    x = AxisSettings(name="x_mm", machine_axis="X", minimum=-220.0, maximum=220.0)
    axes = (x, *gantry.axes[1:])
    with pytest.raises(FeatureMissing, match=r"x_mm.*controller allows -442 \.\. 0 \(\$130\)"):
        gantry.open(axes=axes)


def test_settings_that_would_mislead_are_refused(gantry: Any) -> None:
    gantry.firmware.settings[13] = 1.0
    with pytest.raises(FeatureMissing, match=r"\$13=0"):
        gantry.open()


def test_three_axes_drive_three_fields_and_the_others_stand_where_stated(gantry: Any) -> None:
    arm = gantry.homed(axes=gantry.axes[:3], fixed={"tilt_deg": 0.0, "pan_deg": -90.0})
    found = arm.move_to(Pose(10.0, 20.0, 100.0, 0.0, -90.0))
    assert found == Pose(10.0, 20.0, 100.0, 0.0, -90.0)
    before = len(sent(arm))
    for pose, field in ((replace(found, tilt_deg=45.0), "tilt_deg = 45"), (replace(found, pan_deg=90.0), "pan_deg")):
        with pytest.raises(OutOfTravel, match=f"{field}.*no such axis: it stands fixed at"):
            arm.move_to(pose)
    assert len(sent(arm)) == before


def test_an_axis_that_moves_no_camera_is_parked_and_verified(gantry: Any) -> None:
    arm = gantry.homed(axes=gantry.axes[:4], fixed={"pan_deg": 0.0}, parked={"B": -41.0})
    arm.move_to(Pose(10.0, 20.0, 100.0, 30.0, 0.0))
    assert gantry.firmware.machine_at(gantry.clock.now_s())[4] == pytest.approx(-41.0, abs=0.01)


def test_six_axes_are_five_for_the_camera_and_one_parked(make_gantry: Any) -> None:
    spare = SimulatedAxis("c", "C", -90.0, 90.0, 90.0, 360.0)
    bench = make_gantry(axes=(*SIMULATED_GANTRY, spare), start=(215.0, 215.0, 315.0, 58.0, 195.0, 80.0))
    arm = bench.homed(parked={"C": -41.0})
    assert_every_acknowledge_is_its_own(bench, arm)
    assert bench.firmware.machine_at(bench.clock.now_s())[5] == pytest.approx(-41.0, abs=0.01)
    arm.close()
    with pytest.raises(FeatureMissing, match="C"):
        make_gantry().open(parked={"C": -41.0})


def test_a_door_opened_while_homing_ends_it_untrusted(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0, start=(-200.0, 0.0, 100.0, 0.0, 0.0))
    arm = bench.open()
    problems: list[DeviceError] = []

    def home() -> None:
        try:
            arm.home()
        except DeviceError as error:
            problems.append(error)

    homing = threading.Thread(target=home)
    homing.start()
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("door", "open")
    homing.join()
    assert "ALARM:7" in problems[0].message
    assert not arm.position_trusted
    assert_nothing_automatic(arm)


def test_an_input_active_when_homing_ends_leaves_the_arm_untrusted(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=6.0)
    arm = bench.open()
    problems: list[DeviceError] = []

    def home() -> None:
        try:
            arm.home()
        except DeviceError as error:
            problems.append(error)

    homing = threading.Thread(target=home)
    homing.start()
    wait_until(lambda: not bench.is_still())
    bench.firmware.inject("pins", "E")  # reported only: the state stays Idle
    homing.join()
    assert isinstance(problems[0], PositionUntrusted)
    assert not arm.position_trusted


def test_a_stop_between_two_lines_of_a_move_lets_no_further_line_out(
    gantry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = gantry.homed()
    works = GrblConversation.command

    def command(talk: GrblConversation, text: str, timeout_s: float | None = None, **options: Any) -> Any:
        answer = works(talk, text, timeout_s, **options)
        arm.stop()
        return answer

    monkeypatch.setattr(GrblConversation, "command", command)
    with pytest.raises(PositionUntrusted, match="stopped"):
        arm.move_to(TOP)
    assert b"G4" not in sent(arm).rpartition(b"!")[2]
    assert b"G4" not in sent(arm).rpartition(b"G53")[2]


def test_a_way_through_a_keep_out_box_goes_by_its_waypoints_or_sends_nothing(gantry: Any) -> None:
    ways = WaysSettings(
        keep_out=(BoxSettings(name="clamp", low_mm=(-20.0, -20.0, 40.0), high_mm=(20.0, 20.0, 280.0)),),
        waypoints=tuple(
            WaypointSettings(name=name, pose=PlaceSettings(**asdict(replace(side, z_mm=300.0))))
            for name, side in (("left", LEFT), ("right", RIGHT))
        ),
        transitions=(("left", "right"),),
        entry="right",
    )
    arm = gantry.homed(ways=ways)
    arm.move_to(RIGHT)
    assert sent(arm).count(b"G53 G1") == 3  # home, across at the home's height, down to the entry, to the target
    arm.move_to(LEFT)
    assert sent(arm).count(b"G53 G1") == 6
    assert gantry.true_pose().x_mm == pytest.approx(LEFT.x_mm, abs=0.01)
    before = len(sent(arm))
    with pytest.raises(OutOfTravel, match="keep-out box clamp"):
        arm.check_reachable(TOP)
    with pytest.raises(OutOfTravel, match="keep-out box clamp"):
        arm.move_to(TOP)
    assert len(sent(arm)) == before
    assert arm.position_trusted


@pytest.mark.parametrize(
    ("axes", "complaint"),
    [
        ((("x_mm", "X", 0.0, 1.0),), "at least 3 items"),
        (tuple((n, "X", 0.0, 1.0) for n in ("x_mm", "y_mm", "z_mm")), "X already drives another axis"),
        ((("x_mm", "X", 0.0, 1.0), *((n, "Y", 0.0, 1.0) for n in ("x_mm", "y_mm", "z_mm"))), "twice"),
        ((("x_mm", "X", 1.0, 0.0), ("y_mm", "Y", 0.0, 1.0), ("z_mm", "Z", 0.0, 1.0)), "below"),
    ],
)
def test_axes_that_cannot_be_meant(axes: tuple[tuple[Any, ...], ...], complaint: str) -> None:
    sections = tuple(dict(zip(("name", "machine_axis", "minimum", "maximum"), axis, strict=True)) for axis in axes)
    with pytest.raises(ValueError, match=complaint):
        GrblSettings.model_validate(
            {"port": "/dev/null", "axes": sections, "fixed": {"tilt_deg": 0.0, "pan_deg": -90.0}}
        )


def test_reaching_out_of_travel_names_axis_value_and_limits(gantry: Any) -> None:
    arm = gantry.homed()
    with pytest.raises(OutOfTravel, match=r"tilt_deg = 61 deg is outside 0 \.\. 60 deg"):
        arm.move_to(replace(TOP, tilt_deg=61.0))


def test_connecting_to_axes_that_still_run_holds_them_before_the_reset(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.homed()
    arm.move_to(TOP)
    arm.port.write(b"G53 G1 X-401 F30000\n")
    wait_until(lambda: not bench.is_still())
    arm.close()
    again = bench.open()
    assert sent(again).startswith(b"?!")
    assert not again.position_trusted
    assert again.position().x_mm == pytest.approx(bench.true_pose().x_mm, abs=0.01)  # no step was lost


def test_hold_is_sent_within_50_ms_of_the_call_while_a_command_waits(make_gantry: Any, wait_until: Any) -> None:
    bench = make_gantry(speed=3.0)
    arm = bench.open()
    delays_s = []
    for pose in (LEFT, RIGHT, LEFT):
        arm.home()
        mover, _ = move_in_background(arm, pose)
        wait_until(lambda: not bench.is_still())
        called_s = time.monotonic()
        arm.stop()
        delays_s.append(time.monotonic() - called_s)  # the port has taken the byte when stop() returns
        assert b"!" in [w.data for w in arm.port.written if called_s <= w.time_s <= called_s + delays_s[-1]]
        mover.join()
    assert min(delays_s) < 0.05  # the machine may have better to do once, not three times


def test_the_timeout_of_a_move_follows_its_way_rate_and_acceleration(
    gantry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = gantry.homed(move_margin_s=0.25, speed=0.5)
    waits: list[tuple[str, float]] = []
    works = GrblConversation.command

    def command(talk: GrblConversation, text: str, timeout_s: float | None = None, **options: Any) -> Any:
        waits.append((text, timeout_s or 0.0))
        return works(talk, text, timeout_s, **options)

    monkeypatch.setattr(GrblConversation, "command", command)
    arm.move_to(LEFT)
    arm.move_to(replace(LEFT, x_mm=150.0))
    assert waits[-1][0] == "G4 P0.01"
    at_full_speed_s = 300.0 / 500.0 + 500.0 / 2000.0  # of the rig file's axes: d/v + v/a
    assert waits[-1][1] == pytest.approx(at_full_speed_s / 0.5 + 0.25)
    arm.move_to(replace(LEFT, x_mm=140.0))
    assert waits[-1][1] == pytest.approx(2.0 * (10.0 / 2000.0) ** 0.5 / 0.5 + 0.25)


@pytest.mark.parametrize("dialect", ["grblhal"])
def test_grblhal_without_forced_homing_is_a_doubt_and_unhomed_travel_is_still_refused(make_gantry: Any) -> None:
    bench = make_gantry()
    bench.firmware.settings.update({22: 1.0, 44: 7.0})
    arm = bench.open()
    assert [w for w in arm.warnings if "does not force homing" in w]
    assert [w for w in arm.warnings if "does not begin with Z alone" in w]
    before = len(sent(arm))
    with pytest.raises(OutOfTravel):
        arm.move_to(replace(TOP, x_mm=500.0))
    with pytest.raises(PositionUntrusted):
        arm.move_to(TOP)
    assert len(sent(arm)) == before
