"""Where the files of a view go in a layout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placed:
    """Paths under the exported folder; `{ending}` stands for the picture's own ending, dot included."""

    picture: str
    normal: str | None = None
    mask: str | None = None
