"""The two roots of the station's own exceptions; what a device does wrong is a DeviceError (`drivers/errors.py`).

The command line maps them to exit codes: BadInput to 2, StationFault to 3.
"""

from __future__ import annotations


class BadInput(Exception):
    """What a person typed or wrote cannot be used; the text names file and place, what was found, and the cure."""


class StationFault(Exception):
    """The station or its machine cannot do what was asked (disk, window, state); the text says what helps."""
