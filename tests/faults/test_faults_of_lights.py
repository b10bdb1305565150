"""Faults of a light controller and its wire: reported, never taken for an acknowledge, dark again afterwards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from faults.table import reported_by

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout, LightFault, LightStateUnknown
from drivers.protocols import Lights
from station.rig.devices import open_lights

CHANNEL, LEVEL = 4, 0.5
GARDASOFT, CCS, SA0255 = "gardasoft", "ccs", "sa0255"
KINDS = (GARDASOFT, CCS, SA0255)
NOISY_SWITCHES = 8
NOISY_SHARES = {GARDASOFT: 0.001, CCS: 0.01, SA0255: 0.01}  # to darken nine channels, Gardasoft needs 900 bytes right
NOISE = [(kind, f"lights.{way}_bytes {share:g}") for kind, share in NOISY_SHARES.items() for way in ("drop", "corrupt")]


@dataclass(frozen=True)
class LightsFault:
    kind: str
    injected: str
    expected: tuple[type[DeviceError], ...]  # of `on`; empty: nothing is to be reported, and the light is right
    repair: str = ""
    words: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.injected}"


def wire_faults(kind: str) -> list[LightsFault]:
    refusable = [LightsFault(kind, "lights.refuse", (CommandRefused,))] if kind != SA0255 else []  # it has no no
    return [
        *refusable,
        LightsFault(kind, "lights.freeze", (DeviceTimeout,), "lights.thaw"),
        LightsFault(kind, "lights.silence", (DeviceTimeout,), "lights.thaw"),
        LightsFault(kind, "lights.split 5", (), "lights.split 0"),
        LightsFault(kind, "lights.coalesce 50", (), "lights.coalesce 0"),
        LightsFault(kind, "lights.drop_reply", (DeviceTimeout,)),
        LightsFault(kind, "lights.garble_reply", (DeviceTimeout, CommandRefused)),
        LightsFault(kind, "lights.late_reply 0.5", ()),
        LightsFault(kind, "lights.late_reply 5", (DeviceTimeout,)),
        LightsFault(kind, "lights.unplug", (DeviceLost,), "lights.plug"),
    ]


ROWS = [fault for kind in KINDS for fault in wire_faults(kind)]


class OpenLights:
    """The light controller of one kind, reopened when its port has died."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.lights: Lights = open_lights(bench.file)

    def reopen(self) -> None:
        self.lights.close()
        self.lights = open_lights(self.bench.file)


@pytest.fixture(scope="module")
def controllers(make_bench: Callable[..., Any]) -> Iterator[Callable[[str], OpenLights]]:
    opened: dict[str, OpenLights] = {}

    def get(kind: str) -> OpenLights:
        if kind not in opened:
            opened[kind] = OpenLights(make_bench(lights_kind=kind))
        return opened[kind]

    yield get
    for one in opened.values():
        one.lights.close()


@pytest.mark.parametrize("fault", ROWS, ids=str)
def test_a_fault_of_the_wire_is_told_and_no_acknowledge_is_made_up(
    fault: LightsFault, controllers: Callable[[str], OpenLights], table: Any
) -> None:
    one = controllers(fault.kind)
    one.lights.off()
    name_before = one.bench.name_of("lights")
    one.bench.inject(fault.injected)
    error, after_s = reported_by(lambda: one.lights.on(CHANNEL, LEVEL))
    lit = one.bench.lit()
    if fault.repair:
        one.bench.inject(fault.repair)
    assert (one.bench.name_of("lights") != name_before) == fault.repair.endswith(".plug")
    if error is None:
        assert not fault.expected, "nothing was reported"
        assert lit == pytest.approx({CHANNEL: LEVEL}, abs=0.01)
        said: DeviceError | str = "nothing: the light is right"
    else:
        assert isinstance(error, fault.expected), f"{fault}: {error!r}"
        said = error
    if isinstance(error, DeviceLost):
        one.reopen()
    one.lights.off()
    assert one.bench.lit() == {}
    one.lights.on(CHANNEL, LEVEL)
    assert one.bench.lit() == pytest.approx({CHANNEL: LEVEL}, abs=0.01)
    one.lights.off()
    way = "opened anew, dark, lights" if isinstance(error, DeviceLost) else "dark, lights"
    table.note("Lights", fault.kind, fault.injected, "at rest", said, after_s, way)


