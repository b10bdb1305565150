"""The `SA0255#` family: the conversation, and what a single letter does not prove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.light_benches import LightsBench

from drivers.errors import CommandRefused, DeviceTimeout
from drivers.serial_line.lights.sa0255.lights import Sa0255Lights
from drivers.serial_line.lights.sa0255.settings import Sa0255Settings
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.sa0255 import Sa0255Firmware
from drivers.simulated.wires.pty_wire import PtyWire


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LightsBench]:
    bench = LightsBench("sa0255", tmp_path)
    yield bench
    bench.close()


def sent_since(lights: Any, before: int) -> list[bytes]:
    return lights.port.written_bytes()[before:].split(b"#")[:-1]


def test_one_change_is_four_questions_and_the_switch_once(bench: Any) -> None:
    lights = bench.open()
    before = len(lights.port.written_bytes())
    lights.on(1, 1.0)
    assert sent_since(lights, before) == [b"SA0255", b"SA", b"TH"]
    before = len(lights.port.written_bytes())
    lights.on(2, 0.5)
    assert sent_since(lights, before) == [b"SA0000", b"SA", b"SB0128", b"SB"]
    before = len(lights.port.written_bytes())
    lights.off()
    assert sent_since(lights, before) == [b"TL", b"SB0000", b"SB"]


def test_a_level_changed_on_the_way_is_noticed(bench: Any) -> None:
    lights = bench.open()
    receive = bench.firmware.receive
    bench.firmware.receive = lambda data: receive(data.replace(b"SB0255", b"SB0055"))
    with pytest.raises(CommandRefused, match=r"channel 2 was set to 255, and asked back says b'b0055'"):
        lights.on(2, 1.0)


def test_a_letter_of_another_channel_is_no_acknowledge(bench: Any) -> None:
    lights = bench.open(reply_timeout_s=0.2)
    receive = bench.firmware.receive
    bench.firmware.receive = lambda data: receive(data.replace(b"SC0255", b"SD0255"))
    with pytest.raises(DeviceTimeout, match="SC0255"):
        lights.on(3, 1.0)
    bench.firmware.receive = receive
    lights.off()
    assert bench.lit() == {}


def test_small_units_switch_all_by_s(tmp_path: Path) -> None:
    firmware = Sa0255Firmware(SimulatedClock(25.0), channels=4, all_letter="S")
    with (
        PtyWire(tmp_path / "small", firmware) as line,
        Sa0255Lights.open(Sa0255Settings(port=str(line.path), channels=(1, 2, 3, 4))) as lights,
    ):
        lights.on(4, 1.0)
        now_s = firmware.clock.now_s()
        assert firmware.mean_levels(now_s, now_s) == {1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0}


def test_eight_channels_cannot_share_the_letter_of_all() -> None:
    with pytest.raises(ValueError, match=r"of 1\.\.7 where SH# switches all"):
        Sa0255Settings(port="nowhere", channels=tuple(range(1, 9)))
