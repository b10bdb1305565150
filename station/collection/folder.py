"""A collection: raw frames of parts in a folder, from which normals, regions and models can be computed anew.

```
collection.json                product, views, lights and how they were used, the calibration's hash and its former ones
parts/PART/VIEW_LIGHT.png      one frame as the camera gave it, 8 or 16 bits, one plane
parts/PART/VIEW_mask.png       8 bits, not 0 on a defect, where that is known
parts/PART/part.json           kind, split, poses, and for each frame its hash, exposure and gain; written last
```

A part without `part.json` was not taken whole and is not there. Nothing is ever changed in place: a part that is taken
again gets files of other names (`VIEW_LIGHT.2.png`), counts from the moment its new `part.json` lies there, and the
old files go afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pixels
from station.documents.atomic import sync_folder, write_atomic
from station.errors import BadInput

INDEX, PART, PARTS = "collection.json", "part.json", "parts"
FORMER = "former_calibrations"  # in the index: each with its hash, until when it held, by whom and why
FORMAT_VERSION = 1
PART_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,78}[A-Za-z0-9_-]$|^[A-Za-z0-9]$")


class CollectionError(BadInput):
    """A collection that cannot be used; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class LightTaken:
    """How a light was used in all frames of a collection."""

    channel: int
    kind: str  # directional or diffuse
    exposure_us: float
    brightness: float
    gain_db: float


@dataclass(frozen=True, slots=True)
class About:
    """What holds for every part of a collection; `views` and `lights` are in the recipe's order."""

    product: str
    views: tuple[str, ...]
    lights: Mapping[str, LightTaken]
    pixel_format: str
    calibration_sha256: str
    is_simulated: bool


@dataclass(frozen=True, slots=True)
class CollectedPart:
    """One part: `kind` is good or the defect's kind, `split` train, calibrate or test."""

    name: str
    kind: str
    split: str
    frames: Mapping[str, Mapping[str, Mapping[str, Any]]]  # view -> light -> file, sha256 and how it was exposed
    masks: Mapping[str, str]  # view -> file, where a defect is known to lie there
    facts: Mapping[str, Any] = field(default_factory=dict)  # seed, note, where it lay: for people and studies
    # View -> x, y, z in mm, tilt and pan in degrees, as the arm reported them; older collections have none.
    poses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    take: int = 1  # counts how often a part of this name was taken

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of what was taken and of what is known of it: another one once the part was taken again."""
        known = [self.kind, self.frames, self.masks, self.take]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


class Collection:
    """Reads and adds parts. One writer at a time; readers see whole parts only."""

    def __init__(self, folder: Path, about: About) -> None:
        self.folder, self.about = folder, about

    @classmethod
    def create(cls, folder: Path, about: About) -> Collection:
        """A new collection, or the one that is there already and was taken alike; CollectionError for another."""
        path = folder / INDEX
        if path.exists():
            there = cls.open(folder)
            if there.about != about:
                raise CollectionError(f"{path} was taken otherwise ({_difference(there.about, about)}); name another")
            return there
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"format_version": FORMAT_VERSION, **asdict(about)}, indent=1).encode())
        return cls(folder, about)

    @classmethod
    def open(cls, folder: Path) -> Collection:
        """The collection in that folder; CollectionError where there is none, or it cannot be read."""
        path = folder / INDEX
        try:
            raw = json.loads(path.read_bytes())
            if raw.pop("format_version") != FORMAT_VERSION:
                raise CollectionError(f"{path}: another format; this station reads {FORMAT_VERSION}")
            raw.pop(FORMER, None)
            lights = {name: LightTaken(**light) for name, light in raw.pop("lights").items()}
            return cls(folder, About(**{**raw, "views": tuple(raw["views"]), "lights": lights}))
        except FileNotFoundError:
            raise CollectionError(f"{path} is missing: name the folder of a collection") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CollectionError(f"{path}: broken ({error}); restore it from a backup") from error

    def under(self, calibration_sha256: str, by: str, why: str) -> Collection:
        """The same frames, from now on to be solved under another record of the rig that took them.

        The former record is noted with the time, by whom and why. What was prepared from the frames is another data
        set from then on, and says so.
        """
        path = self.folder / INDEX
        raw = json.loads(path.read_bytes())
        former = {"sha256": self.about.calibration_sha256, "until": datetime.now(UTC).isoformat(), "by": by, "why": why}
        changed = {**raw, "calibration_sha256": calibration_sha256, FORMER: [*raw.get(FORMER, []), former]}
        write_atomic(path, json.dumps(changed, indent=1).encode())
        return Collection.open(self.folder)

    def parts(self, split: str | None = None, kind: str | None = None) -> Iterator[CollectedPart]:
        """Whole parts in the order of their names, of one split or kind if asked for."""
        for path in sorted((self.folder / PARTS).glob(f"*/{PART}")):
            part = self._part(path)
            if split in (None, part.split) and kind in (None, part.kind):
                yield part

    def part(self, name: str) -> CollectedPart:
        """The whole part of that name. Raises CollectionError where there is none, or its record is broken."""
        path = self.folder / PARTS / name / PART
        if not path.is_file():
            raise CollectionError(f"{self.folder}: holds no part {name!r}")
        return self._part(path)

    def holds(self, name: str) -> bool:
        """Whether the part was taken whole."""
        return (self.folder / PARTS / name / PART).is_file()

    def frames(self, part: CollectedPart, view: str) -> dict[str, Frame]:
        """Light -> frame; CollectionError for a picture that is missing or was changed since it was taken."""
        found = {}
        for index, (light, about) in enumerate(part.frames[view].items()):
            pixels = self._pixels(part, about["file"], about["sha256"])
            found[light] = Frame(
                pixels, about["pixel_format"], about["significant_bits"], about["black_level_dn"],
                about["exposure_us"], about["gain_db"], 0, index,
            )  # fmt: skip
        return found

    def mask(self, part: CollectedPart, view: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) where a defect is known to lie in that view; False everywhere if none is."""
        if view not in part.masks:
            return np.zeros(shape, bool)
        path = self.folder / PARTS / part.name / part.masks[view]
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None or mask.shape != shape:
            found = "missing" if mask is None else f"of {mask.shape[1]} x {mask.shape[0]} pixels"
            raise CollectionError(
                f"{path}: is {found}, expected a mask of {shape[1]} x {shape[0]}: draw it at the size of the frames"
            )
        return np.asarray(mask > 0)

    def add(
        self, name: str, kind: str, split: str, frames: Mapping[str, Mapping[str, Frame]],
        masks: Mapping[str, NDArray[np.bool_]] | None = None, facts: Mapping[str, Any] | None = None,
        poses: Mapping[str, Sequence[float]] | None = None,
    ) -> None:  # fmt: skip
        """Store a part: its pictures first, and then the record that makes it count.

        A part of that name that is there already counts until that moment, and is gone afterwards. Raises
        CollectionError for a name that cannot be a folder's.
        """
        check_part_name(name)
        folder = self.folder / PARTS / name
        take = self.part(name).take + 1 if self.holds(name) else 1
        ending = "" if take == 1 else f".{take}"
        folder.mkdir(parents=True, exist_ok=True)
        recorded: dict[str, dict[str, dict[str, Any]]] = {}
        for view, of_view in frames.items():
            recorded[view] = {
                light: _stored(folder, f"{view}_{light}{ending}.png", frame) for light, frame in of_view.items()
            }
        where = {}
        for view, mask in (masks or {}).items():
            if mask.any():
                where[view] = f"{view}_mask{ending}.png"
                _write_png(folder / where[view], mask.astype(np.uint8) * np.uint8(255))
        sync_folder(folder.parent)
        record = {"name": name, "kind": kind, "split": split, "frames": recorded, "masks": where}
        more = {"facts": dict(facts or {}), "poses": {v: list(p) for v, p in (poses or {}).items()}, "take": take}
        write_atomic(folder / PART, json.dumps({**record, **more}).encode())
        named = {about["file"] for of_view in recorded.values() for about in of_view.values()} | set(where.values())
        _remove_others(folder, named)

    def _part(self, path: Path) -> CollectedPart:
        try:
            return CollectedPart(**json.loads(path.read_bytes()))
        except (TypeError, ValueError) as error:
            raise CollectionError(f"{path}: broken ({error}); restore it, or remove the part's folder") from error

    def _pixels(self, part: CollectedPart, file: str, sha256: str) -> Pixels:
        path = self.folder / PARTS / part.name / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CollectionError(
                f"{path}: cannot be read ({error.strerror}); restore it from a backup, or take the part "
                "again (station collect --again)"
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CollectionError(f"{path}: was changed since it was taken; restore it from a backup")
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise CollectionError(f"{path}: is no picture; restore it from a backup")
        if pixels.dtype not in (np.uint8, np.uint16):
            raise CollectionError(f"{path}: has {pixels.dtype} pixels, not 8 or 16 bits; restore it from a backup")
        whole: Pixels = np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[:, :, ::-1])  # type: ignore[assignment]
        return whole


