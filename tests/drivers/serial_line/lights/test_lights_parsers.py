"""Whatever bytes come, no parser of a light protocol breaks, and none takes them for an acknowledge."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.serial_line.lights.ccs import protocol as ccs
from drivers.serial_line.lights.ccs.protocol import CcsDialect, Reply
from drivers.serial_line.lights.gardasoft import protocol as rt
from drivers.serial_line.lights.sa0255 import protocol as sa
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.ccs import CcsFirmware
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.firmware.lights.sa0255 import Sa0255Firmware

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@given(st.binary(max_size=80), st.sampled_from(["RS1,50", "GR", ""]))
def test_gardasoft_answers(raw: bytes, command: str) -> None:
    answer = rt.parse_answer(raw, command)
    if answer is not None and answer.is_bare:
        assert raw.replace(command.encode(), b"").strip() == b""
    if answer is not None and answer.is_only_events:
        assert raw.count(b"Evt") == len(answer.events)


@given(ASCII)
def test_gardasoft_status(line: str) -> None:
    status = rt.parse_status(line)
    assert status is None or {"CH", "MD", "S"} <= status.items.keys()


@given(st.integers(1, 99), st.integers(0, 3), st.floats(0, 100), st.integers(1, 8))
def test_gardasoft_status_as_the_controller_writes_it(channel: int, mode: int, percent: float, number: int) -> None:
    line = f"CH {channel}, MD {mode}, S {percent:.1f}, DL 0.000ms, PU 1.500ms, RT 0.000ms, IP {number}, FL 0, CS 0.250A"
    status = rt.parse_status(line)
    assert status is not None
    assert (status.channel, status.mode, status.percent) == (channel, mode, round(percent, 1))
    assert status.items["IP"] == number


@given(st.binary(max_size=40))
def test_ccs_replies(raw: bytes) -> None:
    reply = ccs.parse_reply(raw)
    if reply is not None:
        assert raw.removesuffix(b"\r") == ccs.frame(reply.number, reply.header, reply.text).removesuffix(b"\r\n")


@given(ASCII)
def test_ccs_settings(text: str) -> None:
    settings = ccs.parse_settings(Reply(1, "A", text))
    assert settings is None or len(text) == 18
    assert ccs.parse_settings(Reply(1, "O", text)) is None


@given(st.binary(max_size=8), st.integers(1, 26))
def test_sa0255_levels(raw: bytes, channel: int) -> None:
    steps = sa.parse_level(raw, channel)
    assert steps is None or raw == b"%c%04d" % (sa.letter(channel).lower().encode(), steps)


@given(st.floats(0, 1), st.integers(1, 26))
def test_sa0255_commands_are_understood_by_the_controller(brightness: float, channel: int) -> None:
    firmware = Sa0255Firmware(SimulatedClock(1e-9), channels=26)
    firmware.receive(sa.set_level(channel, sa.steps_of(brightness)) + sa.ask_level(channel))
    lower = sa.letter(channel).lower().encode()
    assert firmware.outbox.take_due(1e9) == lower + lower + b"%04d" % sa.steps_of(brightness)


@given(st.integers(0, 98), st.floats(0, 1), st.sampled_from(["", "0", "00"]))
def test_ccs_commands_are_understood_by_the_controller(first: int, brightness: float, suffix: str) -> None:
    dialect = CcsDialect(first_number=first, all_number=None, intensity_suffix=suffix)
    firmware = CcsFirmware(
        SimulatedClock(1e-9), channels=1, first_number=first, all_number=None, suffix_digits=len(suffix)
    )
    firmware.receive(ccs.intensity(first, brightness, dialect) + ccs.strobe_width(first, 500, dialect))
    replies = firmware.outbox.take_due(1e9).splitlines()
    assert [ccs.parse_reply(reply) for reply in replies] == [Reply(first, "O", "")] * 2


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_controllers_survive_arbitrary_bytes(pieces: list[bytes]) -> None:
    clock = SimulatedClock(1e-9)
    for firmware in (GardasoftFirmware(clock), CcsFirmware(clock), Sa0255Firmware(clock)):
        for piece in pieces:
            firmware.receive(piece)
        assert set(firmware.mean_levels(0.0, 1.0)) == set(range(1, 10))