@pytest.mark.parametrize("kind", KINDS)
def test_off_that_cannot_be_confirmed_is_told(kind: str, controllers: Callable[[str], OpenLights], table: Any) -> None:
    one = controllers(kind)
    one.lights.on(CHANNEL, LEVEL)
    one.bench.inject("lights.freeze")
    error, after_s = reported_by(one.lights.off)
    assert isinstance(error, LightStateUnknown)
    one.bench.inject("lights.thaw")
    one.lights.off()
    assert one.bench.lit() == {}
    table.note("Lights", kind, "lights.freeze", "lit, at `off`", error, after_s, "dark")


@pytest.mark.parametrize("kind", KINDS)
def test_a_controller_that_restarts_is_dark_and_takes_orders(
    kind: str, controllers: Callable[[str], OpenLights], table: Any
) -> None:
    one = controllers(kind)
    one.lights.on(CHANNEL, LEVEL)
    one.bench.inject("lights.reset")
    assert one.bench.lit() == {}
    one.lights.on(CHANNEL, LEVEL)
    assert one.bench.lit() == pytest.approx({CHANNEL: LEVEL}, abs=0.01)
    one.lights.off()
    one.reopen()  # a restarted controller sends no events until they are switched on again
    said = "nothing by the wire: the frame is dark, and reported as a dead light (see the last section)"
    table.note("Lights", kind, "lights.reset", "lit", said, 0.0, "lights")


@pytest.mark.parametrize(("kind", "fault"), NOISE)
def test_on_a_noisy_wire_no_acknowledge_is_made_up(
    kind: str, fault: str, controllers: Callable[[str], OpenLights], table: Any
) -> None:
    one = controllers(kind)
    one.lights.off()
    one.bench.inject(fault)
    reported: Counter[str] = Counter()
    longest_s = 0.0
    for number in range(NOISY_SWITCHES):
        channel = 1 + number % 9
        error, after_s = reported_by(lambda channel=channel: one.lights.on(channel, LEVEL))  # type: ignore[misc]
        longest_s = max(longest_s, after_s)
        reported["a right light" if error is None else type(error).__name__] += 1
        if error is None:
            assert set(one.bench.lit()) == {channel}
    assert reported["a right light"] >= 1, "nothing was right, so nothing was checked"
    one.bench.inject(f"{fault.split()[0]} 0")
    one.reopen()
    one.lights.off()
    assert one.bench.lit() == {}
    said = ", ".join(f"{count} x {what}" for what, count in sorted(reported.items()))
    table.note("Lights", kind, fault, f"{NOISY_SWITCHES} switches", said, longest_s, "opened anew, dark")


@pytest.mark.parametrize("injected", [f"lights.event {CHANNEL} 33", f"lights.lighting_error {CHANNEL}"])
def test_a_lighting_error_that_is_told_unasked_fails_the_step(
    injected: str, controllers: Callable[[str], OpenLights], table: Any
) -> None:
    one = controllers(GARDASOFT)
    one.lights.on(CHANNEL, LEVEL)
    one.bench.inject(injected)

    deadline_s = time.monotonic() + 5.0

    def watched() -> None:
        while time.monotonic() < deadline_s:
            one.lights.check()

    error, after_s = reported_by(watched)
    assert isinstance(error, LightFault)
    one.lights.off()
    one.reopen()
    one.lights.on(CHANNEL, LEVEL)
    one.lights.check()
    one.lights.off()
    way = "dark; opened anew, lights"
    table.note("Lights", GARDASOFT, injected, "lit", error, after_s, way)
