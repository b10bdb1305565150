"""Off reaches a controller that obeys and does not answer: it is sent several times, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.light_benches import LightsBench

from drivers.errors import DeviceTimeout, LightStateUnknown
from drivers.serial_line.lights.ccs.lights import CcsLights
from drivers.serial_line.lights.ccs.settings import CcsSettings
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.lights.ccs import CcsFirmware
from drivers.simulated.wires.pty_wire import PtyWire

TIMEOUT_S = 0.1
ONE_OFF = {"gardasoft": b"RS4,0\r", "ccs": b"@00L01C\r\n", "sa0255": b"SD0000#"}
QUESTION = {"gardasoft": b"VR\r", "ccs": b"Q", "sa0255": b"SA#"}


@pytest.fixture(params=list(ONE_OFF))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LightsBench]:
    bench = LightsBench(request.param, tmp_path)
    yield bench
    bench.close()


def test_a_light_whose_on_was_not_answered_goes_dark_without_an_answer(bench: LightsBench, wait_until: Any) -> None:
    """Issue 15, point 8."""
    lights = bench.open(reply_timeout_s=TIMEOUT_S)
    bench.firmware.inject("silence")
    with pytest.raises(DeviceTimeout):
        lights.on(4, 1.0)
    before = len(lights.port.written_bytes())
    with pytest.raises(LightStateUnknown, match="4"):
        lights.off()
    wait_until(lambda: bench.lit() == {})
    sent = lights.port.written_bytes()[before:]
    assert sent.partition(QUESTION[bench.kind])[0].count(ONE_OFF[bench.kind]) >= 2
    bench.firmware.inject("thaw")
    lights.off()
    lights.on(5, 0.5)
    assert bench.lit() == pytest.approx({5: 0.5}, abs=1 / 255)


def test_a_lit_light_whose_controller_falls_silent_goes_dark(bench: LightsBench, wait_until: Any) -> None:
    lights = bench.open(reply_timeout_s=TIMEOUT_S)
    lights.on(4, 1.0)
    bench.firmware.inject("silence")
    with pytest.raises(LightStateUnknown, match="4"):
        lights.off()
    wait_until(lambda: bench.lit() == {})


def test_a_light_left_on_by_an_earlier_run_goes_dark_though_opening_fails(bench: LightsBench, wait_until: Any) -> None:
    lights = bench.open(reply_timeout_s=TIMEOUT_S)
    lights.on(4, 1.0)
    lights.close()
    bench.firmware.inject("silence")
    with pytest.raises(DeviceTimeout):
        bench.open(reply_timeout_s=TIMEOUT_S)
    wait_until(lambda: bench.lit() == {})


def test_an_armed_gardasoft_channel_does_not_fire_after_an_unanswered_arm(tmp_path: Path, wait_until: Any) -> None:
    bench = LightsBench("gardasoft", tmp_path)
    lights = bench.open(reply_timeout_s=TIMEOUT_S)
    bench.firmware.inject("silence")
    with pytest.raises(DeviceTimeout):
        lights.arm(4, 1.0, 8000.0)
    assert 4 in exposed(bench.firmware, bench.clock)
    with pytest.raises(LightStateUnknown):
        lights.disarm()
    wait_until(lambda: exposed(bench.firmware, bench.clock) == {})
    bench.close()


@pytest.mark.parametrize("all_number", [0, None])
def test_an_armed_ccs_channel_does_not_fire_after_an_unanswered_arm(
    tmp_path: Path, wait_until: Any, all_number: int | None
) -> None:
    clock = SimulatedClock(25.0)
    firmware = CcsFirmware(clock, strobe_mode=True, all_number=all_number)
    settings = {"channels": (1, 2, 3, 4), "strobe_mode": True, "all_number": all_number, "reply_timeout_s": 0.25}
    with (
        PtyWire(tmp_path / "strobe", firmware) as wire,
        CcsLights.open(CcsSettings.model_validate({"port": str(wire.path), **settings})) as lights,
    ):
        lights.arm(4, 1.0, 8000.0)
        assert 4 in exposed(firmware, clock)
        firmware.inject("silence")
        with pytest.raises(LightStateUnknown):
            lights.disarm()
        wait_until(lambda: exposed(firmware, clock) == {})


def exposed(firmware: Any, clock: SimulatedClock) -> dict[int, float]:
    """What shines during an exposure that begins now."""
    start_s = clock.now_s()
    firmware.exposure_line(start_s, start_s + 0.008)
    return {c: level for c, level in firmware.mean_levels(start_s, start_s + 0.008).items() if level > 0}
