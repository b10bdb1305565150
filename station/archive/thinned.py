"""`thinned.json` in a record's folder: which raw frames were removed on purpose, and what proves that it was so.

Only raw frames may be named in it, each with the manifest's own hash. Whatever else is missing stays a fault.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from station.archive.errors import ArchiveError
from station.archive.records import Manifest, StoredFile, Thinned

THINNED = "thinned.json"
FRAME_PREFIX = "frame_"  # a raw frame's file, in the folder of its view; every other name there is a map


@dataclass(frozen=True, slots=True)
class ThinnedMark:
    """The file's content and its SHA-256, which the data base holds too."""

    about: Thinned
    sha256: str

    def sentence(self) -> str:
        """What happened, for a person."""
        megabytes = sum(file.bytes for file in self.about.files.values()) / 1e6
        return (
            f"its {len(self.about.files)} raw frames ({megabytes:.1f} MB) were removed on "
            f"{self.about.when:%Y-%m-%d %H:%M} UTC ({self.about.rule}); verdict, maps and all hashes are there"
        )


def mark_bytes(about: Thinned) -> bytes:
    """The file's content, the same for the same mark."""
    return about.model_dump_json(indent=1).encode()


def mark_of(about: Thinned) -> ThinnedMark:
    """The mark with the hash of the file that it becomes."""
    return ThinnedMark(about, hashlib.sha256(mark_bytes(about)).hexdigest())


def read_mark(folder: Path) -> ThinnedMark | None:
    """The folder's mark; None where nothing was thinned. Raises ArchiveError for one that cannot be read."""
    path = folder / THINNED
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return ThinnedMark(Thinned.model_validate_json(data), hashlib.sha256(data).hexdigest())
    except ValueError as error:
        raise ArchiveError(f"{path}: is not what this version writes ({error}); restore it from a backup") from error


def raw_frames(manifest: Manifest) -> dict[str, StoredFile]:
    """The manifest's raw frames: what may be thinned."""
    return {name: stored for name, stored in manifest.files.items() if _is_raw_frame(name)}


def mark_problems(mark: ThinnedMark, manifest: Manifest, manifest_sha256: str) -> list[str]:
    """Every way in which the mark is not one of this record: it may excuse nothing then."""
    about = mark.about
    if (about.inspection_id, about.manifest_sha256) != (manifest.inspection_id, manifest_sha256):
        return [f"{THINNED}: belongs to another record than this one"]
    frames = raw_frames(manifest)
    return [
        f"{THINNED}: names {name}, which is no raw frame of this record"
        for name, stored in sorted(about.files.items())
        if frames.get(name) != stored
    ]


def _is_raw_frame(name: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == 2 and path.name.startswith(FRAME_PREFIX) and path.suffix == ".tif"
