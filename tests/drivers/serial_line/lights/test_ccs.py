"""CCS lights: frames against published ones, the driver against the stand-in on a pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import CommandRefused, FeatureMissing
from drivers.protocols import StrobeLights
from drivers.serial_line.lights.ccs import protocol as ccs
from drivers.serial_line.lights.ccs.lights import CcsLights
from drivers.serial_line.lights.ccs.protocol import CcsDialect
from drivers.serial_line.lights.ccs.settings import CcsSettings
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.ccs import CcsFirmware
from drivers.simulated.wires.pty_wire import PtyWire


class Bench:
    def __init__(self, path: Path, **firmware: Any) -> None:
        self.clock = SimulatedClock(25.0)
        self.firmware = CcsFirmware(self.clock, **firmware)
        self.wire = PtyWire(path, self.firmware).start()
        self.drivers: list[CcsLights] = []

    def open(self, dialect: CcsDialect = CcsDialect(), **options: Any) -> CcsLights:  # noqa: B008 - frozen
        place = {"port": str(self.wire.path), "channels": tuple(range(1, 10))}
        choices = {**place, "reply_timeout_s": 0.5, "settle_s": 0.001, **asdict(dialect), **options}
        lights = CcsLights.open(CcsSettings.model_validate(choices))
        self.drivers.append(lights)
        return lights

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        self.wire.close()

    def exposed(self, seconds: float) -> dict[int, float]:
        """What shines during an exposure that begins now."""
        start_s = self.clock.now_s()
        self.firmware.exposure_line(start_s, start_s + seconds)
        levels = self.firmware.mean_levels(start_s, start_s + seconds)
        return {c: level for c, level in levels.items() if level > 0}

    def lit(self) -> dict[int, float]:
        now_s = self.clock.now_s()
        return {c: level for c, level in self.firmware.mean_levels(now_s, now_s).items() if level > 0}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "lights")
    yield bench
    bench.close()


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


def test_off_is_one_acknowledged_frame(bench: Bench) -> None:
    lights = bench.open()
    lights.on(4, 1.0)
    before = len(lights.port.written)
    lights.off()
    assert [w.data for w in list(lights.port.written)[before:]] == [b"@00L01C\r\n"]
    assert bench.lit() == {}


def test_without_a_number_for_all_each_channel_is_switched(bench: Bench) -> None:
    lights = bench.open(CcsDialect(all_number=None))
    lights.on(2, 0.5)
    lights.on(3, 0.5)
    assert set(bench.lit()) == {3}
    lights.off()
    assert bench.lit() == {}


@pytest.mark.parametrize(
    ("dialect", "firmware"),
    [
        (CcsDialect(first_number=0, all_number=None), {"first_number": 0, "all_number": None}),
        (CcsDialect(intensity_suffix=""), {"suffix_digits": 0}),
        (CcsDialect(all_number=99), {"all_number": 99}),
    ],
    ids=["numbered from 0", "no write flag", "another number for all"],
)
def test_numbering_and_trailing_digits_differ_between_models(
    tmp_path: Path, dialect: CcsDialect, firmware: dict[str, Any]
) -> None:
    bench = Bench(tmp_path / "model", **firmware)
    lights = bench.open(dialect)
    for channel in (1, 9):
        lights.on(channel, 0.5)
        assert bench.lit() == pytest.approx({channel: 0.5}, abs=1 / 255)
    lights.off()
    assert bench.lit() == {}
    bench.close()


def test_another_dialect_than_the_units_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "model", suffix_digits=0)
    lights = bench.open()
    with pytest.raises(CommandRefused, match="NAK 1"):
        lights.on(1, 0.5)
    bench.close()


def test_it_tells_version_and_settings(bench: Bench) -> None:
    lights = bench.open()
    assert (lights.identity.model, lights.identity.firmware) == ("PDSSIM", "V1.00")
    lights.on(2, 0.5)
    lights._command(ccs.frame(2, "D", "0030000"))  # noqa: SLF001 - a delay, as a technician may have set it
    assert ccs.parse_settings(lights._ask(ccs.frame(2, "Q"))) == ccs.Settings(128, 20, 300, 0)  # noqa: SLF001


def test_a_unit_without_the_version_command_is_known_by_its_protocol(bench: Bench) -> None:
    receive = bench.firmware.receive
    bench.firmware.receive = lambda data: receive(data.replace(ccs.frame(1, "V"), ccs.frame(1, "X")))  # type: ignore[method-assign]
    assert bench.open().identity.model == "@ protocol"


def test_a_unit_in_strobe_mode_is_armed_and_fired(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "strobe", strobe_mode=True)
    lights: StrobeLights = bench.open(strobe_mode=True)
    with pytest.raises(FeatureMissing, match="step by strobe"):
        lights.on(1, 1.0)
    for channel, level in ((3, 1.0), (4, 0.5), (3, 0.25)):
        lights.arm(channel, level, 8000.0)
        assert bench.lit() == {}
        assert bench.exposed(0.008) == pytest.approx({channel: level}, abs=2 / 255)
    lights.disarm()
    assert bench.exposed(0.008) == {}
    with pytest.raises(FeatureMissing, match=r"outside 20\.\.33000 us"):
        lights.arm(3, 1.0, 33_001.0)
    bench.close()


def test_the_width_is_sent_once_and_again_when_it_changes(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "strobe", strobe_mode=True)
    lights = bench.open(strobe_mode=True)

    def widths_sent() -> int:
        return sum(w.data[3:4] == b"S" for w in lights.port.written)

    lights.arm(3, 1.0, 8000.0)
    lights.arm(3, 0.5, 8000.0)
    assert widths_sent() == 1
    lights.arm(3, 0.5, 4000.0)
    lights.arm(4, 0.5, 4000.0)
    assert widths_sent() == 3
    bench.close()


def test_a_steady_unit_is_not_armed(bench: Bench) -> None:
    with pytest.raises(FeatureMissing, match="step by software"):
        bench.open().arm(1, 1.0, 1000.0)


def test_the_wire_is_slow(bench: Bench) -> None:
    """At 9600 baud a frame of 12 bytes and its reply of 8 need 21 ms, which is why strobes hide it in readout."""
    bench.firmware.receive(ccs.frame(1, "F", "01400"))
    due_s = bench.firmware.outbox.next_due_s
    assert due_s is not None
    assert due_s - bench.clock.now_s() == pytest.approx(0.0208, abs=0.01)
