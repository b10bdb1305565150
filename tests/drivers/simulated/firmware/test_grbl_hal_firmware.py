"""The simulated grblHAL controller by itself: each way in which the real one was seen to differ from Grbl 1.1h."""

from __future__ import annotations

import pytest

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.grbl.firmware import GrblFirmware

HOME = (220.0, 220.0, 320.0, 60.0, 200.0)


class HandClock(SimulatedClock):
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


class Bench:
    def __init__(self, *, is_homed: bool = True, homing: float = 5.0) -> None:
        self.clock = HandClock()
        self.firmware = GrblFirmware(self.clock, start=HOME, dialect="grblhal")
        self.firmware.settings[22] = homing  # read at the next start
        self.wait(0.0)
        self.firmware.inject("reset")
        self.greeting = self.wait(0.0)
        if is_homed:
            assert self.say("$H\n", 60.0).endswith("ok\r\n")

    def say(self, text: str, wait_s: float = 0.0) -> str:
        self.firmware.receive(text.encode("latin-1"))
        return self.wait(wait_s)

    def wait(self, seconds: float) -> str:
        end_s = self.clock.time_s + seconds
        while (due_s := self.firmware.advance()) is not None and due_s <= end_s:
            self.clock.time_s = max(self.clock.time_s, due_s)
        self.clock.time_s = end_s
        self.firmware.advance()
        return self.firmware.outbox.take_due(self.clock.time_s).decode()

    def x_mm(self) -> float:
        return self.firmware.machine_at(self.clock.time_s)[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_names_itself_in_its_identity_and_lists_its_axes(bench: Bench) -> None:
    assert bench.greeting.startswith("\r\nGrblHAL 1.1f")
    answer = bench.say("$I\n")
    assert "[FIRMWARE:grblHAL]" in answer
    assert "[AXS:5:XYZAB]" in answer


def test_with_homing_required_it_starts_in_alarm_11_and_refuses_to_be_unlocked() -> None:
    bench = Bench(is_homed=False)
    assert "ALARM:11" in bench.greeting
    report = bench.say("?")
    assert report.startswith("<Alarm|")
    assert "H:0" in report
    assert "H:" not in bench.say("?")  # only where it changed
    assert bench.say("$X\n") == "error:46\r\n"
    assert bench.say("G0 X-1\n") == "error:9\r\n"
    assert "[MSG:Homing cycle required]" in bench.say("\x18")  # a reset does not lift it
    bench.firmware.settings[10] += 512.0
    assert bench.say("?").startswith("<Alarm:11|")  # on request


def test_homing_enabled_alone_does_not_force_it_and_soft_limits_do_not_hold_unhomed_axes() -> None:
    bench = Bench(is_homed=False, homing=1.0)
    assert "ALARM" not in bench.greeting
    assert bench.say("?").startswith("<Idle|")
    assert bench.say("$J=X50 F6000\n", 5.0) == "ok\r\n"
    assert bench.x_mm() == pytest.approx(49.0)  # from the pull-off: 50 beyond where it was counted


def test_homing_tells_of_itself_unasked_and_ends_with_ok_and_homed() -> None:
    bench = Bench(is_homed=False)
    assert bench.say("$H\n").startswith("<Home|")
    assert bench.say("?").startswith("<Home|")
    assert bench.wait(60.0).endswith("ok\r\n")
    assert "|H:1" in bench.say("?")


def test_after_a_limit_alarm_it_answers_and_wants_a_reset(bench: Bench) -> None:
    assert bench.say("G53 G0 X5\n") == "ALARM:2\r\n"
    assert bench.say("\x18", 0.1) == "[MSG:Reset to continue]\r\n"  # 0x18 within the pause is swallowed
    assert bench.say("?").startswith("<Alarm|")
    assert bench.say("G0 X-1\n") == "error:9\r\n"
    assert bench.say("$X\n$H\n") == "error:79\r\nerror:79\r\n"
    answer = bench.say("\x18")
    assert "ok" not in answer  # no stale one
    assert bench.say("$X\n").endswith("ok\r\n")  # the position was kept: it is homed still


def test_an_error_sticks_until_an_empty_line_or_an_accepted_command(bench: Bench) -> None:
    assert bench.say("G2 X1\nG21\nG90\n") == "error:20\r\n" * 3
    assert bench.say("\nG21\n") == "ok\r\nok\r\n"
    assert bench.say("$J=X5 F100\n") == "error:15\r\n"  # a refused jog poisons the next move
    assert bench.say("G53 G0 X-11\n", 2.0) == "error:15\r\n"
    assert bench.x_mm() == pytest.approx(-1.0)
    assert bench.say("$G\nG21\n").endswith("ok\r\nok\r\n")


def test_two_line_ends_are_one_line_unless_the_line_was_refused(bench: Bench) -> None:
    assert bench.say("G21\r\n") == "ok\r\n"
    assert bench.say("G2 X1\r\n") == "error:20\r\nok\r\n"


def test_a_move_sent_into_a_hold_waits_without_ok_and_runs_on_resume(bench: Bench) -> None:
    bench.say("!")
    assert bench.say("?").startswith("<Hold:0|")
    assert bench.say("G53 G0 X-11\n", 1.0) == ""
    assert bench.say("~", 1.0) == "ok\r\n"
    assert bench.x_mm() == pytest.approx(-11.0)


def test_the_door_holds_and_what_was_sent_meanwhile_runs_on_resume(bench: Bench) -> None:
    bench.say("G53 G1 X-301 F30000\n", 0.3)
    bench.firmware.inject("door")
    assert bench.say("?").startswith("[MSG:Check Door]\r\n<Door:2|")
    bench.wait(1.0)
    report = bench.say("?")
    assert report.startswith("<Door:1|")
    assert "Pn:D" in report
    held_mm = bench.x_mm()
    assert bench.say("~G53 G0 X-11\n", 1.0) == ""  # still open: nothing resumes, nothing is answered
    bench.firmware.inject("door", "closed")
    assert bench.say("?", 1.0).startswith("<Door:0|")
    assert bench.x_mm() == held_mm
    assert bench.say("~", 3.0) == "ok\r\n"
    assert bench.x_mm() == pytest.approx(-11.0)


def test_a_reset_leaves_the_door_state_only_once_it_is_closed(bench: Bench) -> None:
    bench.firmware.inject("door")
    assert "[MSG:Check Door]" in bench.say("\x18")
    assert bench.say("$I\n") == ""
    bench.firmware.inject("door", "closed")
    bench.say("\x18")
    assert bench.say("?").startswith("<Idle|")


def test_the_door_command_holds_as_the_door_does(bench: Bench) -> None:
    bench.say("G53 G1 X-301 F30000\n", 0.3)
    bench.say("\x84", 1.0)
    assert bench.say("?").startswith("<Door:0|")


def test_a_door_opened_while_homing_is_alarm_7() -> None:
    bench = Bench(is_homed=False)
    bench.say("$H\n", 0.2)
    bench.firmware.inject("door")
    assert bench.wait(0.0) == "ALARM:7\r\n"


def test_a_reset_in_motion_is_alarm_3_and_then_homing_required(bench: Bench) -> None:
    bench.say("G53 G1 X-301 F30000\n", 0.3)
    answer = bench.say("\x18")
    assert answer.startswith("ALARM:3\r\n")
    assert answer.endswith("ALARM:11\r\n[MSG:Homing cycle required]\r\n")
    assert bench.say("$X\n") == "error:46\r\n"


def test_the_emergency_stop_locks_it_until_released_reset_and_homed(bench: Bench) -> None:
    bench.say("G53 G1 X-301 F30000\n", 0.3)
    bench.firmware.inject("estop")
    assert bench.wait(0.1).endswith("ALARM:10\r\n[MSG:Emergency stop - clear, then reset to continue]\r\n")
    report = bench.say("?")
    assert report.startswith("<Alarm|")
    assert "Pn:E" in report
    assert bench.say("$X\n$H\nG4 P0.1\n") == "error:50\r\nerror:79\r\nerror:9\r\n"
    assert bench.say("\x18", 1.0) == ""  # neither a banner nor anything else while it is pressed
    assert "VER:" in bench.say("$I\n")  # though lines are answered
    bench.firmware.inject("estop", "released")
    assert bench.say("?").startswith("<Alarm|")
    assert "ALARM:11" in bench.say("\x18")
    assert bench.say("$H\n", 60.0).endswith("ok\r\n")


def test_inputs_may_be_reported_while_the_state_says_idle_and_motion_works(bench: Bench) -> None:
    bench.firmware.inject("pins", "ER")
    report = bench.say("?")
    assert report.startswith("<Idle|")
    assert "Pn:ER" in report
    assert bench.say("$J=X-5 F6000\n", 2.0) == "ok\r\n"
    bench.firmware.inject("pins", "R")
    assert bench.say("$X\n") == "error:18\r\n"


def test_with_an_empty_memory_an_error_comes_before_two_banners_and_nothing_is_limited(bench: Bench) -> None:
    bench.firmware.inject("empty_memory")
    bench.firmware.inject("reset")
    greeting = bench.wait(0.0)
    assert greeting.startswith("error:7\r\n")
    assert greeting.count("GrblHAL 1.1f") == 2
    assert bench.say("?").startswith("<Idle|")
    answers = bench.say("$$\n")
    assert all(f"${n}=0\r\n" in answers for n in (20, 21, 22))


def test_a_limit_switch_stays_reported_until_homing_leaves_it(bench: Bench) -> None:
    bench.firmware.inject("limit", "Y")
    assert bench.wait(0.1).startswith("ALARM:1\r\n")
    bench.say("\x18")
    assert "Pn:Y" in bench.say("?")
    bench.say("$H\n", 60.0)
    assert "Pn:" not in bench.say("?")


def test_homing_right_behind_a_move_is_refused(bench: Bench) -> None:
    assert bench.say("G0 X-50\n$H\n") == "ok\r\nerror:8\r\n"
