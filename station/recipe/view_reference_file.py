"""What the fixture looks like around a good part: an .npz beside the recipe, read only when its hash is right.

The judge proves with it, in the picture, where the camera stands, which lamps shine how strongly, and sharpness. It
belongs to one rig: under another calibration record the fixture is seen and lit otherwise.
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
MAXIMUM_BYTES = 64_000_000
STEP = 1.0 / 16384.0  # of a stored level, share of full scale
MAKE_ANEW = "make it anew: station view-reference RECIPE"


class ViewReferenceError(BadInput, ValueError):
    """A file that cannot be used; the text names the file and what to do."""


KIND = NpzKind("view references", MAXIMUM_BYTES, MAKE_ANEW, ViewReferenceError)


@dataclass(frozen=True)
class LightUse:
    """How a light was used when the pictures were taken: channel, exposure, brightness 0..1, gain."""

    channel: int
    exposure_us: float
    brightness: float
    gain_db: float


@dataclass(frozen=True)
class ViewReference:
    """The fixture in one view, on a grid of h x w means of blocks; arrays follow the order of `lights`.

    Those are the recipe's lights, then lamps of the rig that it does not use, as far as their pictures were taken.

    `levels` (J, h, w) are means of good parts, over black, as shares of full scale, and 0 outside `fixture` (h, w).
    `steady` (J, h, w) is where a light's level does not depend on the part: no edge of a shadow falls there.
    `sharpness` (J,): see `station.judge.fixture_picture`.
    """

    lights: tuple[str, ...]
    levels: NDArray[np.float32]
    fixture: NDArray[np.bool_]
    steady: NDArray[np.bool_]
    sharpness: NDArray[np.float64]
    noise: NDArray[np.float64] | None = None  # (J,) the same for noise; None in files from before it was measured
    sway: NDArray[np.float32] | None = None  # (J, K, rows, columns): see `station.judge.fixture_lights.sway_of`
    # (J, 3) by how many degrees each lamp seems to have turned around good parts, along two axes, and the spread; NaN
    # where it cannot be told; None in files from before it was measured: see `station.judge.lamp_turns`
    turns: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class ViewReferences:
    """Every view's reference, and under what they were taken."""

    views: Mapping[str, ViewReference]
    uses: Mapping[str, LightUse]  # per light
    pixel_format: str
    calibration_sha256: str
    parts: int  # good parts whose mean it is


def references_bytes(references: ViewReferences) -> bytes:
    """The file's content; the same references give the same bytes."""
    about = {
        "format_version": FORMAT_VERSION,
        "lights": {n: [u.channel, u.exposure_us, u.brightness, u.gain_db] for n, u in references.uses.items()},
        "pixel_format": references.pixel_format,
        "calibration_sha256": references.calibration_sha256,
        "parts": references.parts,
        "views": list(references.views),
    }
    arrays: dict[str, NDArray[Any]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for name, view in references.views.items():
        arrays[f"{name}.levels"] = np.round(view.levels / STEP).clip(0, 65535).astype(np.uint16)
        arrays[f"{name}.fixture"] = np.packbits(view.fixture, axis=-1)
        arrays[f"{name}.steady"] = np.packbits(view.steady, axis=-1)
        arrays[f"{name}.sharpness"] = view.sharpness
        if view.noise is not None:
            arrays[f"{name}.noise"] = view.noise
        if view.sway is not None:
            arrays[f"{name}.sway"] = view.sway
        if view.turns is not None:
            arrays[f"{name}.turns"] = view.turns
    return npz_bytes(arrays)


def read_references(path: Path, sha256: str) -> ViewReferences:
    """The references of a file whose SHA-256 is `sha256`.

    Raises ViewReferenceError: the file is missing, has changed since it was made, or holds no references.
    """
    return KIND.read(path, sha256, _parsed)


def _parsed(data: bytes) -> ViewReferences:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if about["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {about['format_version']!r}, this station reads {FORMAT_VERSION}")
        uses = {name: LightUse(int(use[0]), *map(float, use[1:])) for name, use in about["lights"].items()}
        views = {name: _view(name, arrays, tuple(uses)) for name in about["views"]}
    return ViewReferences(
        views, uses, str(about["pixel_format"]), str(about["calibration_sha256"]), int(about["parts"])
    )


def _view(name: str, arrays: Mapping[str, NDArray[Any]], lights: tuple[str, ...]) -> ViewReference:
    counts = arrays[f"{name}.levels"]
    if counts.ndim != 3 or len(counts) != len(lights) or counts.dtype != np.uint16:
        raise ValueError(f"view {name!r}: levels {counts.shape} {counts.dtype} for {len(lights)} lights")
    width = counts.shape[2]
    fixture, steady = (
        np.unpackbits(arrays[f"{name}.{what}"], axis=-1, count=width).astype(np.bool_)
        for what in ("fixture", "steady")
    )  # fmt: skip
    sharpness = np.asarray(arrays[f"{name}.sharpness"], np.float64)
    if fixture.shape != counts.shape[1:] or steady.shape != counts.shape or sharpness.shape != (len(lights),):
        raise ValueError(f"view {name!r}: arrays of different sizes")
    noise = np.asarray(arrays[f"{name}.noise"], np.float64) if f"{name}.noise" in arrays else None
    if noise is not None and (noise.shape != sharpness.shape or not (noise >= 0).all()):
        raise ValueError(f"view {name!r}: noise {noise.shape} for {len(lights)} lights, or below 0")
    sway = np.asarray(arrays[f"{name}.sway"], np.float32) if f"{name}.sway" in arrays else None
    if sway is not None and (sway.ndim != 4 or len(sway) != len(lights) or not np.isfinite(sway).all()):
        raise ValueError(f"view {name!r}: sway {sway.shape} for {len(lights)} lights, or not finite")
    turns = np.asarray(arrays[f"{name}.turns"], np.float64) if f"{name}.turns" in arrays else None
    if turns is not None and turns.shape != (len(lights), 3):
        raise ValueError(f"view {name!r}: turns {turns.shape} for {len(lights)} lights")
    levels = counts.astype(np.float32) * np.float32(STEP)
    return ViewReference(lights, levels, fixture, steady, sharpness, noise, sway, turns)


def misfits(
    references: ViewReferences, views: Sequence[str], channels: Mapping[str, int], pixel_format: str, calibration: str
) -> Iterator[str]:
    """Why the references do not hold for a recipe under the calibration of that SHA-256; nothing where they do."""
    if references.calibration_sha256 != calibration:
        yield "it was made under another calibration record"
    if references.pixel_format.startswith("Mono") != pixel_format.startswith("Mono"):
        yield f"it was made from {references.pixel_format} pictures, the recipe takes {pixel_format}"
    missing = [f"view {name!r}" for name in views if name not in references.views]
    uses = {name: use.channel for name, use in references.uses.items()}
    missing += [f"light {name!r} on channel {at}" for name, at in channels.items() if uses.get(name) != at]
    if missing:
        yield f"it lacks {', '.join(missing)}"
