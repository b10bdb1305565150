"""The differences between Grbl 1.1h and grblHAL on the wire, as both were seen to behave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DialectName = Literal["grbl", "grblhal"]

HOMING_ENABLED = 1  # bits of grblHAL's $22; Grbl's is 0 or 1
HOMING_REQUIRED = 4


@dataclass(frozen=True, slots=True)
class Dialect:
    """The behaviour of one of the two; planner, realtime bytes and G-code are shared."""

    name: DialectName
    banner: str
    identity: str  # the answer to $I, but for the line of axes
    planner_blocks: int
    rx_buffer_bytes: int
    homing: int  # $22 of a commissioned gantry
    more_settings: Mapping[int, float]
    is_deaf_after_limit: bool  # after ALARM:1 and 2 even `?` stays unanswered, and a stale `ok` precedes the banner
    alarm_pause_s: float  # behind the line of an alarm that only a reset ends: a reset within it is swallowed
    is_silent_while_homing: bool  # else `?` is answered, and one report comes unasked
    reset_lifts_power_up_lock: bool  # $22=1 locks at power-up, yet a reset shows Idle
    limits_need_homed_axes: bool  # soft limits are not enforced before homing
    errors_stick: bool  # after `error:n` every G-code line repeats it until an empty line or an accepted `$` line
    reports_homed: bool  # `H:0|1` where it changed; an input of its own for the emergency stop


GRBL = Dialect(
    name="grbl",
    banner="\r\nGrbl 1.1h ['$' for help]\r\n",
    identity="[VER:1.1h.20190830:SIM]\r\n[OPT:V,15,128]\r\n",
    planner_blocks=15,
    rx_buffer_bytes=128,
    homing=HOMING_ENABLED,
    more_settings={},
    is_deaf_after_limit=True,
    alarm_pause_s=0.5,
    is_silent_while_homing=True,
    reset_lifts_power_up_lock=True,
    limits_need_homed_axes=False,
    errors_stick=False,
    reports_homed=False,
)

GRBL_HAL = Dialect(
    name="grblhal",
    banner="\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n",
    identity=(
        "[VER:1.1f.20260817:SIM]\r\n[OPT:VNML+,100,1024,3,0]\r\n"
        "[NEWOPT:ENUMS,RT+,HOME,ES,TC,SED]\r\n[FIRMWARE:grblHAL]\r\n[SIGNALS:DE]\r\n"
        "[NVS STORAGE:*EEPROM]\r\n[DRIVER:Simulator]\r\n[DRIVER VERSION:260324]\r\n"
    ),
    planner_blocks=100,
    rx_buffer_bytes=1024,
    homing=HOMING_ENABLED | HOMING_REQUIRED,
    more_settings={10: 511.0, 44: 4.0, 45: 3.0},  # axes of the first and second homing pass: Z, then X and Y
    is_deaf_after_limit=False,
    alarm_pause_s=0.1,
    is_silent_while_homing=False,
    reset_lifts_power_up_lock=False,
    limits_need_homed_axes=True,
    errors_stick=True,
    reports_homed=True,
)

DIALECTS: dict[DialectName, Dialect] = {"grbl": GRBL, "grblhal": GRBL_HAL}
