"""The error of a rig that cannot be calibrated as asked."""

from __future__ import annotations

from station.errors import BadInput


class RigChoiceError(BadInput, ValueError):
    """The rig asked for cannot be calibrated like this; the text says why and what to do."""
