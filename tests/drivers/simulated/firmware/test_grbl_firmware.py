"""The simulated motion controller by itself, its clock wound by hand: what real firmware was seen to do."""

from __future__ import annotations

import pytest

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.grbl.dialect import DialectName
from drivers.simulated.firmware.grbl.firmware import GrblFirmware
from drivers.simulated.firmware.trajectory import straight_leg

HOME = (220.0, 220.0, 320.0, 60.0, 200.0)  # station coordinates, one pull-off short of every switch


class HandClock(SimulatedClock):
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


class Bench:
    def __init__(self, start: tuple[float, ...] = HOME, dialect: DialectName = "grbl") -> None:
        self.clock = HandClock()
        self.firmware = GrblFirmware(self.clock, start=start, dialect=dialect)

    def say(self, text: str, wait_s: float = 0.0) -> str:
        """Send, wind the clock, return all that came since."""
        self.firmware.receive(text.encode("latin-1"))
        return self.wait(wait_s)

    def wait(self, seconds: float) -> str:
        end_s = self.clock.time_s + seconds
        while (due_s := self.firmware.advance()) is not None and due_s <= end_s:
            self.clock.time_s = max(self.clock.time_s, due_s)
        self.clock.time_s = end_s
        self.firmware.advance()
        return self.firmware.outbox.take_due(self.clock.time_s).decode()

    def homed(self) -> Bench:
        assert self.say("$H\n", 60.0).endswith("ok\r\n")
        return self


@pytest.fixture
def bench() -> Bench:
    return Bench().homed()


def test_it_is_locked_at_power_up_and_a_reset_shows_idle_all_the_same() -> None:
    bench = Bench()
    assert "to unlock" in bench.wait(0.0)
    assert bench.say("?").startswith("<Alarm|MPos:0.000,0.000,0.000,0.000,0.000|")
    assert bench.say("G0 X-1\n") == "error:9\r\n"
    assert "Grbl 1.1h" in bench.say("\x18")
    assert bench.say("?").startswith("<Idle|")


def test_homing_is_silent_and_ends_at_the_pull_off() -> None:
    bench = Bench(start=(0.0, 0.0, 100.0, 0.0, 0.0))
    bench.wait(0.0)
    assert bench.say("$H\n", 0.5) == ""
    assert bench.say("?!", 0.5) == ""
    assert bench.wait(60.0) == "ok\r\n"
    assert "MPos:-1.000,-1.000,-1.000,-1.000,-1.000" in bench.say("?")
    assert bench.firmware.axes_at(bench.clock.time_s) == pytest.approx(HOME)


def test_ok_means_planned_and_the_dwell_means_done(bench: Bench) -> None:
    assert bench.say("G53 G1 X-301 F30000\n") == "ok\r\n"
    assert bench.say("G4 P0.01\n", 0.5) == ""
    assert bench.say("?").startswith("<Run|")
    assert bench.wait(0.849 - 0.5) == ""  # 300 mm at 500 mm/s and 2000 mm/s^2 takes 0.85 s, and the dwell 0.01 s
    assert bench.wait(0.012) == "ok\r\n"
    assert "MPos:-301.000" in bench.say("?")


def test_homing_right_behind_a_move_is_refused(bench: Bench) -> None:
    assert bench.say("G0 X-50\n$H\n") == "ok\r\nerror:8\r\n"


def test_all_axes_arrive_together_on_a_straight_way(bench: Bench) -> None:
    start_s = bench.clock.time_s
    bench.say("G0 X-101 B-91\n", 5.0)
    half = bench.firmware.machine_at(start_s + (90 / 180 + 180 / 720) / 2)
    assert half[0] == pytest.approx(-51.0)
    assert half[4] == pytest.approx(-46.0)


def test_a_target_beyond_the_travel_is_alarm_2_then_silence_until_reset(bench: Bench) -> None:
    assert bench.say("G53 G0 X5\n") == "ALARM:2\r\n"
    assert bench.wait(0.5) == "[MSG:Reset to continue]\r\n"
    assert bench.say("?\n$I\n") == ""
    answer = bench.say("\x18")
    assert answer.startswith("ok\r\n\r\nGrbl 1.1h")  # the stale ok comes before the banner
    assert "to unlock" in answer


def test_a_hold_brakes_keeps_the_position_and_waits(bench: Bench) -> None:
    bench.say("G1 X-301 F30000\n", 0.4)
    assert bench.say("!?").startswith("<Hold:1|")
    bench.wait(0.3)
    held = bench.firmware.machine_at(bench.clock.time_s)
    assert bench.say("?").startswith(f"<Hold:0|MPos:{held[0]:.3f}")
    assert -301.0 < held[0] < -1.0
    assert bench.say("\x18").endswith("for help]\r\n")
    assert bench.say("?").startswith(f"<Idle|MPos:{held[0]:.3f}")


def test_a_line_sent_into_a_hold_waits_and_runs_on_resume(bench: Bench) -> None:
    assert bench.say("!") == ""
    assert bench.say("G0 X-11\n", 1.0) == ""
    assert bench.say("~", 1.0) == "ok\r\n"
    assert bench.firmware.machine_at(bench.clock.time_s)[0] == pytest.approx(-11.0)


def test_a_held_move_goes_on_to_its_target_on_resume(bench: Bench) -> None:
    bench.say("G1 X-301 F30000\n", 0.4)
    bench.say("!", 1.0)
    bench.say("~", 2.0)
    assert bench.firmware.machine_at(bench.clock.time_s)[0] == pytest.approx(-301.0)