def check_part_name(name: str) -> str:
    """The name as it was given. Raises CollectionError for one that cannot be a folder's on every system."""
    if not PART_NAME.match(name):
        raise CollectionError(
            f"{name!r} cannot name a part of a collection: 1 to 80 letters, digits, dots, dashes and underscores, a "
            "letter or digit first, no dot last"
        )
    return name


def _remove_others(folder: Path, named: set[str]) -> None:
    """What an earlier take left. A file that another program holds open stays, and counts nothing."""
    for path in folder.glob("*.png"):
        if path.name not in named:
            with contextlib.suppress(OSError):
                path.unlink()


def _difference(there: About, wanted: About) -> str:
    """The first thing that is not alike, down to the one figure of a light."""

    def first(name: str, a: Any, b: Any) -> str:
        if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
            key = next(key for key in a if a[key] != b[key])
            return first(f"{name} {key}".strip(), a[key], b[key])
        names = [sorted(each) if isinstance(each, dict) else each for each in (a, b)]
        return f"{name} {names[0]}, not {names[1]}"

    return first("", asdict(there), asdict(wanted))


def _stored(folder: Path, file: str, frame: Frame) -> dict[str, Any]:
    return {
        "file": file, "sha256": _write_png(folder / file, frame.pixels), "pixel_format": frame.pixel_format,
        "significant_bits": frame.significant_bits, "black_level_dn": frame.black_level_dn,
        "exposure_us": frame.exposure_us, "gain_db": frame.gain_db,
    }  # fmt: skip


def _write_png(path: Path, pixels: NDArray[Any]) -> str:
    """Write (H, W) or (H, W, 3) RGB, 8 or 16 bits; returns the file's SHA-256."""
    ok, encoded = cv2.imencode(
        ".png", pixels if pixels.ndim == 2 else pixels[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    if not ok:
        raise CollectionError(f"{path}: a picture of {pixels.shape} {pixels.dtype} cannot be stored as PNG")
    content = encoded.tobytes()
    with open(path, "wb") as file:  # one that a killed take left is written over
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()
