"""Light directions from spheres: pictures drawn from the law of reflection alone, and planted faults named."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.lights.check import (
    disagreements,
    intensities_from_part,
    leave_one_out,
    set_condition,
    table_faults,
)
from calibration.lights.diffuse_sphere import fit_light
from calibration.lights.mirror_sphere import mirror_direction, sight_light
from calibration.lights.near import locate_light
from calibration.lights.outline import Sphere, find_sphere_in_picture, fit_circle, fit_sphere, outline_of_mask
from calibration.lights.rays import LightCalibrationError, Orthographic, Pinhole, angle_deg, unit

SIZE, CENTER, RADIUS = 300, (151.3, 148.6), 120.0
NAMES = [f"L{45 * k}" for k in range(8)]


def ring(slant_deg: float = 40.0, count: int = 8) -> np.ndarray:
    azimuth, slant = np.radians(np.arange(count) * 360 / count), np.radians(slant_deg)
    return np.stack(
        [np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(count, np.cos(slant))], 1
    )


def face() -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) normals of the sphere in the picture, and its mask."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    a, b = (x - CENTER[0]) / RADIUS, (CENTER[1] - y) / RADIUS
    inside = a * a + b * b < 1
    return np.stack([a, b, np.sqrt(np.where(inside, 1 - a * a - b * b, 0))], -1), inside


def mirror_picture(light: np.ndarray, glare: float = 1.0) -> np.ndarray:
    """A polished ball: bright where the half vector of light and line of sight is the normal."""
    normals, inside = face()
    half = unit(light + np.array([0.0, 0.0, 1.0]))
    return np.minimum(glare * np.exp(-(angle_deg(normals, half) ** 2) / (2 * 1.2**2)), 1) * inside + 0.01 * inside


def matte_picture(light: np.ndarray, strength: float = 0.8) -> np.ndarray:
    normals, inside = face()
    noise = np.random.default_rng(4).normal(0, 0.002, (SIZE, SIZE))
    return strength * np.maximum(normals @ light, 0) * inside + noise


def sphere() -> Sphere:
    return fit_sphere(outline_of_mask(face()[1]), Orthographic())


def test_the_outline_of_a_mask_is_the_sphere() -> None:
    circle = sphere().circle
    assert (circle.x_px, circle.y_px) == pytest.approx(CENTER, abs=0.05)
    assert circle.radius_px == pytest.approx(RADIUS, abs=0.15)
    assert circle.rms_px < 0.4


def test_a_ragged_outline_costs_no_accuracy_and_a_square_is_no_sphere() -> None:
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    points = np.stack([50 + 40 * np.cos(angle), 60 + 40 * np.sin(angle)], 1)
    points[40:60] += 9
    assert fit_circle(points).x_px == pytest.approx(50, abs=0.1)
    side = np.linspace(-40, 40, 60)
    square = np.concatenate([np.stack([side, np.full(60, s * 40.0)], 1) for s in (-1, 1)])
    square = np.concatenate([square, square[:, ::-1]])
    with pytest.raises(LightCalibrationError, match="strays"):
        fit_circle(square)


@pytest.mark.parametrize("k", range(8))
def test_a_mirror_sphere_gives_the_light_and_not_its_own_normal(k: int) -> None:
    light = ring()[k]
    seen = sight_light(mirror_picture(light), sphere(), Orthographic(), 10.0)
    assert angle_deg(seen.direction, light) < 0.3
    assert angle_deg(seen.direction, unit(light + np.array([0.0, 0.0, 1.0]))) > 15, (
        "the sphere's normal is not the light"
    )
    assert 0.0 < seen.spread_deg < 0.5
    assert seen.flags == ()


def test_the_mirror_law_uses_the_line_of_sight_of_the_pixel() -> None:
    tilted = unit(np.array([0.1, 0.0, 1.0]))
    up = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(mirror_direction(up, tilted), tilted * [-1, 1, 1])


def test_a_saturated_highlight_a_second_light_and_a_dark_sphere_are_named() -> None:
    light, other = ring()[0], ring()[3]
    glaring = sight_light(mirror_picture(light, 5000.0), sphere(), Orthographic(), 1.0)
    assert any("saturated highlight" in flag for flag in glaring.flags)
    both = np.maximum(mirror_picture(light), mirror_picture(other))
    assert any("two highlights" in flag for flag in sight_light(both, sphere(), Orthographic(), 10.0).flags)
    with pytest.raises(LightCalibrationError, match=r"000\.png: no highlight"):
        sight_light(np.zeros((SIZE, SIZE)), sphere(), Orthographic(), 1.0, "000.png")


def test_a_matte_sphere_gives_direction_and_strength_and_an_honest_spread() -> None:
    light = ring(55)[2]
    fit = fit_light(matte_picture(light), sphere(), Orthographic(), 10.0)
    assert angle_deg(fit.direction, light) < 0.2
    assert fit.strength == pytest.approx(0.8, rel=0.01)
    assert fit.spread_deg < 0.3
    glossy = matte_picture(light) + 0.5 * mirror_picture(light)
    assert angle_deg(fit_light(glossy, sphere(), Orthographic(), 10.0).direction, light) < 0.6


def test_a_matte_sphere_that_is_clipped_or_dark_is_named() -> None:
    picture = np.minimum(matte_picture(ring()[0], 3.0), 1.0)
    assert any("saturated" in flag for flag in fit_light(picture, sphere(), Orthographic(), 1.0).flags)
    with pytest.raises(LightCalibrationError, match="dark"):
        fit_light(np.zeros((SIZE, SIZE)), sphere(), Orthographic(), 1.0)


def test_a_sphere_beside_the_axis_is_found_in_space() -> None:
    rays = Pinhole(3000.0, 3000.0, 341.5, 227.5, 250.0)
    truth, radius = np.array([12.0, 6.0, -3.0]), 8.0
    y, x = np.mgrid[:456, :684].astype(float)
    points, away = rays.through(x, y)
    offset = points - truth
    gap = (offset**2).sum(-1) - (offset * away).sum(-1) ** 2
    picture = np.where(gap < radius**2, 0.6, 0.05)
    near = rays.project(truth) + np.array([3.0, -2.0])
    found = find_sphere_in_picture(picture, rays, radius, (float(near[0]), float(near[1])))
    assert np.abs(found.center - truth)[:2].max() < 0.01
    assert abs(found.center[2] - truth[2]) < 0.5
    np.testing.assert_allclose(rays.project(found.center), rays.project(truth), atol=0.15)


def test_near_lights_are_located_from_several_places() -> None:
    rng = np.random.default_rng(1)
    light = np.array([160.0, 0.0, 190.0])
    points = np.array([[0, 0, 8], [17, 8, 8], [-17, 8, 8], [17, -8, 8], [-17, -8, 8.0]])
    directions = unit(unit(light - points) + rng.normal(0, np.radians(0.05), (5, 3)))
    near = locate_light(points, directions, np.full(5, 0.05))
    assert angle_deg(near.direction, unit(light)) < 0.15
    assert near.distance_mm == pytest.approx(np.linalg.norm(light), abs=5)
    assert abs(near.distance_mm - np.linalg.norm(light)) < 4 * near.distance_spread_mm
    assert near.flags == ()
    directions[3] = unit(directions[3] + [0.1, 0, 0])
    assert any("place 4" in flag for flag in locate_light(points, directions, np.full(5, 0.05)).flags)
    with pytest.raises(LightCalibrationError, match="places spread by"):
        locate_light(points * 0.1, directions, np.full(5, 0.05))


def turned(light: np.ndarray, by_deg: float) -> np.ndarray:
    side = unit(np.cross(light, [0.0, 0.0, 1.0]))
    return np.cos(np.radians(by_deg)) * light + np.sin(np.radians(by_deg)) * side


def test_each_planted_fault_of_a_table_is_named_and_no_other_light() -> None:
    measured, spreads = ring(), np.full(8, 0.1)
    table = measured.copy()
    table[2] = unit(measured[2] + [0.0, 0.0, 1.0])
    table[4], table[5] = measured[5], measured[4]
    table[7] = turned(measured[7], 10.0)
    table[0] = measured[0] * [-1.0, 1.0, 1.0]
    faults = table_faults(measured, table, spreads, NAMES)
    assert "sphere's normal taken for the light" in faults[2][0]
    assert "swapped channels" in faults[4][0]
    assert "L225" in faults[4][0]
    assert "swapped channels" in faults[5][0]
    assert faults[7] == ["table and measurement differ by 10.0 degrees"]
    assert "mirrored left-right" in faults[0][0]
    assert [faults[k] for k in (1, 3, 6)] == [[], [], []]


def test_a_table_that_is_turned_as_a_whole_is_said_so() -> None:
    table = np.roll(ring(), 1, axis=0)
    faults = table_faults(ring(), table, np.full(8, 0.1), NAMES)
    assert any("turned by" in fault for fault in faults[0])


def test_two_estimates_that_disagree_are_flagged_with_the_angle() -> None:
    first, second = ring(), ring()
    second[6] = turned(second[6], 4.0)
    angles, flags = disagreements(first, second)
    assert angles[6] == pytest.approx(4.0, abs=0.01)
    assert [k for k, flag in enumerate(flags) if flag] == [6]
    assert flags[6] is not None
    assert "4.00 degrees" in flags[6]


def test_leaving_each_light_out_names_the_one_that_is_off() -> None:
    rng = np.random.default_rng(2)
    normals = unit(np.stack([rng.normal(0, 0.35, 3000), rng.normal(0, 0.35, 3000), np.ones(3000)], 1))
    strengths = rng.uniform(0.8, 1.2, 8)
    values = np.maximum(strengths[:, None] * (ring() @ normals.T), 0) + rng.normal(0, 0.003, (8, 3000))
    assert leave_one_out(values, ring(), strengths).flags == (None,) * 8
    wrong = ring()
    wrong[5] = turned(wrong[5], 5.0)
    judged = leave_one_out(values, wrong, strengths)
    assert [k for k, flag in enumerate(judged.flags) if flag] == [5]
    np.testing.assert_allclose(intensities_from_part(values, ring()), strengths / strengths.mean(), rtol=0.01)
    assert np.isnan(intensities_from_part(values[:3], ring()[:3])).all()  # three lights always explain a point


def test_a_poor_arrangement_says_which_light_to_move_where() -> None:
    assert set_condition(ring(45), NAMES).advice == ()
    crowded = unit(np.array([[0.6, 0.05, 0.8], [0.6, -0.05, 0.8], [0.6, 0.0, 0.8], [0.55, 0.1, 0.8]]))
    poor = set_condition(crowded, ["a", "b", "c", "d"])
    assert poor.condition > 10
    assert "move" in poor.advice[0]
    assert "azimuth" in poor.advice[0]
