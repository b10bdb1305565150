"""What the depth methods are given: integrated heights against formulas, and a reliability that says what to trust."""

from __future__ import annotations

import numpy as np
import pytest

from station.depth.generated import ReliefPatches, cut_patches, relief_view
from station.depth.measured import DepthTruth, depth_view, reliability
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.surfaces import Perspective, filled_height_mm

SHAPE = (60, 80)
GREY = np.full((3, *SHAPE), 0.4, np.float32)


def map_of(normals: np.ndarray, lit: int = 8, residual: float = 0.0) -> NormalMap:
    seen = np.abs(normals).sum(axis=0) > 0
    ones = np.ones(seen.shape, np.float32)
    left = np.full(seen.shape, residual, np.float32)
    return NormalMap(normals.astype(np.float32), ones, np.full(seen.shape, lit, np.uint8), left, seen, ~seen & False)


def test_a_ball_seen_in_perspective_has_its_own_depth_only_where_the_camera_is_known() -> None:
    """A near camera of 20 degrees to each side, a ball of 30 mm at 120 mm: rays and slopes spread."""
    view = Perspective(110.0, (39.5, 29.5), 95.0)
    rows, columns = np.indices(SHAPE)
    ray = np.stack([(columns - 39.5) / 110.0, -(rows - 29.5) / 110.0, -np.ones(SHAPE)])
    centre = np.array([4.0, -3.0, -120.0])
    a, b = (ray**2).sum(axis=0), np.einsum("c,cyx->yx", centre, ray)
    root = b**2 - a * (centre @ centre - 30.0**2)
    depth = (b - np.sqrt(np.maximum(root, 0))) / a
    normals = (ray * depth - centre[:, None, None]) / 30.0
    inside = (root > 0) & (normals[2] > 0.5)
    found = {
        kind: filled_height_mm(np.where(inside, normals, 0).astype(np.float32), 95.0 / 110.0, perspective=known)
        for kind, known in (("near", view), ("far", None))
    }
    truth = -depth[inside] + depth[inside].mean()
    off = {kind: float(np.std(height[inside] - truth)) for kind, height in found.items()}
    assert off["near"] < 0.03
    assert off["near"] < off["far"] / 20


def test_what_is_not_observed_is_filled_and_counts_nothing() -> None:
    normals = np.zeros((3, *SHAPE), np.float32)
    normals[:] = np.array([-0.2, 0.1, 0.97])[:, None, None] / np.linalg.norm([-0.2, 0.1, 0.97])
    normals[:, 20:40, 30:50] = 0
    truth = DepthTruth(np.zeros(SHAPE, np.float32) + 5, np.ones(SHAPE, bool), np.zeros(SHAPE, bool))
    view = depth_view(GREY, map_of(normals), 8, 0.1, truth)
    assert np.isfinite(view.integrated).all()
    assert not view.mask[20:40, 30:50].any()
    assert (view.reliability[~view.mask] == 0).all()
    assert view.integrated[view.mask].mean() == pytest.approx(0, abs=1e-4)
    assert np.abs(view.depth).max() == 0
    assert view.has_truth
    assert not depth_view(GREY, map_of(normals), 8, 0.1, None).has_truth


def test_reliability_falls_with_fewer_lights_a_worse_fit_and_a_steeper_face() -> None:
    flat = np.zeros((3, 2, 2))
    flat[2] = 1
    steep = flat.copy()
    steep[0], steep[2] = 0.8, 0.6
    best = reliability(map_of(flat), 8)
    assert best[0, 0] == pytest.approx(1.0)
    for worse in (map_of(flat, lit=4), map_of(flat, residual=0.05), map_of(steep)):
        assert reliability(worse, 8)[0, 0] < 0.65
    assert reliability(map_of(flat, residual=0.05), 8)[0, 0] == pytest.approx(0.5)


def test_a_relief_is_solved_and_integrated_to_its_true_height_away_from_steps() -> None:
    patches = ReliefPatches(size_px=32, side=2)
    view = relief_view(12, patches.relief_px)  # scratches on a bent ground
    off = view.integrated - view.depth
    away = view.mask & ~view.steps
    assert away.mean() > 0.5
    assert float(np.std(off[away])) < 0.1 * float(np.ptp(view.depth))
    cut = cut_patches(view, patches)
    assert [patch.shape for patch in cut] == [(32, 32)] * 4
    assert not np.array_equal(cut[0].depth, cut[3].depth)
