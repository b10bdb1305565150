"""Flat-field maps beside a record: held by their hash, read at any binning, and felt by the solver."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from calibration.record import Calibration, FlatFieldRecord
from station.documents.document import load_document
from station.photometric_stereo.flat_field import FlatField
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.flat_field_file import FieldMaps, FlatFieldFileError, load_field, maps_bytes, maps_of, read_maps

CHANNELS = (1, 3, 5, 7)


def ramp(binning: int, step: int) -> FlatField:
    """Each light's factor a slope of its own over a sensor of 1600 x 800 pixels, seen at that binning."""
    x = np.arange(0, 1600 // binning + step, step) * binning + (binning - 1) / 2
    y = np.arange(0, 800 // binning + step, step) * binning + (binning - 1) / 2
    slopes = np.array([1.0, -1.0, 2.0, -2.0])[:, None, None] * 1e-4
    return FlatField(1 + slopes * (x[None, None, :] - 800) + 0 * y[None, :, None], step)


def test_maps_measured_at_one_binning_serve_every_other() -> None:
    maps = maps_of(ramp(4, 16), CHANNELS, 4)
    for binning in (1, 2, 8):
        shape = (800 // binning, 1600 // binning)
        field = maps.flat_field((5, 1), binning, shape)
        x = np.array([0.0, shape[1] / 3, shape[1] - 1])
        full = (x + 0.5) * binning - 0.5
        found = field.at(x, np.zeros(3))
        expected = np.stack([1 + 2e-4 * (full - 800), 1 + 1e-4 * (full - 800)], -1)
        ratio = found / expected
        np.testing.assert_allclose(ratio, ratio.mean(), rtol=2e-4)


def test_the_same_maps_are_the_same_bytes_and_read_back(tmp_path: Path) -> None:
    maps = maps_of(ramp(4, 16), CHANNELS, 4)
    data = maps_bytes(maps)
    assert data == maps_bytes(maps)
    path = tmp_path / "a.field.npz"
    path.write_bytes(data)
    back = read_maps(path, hashlib.sha256(data).hexdigest())
    assert (back.channels, back.step_px, back.origin_px) == (CHANNELS, 64.0, 1.5)
    np.testing.assert_array_equal(back.factors, maps.factors)


def test_maps_that_are_missing_changed_or_broken_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.field.npz"
    named = FlatFieldRecord(file=path.name, sha256="0" * 64, departure_percent=1.0)
    record = load_document(SIMULATED_RIG_DRAWING, Calibration).model_copy(update={"flat_field": named})
    with pytest.raises(FlatFieldFileError, match="belongs beside the calibration record"):
        load_field(record, tmp_path / "record.yaml")
    path.write_bytes(b"nothing")
    with pytest.raises(FlatFieldFileError, match=r"a.field.npz: SHA-256 .* names 000"):
        load_field(record, tmp_path / "record.yaml")
    with pytest.raises(FlatFieldFileError, match="holds no flat-field maps"):
        read_maps(path, hashlib.sha256(b"nothing").hexdigest())
    bad = FieldMaps(CHANNELS, np.full((4, 3, 3), np.nan, np.float32), 64.0, 0.0)
    path.write_bytes(maps_bytes(bad))
    with pytest.raises(FlatFieldFileError, match="not finite"):
        read_maps(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert load_field(load_document(SIMULATED_RIG_DRAWING, Calibration), tmp_path / "record.yaml") is None


def test_a_channel_without_a_map_is_named() -> None:
    with pytest.raises(FlatFieldFileError, match="no map of channel 2"):
        maps_of(ramp(4, 16), CHANNELS, 4).flat_field((1, 2), 8, (100, 200))
