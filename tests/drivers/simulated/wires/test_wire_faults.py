"""What can go wrong on a wire, over pseudo-terminals and sockets: no reply is taken for another, nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DeviceError, DeviceLost, DeviceNotFound, DeviceTimeout, LightStateUnknown
from drivers.serial_line import port as port_module
from drivers.serial_line.lights.gardasoft.lights import GardasoftLights
from drivers.serial_line.lights.gardasoft.settings import GardasoftSettings
from drivers.serial_line.port import Port, available_ports, resolve_port
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.wires.pty_wire import PtyWire
from drivers.simulated.wires.socket_wire import SocketWire
from drivers.simulated.wires.transit import Delivery, Noise
from drivers.simulated.wires.wire import Wire

SPEED = 25.0


class Bench:
    """Gardasoft lights on a wire of either kind."""

    def __init__(self, path: Path, wire: type[Wire]) -> None:
        self.firmware = GardasoftFirmware(SimulatedClock(SPEED), channels=3)
        self.wire = wire(path, self.firmware).start()
        self.drivers: list[GardasoftLights] = []

    def open(self) -> GardasoftLights:
        lights = GardasoftLights.open(
            GardasoftSettings(port=str(self.wire.path), channels=(1, 2, 3), reply_timeout_s=0.3, settle_s=0.0005)
        )
        self.drivers.append(lights)
        return lights

    def lit(self) -> dict[int, float]:
        now_s = self.firmware.clock.now_s()
        return {c: level for c, level in self.firmware.mean_levels(now_s, now_s).items() if level > 0}

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        self.wire.close()


@pytest.fixture(params=[PtyWire, SocketWire])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "lights", request.param)
    yield bench
    bench.close()


@pytest.mark.parametrize("fault", ["drop_bytes", "corrupt_bytes"])
def test_noise_both_ways_never_makes_a_wrong_light(bench: Bench, fault: str) -> None:
    """Where `on` returned, what shines is what was asked: a command that noise changed must not be acknowledged."""
    lights = bench.open()
    bench.firmware.inject(fault, "0.01")
    done = 0
    for step in range(30):
        channel = 1 + step % 3
        try:
            lights.on(channel, 0.5)
        except DeviceError:
            continue
        done += 1
        assert set(bench.lit()) == {channel}
    assert 0 < done < 30
    bench.firmware.inject(fault, "0")
    lights.off()
    assert bench.lit() == {}


@pytest.mark.parametrize(("fault", "milliseconds"), [("split", "1"), ("split", "4"), ("coalesce", "200")])
def test_bytes_may_come_one_by_one_or_together(bench: Bench, fault: str, milliseconds: str) -> None:
    lights = bench.open()
    bench.firmware.inject(fault, milliseconds)
    for channel in (1, 2, 3):
        lights.on(channel, 0.5)
        assert set(bench.lit()) == {channel}
    lights.off()
    assert bench.lit() == {}


def test_silence_is_a_timeout_and_its_commands_were_obeyed(bench: Bench) -> None:
    lights = bench.open()
    bench.firmware.inject("silence")
    with pytest.raises(DeviceTimeout):
        lights.on(1, 0.5)
    with pytest.raises(LightStateUnknown):
        lights.off()
    bench.firmware.inject("thaw")
    lights.off()
    assert bench.lit() == {}


def test_unplugged_it_is_lost_and_plugged_in_again_it_is_found(bench: Bench) -> None:
    lights = bench.open()
    lights.on(2, 0.5)
    where = resolve_port("lights", str(bench.wire.path))
    where = os.path.realpath(where)
    bench.firmware.inject("unplug")
    with pytest.raises((DeviceLost, DeviceTimeout)):
        lights.on(1, 0.5)
    with pytest.raises(DeviceNotFound):
        bench.open()
    bench.firmware.inject("plug")
    assert os.path.realpath(resolve_port("lights", str(bench.wire.path))) != where
    again = bench.open()
    assert bench.lit() == {}
    again.on(3, 0.5)
    assert set(bench.lit()) == {3}


def test_a_second_host_is_turned_away(bench: Bench) -> None:
    first = bench.open()
    with pytest.raises((DeviceNotFound, DeviceLost, DeviceTimeout)):
        bench.open()
    first.on(1, 0.5)
    first.close()
    assert bench.open().channels == (1, 2, 3)


def test_faults_of_the_wire_say_what_they_take(bench: Bench) -> None:
    for name, wrong in (("drop_bytes", "2"), ("corrupt_bytes", "-1"), ("split", "-1"), ("coalesce", "x")):
        with pytest.raises(ValueError, match=name):
            bench.firmware.inject(name, wrong)


@given(st.binary(max_size=200), st.integers(0, 5))
def test_noise_of_a_seed_comes_again(data: bytes, seed: int) -> None:
    def noisy() -> bytes:
        noise = Noise(seed)
        noise.faults()["drop_bytes"]("0.2")
        noise.faults()["corrupt_bytes"]("0.2")
        return noise.pass_on(data)

    assert noisy() == noisy()
    assert len(noisy()) <= len(data)
    assert Noise(seed).pass_on(data) == data


@given(st.lists(st.binary(max_size=20), max_size=8), st.sampled_from(["split", "coalesce"]))
def test_whatever_the_delivery_no_byte_is_lost_or_overtaken(pieces: list[bytes], fault: str) -> None:
    delivery = Delivery()
    delivery.faults()[fault]("5")
    now_s, handed = 0.0, b""
    for piece in pieces:
        handed += delivery.take(piece, now_s)
        now_s += 0.002
    while delivery.next_s is not None:
        now_s = max(now_s, delivery.next_s)
        handed += delivery.take(b"", now_s)
    assert handed == b"".join(pieces)


# -- whose port it is -----------------------------------------------------------------------


def usb(name: str, vid: int | None, pid: int | None, serial_number: str | None) -> Any:
    return SimpleNamespace(device=name, vid=vid, pid=pid, serial_number=serial_number)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def plug_in(*found: Any) -> None:
        monkeypatch.setattr(port_module.list_ports, "comports", lambda: list(found))

    return plug_in


def test_a_usb_identity_is_looked_up_at_each_opening(ports: Callable[..., None]) -> None:
    ports(usb("/dev/ttyUSB0", 0x0403, 0x6001, "LIGHTS7"), usb("/dev/ttyS0", None, None, None))
    assert resolve_port("lights", "0403:6001:LIGHTS7") == "/dev/ttyUSB0"
    ports(usb("/dev/ttyUSB1", 0x0403, 0x6001, "LIGHTS7"))
    assert resolve_port("lights", "0403:6001:LIGHTS7") == "/dev/ttyUSB1"
    assert resolve_port("lights", "0403:6001") == "/dev/ttyUSB1"


def test_an_identity_that_is_not_there_or_not_enough_is_told_with_what_is(ports: Callable[..., None]) -> None:
    ports(usb("/dev/ttyUSB0", 0x0403, 0x6001, "A"), usb("/dev/ttyUSB1", 0x0403, 0x6001, "B"))
    with pytest.raises(DeviceNotFound, match=r"no serial port has USB identity 10c4:ea60\..*ttyUSB1 \(0403:6001:B\)"):
        resolve_port("lights", "10c4:ea60")
    with pytest.raises(DeviceNotFound, match=r"fits /dev/ttyUSB0 \(serial number A\), .* add the serial number"):
        resolve_port("lights", "0403:6001")
    assert "/dev/ttyUSB0 (0403:6001:A)" in available_ports()


def test_a_file_without_an_address_is_no_port(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk")
    with pytest.raises(DeviceNotFound, match=r"notes\.txt is no serial port"):
        resolve_port("lights", str(file))


def test_a_peer_that_hangs_up_is_noticed_while_nobody_asks(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    losses: list[DeviceLost] = []
    firmware = GardasoftFirmware(SimulatedClock())
    with SocketWire(tmp_path / "lights", firmware) as far:
        near = Port(
            "lights", far.url, baud_rate=9600, terminator=b">", on_piece=lambda _piece: None, on_lost=losses.append
        )
        near.write(b"VR\r")
        time.sleep(0.05)
        far.unplug()
        wait_until(lambda: bool(losses))
        with pytest.raises(DeviceLost):
            near.write(b"VR\r")
        near.close()


def test_a_system_without_pseudo_terminals_gets_sockets() -> None:
    script = (
        "import os, sys\n"
        "sys.modules['tty'] = sys.modules['termios'] = None\n"
        "del os.openpty\n"
        "import drivers.simulated.rig\n"
        "from drivers.simulated.config import SimulatedRigConfig\n"
        "from drivers.simulated.firmware.kinds import wire_class\n"
        "print(wire_class(SimulatedRigConfig().line_kind).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("SocketWire", 0), done.stderr
