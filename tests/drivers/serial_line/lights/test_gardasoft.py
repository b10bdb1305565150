"""The light driver in conversation with a controller that misbehaves, judged by the bytes and by the lamps."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import CommandRefused, DeviceLost, DeviceNotFound, DeviceTimeout, LightStateUnknown
from drivers.serial_line.lights.gardasoft.lights import GardasoftLights
from drivers.serial_line.lights.gardasoft.protocol import (
    Answer,
    Event,
    continuous,
    parse_answer,
    parse_status,
    pulsed,
    switched,
)
from drivers.serial_line.lights.gardasoft.settings import GardasoftSettings
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware
from drivers.simulated.wires.pty_wire import PtyWire

SHORT = {"reply_timeout_s": 0.3}


def sent_by(lights: GardasoftLights, before: int = 0) -> list[str]:
    return lights.port.written_bytes()[before:].decode().split("\r")[:-1]


def sent_so_far(lights: GardasoftLights) -> int:
    return len(lights.port.written_bytes())


# -- the parser -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (b"", Answer((), None, ())),
        (b"\r\n", Answer((), None, ())),
        (b"RS1,50\r\n", Answer((), None, ())),
        (b"Err 5\r\n", Answer((), 5, ())),
        (b"RS1,50\r\nErr 1\r\n", Answer((), 1, ())),
        (b"Evt3,33\r\n", Answer((), None, (Event(3, 33),))),
        (b"Evt0,40\r\nErr 2\r\n", Answer((), 2, (Event(0, 40),))),
        (b"RT820 V1\r\n", Answer(("RT820 V1",), None, ())),
        (b"\xff\x00", None),
        (b"\x13", None),
    ],
)
def test_what_comes_before_a_prompt(raw: bytes, answer: Answer | None) -> None:
    assert parse_answer(raw, "RS1,50") == answer


@given(st.binary(max_size=80))
def test_arbitrary_bytes_never_crash_and_only_white_space_acknowledges(raw: bytes) -> None:
    answer = parse_answer(raw, "RS1,50")
    if answer is not None and answer.is_bare:
        assert raw.replace(b"RS1,50", b"").strip() == b""


def test_commands_as_the_manual_writes_them() -> None:
    assert continuous(1, 0.5).command == "RS1,50"
    assert continuous(12, 0.333).command == "RS12,33.3"
    assert switched(2, 1.0).command == "RW2,100"
    assert pulsed(3, 200.0, 0.0, 0.25).command == "RT3,200us,0us,25"


@pytest.mark.parametrize(
    ("times", "difference"),
    [
        ("DL 0.100ms, PU 7.900ms", None),
        ("DL 100us, PU 7.9", None),  # milliseconds where no unit is said
        ("DL 0.100ms, PU 1.900ms", "set to a pulse of 1900 us, not 7900 us"),
        ("DL 0.900ms, PU 7.900ms", "set to a delay of 900 us, not 100 us"),
        ("IP 3", None),  # not told
        ("PU 1.900fortnights", None),
    ],
)
def test_a_pulse_is_compared_with_what_the_status_tells(times: str, difference: str | None) -> None:
    found = parse_status(f"CH 3, MD 1, S 50.0, {times}")
    assert found is not None
    assert pulsed(3, 7900.0, 100.0, 0.5).difference(found) == difference


# -- the conversation -----------------------------------------------------------------------


def test_the_conversation_of_opening_and_of_one_change(lamps: Any) -> None:
    lights = lamps.open()
    dark = [text for c in range(1, 10) for text in (f"RS{c},0", f"ST{c}")]
    assert sent_by(lights) == ["VR", "GR", "GT1", *dark]
    lights.on(1, 0.5)
    before = sent_so_far(lights)
    lights.on(2, 1.0)
    assert sent_by(lights, before) == ["RS1,0", "ST1", "RS2,100", "ST2"]


def test_reading_back_may_be_left_out(lamps: Any) -> None:
    lights = lamps.open(read_back=False)
    lights.on(1, 0.5)
    before = sent_so_far(lights)
    lights.on(2, 1.0)
    assert sent_by(lights, before) == ["RS1,0", "RS2,100"]


def test_a_setting_changed_on_the_way_is_noticed_and_off_asks_every_channel(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    receive = lamps.firmware.receive
    lamps.firmware.receive = lambda data: receive(data.replace(b"RS2,100", b"RS3,100"))
    with pytest.raises(CommandRefused, match=r"after 'RS2,100' channel 2 is at 0 %: it was changed on the way"):
        lights.on(2, 1.0)
    assert lamps.lit() == {3: 1.0}
    lights.off()
    assert lamps.lit() == {}


def test_a_mode_changed_on_the_way_is_noticed(lamps: Any) -> None:
    """Acknowledged, at the right level, and dark: it waits for a trigger input."""
    lights = lamps.open(**SHORT)
    receive = lamps.firmware.receive
    lamps.firmware.receive = lambda data: receive(data.replace(b"RS4,50", b"RW4,50"))
    with pytest.raises(CommandRefused, match=r"after 'RS4,50' channel 4 is in mode 2, not 0: it was changed"):
        lights.on(4, 0.5)
    assert lamps.lit() == {}
    lamps.firmware.receive = receive
    lights.on(4, 0.5)
    assert lamps.lit() == pytest.approx({4: 0.5})


def test_a_stray_prompt_puts_us_out_of_step(lamps: Any, wait_until: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.on(1, 0.5)
    lamps.firmware.outbox.send(b">", lamps.clock.now_s(), is_response=False)
    wait_until(lambda: not lights._conversation._answers.empty())  # noqa: SLF001 - what has arrived, and was not asked for
    before = sent_so_far(lights)
    lights.on(2, 1.0)
    assert sent_by(lights, before) == ["VR", "RS1,0", "ST1", "RS2,100", "ST2"]
    assert lamps.lit() == {2: 1.0}


def test_an_idle_line_is_kept_alive_until_closed(lamps: Any, wait_until: Any) -> None:
    lights = lamps.open(keep_alive_s=0.05)
    before = sent_so_far(lights)
    wait_until(lambda: len(sent_by(lights, before)) >= 2)
    lights.on(3, 0.5)
    lights.check()
    assert lamps.lit() == {3: 0.5}
    assert set(sent_by(lights, before)) == {"VR", "RS3,50", "ST3"}
    lights.close()
    assert not any(t.name == "lights alive" and t.is_alive() for t in _after_a_while(0.2))


def _after_a_while(seconds: float) -> list[threading.Thread]:
    time.sleep(seconds)
    return threading.enumerate()


def test_off_asks_what_may_be_lit(lamps: Any) -> None:
    lights = lamps.open()
    lights.on(7, 0.5)
    before = sent_so_far(lights)
    lights.off()
    assert sent_by(lights, before) == ["RS7,0", "ST7"]


def test_echo_is_tolerated(tmp_path: Any) -> None:
    firmware = GardasoftFirmware(SimulatedClock(20.0), echoes=True)
    with (
        PtyWire(tmp_path / "echoing", firmware) as line,
        GardasoftLights.open(GardasoftSettings(port=str(line.path), channels=(1, 2))) as lights,
    ):
        lights.on(2, 0.5)
        now_s = firmware.clock.now_s()
        assert firmware.mean_levels(now_s, now_s)[2] == pytest.approx(0.5)


@pytest.mark.parametrize("fault", [("drop_reply",), ("garble_reply",)])
def test_an_acknowledge_that_does_not_come_is_a_timeout_and_the_next_is_its_own(lamps: Any, fault: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.on(1, 0.5)
    lamps.firmware.inject(*fault)
    with pytest.raises(DeviceTimeout, match=r"no acknowledge of 'RS1,0'"):
        lights.on(2, 0.5)
    lights.on(3, 0.5)
    assert lamps.lit() == pytest.approx({3: 0.5})


def test_a_late_acknowledge_is_never_taken_for_the_next_one(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.on(1, 0.5)
    lamps.firmware.inject("late_reply", str(0.45 * lamps.clock.speed))
    with pytest.raises(DeviceTimeout):
        lights.on(2, 0.5)
    before = sent_so_far(lights)
    lights.on(2, 0.5)
    assert sent_by(lights, before)[0] == "VR"
    lamps.firmware.inject("refuse", "1")
    with pytest.raises(CommandRefused):
        lights.on(3, 0.5)  # were answers off by one, this refusal would meet a later command
    lights.on(4, 0.5)
    assert lamps.lit() == pytest.approx({4: 0.5})


@pytest.mark.parametrize("code", [1, 5])
def test_a_refused_or_adjusted_level_is_no_acknowledge(lamps: Any, code: int) -> None:
    lights = lamps.open()
    lamps.firmware.inject("refuse", str(code))
    with pytest.raises(CommandRefused, match=rf"'RS1,50' answered with Err {code}"):
        lights.on(1, 0.5)
    lights.off()


def test_an_event_is_kept_and_acknowledges_nothing(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    lamps.firmware.inject("drop_reply")
    lamps.firmware.inject("event", "3", "128")
    with pytest.raises(DeviceTimeout):
        lights.on(1, 0.5)
    lights.on(1, 0.5)
    assert list(lights.events) == [Event(3, 128)]


def test_off_tries_once_more(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.on(1, 1.0)
    lamps.firmware.inject("drop_reply")
    before = sent_so_far(lights)
    lights.off()
    assert lamps.lit() == {}
    blind = ["", *(f"RS{c},0" for c in range(1, 10))]
    asked = [text for c in range(1, 10) for text in (f"RS{c},0", f"ST{c}")]
    assert sent_by(lights, before) == ["RS1,0", *3 * blind, "VR", *asked]


def test_off_without_acknowledge_is_light_state_unknown(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.on(2, 1.0)
    lamps.firmware.inject("freeze")
    with pytest.raises(LightStateUnknown, match="channel 2, 1, 3"):
        lights.off()
    lamps.firmware.inject("thaw")
    lights.off()
    assert lamps.lit() == {}


def test_an_unplugged_line_leaves_the_lights_unknown_and_a_new_one_darkens_them(lamps: Any) -> None:
    lights = lamps.open()
    lights.on(2, 1.0)
    lamps.firmware.inject("unplug")
    with pytest.raises(LightStateUnknown):
        lights.off()
    with pytest.raises(DeviceLost):
        lights.on(1, 0.5)
    assert lamps.lit() == {2: 1.0}
    lamps.firmware.inject("plug")
    lamps.open()
    assert lamps.lit() == {}


def test_a_dead_line_is_a_timeout_naming_the_port(lamps: Any) -> None:
    lamps.firmware.inject("freeze")
    with pytest.raises(DeviceTimeout, match=r"no answer to VR on .*lights"):
        lamps.open(reply_timeout_s=0.1)


def test_a_missing_port_is_named(lamps: Any) -> None:
    with pytest.raises(DeviceNotFound, match=r"nowhere cannot be opened"):
        GardasoftLights.open(GardasoftSettings(port=str(lamps.folder / "nowhere"), channels=(1,)))


def test_channels_that_cannot_be_meant(lamps: Any) -> None:
    refused = {(): "at least 1 item", (1, 1): "channel 1 stands here twice", (0, 1): "greater than or equal to 1"}
    for channels, complaint in refused.items():
        with pytest.raises(ValueError, match=complaint):
            GardasoftSettings(port=lamps.port, channels=channels)


# -- the lamps ------------------------------------------------------------------------------


class HandClock(SimulatedClock):
    time_s = 0.0

    def now_s(self) -> float:
        return self.time_s


@pytest.fixture
def controller() -> GardasoftFirmware:
    return GardasoftFirmware(HandClock())


def say(controller: GardasoftFirmware, text: str, at_s: float) -> str:
    assert isinstance(controller.clock, HandClock)
    controller.clock.time_s = at_s
    controller.receive(text.encode() + b"\r")
    return controller.outbox.take_due(at_s + 1.0).decode()


def test_the_mean_level_counts_the_time_it_shone(controller: GardasoftFirmware) -> None:
    assert say(controller, "RS1,80", 1.0) == ">"
    say(controller, "RS1,0", 2.0)
    assert controller.mean_levels(0.0, 4.0)[1] == pytest.approx(0.2, rel=1e-3)
    assert controller.mean_levels(1.2, 1.8)[1] == pytest.approx(0.8)
    assert controller.mean_levels(3.0, 3.0)[1] == 0.0


def test_a_pulse_shines_once_per_trigger(controller: GardasoftFirmware) -> None:
    say(controller, "RT2,10,5,100", 1.0)
    assert controller.mean_levels(1.0, 2.0)[2] == 0.0
    say(controller, "TR2", 2.0)
    assert controller.mean_levels(2.0, 3.0)[2] == pytest.approx(0.01)
    assert controller.mean_levels(2.005, 2.015)[2] == pytest.approx(1.0)


def test_a_switched_channel_follows_its_trigger_input(controller: GardasoftFirmware) -> None:
    say(controller, "RW3,50", 1.0)
    controller.trigger(3, high_s=0.1, at_s=2.0)
    assert controller.mean_levels(2.0, 3.0)[3] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("RS1,101", "Err 1\r\n>"),
        ("RS99,1", "Err 1\r\n>"),
        ("XX", "Err 2\r\n>"),
        ("RS1,abc", "Err 3\r\n>"),
        ("RS1", "Err 4\r\n>"),
        ("", ">"),
        ("rs 1, 50 ; RS2,50", ">"),
    ],
)
def test_errors_by_number(controller: GardasoftFirmware, line: str, answer: str) -> None:
    assert say(controller, line, 1.0) == answer


def test_faults_of_lamps_are_not_told(controller: GardasoftFirmware) -> None:
    for fault in (
        ("light_dead", "1"),
        ("light_weak", "2"),
        ("light_stuck_on", "3", "0.4"),
        ("lights_swapped", "4", "5"),
    ):
        controller.inject(*fault)
    assert say(controller, "RS1,100;RS2,100;RS4,100", 1.0) == ">"
    levels = controller.mean_levels(2.0, 2.0)
    assert levels == pytest.approx({1: 0, 2: 0.6, 3: 0.4, 4: 0, 5: 1.0, 6: 0, 7: 0, 8: 0, 9: 0})
    with pytest.raises(ValueError, match="no channel '77'"):
        controller.inject("light_dead", "77")
    with pytest.raises(ValueError, match="there are drop_reply, event"):
        controller.inject("quake")
