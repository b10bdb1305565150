"""The Grbl parser: golden lines, and arbitrary bytes that must neither crash it nor look like `ok`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial_line.grbl.protocol import (
    Alarm,
    Banner,
    Info,
    Ok,
    Refusal,
    Setting,
    Status,
    Unknown,
    parse,
    plan_move,
)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"ok", Ok()),
        (b"ok\r", Ok()),
        (b"error:9\r", Refusal(9)),
        (b"ALARM:2", Alarm(2)),
        (b"Grbl 1.1h ['$' for help]\r", Banner("Grbl 1.1h ['$' for help]")),
        (b"GrblHAL 1.1f ['$' or '$HELP' for help]", Banner("GrblHAL 1.1f ['$' or '$HELP' for help]")),
        (b"$110=30000.000\r", Setting(110, 30000.0)),
        (b"$13=0 (report inches, bool)", Setting(13, 0.0)),
        (b"[VER:1.1h.20190830:]", Info("VER", "1.1h.20190830:")),
        (b"[MSG:]", Info("MSG", "")),
        (b"[MSG:'$H'|'$X' to unlock]", Info("MSG", "'$H'|'$X' to unlock")),
    ],
)
def test_lines_that_firmware_sends(line: bytes, reply: object) -> None:
    assert parse(line) == reply


def test_status_in_any_order_of_fields() -> None:
    status = parse(b"<Hold:1|MPos:-1.000,2.500,0.000,45.000,-90.000|FS:120,0|Pn:XD|WCO:0.000,0.000,0.000>\r")
    assert isinstance(status, Status)
    assert (status.state, status.substate, status.pins) == ("Hold", 1, "XD")
    assert status.mpos == (-1.0, 2.5, 0.0, 45.0, -90.0)


def test_status_without_machine_position_says_so() -> None:
    status = parse(b"<Idle|WPos:1.000,2.000,3.000|FS:0,0>")
    assert isinstance(status, Status)
    assert status.mpos is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r",
        b" ok",
        b"ok ",
        b"okk",
        b"k",
        b"OK",
        b"ok\r\r",
        b"\xff\x00\x13ok",
        b">G54G20:ok",
        b"error:",
        b"error:9 ",
        b"<Idle|MPos:1,nan,3>",
        b"<Idle|MPos:1,2,3",
        b"<|MPos:1>",
        b"ALARM:x",
        b"[MSG:",
        b"Grbl",
        b"$110=1e3",
    ],
)
def test_what_is_not_whole_is_unknown(line: bytes) -> None:
    assert parse(line) == Unknown(line)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_never_crash_and_never_acknowledge(line: bytes) -> None:
    assert (parse(line) == Ok()) == (line in (b"ok", b"ok\r"))


@given(st.text("okerALM:<>|MPos,.-0123456789[]$=\r ", max_size=60))
def test_text_that_looks_alike_never_acknowledges(text: str) -> None:
    line = text.encode()
    assert (parse(line) == Ok()) == (line in (b"ok", b"ok\r"))


@given(st.binary(min_size=1, max_size=8), st.sampled_from([b"ok", b"error:9", b"ALARM:1"]), st.booleans())
def test_a_reply_with_noise_stuck_to_it_is_no_ok(noise: bytes, reply: bytes, in_front: bool) -> None:
    line = noise + reply if in_front else reply + noise
    if line not in (b"ok", b"ok\r"):
        assert parse(line) != Ok()


AXES = (500.0, 500.0, 180.0)
HARD = (2000.0, 2000.0, 720.0)


def test_a_long_move_takes_distance_over_rate_plus_one_ramp() -> None:
    plan = plan_move((0.0, 0.0, 0.0), (300.0, 0.0, 0.0), AXES, HARD)
    assert plan.duration_s == pytest.approx(300 / 500 + 500 / 2000)


def test_a_short_move_never_reaches_its_rate() -> None:
    plan = plan_move((0.0, 0.0, 0.0), (0.0, 20.0, 0.0), AXES, HARD)
    assert plan.duration_s == pytest.approx(2 * math.sqrt(20 / 2000))


def test_the_slowest_axis_decides() -> None:
    plan = plan_move((0.0, 0.0, 0.0), (90.0, 0.0, 90.0), AXES, HARD)
    assert plan.rate_per_s == pytest.approx(180.0 * math.sqrt(2.0))
    assert plan.duration_s == pytest.approx(90 / 180 + 180 / 720)


def test_no_way_takes_no_time() -> None:
    assert plan_move((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), AXES, HARD).duration_s == 0.0
