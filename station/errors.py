"""The roots of what the station itself complains of: bad input (exit code 2), or a station that cannot (3)."""

from __future__ import annotations


class BadInput(Exception):
    """Something that was typed or written cannot be used; the text names file, place and cure."""


class StationFault(Exception):
    """The station or its machine cannot do what was asked: disk, window, state. The text says what helps."""
