"""Which faults meet the station in which phase, and what is asked of it in each case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

PHASES = ("idle", "moving", "exposing", "transferring", "judging", "storing", "last view")
ARCHIVE_PHASES = ("idle", "judging", "storing")  # the rig's own moments know no archive
LIT, LIT_LAST = 4, 9  # the channels whose frames are struck: in the first view, and in the last frame of the last


@dataclass(frozen=True, slots=True)
class StationFault:
    """`{lit}` in its words stands for the channel that shines when the fault comes."""

    words: str
    cure: str = ""
    must_be_said: bool = False  # in every phase: at rest the station asks its devices
    is_harmless: bool = False  # every part is inspected as if it were not there
    cuts_lights: bool = False  # no off can reach the controller
    sticks: bool = False  # a lamp shines by itself
    arm: str = "grbl"

    def injected(self, phase: str) -> str:
        """As a person types it behind `station rig inject`."""
        return self.words.format(lit=LIT_LAST if phase == "last view" else LIT)

    def cured(self, phase: str) -> str:
        """What takes it away; empty where it is over by itself, or ended by homing."""
        return self.cure.format(lit=LIT_LAST if phase == "last view" else LIT)


@dataclass(frozen=True, slots=True)
class StationRow:
    fault: StationFault
    phase: str

    def __str__(self) -> str:
        return f"{self.fault.injected(self.phase)} {self.phase}"


def wire_faults(device: str, noise: str) -> Iterator[StationFault]:
    """What any wire can do."""
    cuts = device == "lights"
    yield StationFault(f"{device}.freeze", f"{device}.thaw", must_be_said=True, cuts_lights=cuts)
    yield StationFault(f"{device}.silence", f"{device}.thaw", must_be_said=True)
    yield StationFault(f"{device}.unplug", f"{device}.plug", must_be_said=True, cuts_lights=cuts)
    yield StationFault(f"{device}.reset", must_be_said=device == "gantry")
    yield StationFault(f"{device}.drop_reply")
    yield StationFault(f"{device}.garble_reply")
    yield StationFault(f"{device}.late_reply 0.5", is_harmless=True)
    yield StationFault(f"{device}.late_reply 60")
    yield StationFault(f"{device}.split 5", f"{device}.split 0", is_harmless=True)
    yield StationFault(f"{device}.coalesce 50", f"{device}.coalesce 0", is_harmless=True)
    yield StationFault(f"{device}.drop_bytes {noise}", f"{device}.drop_bytes 0")
    yield StationFault(f"{device}.corrupt_bytes {noise}", f"{device}.corrupt_bytes 0")


MOTION = (
    *wire_faults("gantry", noise="0.01"),
    StationFault("gantry.alarm 1", must_be_said=True),
    StationFault("gantry.silent_alarm 1", must_be_said=True),
    StationFault("gantry.limit X", must_be_said=True),
    StationFault("gantry.door open", "gantry.door closed", must_be_said=True),
    StationFault("gantry.estop pressed", "gantry.estop released", must_be_said=True),
    StationFault("gantry.hold", must_be_said=True),
    StationFault("gantry.wrong_position 2"),
    StationFault("gantry.lost_steps 2"),
    StationFault("gantry.lost_steps 0.5"),
    StationFault("gantry.homing_switch_dead yes", "gantry.homing_switch_dead no", is_harmless=True),
    StationFault("gantry.foreign $J=G91 G21 X-20 F30000"),
    StationFault("gantry.foreign G20 G91", is_harmless=True),
    StationFault("gantry.power_loss", must_be_said=True, arm="mycobot"),
    StationFault("gantry.release", must_be_said=True, arm="mycobot"),
    StationFault("gantry.lost_set", arm="mycobot"),
    StationFault("gantry.false_acknowledge", arm="mycobot"),
    StationFault("gantry.garbage", arm="mycobot"),
    StationFault("gantry.refused_set", arm="mycobot"),
    StationFault("gantry.garbled_set 3", arm="mycobot"),
    StationFault("gantry.pause", "gantry.pause resume", arm="mycobot"),
)
LIGHTS = (
    *wire_faults("lights", noise="0.001"),
    StationFault("lights.refuse"),
    StationFault("lights.event {lit} 33", must_be_said=True),
    StationFault("lights.lighting_error {lit}", must_be_said=True),
    StationFault("lights.light_dead {lit}", "lights.light_repaired {lit}"),
    StationFault("lights.light_weak {lit} 0.6", "lights.light_repaired {lit}"),
    StationFault("lights.light_weak {lit} 0.9", "lights.light_repaired {lit}"),
    StationFault("lights.light_drift {lit} 100", "lights.light_repaired {lit}"),
    StationFault("lights.light_stuck_on {lit}", "lights.light_repaired {lit}", sticks=True),
    StationFault("lights.light_stuck_on 3 0.03", "lights.light_repaired 3", sticks=True),
    StationFault("lights.lights_swapped 2 {lit}", "lights.lights_swapped 2 {lit}"),
    StationFault("lights.slow_settle 0.2", "lights.slow_settle 0.0005"),
    StationFault("lights.strobe_line_cut", "lights.strobe_line_mended", is_harmless=True),
)
CAMERA = (
    StationFault("camera.dropped"),
    StationFault("camera.duplicate"),
    StationFault("camera.incomplete"),
    StationFault("camera.late", is_harmless=True),
    StationFault("camera.stale"),
    StationFault("camera.saturation 50", "camera.saturation 1"),
    StationFault("camera.saturation 1.2", "camera.saturation 1"),
    StationFault("camera.temperature 20", "camera.temperature 0", is_harmless=True),
    StationFault("camera.unplug", "camera.plug", must_be_said=True),
)
CELL = (
    StationFault("ambient 0.05", "ambient 0"),
    StationFault("knock 0.5 0 0 0 0 0", "knock -0.5 0 0 0 0 0"),
    StationFault(
        "bump -176.777 0 184.777 45 180 2 0 0 0 0",  # near the second view
        "bump -176.777 0 184.777 45 180 0 0 0 0 0",
    ),
)
STORAGE = tuple(
    StationFault(f"archive.{what}", "archive.mended", must_be_said=True) for what in ("locked", "full", "read_only")
)
SECTIONS = {"Motion": MOTION, "Lights": LIGHTS, "Camera": CAMERA, "The cell": CELL, "The archive": STORAGE}

NOT_HERE = {  # of `station rig inject --list`
    "gantry.plug": "a cure",
    "gantry.thaw": "a cure",
    "gantry.pins": "inputs that change no state: an open door is `gantry.door`",
    "gantry.empty_memory": "it shows when the controller is opened the next time",
    "gantry.garble_setting": "it shows when the controller is opened the next time",
    "lights.plug": "a cure",
    "lights.thaw": "a cure",
    "lights.light_repaired": "a cure",
    "lights.strobe_line_mended": "a cure",
    "camera.plug": "a cure",
    "camera.line": "an edge on the trigger input",
    "board.bow": "of the calibration board",
    "board.pitch": "of the calibration board",
}

ROWS = tuple(
    StationRow(fault, phase)
    for faults in SECTIONS.values()
    for fault, phase in product(faults, ARCHIVE_PHASES if faults is STORAGE else PHASES)
)
# For every test run; the whole table takes twenty minutes.
SHORT = tuple(
    row
    for row in ROWS
    if str(row)
    in (
        "gantry.estop pressed last view",
        "gantry.door open idle",
        "gantry.unplug storing",
        "archive.locked storing",
    )
)
