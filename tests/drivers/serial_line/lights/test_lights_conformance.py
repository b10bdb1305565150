"""Every light controller that can be had without hardware keeps the promises of `tests/conformance/lights.py`.

And whatever the wire does, the lamps never shine otherwise than an acknowledged `on` or `off` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.light_benches import LightsBench
from conformance.lights import LightsPromises

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout, LightStateUnknown
from drivers.simulated.wires.pty_wire import PtyWire
from drivers.simulated.wires.socket_wire import SocketWire


class OnEveryWire(LightsPromises):
    kind: str

    @pytest.fixture(params=[PtyWire, SocketWire])
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LightsBench]:
        bench = LightsBench(self.kind, tmp_path, request.param)
        yield bench
        bench.close()


class TestGardasoftLights(OnEveryWire):
    kind = "gardasoft"


class TestCcsLights(OnEveryWire):
    kind = "ccs"
    level_tolerance = 1 / 255


class TestSa0255Lights(OnEveryWire):
    kind = "sa0255"
    level_tolerance = 1 / 255


@pytest.fixture(params=["gardasoft", "ccs", "sa0255"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LightsBench]:
    bench = LightsBench(request.param, tmp_path)
    yield bench
    bench.close()


@pytest.mark.parametrize("fault", ["drop_bytes", "corrupt_bytes"])
def test_noise_both_ways_never_makes_a_wrong_light(bench: Any, fault: str) -> None:
    lights = bench.open(reply_timeout_s=0.15)
    bench.firmware.inject(fault, "0.003")
    done = 0
    for step in range(24):
        channel = 1 + step % 9
        try:
            lights.on(channel, 0.5)
        except DeviceError:
            continue
        done += 1
        assert bench.lit() == pytest.approx({channel: 0.5}, abs=1 / 255)
    assert done
    bench.firmware.inject(fault, "0")
    lights.off()
    assert bench.lit() == {}


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        (("refuse",), (CommandRefused, DeviceTimeout)),
        (("drop_reply",), (DeviceTimeout,)),
        (("garble_reply",), (DeviceTimeout, CommandRefused)),
        (("late_reply", "9"), (DeviceTimeout,)),
    ],
)
def test_a_spoilt_reply_is_told_and_the_next_command_is_in_step(
    bench: Any, fault: tuple[str, ...], errors: tuple[type[DeviceError], ...]
) -> None:
    lights = bench.open(reply_timeout_s=0.25)
    lights.on(4, 1.0)
    bench.firmware.inject(*fault)
    with pytest.raises(errors):
        lights.on(5, 1.0)
    lights.on(6, 0.5)
    assert bench.lit() == pytest.approx({6: 0.5}, abs=1 / 255)
    lights.check()


def test_frozen_it_says_that_a_light_may_be_on(bench: Any) -> None:
    lights = bench.open(reply_timeout_s=0.15)
    lights.on(5, 1.0)
    bench.firmware.inject("freeze")
    with pytest.raises(LightStateUnknown, match="5"):
        lights.off()
    bench.firmware.inject("thaw")
    lights.off()
    assert bench.lit() == {}


def test_a_controller_that_restarted_in_between_is_asked_anew(bench: Any) -> None:
    lights = bench.open()
    lights.on(3, 1.0)
    bench.firmware.inject("reset")
    assert bench.lit() == {}
    lights.on(4, 1.0)
    assert bench.lit() == {4: 1.0}


def test_a_line_that_is_gone_is_told_without_being_asked(bench: Any, wait_until: Any) -> None:
    lights = bench.open()
    lights.check()
    bench.firmware.inject("unplug")

    def is_lost() -> bool:
        try:
            lights.check()
        except DeviceLost:
            return True
        return False

    wait_until(is_lost)


def test_lamps_drift_and_nobody_is_told(bench: Any) -> None:
    lights = bench.open()
    lights.on(2, 1.0)
    bench.firmware.inject("light_drift", "2", "50")
    now_s = bench.clock.now_s()
    assert bench.firmware.mean_levels(now_s + 30.0, now_s + 30.0)[2] == pytest.approx(0.75, abs=0.01)
    bench.firmware.inject("light_repaired", "2")
    assert bench.lit() == {2: 1.0}
