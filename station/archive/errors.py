"""The archive's error."""

from __future__ import annotations

from station.errors import StationFault


class ArchiveError(StationFault):
    """An inspection could not be stored or read; the text names the file and what to do."""
