"""What a Grbl-dialect controller states of itself (`$I`, `$$`), held against the rig file: pure functions.

A setting that would make a move end elsewhere is refused; one that a commissioned gantry should have is a doubt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.errors import FeatureMissing
from drivers.protocols import DeviceIdentity
from drivers.serial_line.grbl.axes import DEVICE, LETTERS, GantryAxes
from drivers.serial_line.grbl.protocol import Axes

REPORT_MASK, REPORT_INCHES = 10, 13  # numbers of $-settings, as Grbl 1.1's documents list them
SOFT_LIMITS, LIMIT_SWITCHES, HOMING = 20, 21, 22
LISTED_BY_ALL = (REPORT_MASK, REPORT_INCHES, SOFT_LIMITS, LIMIT_SWITCHES, HOMING)
FIRST_HOMING_PASS = 44  # grblHAL alone: the mask of axes that home first
RATES, ACCELERATIONS, TRAVELS = 110, 120, 130  # of the first axis; the others follow in order

Z_ALONE = 4  # as FIRST_HOMING_PASS: up and out of the way first
FORCES_HOMING, ORIGIN_AT_SWITCH = 4, 8  # grblHAL's bits of HOMING, besides 1 for homing itself

Settings = Mapping[int, float]
About = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Controller:
    """Identity and drives of the controller that was found; axes in the order of `GantryAxes.axes`."""

    identity: DeviceIdentity
    rates_per_s: Axes  # mm/s or deg/s
    accelerations: Axes  # per s2
    doubts: tuple[str, ...]


def read_controller(about: About, settings: Settings, axes: GantryAxes) -> Controller:
    """Take the order of axes from the controller, and check its settings. Raises FeatureMissing."""
    version, _, name = about.get("VER", "").partition(":")
    identity = DeviceIdentity("Grbl", about.get("FIRMWARE", "Grbl"), name, version)
    axes.use_order(about.get("AXS", "").partition(":")[2] or LETTERS)  # [AXS:5:XYZAB] where the firmware has it
    _check_reports(settings, axes.columns)
    if settings.get(SOFT_LIMITS, 0.0) and not _sets_origin_at_switch(about, settings, identity.model):
        _check_travel(settings, axes)
    return Controller(
        identity,
        tuple(settings[RATES + i] / 60.0 for i in axes.columns),  # the controller holds units per minute
        tuple(settings[ACCELERATIONS + i] for i in axes.columns),
        tuple(_doubts(settings, identity.model)),
    )


def _check_reports(settings: Settings, columns: tuple[int, ...]) -> None:
    needed = [n + i for n in (RATES, ACCELERATIONS, TRAVELS) for i in columns]
    missing = [f"${number}" for number in needed if settings.get(number, 0.0) <= 0.0]
    missing += [f"${number}" for number in LISTED_BY_ALL if number not in settings]
    if missing:
        raise FeatureMissing(
            DEVICE,
            f"the controller does not list {', '.join(missing)}, or as 0: has it these axes? Mend `axes` in the file",
        )
    if settings.get(REPORT_INCHES, 0.0):
        raise FeatureMissing(DEVICE, "the controller reports inches; set $13=0")
    if not int(settings.get(REPORT_MASK, 1.0)) & 1:
        raise FeatureMissing(DEVICE, "the controller does not report the machine position; set $10=1")


def _check_travel(settings: Settings, axes: GantryAxes) -> None:
    """Grbl's soft limits allow -$130 .. 0 (its switches stand at the positive ends): the rig file must fit in."""
    for axis, i in zip(axes.axes, axes.columns, strict=True):
        low, high, travel = axis.minimum + axis.offset, axis.maximum + axis.offset, settings[TRAVELS + i]
        if low < -travel or high > 0.0:
            raise FeatureMissing(
                DEVICE,
                f"{axis.name}: {axis.minimum:g} .. {axis.maximum:g} with offset {axis.offset:g} is machine "
                f"{axis.machine_axis} {low:g} .. {high:g}, but the controller allows {-travel:g} .. 0 "
                f"(${TRAVELS + i}): mend offset, minimum or maximum of this axis in the rig file",
            )


def _sets_origin_at_switch(about: About, settings: Settings, model: str) -> bool:
    """Whether homing makes the switch 0 at whichever end it is: then travel may be positive."""
    options = about.get("OPT", "").partition(",")[0]
    return "Z" in options or (model == "grblHAL" and bool(int(settings[HOMING]) & ORIGIN_AT_SWITCH))


def _doubts(settings: Settings, model: str) -> list[str]:
    """What a commissioned gantry has switched on; factory settings have all of it off."""
    wanted = {
        SOFT_LIMITS: "soft limits are off ($20)",
        LIMIT_SWITCHES: "limit switches are off ($21)",
        HOMING: "homing is off ($22)",
    }
    doubts = [f"the controller's {text}" for number, text in wanted.items() if not settings.get(number, 0.0)]
    if model == "grblHAL" and int(settings.get(HOMING, 0.0)) & (1 | FORCES_HOMING) == 1:
        doubts.append("the controller does not force homing: $22 lacks bit 4, and its soft limits rest until homed")
    first = settings.get(FIRST_HOMING_PASS)
    if first is not None and int(first) != Z_ALONE:
        doubts.append(f"homing does not begin with Z alone ($44={first:.0f}, not {Z_ALONE}): is all clear?")
    return doubts
