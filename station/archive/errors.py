"""The archive's errors."""

from __future__ import annotations

from station.errors import BadInput, StationFault


class ArchiveError(StationFault):
    """An inspection could not be stored or read; the text names the file and what to do."""


class ArchiveNotFound(ArchiveError, BadInput):
    """The folder that was named holds no archive."""


class ArchiveInUse(ArchiveError):
    """Another process writes to this archive; the text names it."""


class FramesThinned(ArchiveError, BadInput):
    """The raw frames that were asked for were removed by the retention's rule; the text says when and by which."""


class InspectionNotFound(ArchiveError, BadInput):
    """The archive has no inspection of the id that was asked for."""
