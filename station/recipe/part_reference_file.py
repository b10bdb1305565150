"""What a good part looks like in each view, and where it is: an .npz beside the recipe, read by its hash.

The judge finds the part with it and brings the picture back to where the reference has the part; the detector looks at
the part's region alone. It belongs to one rig and to the model's grid on which it was made.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput
from station.recipe.npz import NpzKind, npz_bytes

FORMAT_VERSION = 1
MAXIMUM_BYTES = 128_000_000
CELL_PX = 2  # of the model's grid, in x and in y
COLOR_STEP, NORMAL_STEP, WEIGHT_STEP, HEIGHT_STEP_MM = 1.0 / 16384.0, 1.0 / 127.0, 1.0 / 255.0, 0.01
MAKE_ANEW = "make it anew from good parts: train again (station train)"


class PartReferenceError(BadInput, ValueError):
    """A file that cannot be used; the text names the file and what to do."""


KIND = NpzKind("part references", MAXIMUM_BYTES, MAKE_ANEW, PartReferenceError)


@dataclass(frozen=True)
class ViewCamera:
    """The camera of one view: focal length and principal point (x, y) in pixels of the model's grid, and where it is.

    `to_station` (4, 4) float64 maps points of the camera's frame (x right, y down, z ahead) into the station frame, mm.
    """

    focal_px: float
    center_px: tuple[float, float]
    to_station: NDArray[np.float64]


@dataclass(frozen=True)
class PartReference:
    """One view. Cells are squares of CELL_PX pixels of the model's grid; there are h x w of them on H x W pixels.

    `colors` (3, h, w) linear 0..1 and `normals` (3, h, w) are means of good parts, brought to one placement; a cell
    without an observable normal has 0 0 0. `weight` (h, w) 0..1 is how alike good parts are there; 0 where the part is
    not. `heights_mm` (h, w) are of the part's surface over the station's z = 0. `region` (H, W) is where the part is.
    """

    colors: NDArray[np.float32]
    normals: NDArray[np.float32]
    weight: NDArray[np.float32]
    heights_mm: NDArray[np.float32]
    region: NDArray[np.bool_]
    camera: ViewCamera


@dataclass(frozen=True)
class PartReferences:
    """Every view's reference, and under what they were made."""

    views: Mapping[str, PartReference]
    grid: tuple[int, int]  # (H, W) of the model, in pixels
    parts: int  # good parts whose mean it is
    calibration_sha256: str
    edited: tuple[str, ...] = ()  # views whose region a person has set; training keeps these references


def part_references_bytes(references: PartReferences) -> bytes:
    """The file's content; the same references give the same bytes."""
    about = {
        "format_version": FORMAT_VERSION,
        "grid": list(references.grid),
        "parts": references.parts,
        "calibration_sha256": references.calibration_sha256,
        "views": list(references.views),
        **({"edited": list(references.edited)} if references.edited else {}),
    }
    arrays: dict[str, NDArray[Any]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for name, view in references.views.items():
        camera = view.camera
        arrays[f"{name}.colors"] = np.round(view.colors / COLOR_STEP).clip(0, 65535).astype(np.uint16)
        arrays[f"{name}.normals"] = np.round(view.normals / NORMAL_STEP).clip(-127, 127).astype(np.int8)
        arrays[f"{name}.weight"] = np.round(view.weight / WEIGHT_STEP).clip(0, 255).astype(np.uint8)
        arrays[f"{name}.heights"] = np.round(view.heights_mm / HEIGHT_STEP_MM).clip(-32767, 32767).astype(np.int16)
        arrays[f"{name}.region"] = np.packbits(view.region, axis=-1)
        arrays[f"{name}.lens"] = np.array([camera.focal_px, *camera.center_px], np.float64)
        arrays[f"{name}.to_station"] = camera.to_station.astype(np.float64)
    return npz_bytes(arrays)


def read_part_references(path: Path, sha256: str) -> PartReferences:
    """The references of a file whose SHA-256 is `sha256`.

    Raises PartReferenceError: the file is missing, has changed since it was made, or holds no references.
    """
    return KIND.read(path, sha256, _parsed)


def _parsed(data: bytes) -> PartReferences:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if about["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {about['format_version']!r}, this station reads {FORMAT_VERSION}")
        height, width = (int(size) for size in about["grid"])
        views = {name: _view(name, arrays, (height, width)) for name in about["views"]}
    edited = tuple(str(name) for name in about.get("edited", ()))
    return PartReferences(views, (height, width), int(about["parts"]), str(about["calibration_sha256"]), edited)


def _view(name: str, arrays: Mapping[str, NDArray[Any]], grid: tuple[int, int]) -> PartReference:
    cells = (grid[0] // CELL_PX, grid[1] // CELL_PX)
    wanted = {
        "colors": ((3, *cells), np.uint16), "normals": ((3, *cells), np.int8), "weight": (cells, np.uint8),
        "heights": (cells, np.int16), "region": ((grid[0], (grid[1] + 7) // 8), np.uint8),
        "lens": ((3,), np.float64), "to_station": ((4, 4), np.float64),
    }  # fmt: skip
    found = {what: arrays[f"{name}.{what}"] for what in wanted}
    for what, (shape, kind) in wanted.items():
        if found[what].shape != shape or found[what].dtype != kind:
            raise ValueError(f"view {name!r}: {what} {found[what].shape} {found[what].dtype} on a grid of {grid}")
    lens, to_station = found["lens"], found["to_station"]
    if not (np.isfinite(lens).all() and np.isfinite(to_station).all() and lens[0] > 0):
        raise ValueError(f"view {name!r}: the camera's figures are not finite")
    return PartReference(
        found["colors"].astype(np.float32) * np.float32(COLOR_STEP),
        found["normals"].astype(np.float32) * np.float32(NORMAL_STEP),
        found["weight"].astype(np.float32) * np.float32(WEIGHT_STEP),
        found["heights"].astype(np.float32) * np.float32(HEIGHT_STEP_MM),
        np.unpackbits(found["region"], axis=-1, count=grid[1]).astype(np.bool_),
        ViewCamera(float(lens[0]), (float(lens[1]), float(lens[2])), to_station),
    )


def part_misfits(
    references: PartReferences, views: Sequence[str], calibration_sha256: str, *, is_aimed: bool
) -> Iterator[str]:
    """Why the references do not hold for a recipe of these views under that calibration; nothing where they do.

    Where the poses are corrected for the present camera (`is_aimed`), it sees the part as the references' camera did.
    """
    if references.calibration_sha256 != calibration_sha256 and not is_aimed:
        yield "it was made under another calibration record"
    missing = [repr(name) for name in views if name not in references.views]
    if missing:
        yield f"it lacks the views {', '.join(missing)}"
