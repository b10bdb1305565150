"""Parts from meshes: what rays find is what the drawn patches and formulas say, and the shading is the Scene's."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import (
    COLOUR_KINDS,
    DEFECT_KINDS,
    GEOMETRY_KINDS,
    Part,
    Placement,
    Scene,
    Sensor,
    make_part,
    random_defect,
)
from drivers.simulated.scene.patches import Body, Material, box

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
RIGHT = Pose(176.777, 0.0, 184.777, 45.0, 0.0)
LEFT = Pose(-176.777, 0.0, 184.777, 45.0, 180.0)
BINNING = 16
QUIET = Sensor(read_noise_e=0.0, dark_e_per_s=0.0, prnu_percent=0.0, dsnu_e=0.0)
X_MM, Y_MM, Z_MM = (-15.0, 15.0), (-10.0, 10.0), (0.0, 12.0)
GREY = Material((0.5, 0.5, 0.5), f0=(0.04, 0.04, 0.04), alpha=0.5)
PLAIN = "tolerance_mm: 0\nmaterial: {texture: plain, mottle: 0, slope: 0}\n"


def written(folder: Path, name: str, mesh: trimesh.Trimesh, text: str = "") -> str:
    mesh.export(folder / name)
    if text:
        (folder / name).with_suffix(".yaml").write_text(text)
    return str(folder / name)


@pytest.fixture(scope="module")
def box_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    extents = [high - low for low, high in (X_MM, Y_MM, Z_MM)]
    return written(tmp_path_factory.mktemp("box"), "brick.stl", trimesh.creation.box(extents), PLAIN)


def seated(part: Part) -> Part:
    """Without the play of its seat, and in plain grey."""
    body = replace(part.body, materials=dict.fromkeys(part.body.materials, GREY))
    return replace(part, placement=Placement(), body=body)


@pytest.fixture(scope="module")
def both(box_file: str) -> tuple[Scene, Scene]:
    """The same body as a mesh and as patches, with two bounces of light."""
    drawn = Body(tuple(box("body", "grey", X_MM, Y_MM, Z_MM).values()), {"grey": GREY})
    parts = seated(make_part(box_file, 1)), replace(make_part("plane_white", 0), body=drawn)
    return Scene(parts[0], sensor=QUIET, bounces=2), Scene(parts[1], sensor=QUIET, bounces=2)


def image(scene: Scene, pose: Pose, channel: int, binning: int = BINNING) -> NDArray[np.float64]:
    pixels = scene.photograph(
        pose, {channel: 1.0}, exposure_us=6000.0, gain_db=0.0, pixel_format="Mono12", binning=binning, roi=None,
        frame_seed=1, black_level_dn=0.0,
    )  # fmt: skip
    return pixels.astype(np.float64)


@pytest.mark.parametrize("pose", [TOP, RIGHT])
def test_a_box_has_the_depth_and_the_normals_of_its_patches(both: tuple[Scene, Scene], pose: Pose) -> None:
    mesh, drawn = (scene.truth(pose, BINNING) for scene in both)
    same = mesh.part_mask == drawn.part_mask
    assert same.mean() > 0.9999
    inside = mesh.part_mask & drawn.part_mask & (np.abs(mesh.normals - drawn.normals).max(axis=0) < 0.5)
    assert inside.sum() > 0.999 * drawn.part_mask.sum()
    assert np.abs(mesh.depth_mm - drawn.depth_mm)[inside].max() < 1e-4
    assert np.abs(mesh.normals - drawn.normals)[:, inside].max() < 1e-6
    if pose is TOP:
        assert mesh.depth_mm[inside] == pytest.approx(258.0 - Z_MM[1], abs=1e-4)


def test_a_box_throws_the_shadow_of_its_patches_and_of_the_formula(both: tuple[Scene, Scene]) -> None:
    scene, drawn = both
    for pose in (TOP, RIGHT):
        assert (scene.shadow(pose, 4, BINNING) == drawn.shadow(pose, 4, BINNING)).mean() > 0.999
    shadow = scene.shadow(TOP, 1, BINNING)  # the light on the right
    truth = scene.truth(TOP, BINNING)
    row = shadow.shape[0] // 2
    x_mm = (np.arange(shadow.shape[1]) - (shadow.shape[1] - 1) / 2) * BINNING * 258.0 / 24429.0
    dark = x_mm[shadow[row] & ~truth.part_mask[row]]
    light_x, light_z = 250.0 * math.sin(math.radians(40)), 8.0 + 250.0 * math.cos(math.radians(40))
    edge = X_MM[0] - Z_MM[1] * (light_x - X_MM[0]) / (light_z - Z_MM[1])
    assert dark.min() == pytest.approx(edge, abs=0.2)
    assert not shadow[truth.part_mask].any()


def test_a_box_is_lit_as_its_patches_are_by_lamp_dome_and_bounces(both: tuple[Scene, Scene]) -> None:
    for pose, channel in ((TOP, 3), (RIGHT, 1), (TOP, 9)):
        mesh, drawn = (image(scene, pose, channel) for scene in both)
        part = both[1].truth(pose, BINNING).part_mask
        off = np.abs(mesh - drawn)[part]
        assert np.percentile(off, 99) < 0.02 * np.percentile(drawn[part], 90)


def test_a_fine_sphere_is_as_round_as_the_drawn_one(tmp_path: Path) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=8.0)
    scene = Scene(seated(make_part(written(tmp_path, "ball.ply", sphere, PLAIN), 1)))
    drawn = Scene(make_part("sphere_diffuse", 0))
    mesh, round_one = scene.truth(TOP, BINNING), drawn.truth(TOP, BINNING)
    inside = mesh.part_mask & (round_one.normals[2] > 0.3)
    turned = np.sum(mesh.normals * round_one.normals, axis=0)[inside]
    assert np.degrees(np.arccos(np.clip(turned, -1, 1))).max() < 0.4
    assert np.abs(mesh.depth_mm - round_one.depth_mm)[inside].max() < 0.03
    for channel in (1, 6):  # no facet of it shades itself
        assert (scene.shadow(TOP, channel, BINNING) != drawn.shadow(TOP, channel, BINNING)).mean() < 0.003


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_part(box_file: str) -> None:
    scratch = random_defect(box_file, "scratch", 3)
    frames = [image(Scene(make_part(box_file, 7, [scratch]), threads=n), TOP, 2) for n in (1, 2)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], image(Scene(make_part(box_file, 8, [scratch])), TOP, 2))


@pytest.mark.parametrize("kind", DEFECT_KINDS)
def test_every_defect_is_seen_and_changes_only_what_it_names(box_file: str, kind: str) -> None:
    good, bad = (Scene(make_part(box_file, 5, defects)) for defects in ([], [random_defect(box_file, kind, 2)]))
    seen = 0
    for pose in (TOP, RIGHT, LEFT, Pose(0.0, -176.777, 184.777, 45.0, -90.0), Pose(0.0, 176.777, 184.777, 45.0, 90.0)):
        a, b = good.truth(pose, BINNING), bad.truth(pose, BINNING)
        seen = max(seen, int(b.defect_mask.sum()))
        assert not a.defect_mask.any()
        same_normals, same_albedo = ((x == y).all(axis=0) for x, y in ((a.normals, b.normals), (a.albedo, b.albedo)))
        if kind == "missing_feature":  # the body is cut: its triangles are others, their surface is the same
            turned = np.abs(a.normals - b.normals).max(axis=0)[~b.defect_mask]
            assert (turned > 1e-4).mean() < 1e-4
            continue
        assert same_normals[~b.defect_mask].all()
        assert same_albedo[~b.defect_mask].all()
        assert np.array_equal(a.depth_mm, b.depth_mm)
        if kind in GEOMETRY_KINDS:
            assert same_albedo.all()
            assert b.defect_mask.sum() <= 8 or not same_normals.all()
        if kind in COLOUR_KINDS:
            assert same_normals.all()
            assert b.defect_mask.sum() <= 8 or not same_albedo.all()
    assert seen > 8


def test_regions_features_units_and_pose_are_those_of_the_yaml(tmp_path: Path) -> None:
    text = (
        "name: plinth\nunits: cm\ntolerance_mm: 0\npose: {turn_deg: [90, 0, 0], x_mm: 3}\n"
        "regions: [{name: lid, facing: {direction: [0, 0, 1]}, material: {albedo: [0.1, 0.1, 0.1], mottle: 0}}]\n"
        "features: [{name: corner, box: {x: [10, 30], y: [0, 30]}}]\n"
    )
    path = written(tmp_path, "x.obj", trimesh.creation.box([2.0, 1.2, 1.0]), text)
    scene = Scene(make_part(path, 3))
    truth = scene.truth(TOP, BINNING)
    assert scene.part.product == "plinth"
    assert scene.part.faces == ("fixture", "body", "lid")
    lid = truth.faces == 2
    assert truth.depth_mm[lid] == pytest.approx(258.0 - 12.0, abs=1e-3)
    assert truth.albedo[:, lid].max() < 0.12
    whole, cut = scene.part.packed.traced, make_part(path, 3, [random_defect(path, "missing_feature", 1)]).packed.traced
    assert whole is not None
    assert cut is not None
    assert whole.shape.corners[..., 0].max() == pytest.approx(13.0)
    assert cut.shape.areas.sum() != pytest.approx(whole.shape.areas.sum(), rel=1e-3)


@pytest.mark.parametrize("product", ["crank", "sheet"])
def test_shipped_meshes_are_products_like_the_drawn_ones(product: str) -> None:
    one, other = (make_part(product, seed) for seed in (1, 2))
    assert one.packed.traced is not None
    assert other.packed.traced is not None
    assert one.placement != other.placement
    assert one.body.materials["body"].albedo != other.body.materials["body"].albedo
    apart = np.abs(one.packed.traced.shape.corners - other.packed.traced.shape.corners).max()
    assert 0.001 < apart < 0.2
    truth = Scene(make_part(product, 1, [random_defect(product, "missing_feature", 4)])).truth(TOP, BINNING)
    assert truth.part_mask.sum() > 5000
    assert truth.defect_mask.sum() > 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("open", "the mesh is open: 4 edges .* close it"),
        ("points", "has no faces"),
        ("metres", "larger than the fixture .* it would fit with `units: um`"),
        ("tiny", "smaller than 2 mm .* it would fit with `units: m`"),
        ("text", "has no faces"),
        ("none", "there is no such file"),
        ("aside", "by its pose the part reaches 55.0 mm along x"),
        ("yaml", r"brick.yaml: material.roughness: Input should be less than"),
    ],
)
def test_a_bad_mesh_is_refused_with_what_is_wrong_and_what_helps(tmp_path: Path, change: str, words: str) -> None:
    mesh, text = trimesh.creation.box([30.0, 20.0, 10.0]), PLAIN
    if change == "open":
        mesh.update_faces(mesh.face_normals[:, 2] < 0.5)
    elif change in ("metres", "tiny"):
        mesh.apply_scale(1000.0 if change == "metres" else 0.001)
    elif change == "aside":
        text = "pose: {x_mm: 40}\n"
    elif change == "yaml":
        text = "material: {roughness: 3}\n"
    path = written(tmp_path, "brick.stl", mesh, text)
    if change == "points":
        path = str(tmp_path / "brick.ply")
        trimesh.PointCloud(mesh.vertices).export(path)
    elif change == "text":
        Path(path).write_bytes(b"no mesh at all")
    elif change == "none":
        Path(path).unlink()
    with pytest.raises(ValueError, match=words):
        make_part(path, 1)


def test_a_large_picture_is_traced_in_bands_and_is_the_same(box_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part = make_part(box_file, 2)
    whole = image(Scene(part), RIGHT, 1), Scene(part).truth(RIGHT, BINNING)
    monkeypatch.setattr("drivers.simulated.scene.meshes.sight._BAND_BYTES", 1 << 20)
    bands = image(Scene(part), RIGHT, 1), Scene(part).truth(RIGHT, BINNING)
    assert np.abs(whole[0] - bands[0]).max() <= 1.0
    assert np.abs(whole[1].depth_mm - bands[1].depth_mm).max() < 1e-3
    assert (whole[1].faces == bands[1].faces).mean() > 0.9999
