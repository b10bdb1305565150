"""What a calibration refuses: a rig that cannot be calibrated as asked, pictures that do not suffice, a bad record."""

from __future__ import annotations

from station.errors import BadInput


class RigChoiceError(BadInput, ValueError):
    """The rig asked for cannot be calibrated like this; the text says why and what to do."""


class CalibrationRefused(BadInput, ValueError):
    """The pictures do not allow a calibration; the text says which, why, and what to do."""


class RecordError(BadInput, ValueError):
    """A calibration record that may not be written or used; the text names the file and the reason."""
