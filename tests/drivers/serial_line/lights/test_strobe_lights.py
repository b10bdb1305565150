"""Strobes: channels armed over the wire and fired by the camera's exposure line; judged by the lamps."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.errors import CommandRefused, DeviceTimeout, FeatureMissing, LightFault
from drivers.protocols import StrobeLights
from drivers.serial_line.lights.gardasoft.lights import GardasoftLights
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.gardasoft import GardasoftFirmware

SHORT = {"reply_timeout_s": 0.3}


def exposed(bench: Any, seconds: float = 0.008) -> dict[int, float]:
    """What shone during an exposure that begins now."""
    start_s = bench.clock.now_s()
    bench.firmware.exposure_line(start_s, start_s + seconds)
    return lit_between(bench.firmware, start_s, start_s + seconds)


def lit_between(firmware: Any, t0_s: float, t1_s: float) -> dict[int, float]:
    return {c: level for c, level in firmware.mean_levels(t0_s, t1_s).items() if level > 0}


def test_an_armed_channel_is_dark_until_the_exposure_and_lit_for_just_as_long(lamps: Any) -> None:
    lights: StrobeLights = lamps.open()
    lights.arm(3, 0.5, 8000.0)
    assert lamps.lit() == {}
    assert exposed(lamps) == pytest.approx({3: 0.5})
    lights.arm(4, 1.0, 8000.0)
    assert exposed(lamps) == pytest.approx({4: 1.0})
    lights.disarm()
    assert exposed(lamps) == {}


def test_a_pulse_ends_with_the_exposure(lamps: Any) -> None:
    lights = lamps.open(strobe="pulsed", strobe_delay_us=100.0)
    lights.arm(3, 1.0, 8000.0)
    assert exposed(lamps) == pytest.approx({3: 7.9 / 8.0})
    with pytest.raises(FeatureMissing, match="before the pulse's delay"):
        lights.arm(3, 1.0, 100.0)


def test_a_pulse_without_delay_is_adjusted_by_the_controller_and_refused(lamps: Any) -> None:
    lights = lamps.open(strobe="pulsed", strobe_delay_us=0.0)
    with pytest.raises(CommandRefused, match="Err 5"):
        lights.arm(3, 1.0, 8000.0)


def test_a_pulse_changed_on_the_way_is_noticed(lamps: Any) -> None:
    lights = lamps.open(strobe="pulsed", strobe_delay_us=100.0)
    receive = lamps.firmware.receive
    lamps.firmware.receive = lambda data: receive(data.replace(b"RT3,7900us", b"RT3,1900us"))
    with pytest.raises(CommandRefused, match="set to a pulse of 1900 us, not 7900 us"):
        lights.arm(3, 1.0, 8000.0)
    lights.off()
    assert exposed(lamps) == {}


def test_software_fires_a_pulse(lamps: Any) -> None:
    lights = lamps.open(strobe="pulsed", strobe_delay_us=50.0)
    lights.arm(2, 0.5, 1e6)
    before_s = lamps.clock.now_s()
    lights._conversation.command("TR2")  # noqa: SLF001 - as a technician would, without a trigger input
    assert set(lit_between(lamps.firmware, before_s, lamps.clock.now_s() + 1.0)) == {2}


def test_long_switched_light_is_left_to_software(lamps: Any) -> None:
    with pytest.raises(FeatureMissing, match="step by software"):
        lamps.open().arm(1, 1.0, 200_000.0)


def test_an_arm_without_acknowledge_is_a_timeout_and_off_disarms(lamps: Any) -> None:
    lights = lamps.open(**SHORT)
    lights.arm(1, 1.0, 8000.0)
    lamps.firmware.inject("drop_reply")
    with pytest.raises(DeviceTimeout, match="RS1,0"):
        lights.arm(2, 1.0, 8000.0)
    lights.off()
    assert exposed(lamps) == {}


def test_arming_during_an_exposure_lights_at_once(lamps: Any) -> None:
    """Why it must not be done: the input is high already."""
    lights = lamps.open()
    start_s = lamps.clock.now_s()
    lamps.firmware.exposure_line(start_s, start_s + 60.0)
    lights.arm(5, 1.0, 8000.0)
    assert lamps.lit() == {5: 1.0}


def test_a_cut_line_leaves_the_picture_dark(lamps: Any) -> None:
    lights = lamps.open()
    lights.arm(1, 1.0, 8000.0)
    lamps.firmware.inject("strobe_line_cut")
    assert exposed(lamps) == {}
    lamps.firmware.inject("strobe_line_mended")
    assert exposed(lamps) == {1: 1.0}


@pytest.mark.parametrize("ask", ["on", "arm", "check"])
def test_a_lighting_error_is_told_until_it_is_cleared(lamps: Any, ask: str, wait_until: Any) -> None:
    lights: GardasoftLights = lamps.open()
    lights.on(6, 1.0)
    lamps.firmware.inject("lighting_error", "6", "45")
    wait_until(lambda: not lights._conversation._answers.empty())  # noqa: SLF001 - what has arrived, and was not asked for
    calls = {"on": lambda: lights.on(7, 1.0), "arm": lambda: lights.arm(7, 1.0, 100.0), "check": lights.check}
    for _ in range(2):
        with pytest.raises(LightFault, match=r"event 45 of channel 6 \(more current than expected\)"):
            calls[ask]()
    lights.off()
    lights.clear_errors()
    lights.on(7, 1.0)
    assert lamps.lit() == {7: 1.0}


def test_an_error_darkens_its_channel_until_cleared(lamps: Any) -> None:
    lights = lamps.open()
    lamps.firmware.inject("lighting_error", "6")
    with pytest.raises(LightFault):
        lights.on(6, 1.0)
    assert lamps.lit() == {}
    lights.clear_errors()
    lights.on(6, 1.0)
    assert lamps.lit() == {6: 1.0}


def test_an_old_error_is_told_by_clearing_and_is_no_fault(lamps: Any) -> None:
    lamps.firmware.inject("lighting_error", "2", "46")
    lights = lamps.open()
    assert [str(e) for e in lights.events] == ["event 46 of channel 2 (more than 30 W in one output)"]
    lights.check()
    lights.on(2, 1.0)
    assert lamps.lit() == {2: 1.0}


def test_status_tells_mode_level_and_input(lamps: Any) -> None:
    lights = lamps.open(trigger_input=1)
    lights.arm(3, 0.25, 8000.0)
    status = lights.status(3)
    assert (status.channel, status.mode, status.percent, status.items["IP"]) == (3, 2, 25.0, 1.0)
    lights.on(3, 0.25)
    assert lights.status(3).mode == 0


def test_selected_channels_and_retrigger_time() -> None:
    firmware = GardasoftFirmware(SimulatedClock(1e-9))
    firmware.receive(b"RU1,10,80\rRT2,1,0.02,100,50\r")
    firmware.exposure_line(1.0, 2.0)
    assert firmware.mean_levels(1.2, 1.8)[1] == pytest.approx(0.8)
    assert firmware.mean_levels(2.5, 2.6)[1] == pytest.approx(0.1)
    firmware.exposure_line(1.02, 2.0)  # too soon for channel 2
    assert firmware.mean_levels(1.0, 2.0)[2] == pytest.approx(0.001)
