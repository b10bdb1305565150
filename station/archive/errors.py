"""The archive's errors."""

from __future__ import annotations

from station.errors import BadInput, StationFault


class ArchiveError(StationFault):
    """An inspection could not be stored or read; the text names the file and what to do."""


class InspectionNotFound(ArchiveError, BadInput):
    """The archive has no inspection of the id that was asked for."""
