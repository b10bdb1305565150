"""CCS lights: frames against published ones, the driver against the stand-in on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout, FeatureMissing, LightStateUnknown
from drivers.protocols import Lights
from drivers.serial_line import ccs_protocol as ccs
from drivers.serial_line.ccs import CcsLights
from drivers.serial_line.ccs_protocol import CcsDialect
from drivers.simulated.ccs_firmware import CcsFirmware
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.pty_line import PtyLine


class Bench:
    def __init__(self, path: Path) -> None:
        self.clock = SimulatedClock(25.0)
        self.firmware = CcsFirmware(self.clock)
        self.line = PtyLine(path, self.firmware).start()
        self.drivers: list[CcsLights] = []

    def open(self, dialect: CcsDialect = CcsDialect()) -> CcsLights:  # noqa: B008 - frozen
        lights = CcsLights.open(
            str(self.line.path), channels=range(1, 10), reply_timeout_s=0.5, settle_s=0.001, dialect=dialect
        )
        self.drivers.append(lights)
        return lights

    def lit(self) -> dict[int, float]:
        now_s = self.clock.now_s()
        return {c: level for c, level in self.firmware.mean_levels(now_s, now_s).items() if level > 0}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "lights")
    yield bench
    for driver in bench.drivers:
        driver.close()
    bench.line.close()


def test_frames_are_the_published_ones() -> None:
    assert ccs.frame(0, "F", "01400") == b"@00F01400DB\r\n"
    assert ccs.frame(0, "F", "16800") == b"@00F16800E5\r\n"
    assert ccs.switch(0, is_on=True) == b"@00L11D\r\n"
    assert ccs.switch(0, is_on=False) == b"@00L01C\r\n"


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_never_an_acknowledge(data: bytes) -> None:
    reply = ccs.parse_reply(data)
    if reply is not None and reply.is_acknowledge:
        assert data.removesuffix(b"\r") == ccs.frame(reply.number, "O").removesuffix(b"\r\n")


@given(st.integers(0, 99), st.integers(0, 5), st.integers(0, 255))
def test_one_changed_byte_is_not_an_acknowledge(number: int, index: int, byte: int) -> None:
    good = bytearray(ccs.frame(number, "O")[:-2])
    if good[index] != byte:
        good[index] = byte
        reply = ccs.parse_reply(bytes(good))
        assert reply is None or not reply.is_acknowledge


def test_one_channel_at_a_time_at_the_level_asked(bench: Bench) -> None:
    lights: Lights = bench.open()
    assert lights.channels == tuple(range(1, 10))
    for channel, level in ((1, 1.0), (2, 0.25), (9, 0.505), (9, 0.5), (1, 0.001)):
        lights.on(channel, level)
        assert bench.lit() == pytest.approx({channel: level}, abs=1 / 255)


def test_off_is_one_acknowledged_frame(bench: Bench) -> None:
    lights = bench.open()
    lights.on(4, 1.0)
    before = len(lights.wire.written)
    lights.off()
    assert [w.data for w in list(lights.wire.written)[before:]] == [b"@00L01C\r\n"]
    assert bench.lit() == {}


def test_without_a_number_for_all_each_channel_is_switched(bench: Bench) -> None:
    lights = bench.open(CcsDialect(all_number=None))
    lights.on(2, 0.5)
    lights.on(3, 0.5)
    assert set(bench.lit()) == {3}
    lights.off()
    assert bench.lit() == {}


@pytest.mark.parametrize(("channel", "level"), [(0, 0.5), (10, 0.5), (1, -0.1), (1, 1.01), (1, float("nan"))])
def test_what_it_does_not_have_is_refused(bench: Bench, channel: int, level: float) -> None:
    lights = bench.open()
    with pytest.raises(FeatureMissing):
        lights.on(channel, level)
    assert bench.lit() == {}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (("refuse",), CommandRefused),
        (("drop_reply",), DeviceTimeout),
        (("garble_reply",), DeviceTimeout),
        (("late_reply", "20"), DeviceTimeout),
    ],
)
def test_a_spoilt_reply_is_told_and_the_next_command_is_in_step(
    bench: Bench, fault: tuple[str, ...], error: type[DeviceError]
) -> None:
    lights = bench.open()
    bench.firmware.inject(*fault)
    with pytest.raises(error):
        lights.on(5, 1.0)
    lights.on(6, 1.0)
    assert set(bench.lit()) == {6}


def test_off_unconfirmed_is_said(bench: Bench) -> None:
    lights = bench.open()
    lights.on(5, 1.0)
    bench.firmware.inject("freeze")
    with pytest.raises(LightStateUnknown, match="5"):
        lights.off()


def test_an_unplugged_controller_is_lost(bench: Bench) -> None:
    lights = bench.open()
    bench.firmware.inject("unplug")
    with pytest.raises((DeviceLost, DeviceTimeout)):
        lights.on(1, 1.0)
    with pytest.raises(LightStateUnknown):
        lights.off()
