"""The simulated six-axis arm by itself, its clock wound by hand: frames as the maker's client sends and reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.mycobot.firmware import MyCobotFirmware
from drivers.simulated.wires.pty_wire import PtyWire

PLACE = (20.0, -10.0, -60.0, -70.0, -50.0, -80.0)
FAR = (-60.0, -10.0, -60.0, -70.0, -50.0, -80.0)


class HandClock(SimulatedClock):
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


class Bench:
    def __init__(self, **options: Any) -> None:
        self.clock = HandClock()
        self.firmware = MyCobotFirmware(self.clock, **options)
        self.say("10")

    def say(self, text: str, wait_s: float = 0.0) -> str:
        """Command and data in hex -> those of the answers."""
        body = bytes.fromhex(text)
        self.firmware.receive(b"\xfe\xfe" + bytes([len(body) + 1]) + body + b"\xfa")
        answer = self.firmware.outbox.take_due(self.clock.time_s)
        self.clock.time_s += wait_s
        assert not answer or (answer.startswith(b"\xfe\xfe") and answer[2] == len(answer) - 3 and answer[-1] == 0xFA)
        return answer[3:-1].hex()

    def angles(self) -> tuple[float, ...]:
        return tuple(v / 100 for v in struct.unpack(">6h", bytes.fromhex(self.say("20"))[1:]))


def sixes(values: tuple[float, ...]) -> str:
    return struct.pack(">6h", *(round(v * 100) for v in values)).hex()


def test_a_set_is_answered_with_one_byte_that_the_makers_client_reads() -> None:
    """Issue 16, point 9."""
    bench = Bench()
    assert bench.say("22" + sixes(PLACE) + "64", 3.0) == "2201"
    assert bench.angles() == PLACE
    assert bench.say("29") == "2901"
    bench.firmware.inject("refused_set")
    assert bench.say("22" + sixes(FAR) + "64", 3.0) == "2200"
    assert bench.angles() == PLACE
    assert bench.say("22" + sixes(FAR)) == "2200"  # the speed is missing


@pytest.mark.parametrize(("acknowledge", "answer"), [("empty", "22"), ("none", "")])
def test_older_ways_to_acknowledge_can_be_had(acknowledge: str, answer: str) -> None:
    """Issue 16, point 9."""
    bench = Bench(acknowledge=acknowledge)
    assert bench.say("22" + sixes(PLACE) + "64", 3.0) == answer
    assert bench.angles() == PLACE


def test_it_states_where_it_was_told_to_go_and_old_firmware_does_not() -> None:
    """Issue 16, point 9."""
    bench = Bench()
    bench.say("22" + sixes(FAR) + "32", 0.2)
    assert bench.say("f6") == "f6" + sixes(FAR)
    assert bench.angles() != FAR
    bench.firmware.inject("garbled_set", "3")
    bench.say("22" + sixes(PLACE) + "64", 3.0)
    assert bench.say("f6") == "f6" + sixes((20.03, *PLACE[1:]))
    old = Bench(reports_plans=False)
    assert old.say("f6") == old.say("f7") == old.say("6a010203") == ""


def test_a_paused_move_stands_until_it_is_resumed_and_a_stop_forgets_it() -> None:
    """Issue 16, point 9."""
    bench = Bench()
    bench.say("22" + sixes(FAR) + "14", 0.5)
    assert bench.say("26", 1.0) == "2601"
    assert (bench.say("27"), bench.say("2b")) == ("2701", "2b00")
    held = bench.angles()
    bench.clock.time_s += 5.0
    assert bench.angles() == held != FAR
    assert bench.say("28", 0.3) == "2801"
    assert (bench.say("27"), bench.say("2b")) == ("2700", "2b01")
    bench.say("26", 1.0)
    bench.say("29")
    bench.say("28", 9.0)
    assert bench.angles() != FAR
    bench.say("22" + sixes(FAR) + "14", 9.0)
    assert bench.angles() == FAR


def test_errors_name_the_joint_or_the_missing_way_and_can_be_cleared() -> None:
    """Issue 16, point 9."""
    bench = Bench()
    assert bench.say("07") == "0700"
    assert bench.say("2102" + struct.pack(">h", 17000).hex() + "32") == "2101"
    assert bench.say("07") == "0702"
    assert bench.say("25" + struct.pack(">6h", 3400, 3400, 5000, 0, 0, 0).hex() + "3200") == "2501"
    assert bench.say("07") == "0720"
    assert (bench.say("08"), bench.say("07")) == ("0801", "0700")


def test_speed_limits_encoders_and_servo_state_are_laid_out_as_documented() -> None:
    """Issue 16, point 9: the documents' own examples where they give one."""
    bench = Bench()
    assert (bench.say("4132"), bench.say("40")) == ("4101", "4032")
    assert bench.say("4a02") == "4a02" + struct.pack(">h", -1350).hex()
    assert bench.say("4b02") == "4b02" + struct.pack(">h", 1350).hex()
    assert (bench.say("5001"), bench.say("51")) == ("500101", "5101")
    bench.say("22" + sixes((0.0,) * 6) + "64", 5.0)
    assert bench.say("3d") == "3d" + "0800" * 6
    assert bench.say("3b03") == "3b0800"
    assert bench.say("e1") == "e1" + "0000" * 6
    assert bench.say("e3") == "e3" + "f0" * 6
    assert bench.say("e4") == "e4" + "00" * 6
    assert (bench.say("13"), bench.say("51")) == ("1301", "5100")


def test_what_is_not_simulated_is_answered_as_a_failure_and_not_with_silence() -> None:
    """Issue 16, point 9."""
    bench = Bench()
    assert bench.say("6a010203") == "6a"
    assert bench.say("12") == "1201"


@pytest.mark.parametrize("size", [0, 1, 2, 4, 12, 13, 14, 20])
def test_no_frame_that_noise_may_make_of_another_stops_it(size: int) -> None:
    bench = Bench()
    known = [*vars(bench.firmware)["_sets"], *vars(bench.firmware)["_verbs"]]
    for command in (*known, 0x6A):
        for filling in ("00", "ff", "01"):
            bench.say(f"{command:02x}" + filling * size)
            bench.say("10")
    assert bench.say("14") == "1401"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    maker = pytest.importorskip("pymycobot", reason="the maker's client is not installed")
    firmware = MyCobotFirmware(SimulatedClock(10.0))
    with PtyWire(tmp_path / "arm", firmware) as wire:
        client = maker.MyCobot320(str(wire.path))
        assert client.power_on() == 1
        yield client
        client.close()


def test_the_makers_own_client_reads_the_right_values(client: Any) -> None:
    """Issue 16, point 9."""
    assert client.sync_send_angles(list(PLACE), 100, 10) == 1
    assert client.get_angles() == list(PLACE)
    coordinates = client.get_coords()
    coordinates[2] += 20.0
    assert client.sync_send_coords(coordinates, 100, 0, 10) == 1
    assert client.get_coords() == pytest.approx(coordinates, abs=0.11)
    assert client.get_coords_plan() == pytest.approx(coordinates, abs=0.11)
    assert (client.pause(), client.is_paused(), client.resume(), client.is_paused()) == (1, 1, 1, 0)
    assert (client.stop(), client.is_moving()) == (1, 0)
    assert client.get_error_information() == 0
    assert client.get_joint_min_angle(2) == -135.0
    assert client.get_servo_voltages() == [24.0] * 6
    assert client.is_all_servo_enable() == 1
