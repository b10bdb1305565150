"""Depth on disk: 16-bit heights that are read back to half a step, and a mesh that spans no step."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from models.depth_views import DepthView
from station.depth.files import FoundDepth, ply_bytes, read_depth, step_for, write_depth

SHAPE = (20, 30)


def found(std: float | None = None) -> FoundDepth:
    """A ramp with a step of 3 mm in its middle; one corner is unobserved."""
    rows, columns = np.indices(SHAPE)
    height = (0.05 * columns + 3.0 * (columns >= 15) + 0.0 * rows).astype(np.float32)
    shown = np.ones(SHAPE, bool)
    shown[:4, :4] = False
    zeros = np.zeros(SHAPE, np.float32)
    normals = np.zeros((3, *SHAPE), np.float32)
    normals[2] = shown
    nothing = np.zeros(SHAPE, bool)
    view = DepthView(normals + 0.2, normals, shown, height, zeros + 0.5, zeros, nothing, nothing, 0.1)
    return FoundDepth("top", view, height, None if std is None else zeros + std, shown, "mm")


def test_heights_are_read_back_to_half_a_step(tmp_path: Path) -> None:
    written = write_depth(tmp_path, found(std=0.25))
    assert written.depth_step == 0.001
    again = read_depth(tmp_path / "top_depth.png", written.depth_step)
    np.testing.assert_allclose(again[found().shown], found().height[found().shown], atol=0.00051)
    assert np.isnan(again[:4, :4]).all()
    spread = cv2.imread(str(tmp_path / "top_std.png"), cv2.IMREAD_UNCHANGED)
    assert spread is not None
    assert spread.dtype == np.uint16
    assert (spread[10, 10] - 1) * written.std_step == pytest.approx(0.25, abs=0.001)
    assert set(written.files) == {path.name for path in tmp_path.iterdir()}


def test_integration_claims_no_spread(tmp_path: Path) -> None:
    written = write_depth(tmp_path, found())
    assert written.std_step is None
    assert not (tmp_path / "top_std.png").exists()


def test_a_large_relief_has_coarser_steps(tmp_path: Path) -> None:
    assert [step_for(largest, 32767) for largest in (32.0, 33.0, 100.0)] == pytest.approx([0.001, 0.002, 0.005])
    tall = replace(found(), height=found().height * 30)
    written = write_depth(tmp_path, tall)
    again = read_depth(tmp_path / "top_depth.png", written.depth_step)
    np.testing.assert_allclose(again[tall.shown], tall.height[tall.shown], atol=written.depth_step / 2 + 1e-4)


def test_the_mesh_has_the_views_lengths_faces_the_camera_and_spans_no_step() -> None:
    mesh = trimesh.load(io.BytesIO(ply_bytes(found())), file_type="ply", process=False)
    assert isinstance(mesh, trimesh.Trimesh)
    assert len(mesh.vertices) == SHAPE[0] * SHAPE[1] - 16
    np.testing.assert_allclose(mesh.bounds[:, 0], [0.0, 2.9], atol=1e-5)
    np.testing.assert_allclose(mesh.bounds[:, 1], [-1.9, 0.0], atol=1e-5)
    assert (mesh.face_normals[:, 2] > 0).all()
    rise = np.ptp(mesh.vertices[mesh.faces][:, :, 2], axis=1)
    assert rise.max() < 1.0
    assert len(mesh.split(only_watertight=False)) == 2
