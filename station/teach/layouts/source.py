"""One picture of a foreign set, before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A file, the part that it shows, and where that part belongs."""

    part: str
    split: str  # train, calibrate or test
    kind: str  # good, or the defect's kind
    file: Path
    mask: Path | None