def test_a_reset_in_motion_loses_the_position(bench: Bench) -> None:
    bench.say("G1 X-301 F30000\n", 0.4)
    assert bench.say("\x18").startswith("ALARM:3\r\n")
    bench.wait(1.0)
    report = bench.say("?")
    assert report.startswith("<Alarm|")
    reported_mm = float(report.partition("MPos:")[2].partition(",")[0])
    assert abs(bench.firmware.machine_at(bench.clock.time_s)[0] - reported_mm) > 1.0


def test_the_place_survives_a_power_cycle_the_count_does_not(bench: Bench) -> None:
    bench.say("G0 X-101\n", 5.0)
    bench.firmware.inject("reset")
    assert "MPos:0.000" in bench.say("?")
    assert bench.firmware.machine_at(bench.clock.time_s)[0] == pytest.approx(-101.0)


def test_two_line_ends_are_two_lines(bench: Bench) -> None:
    assert bench.say("G21\r\n") == "ok\r\nok\r\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", "ok"),
        ("G1 X-2", "error:22"),
        ("12", "error:1"),
        ("GX", "error:2"),
        ("G2 X1", "error:20"),
        ("G4", "error:28"),
        ("G0 X-1 X-2", "error:25"),
        ("$Q", "error:3"),
        ("$22=-1", "error:4"),
        ("$J=X5 F100", "error:15"),
        ("(remark) g21 ; more", "ok"),
    ],
)
def test_every_line_gets_exactly_one_answer(bench: Bench, line: str, answer: str) -> None:
    assert bench.say(line + "\n") == answer + "\r\n"


def test_soft_limits_need_homing(bench: Bench) -> None:
    assert bench.say("$22=0\n$20=1\n") == "ok\r\nerror:10\r\n"


def test_the_receive_buffer_overflows_silently(bench: Bench) -> None:
    bench.say("G0 X-400\nG4 P0\n")
    answers = bench.say("G21\n" * 60, 10.0)
    assert answers.count("ok") < 60


def test_moving_is_told_for_any_interval(bench: Bench) -> None:
    start_s = bench.clock.time_s
    assert not bench.firmware.is_moving_between(start_s, start_s + 1.0)
    bench.say("G1 X-301 F30000\n", 5.0)
    assert bench.firmware.is_moving_between(start_s - 1.0, start_s + 0.001)
    assert bench.firmware.is_moving_between(start_s + 0.84, start_s + 3.0)
    assert not bench.firmware.is_moving_between(start_s + 0.86, start_s + 3.0)


def test_an_unknown_fault_lists_those_that_exist(bench: Bench) -> None:
    with pytest.raises(ValueError, match="unknown fault 'quake'; there are alarm, door, drop_reply"):
        bench.firmware.inject("quake")
    with pytest.raises(ValueError, match=r"takes \[CODE=1\]"):
        bench.firmware.inject("alarm", "1", "2")
    with pytest.raises(ValueError, match="arguments"):
        bench.firmware.inject("alarm", "loud")


def test_a_leg_covers_its_way_and_can_be_cut_short() -> None:
    leg = straight_leg(1.0, (0.0, 0.0), (30.0, 40.0), 100.0, 1000.0)
    assert leg.end == pytest.approx((30.0, 40.0))
    assert leg.end_s == pytest.approx(1.0 + 0.5 + 0.1)
    cut = leg.slowed_from(1.3, 1000.0)
    assert cut.end_s == pytest.approx(1.4)
    assert cut.position(1.2) == leg.position(1.2)
    assert cut.end == pytest.approx((18.0, 24.0))


@pytest.mark.parametrize(("dialect", "pause_s"), [("grbl", 0.5), ("grblhal", 0.1)])
def test_a_reset_right_behind_an_alarm_is_swallowed(dialect: DialectName, pause_s: float) -> None:
    """Issue 16, point 3: as gnea/grbl 1.1h and grblHAL were seen to do."""
    bench = Bench(dialect=dialect).homed()
    bench.firmware.inject("alarm", "1")
    assert bench.say("\x18", pause_s) == "ALARM:1\r\n[MSG:Reset to continue]\r\n"
    assert "Grbl" in bench.say("\x18")


def test_inches_hold_for_linear_axes_until_another_word_or_a_reset(bench: Bench) -> None:
    """Issue 16, point 5."""
    bench.firmware.inject("foreign", "G20", "G91")
    assert bench.wait(0.0) == ""  # the answer went to the other host
    assert "G20 G91 G94" in bench.say("$G\n")
    bench.say("G0 X-1 A-10\n", 5.0)
    assert bench.firmware.machine_at(bench.clock.time_s)[::3] == pytest.approx((-26.4, -11.0))
    bench.say("G21 G90 G94 G53 G1 X-50 F6000\n", 5.0)
    assert bench.firmware.machine_at(bench.clock.time_s)[0] == pytest.approx(-50.0)
    assert "G21 G90 G94" in bench.say("\x18$G\n")
    bench.firmware.settings[13] = 1.0
    assert "MPos:-1.9685,-0.0394,-0.0394,-11.000,-1.000" in bench.say("?")


@pytest.mark.parametrize(("how", "line"), [("digit", "$110=730000"), ("line", "$110\x1d30000")])
def test_one_line_of_the_settings_may_arrive_garbled_once(bench: Bench, how: str, line: str) -> None:
    """Issue 16, point 7."""
    bench.firmware.inject("garble_setting", "110", how)
    assert line in bench.say("$$\n")
    assert "$110=30000" in bench.say("$$\n")
