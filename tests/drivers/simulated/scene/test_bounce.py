"""Light that bounces: against closed forms of radiosity, and as a picture shows it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import DEFAULT_BOUNCES, Scene, make_part
from drivers.simulated.scene import bounce as bounce_module
from drivers.simulated.scene.bounce import Transport, dome_table, transport_of
from drivers.simulated.scene.part import Part
from drivers.simulated.scene.patches import Body, Material, Patch, X, Y, Z, rectangle
from drivers.simulated.scene.products import lever

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
BACK = Pose(0.0, 176.777, 184.777, 45.0, 90.0)  # looks into the crease
RIGHT = Pose(176.777, 0.0, 184.777, 45.0, 0.0)
SIDE_MM, LIFT_MM = 10.0, 5.0  # of the floor above the plate, whose own light must not count
AREA = (200, 120, 284, 216)


def crease(albedo: float = 0.5) -> Part:
    """A square floor that faces up, and a square wall of the same size on its edge that faces along +y."""
    matte = Material((albedo, albedo, albedo), f0=(0.0, 0.0, 0.0), alpha=1.0)
    floor = rectangle("floor", "matte", (0.0, SIDE_MM / 2, LIFT_MM), X, Y, SIDE_MM, SIDE_MM)
    wall = rectangle("wall", "matte", (0.0, 0.0, LIFT_MM + SIDE_MM / 2), (-1.0, 0.0, 0.0), Z, SIDE_MM, SIDE_MM)
    return with_patches((floor, wall), matte)


def with_patches(patches: tuple[Patch, ...], material: Material) -> Part:
    return replace(make_part("plane_white", 0), body=Body(patches, {"matte": material}))


def cells_of(transport: Transport, patch: int) -> NDArray[np.bool_]:
    return np.asarray(transport.surfels.owner == patch)


def image(scene: Scene, pose: Pose, channel: int) -> NDArray[np.float64]:
    """Noise is the same in all pictures of one seed, so differences are light."""
    pixels = scene.photograph(
        pose, {channel: 1.0}, exposure_us=8000.0, gain_db=0.0, pixel_format="Mono12", binning=8, roi=AREA, frame_seed=1,
        black_level_dn=100.0,
    )  # fmt: skip
    return pixels.astype(np.float64) - 100.0


def test_two_squares_at_right_angles_exchange_a_fifth_of_their_light() -> None:
    transport = transport_of(crease().packed)
    received = transport.received[cells_of(transport, 0)][:, cells_of(transport, 1)]
    assert float(received.sum(axis=1).mean()) == pytest.approx(
        0.2000, abs=0.003
    )  # e.g. Modest, Radiative Heat Transfer


def test_light_from_a_wall_comes_from_the_walls_side_and_from_above() -> None:
    transport = transport_of(crease().packed)
    floor, wall = cells_of(transport, 0), cells_of(transport, 1)
    x, y, z = (float(m[floor][:, wall].sum(axis=1).mean()) for m in transport.toward)
    assert abs(x) < 0.01
    assert y < -0.1
    assert z == pytest.approx(0.2, abs=0.005)  # the cosine undoes the division by it: the irradiance again


def test_the_foot_of_a_wall_sees_half_of_the_dome_and_more_away_from_it() -> None:
    part = crease()
    transport = transport_of(part.packed)
    table = dome_table(transport, part.packed, np.array([0.0, 0.0, -1.0]), 1.0, bounces=0)
    points, floor = transport.surfels.points, cells_of(transport, 0)
    middle = floor & (np.abs(points[:, 0]) < 0.6)
    for distance in (0.3, 2.0, 8.0):
        at = np.flatnonzero(middle)[np.argmin(np.abs(points[middle, 1] - distance))]
        d, half = points[at, 1], SIDE_MM / 2
        slant = math.hypot(d, SIDE_MM)
        # a rectangle across from a point at its foot's middle, at right angles (Howell's catalogue, B-4)
        blocked = (math.atan(half / d) - d / slant * math.atan(half / slant)) / math.pi
        assert table[at, 12] == pytest.approx(1.0 - blocked, abs=0.02)


def test_a_pocket_gets_more_light_with_each_bounce_until_nothing_is_missing_and_an_open_plane_gets_none() -> None:
    pictures = [image(Scene(make_part("connector", 3), bounces=n), TOP, 1) for n in (0, 2, 4, DEFAULT_BOUNCES, 12)]
    truth = Scene(make_part("connector", 3)).truth(TOP, 8, AREA)
    floor = (truth.depth_mm > 258 - 7.6) & (truth.depth_mm < 258 - 7.4) & truth.part_mask
    none, two, four, usual, many = (float(picture[floor].mean()) for picture in pictures)
    assert none < two < four < usual < many
    assert (many - none) / many > 0.1
    assert (many - usual) / many < 0.01
    tile = [image(Scene(make_part("plane_white", 0), bounces=n), TOP, 1) for n in (0, 2)]
    assert np.abs(tile[1] - tile[0]).max() <= 1.0


def test_the_share_of_bounced_light_grows_with_the_albedo() -> None:
    shares = []
    for albedo in (0.2, 0.8):
        part = crease(albedo)
        with_it, without = (image(Scene(part, bounces=n), BACK, 1) for n in (6, 0))
        lit = (without > 100) & Scene(part).truth(BACK, 8, AREA).part_mask
        shares.append(float(((with_it - without)[lit] / without[lit]).mean()))
    assert shares[1] > 3 * shares[0] > 0


def test_a_surface_under_a_body_does_not_count_and_its_open_neighbours_continue_over_it() -> None:
    packed = make_part("connector", 1).packed
    transport = transport_of(packed)
    surfels = transport.surfels
    under = (np.abs(surfels.points[:, 0]) < 10) & (np.abs(surfels.points[:, 1]) < 6) & (surfels.points[:, 2] < 3.1)
    assert under.any()
    assert not surfels.exposed[under].any()
    ones = transport.filled @ np.where(surfels.exposed > 0, 1.0, 0.0)
    beside_open = (surfels.exposed == 0) & (ones != 0)
    assert beside_open.any()
    np.testing.assert_allclose(ones[beside_open], 1.0, atol=1e-5)


def test_a_round_wall_is_hidden_where_another_body_covers_it() -> None:
    """The lever's rib ends inside its boss: no light comes to the boss's wall there."""
    part = make_part("lever", 1)
    surfels = transport_of(part.packed).surfels
    wall = [patch.face for patch in part.body.patches].index("boss_wall")
    x, y, z = surfels.points.T
    low, high = lever.BASE_Z_MM + lever.RIB_FILLET_MM + 0.4, lever.RIB_TOP_MM - 0.4
    under_rib = (x > lever.ROUND_X_MM) & (np.abs(y) < lever.RIB_HALF_MM - 0.4) & (z > low) & (z < high)
    under_rib &= surfels.owner == wall
    assert under_rib.sum() >= 3
    assert not surfels.exposed[under_rib].any()


def test_threads_do_not_change_a_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "one"))
    bounce_module.forget()
    one = image(Scene(make_part("knob", 4), bounces=2, threads=1), RIGHT, 5)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "two"))
    bounce_module.forget()
    two = image(Scene(make_part("knob", 4), bounces=2, threads=2), RIGHT, 5)
    np.testing.assert_array_equal(one, two)


def test_a_kept_transport_gives_the_same_picture_and_a_damaged_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    bounce_module.forget()
    gathered = image(Scene(crease(), bounces=2), BACK, 1)
    (kept,) = tmp_path.glob("transport-*.npz")
    bounce_module.forget()
    with monkeypatch.context() as patched:
        patched.setattr(bounce_module, "_gathered", lambda *_: pytest.fail("it was gathered anew"))
        np.testing.assert_array_equal(image(Scene(crease(), bounces=2), BACK, 1), gathered)
    kept.write_bytes(kept.read_bytes()[:1000])
    bounce_module.forget()
    np.testing.assert_array_equal(image(Scene(crease(), bounces=2), BACK, 1), gathered)
    assert kept.stat().st_size > 1000


def test_parts_of_one_product_share_their_transport_whatever_their_colour_and_defects() -> None:
    assert transport_of(make_part("knob", 1).packed) is transport_of(make_part("knob", 2).packed)


def test_a_negative_number_of_bounces_is_refused() -> None:
    with pytest.raises(ValueError, match="bounces must be 0 or more, found -1"):
        Scene(make_part("empty", 0), bounces=-1)
