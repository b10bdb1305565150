"""Which alarm a fault is, in words that stay: for whoever counts alarms, or sends them on."""

from __future__ import annotations

import re

from drivers.errors import DeviceError

HALTED = "halted"
NOT_STORED = "not-stored"
GIVEN_UP = "record-given-up"
LIGHTS_IN_DOUBT = "lights-in-doubt"
PROGRAM_FAULT = "program-fault"


def alarm_id(error: BaseException) -> str:
    """`device-lost`, `light-fault` and so on, by the class in `drivers/errors.py`; PROGRAM_FAULT for all others."""
    if not isinstance(error, DeviceError):
        return PROGRAM_FAULT
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
