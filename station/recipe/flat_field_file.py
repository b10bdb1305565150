"""The flat-field maps of a calibration record: an .npz beside it, read only when its hash is the record's."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from station.errors import BadInput
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.settings import PhotometricStereoError
from station.recipe.npz import npz_bytes

STEP_PX = 128  # of the grid that solvers get, on the full sensor: 1.3 mm at 98 px/mm, coarser than the parts' detail
MAXIMUM_BYTES = 64_000_000


class FlatFieldFileError(BadInput, ValueError):
    """Maps that cannot be used; the text names the file and what to do."""


@dataclass(frozen=True)
class FieldMaps:
    """Factors (K, Y, X) of the lights on `channels`; node (j, i) lies at pixel (i, j) * step_px + origin_px of the
    full sensor. What a node means: see `FlatField`."""

    channels: tuple[int, ...]
    factors: NDArray[np.float32]
    step_px: float
    origin_px: float

    def flat_field(self, channels: Sequence[int], binning: int, shape: tuple[int, int]) -> FlatField:
        """The maps of these channels for pictures of `shape` (H, W) at that binning, with mean 1.

        Raises FlatFieldFileError for a channel without a map.
        """
        missing = sorted(set(channels) - set(self.channels))
        if missing:
            raise FlatFieldFileError(
                f"the flat field has no map of channel {missing[0]}, only of {self.channels}: calibrate the field again"
            )
        rows = [self.channels.index(channel) for channel in channels]
        step = max(8, STEP_PX // binning)
        y, x = (np.arange(0, size + step, step, dtype=np.float64) for size in shape)
        own = FlatField(self.factors[rows].astype(np.float64), 1)
        at_x, at_y = (self._node((v + 0.5) * binning - 0.5) for v in (x, y))
        grid = np.moveaxis(own.at(at_x[None, :], at_y[:, None]), -1, 0)
        return FlatField(grid / grid.mean(), step)

    def shared_and_own(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The factor that all lights share, (Y, X), and what is left of each light, (K, Y, X), with mean 1.

        Vignetting is shared: it changes the albedo alone.
        """
        factors = self.factors.astype(np.float64)
        factors /= factors.mean(axis=(1, 2), keepdims=True)
        shared = np.exp(np.log(factors).mean(axis=0))
        own = factors / shared
        return shared, own / own.mean(axis=(1, 2), keepdims=True)

    def _node(self, pixel: NDArray[np.float64]) -> NDArray[np.float64]:
        return (pixel - self.origin_px) / self.step_px


def maps_of(field: FlatField, channels: Sequence[int], binning: int) -> FieldMaps:
    """The maps of a flat field that was measured at that binning."""
    factors = field.factors.astype(np.float32)
    return FieldMaps(tuple(channels), factors, float(field.step_px * binning), binning / 2 - 0.5)


def maps_bytes(maps: FieldMaps) -> bytes:
    """The file's content; the same maps give the same bytes."""
    arrays = {
        "channels": np.array(maps.channels, np.int32), "factors": maps.factors,
        "step_px": np.float64(maps.step_px), "origin_px": np.float64(maps.origin_px),
    }  # fmt: skip
    return npz_bytes(arrays)


def read_maps(path: Path, sha256: str) -> FieldMaps:
    """The maps of a file whose SHA-256 is `sha256`.

    Raises FlatFieldFileError: the file is missing, has changed since the record was made, or holds no maps.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise FlatFieldFileError(
                f"{path}: {path.stat().st_size} bytes are too many for flat-field maps; restore the file"
            )
        data = path.read_bytes()
    except OSError as error:
        text = f"{path}: cannot be read: {error.strerror or error}; it belongs beside the calibration record"
        raise FlatFieldFileError(text) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        text = f"{path}: SHA-256 {found}, but the calibration record names {sha256}"
        raise FlatFieldFileError(f"{text}; restore the file, or calibrate the field again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            channels = tuple(int(channel) for channel in arrays["channels"])
            maps = FieldMaps(channels, arrays["factors"], float(arrays["step_px"]), float(arrays["origin_px"]))
            FlatField(maps.factors.astype(np.float64), 1)
    except (KeyError, ValueError, PhotometricStereoError, zipfile.BadZipFile) as error:
        raise FlatFieldFileError(
            f"{path}: holds no flat-field maps: {error}; restore the file, or calibrate the field again"
        ) from error
    if len(maps.channels) != len(maps.factors) or not maps.step_px > 0:
        raise FlatFieldFileError(
            f"{path}: {len(maps.factors)} maps for {len(maps.channels)} channels; calibrate the field again"
        )
    return maps


def load_field(calibration: Calibration, record: Path, kept: Path | None = None) -> FieldMaps | None:
    """The maps that the record at that path names, or their copy `kept`; None where it names none.

    Raises FlatFieldFileError.
    """
    named = calibration.flat_field
    return None if named is None else read_maps(kept or record.parent / named.file, named.sha256)
