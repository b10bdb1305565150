"""The Scene: the same seed gives the same bits, and light, sensor and defects behave as physics says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import (
    COLOUR_KINDS,
    DEFECT_KINDS,
    GEOMETRY_KINDS,
    HEIGHT_PX,
    WIDTH_PX,
    Defect,
    LightHead,
    Scene,
    Sensor,
    make_part,
    random_defect,
)


def standing(tilt_deg: float, pan_deg: float) -> Pose:
    t, p = math.radians(tilt_deg), math.radians(pan_deg)
    x, y, z = math.sin(t) * math.cos(p), math.sin(t) * math.sin(p), math.cos(t)
    return Pose(250.0 * x, 250.0 * y, 8.0 + 250.0 * z, tilt_deg, pan_deg)


VIEWS = {
    "top": standing(0, -90),
    "front": standing(45, -90),
    "right": standing(45, 0),
    "back": standing(45, 90),
    "left": standing(45, 180),
}
QUIET = Sensor(read_noise_e=0.0, dark_e_per_s=0.0, prnu_percent=0.0, dsnu_e=0.0)


def photograph(
    scene: Scene,
    pose: Pose,
    channel: int = 2,
    level: float = 1.0,
    *,
    exposure_us: float = 8000.0,
    gain_db: float = 0.0,
    pixel_format: str = "Mono12",
    binning: int = 8,
    roi: tuple[int, int, int, int] | None = None,
    frame_seed: int = 1,
    black_level_dn: float = 0.0,
) -> NDArray[np.float64]:
    pixels = scene.photograph(
        pose,
        {channel: level},
        exposure_us=exposure_us,
        gain_db=gain_db,
        pixel_format=pixel_format,
        binning=binning,
        roi=roi,
        frame_seed=frame_seed,
        black_level_dn=black_level_dn,
    )
    return pixels.astype(np.float64)


def test_the_same_seeds_give_the_same_bits_whatever_the_number_of_threads() -> None:
    defect = random_defect("connector", "scratch", 3)
    frames = [
        photograph(Scene(make_part("connector", 7, [defect]), seed=2, threads=n), VIEWS["front"]) for n in (1, 2, 2)
    ]
    assert np.array_equal(frames[0], frames[1])
    assert np.array_equal(frames[0], frames[2])


def test_other_seeds_give_another_part_another_sensor_another_noise() -> None:
    base = photograph(Scene(make_part("connector", 7), seed=2), VIEWS["top"])
    for part_seed, sensor_seed, frame_seed in ((8, 2, 1), (7, 3, 1), (7, 2, 9)):
        scene = Scene(make_part("connector", part_seed), seed=sensor_seed)
        assert not np.array_equal(base, photograph(scene, VIEWS["top"], frame_seed=frame_seed))


@pytest.mark.parametrize("binning", [8, 1])
@pytest.mark.parametrize("pixel_format", ["Mono12", "BayerRG12"])
def test_a_region_is_a_crop_of_the_whole_picture(binning: int, pixel_format: str) -> None:
    scene = Scene(make_part("connector", 1))
    x, y = (WIDTH_PX // binning // 2 - 101, HEIGHT_PX // binning // 2 - 77)
    outer = photograph(scene, VIEWS["right"], binning=binning, roi=(x, y, 120, 90), pixel_format=pixel_format)
    inner = photograph(scene, VIEWS["right"], binning=binning, roi=(x + 13, y + 7, 50, 60), pixel_format=pixel_format)
    # interpolation weights along a tile are the same numbers, the rays are rounded differently
    assert np.abs(outer[7:67, 13:63] - inner).max() <= 1.0


def test_each_quadrant_of_a_sphere_has_its_sign_and_faces_its_light() -> None:
    scene = Scene(make_part("sphere_diffuse", 0))
    for pose in (VIEWS["top"], VIEWS["right"]):
        truth = scene.truth(pose, 8)
        ball = truth.part_mask
        rows, columns = np.nonzero(ball)
        right, up = columns - columns.mean(), rows.mean() - rows
        far = np.hypot(right, up) > 20
        assert np.all(np.sign(truth.normals[0][ball][far & (abs(right) > 5)]) == np.sign(right[far & (abs(right) > 5)]))
        assert np.all(np.sign(truth.normals[1][ball][far & (abs(up) > 5)]) == np.sign(up[far & (abs(up) > 5)]))
        assert truth.normals[2][ball].min() > -0.05
        for channel in range(1, 9):
            azimuth = math.radians(45 * (channel - 1))
            image = np.where(ball, photograph(scene, pose, channel), 0.0)
            bright = image > 0.9 * image.max()
            y, x = np.nonzero(bright)
            centre = np.array([x.mean() - columns.mean(), rows.mean() - y.mean()])
            assert centre @ [math.cos(azimuth), math.sin(azimuth)] > 0.95 * np.linalg.norm(centre) > 5


def test_a_sphere_s_depth_and_place_are_those_of_a_pinhole() -> None:
    truth = Scene(make_part("sphere_diffuse", 0)).truth(VIEWS["top"], 8)
    rows, columns = np.nonzero(truth.part_mask)
    assert columns.mean() == pytest.approx((WIDTH_PX / 8 - 1) / 2, abs=0.6)
    assert rows.mean() == pytest.approx((HEIGHT_PX / 8 - 1) / 2, abs=0.6)
    assert truth.depth_mm[truth.part_mask].min() == pytest.approx(242.0, abs=0.01)
    radius_px = 24429.0 / 8 * 8.0 / math.sqrt(250.0**2 - 8.0**2)
    assert truth.part_mask.sum() == pytest.approx(math.pi * radius_px**2, rel=0.01)


def test_lambert_near_light_and_cosines_give_the_plane_s_signal() -> None:
    sensor = Sensor(read_noise_e=0, dark_e_per_s=0, prnu_percent=0, dsnu_e=0, luminance_rgb=(0.0, 1.0, 0.0))
    scene = Scene(make_part("plane_white", 0), sensor=sensor)
    x, y = WIDTH_PX // 8 // 2, HEIGHT_PX // 8 // 2
    middle = photograph(scene, VIEWS["top"], 1, exposure_us=4000, roi=(x - 10, y - 10, 20, 20)).mean()
    # albedo 0.8 in half of the 8 ms that lift albedo 0.5 to half of full scale
    assert middle == pytest.approx(4095 * 0.5 * 0.8 / 0.5 * 0.5, rel=0.003)
    right = photograph(scene, VIEWS["top"], 1, exposure_us=4000, roi=(x + 240, y - 10, 20, 20)).mean()
    offset_mm = 250.0 * 8 * 249.5 / 24429.0
    light = np.array([250 * math.sin(math.radians(40)), 0.0, 250 * math.cos(math.radians(40))])
    to_light = light - [offset_mm, 0.0, 0.0]
    distance = float(np.linalg.norm(to_light))
    lobe = float(to_light @ light) / distance / 250.0
    vignetting = (250.0 / math.hypot(250.0, offset_mm)) ** 4
    expected = middle * (250.0 / distance) ** 2 * (to_light[2] / distance) / math.cos(math.radians(40)) * lobe
    assert right == pytest.approx(expected * vignetting, rel=0.003)


def test_signal_is_proportional_to_exposure_level_and_gain() -> None:
    scene = Scene(make_part("connector", 1), sensor=QUIET)
    part = scene.truth(VIEWS["top"], 8).part_mask
    base = photograph(scene, VIEWS["top"], exposure_us=3000)[part].mean()
    assert photograph(scene, VIEWS["top"], exposure_us=6000)[part].mean() == pytest.approx(2 * base, rel=2e-3)
    assert photograph(scene, VIEWS["top"], level=0.5, exposure_us=6000)[part].mean() == pytest.approx(base, rel=2e-3)
    louder = photograph(scene, VIEWS["top"], exposure_us=3000, gain_db=6.0)[part].mean()
    assert louder == pytest.approx(base * 10**0.3, rel=2e-3)
    black = photograph(scene, VIEWS["top"], exposure_us=3000, black_level_dn=40.0)[part].mean()
    assert black == pytest.approx(base + 40, abs=0.5)


def test_eight_milliseconds_put_good_parts_in_the_middle_of_the_scale() -> None:
    for product in ("connector", "knob"):
        scene = Scene(make_part(product, 2))
        for channel in (2, 9):
            image = photograph(scene, VIEWS["top"], channel, pixel_format="BayerRG12")
            lit = np.percentile(image[scene.truth(VIEWS["top"], 8).part_mask], 75) / 4095
            assert 0.35 < lit < 0.7


def test_noise_variance_over_mean_gives_the_system_gain() -> None:
    scene = Scene(make_part("plane_white", 0), sensor=Sensor(read_noise_e=4.0))
    x, y = WIDTH_PX // 2 - 100, HEIGHT_PX // 2 - 100
    means, variances = [], []
    for exposure_us in (400.0, 2000.0, 4000.0):
        a, b = (
            photograph(
                scene, VIEWS["top"], 1, exposure_us=exposure_us, binning=1, roi=(x, y, 200, 200),
                frame_seed=seed, black_level_dn=20.0,
            )
            for seed in (1, 2)
        )  # fmt: skip
        means.append((a + b).mean() / 2 - 20.0)
        variances.append((a - b).var() / 2)
    gain, offset = np.polyfit(means, variances, 1)
    expected = 4095 / 14000.0
    assert gain == pytest.approx(expected, rel=0.03)
    assert offset == pytest.approx((4.0 * expected) ** 2 + 1 / 12, abs=0.8)


def test_darkness_is_the_black_level_with_read_noise() -> None:
    scene = Scene(make_part("connector", 1))
    dark = scene.photograph(
        VIEWS["top"], {}, exposure_us=8000, gain_db=0, pixel_format="Mono12", binning=1, roi=(0, 0, 200, 200),
        frame_seed=4, black_level_dn=32.0,
    )  # fmt: skip
    assert dark.mean() == pytest.approx(32.0, abs=0.1)
    assert dark.std() == pytest.approx(math.sqrt(17.0) * 4095 / 14000, rel=0.05)


def test_saturation_clips() -> None:
    scene = Scene(make_part("plane_white", 0))
    for pixel_format, largest in (("Mono8", 255), ("Mono12", 4095), ("BayerRG8", 255), ("BayerRG12", 4095)):
        image = photograph(scene, VIEWS["top"], 1, exposure_us=60000, gain_db=1.0, pixel_format=pixel_format)
        assert image.max() == largest
        assert np.median(image) == largest


def test_bayer_filters_sit_red_first_and_mono_sees_luminance() -> None:
    sensor = Sensor(0.5e9, 0, 0, 0, 0, response_rgb=(1.0, 0.5, 0.25), luminance_rgb=(0.25, 0.5, 0.25))
    scene = Scene(make_part("plane_white", 0), sensor=sensor)

    def centre(pixel_format: str) -> NDArray[np.float64]:
        return photograph(scene, VIEWS["top"], 1, exposure_us=3e8, pixel_format=pixel_format, roi=(300, 200, 64, 64))

    bayer = centre("BayerRG12")
    colours = [bayer[i::2, j::2].mean() for i in (0, 1) for j in (0, 1)]
    assert np.array(colours) / colours[0] == pytest.approx([1.0, 0.5, 0.5, 0.25], rel=0.01)
    assert centre("Mono12").mean() / colours[0] == pytest.approx(1.0, rel=0.01)


def test_a_pixel_behind_the_wall_is_dark_under_the_light_behind_it() -> None:
    scene = Scene(make_part("connector", 1))
    truth = scene.truth(VIEWS["top"], 8)
    names = scene.part.faces
    plate = ~truth.part_mask
    rows, columns = np.nonzero(truth.part_mask)
    beside = np.zeros_like(plate)  # the plate just left of the housing
    beside[rows.min() + 40 : rows.max() - 40, columns.min() - 25 : columns.min() - 5] = True
    beside &= plate
    far_light, near_light = photograph(scene, VIEWS["top"], 1), photograph(scene, VIEWS["top"], 5)
    assert scene.shadow(VIEWS["top"], 1, 8)[beside].all()
    assert not scene.shadow(VIEWS["top"], 5, 8)[beside].any()
    assert far_light[beside].mean() < 0.05 * near_light[beside].mean()
    floor = truth.faces == names.index("pocket_floor")
    assert 0.1 < scene.shadow(VIEWS["top"], 2, 8)[floor].mean() < 0.95


def test_a_scratch_on_a_side_wall_is_hidden_from_the_top_view() -> None:
    for product in ("connector", "knob"):
        for seed in range(4):
            scene = Scene(make_part(product, 3, [random_defect(product, "side_scratch", seed)]))
            seen = {name: int(scene.truth(pose, 16).defect_mask.sum()) for name, pose in VIEWS.items()}
            assert seen.pop("top") == 0
            assert max(seen.values()) > 15


@pytest.mark.parametrize("product", ["connector", "knob"])
@pytest.mark.parametrize("kind", DEFECT_KINDS)
def test_every_defect_is_seen_and_changes_only_what_it_names(product: str, kind: str) -> None:
    for seed in (1, 2):
        good = Scene(make_part(product, 5))
        bad = Scene(make_part(product, 5, [random_defect(product, kind, seed)]))
        seen = 0
        for pose in VIEWS.values():
            a, b = good.truth(pose, 16), bad.truth(pose, 16)
            seen = max(seen, int(b.defect_mask.sum()))
            assert not a.defect_mask.any()
            assert np.array_equal(a.normals[:, ~b.defect_mask], b.normals[:, ~b.defect_mask])
            assert np.array_equal(a.albedo[:, ~b.defect_mask], b.albedo[:, ~b.defect_mask])
            if kind in GEOMETRY_KINDS:
                assert np.array_equal(a.albedo, b.albedo)
            if kind in COLOUR_KINDS:
                assert np.array_equal(a.normals, b.normals)
            if kind != "missing_feature" and b.defect_mask.sum() > 8:
                assert not np.array_equal(a.normals, b.normals) or not np.array_equal(a.albedo, b.albedo)
        assert seen > 8


def test_a_dent_tilts_the_normals_as_steeply_as_its_depth_says() -> None:
    dent = Defect("dent", size_mm=3.0, depth_um=150.0, face="tile_top", seed=1)
    truth = Scene(make_part("plane_white", 0, [dent])).truth(VIEWS["top"], 2)
    nx, ny, nz = truth.normals
    steepest = float((np.hypot(nx, ny) / nz)[truth.defect_mask].max())
    # h = -d (1 - rho^2)^2 is steepest at rho = 1 / sqrt(3): 16 / (6 sqrt(3)) d / r along the short half axis
    radius_mm = (1.5 * math.sqrt(0.8), 1.5)
    slope = [8.0 / (3.0 * math.sqrt(3.0)) * 0.150 / r for r in radius_mm]
    assert slope[1] * 0.98 < steepest < slope[0] * 1.02


def test_smooth_tiles_at_full_resolution_stay_below_shot_noise() -> None:
    scene = Scene(make_part("knob", 1, [random_defect("knob", "scratch", 4)]), sensor=QUIET)
    roi = (2000, 1400, 600, 400)
    fine = photograph(scene, VIEWS["front"], binning=1, roi=roi)
    averaged = fine.reshape(50, 8, 75, 8).mean(axis=(1, 3))
    coarse = photograph(scene, VIEWS["front"], binning=8, roi=(250, 175, 75, 50))
    lit = (coarse > 500) & (averaged > 500)
    relative = np.abs(coarse / np.maximum(averaged, 1.0) - 1)[lit]
    assert np.median(relative) < 0.02


def test_parts_lie_within_the_fixture_s_tolerance_and_differ() -> None:
    parts = [make_part("connector", seed) for seed in range(40)]
    shifts = np.array([(p.placement.x_mm, p.placement.y_mm) for p in parts])
    turns = np.array([p.placement.rotation_deg for p in parts])
    assert np.abs(shifts).max() <= 0.08
    assert np.abs(shifts).max() > 0.06
    assert np.abs(turns).max() <= 0.25
    assert len({p.body.materials["plastic"].albedo for p in parts}) == 40


def test_toleranced_lights_are_off_by_what_was_asked() -> None:
    nominal, built = LightHead.nominal(), LightHead.toleranced(5, direction_deg=0.5, intensity_percent=1.0)
    angles = []
    for a, b in zip(nominal.lights[:8], built.lights[:8], strict=True):
        p, q = np.asarray(a.position_mm), np.asarray(b.position_mm)
        angles.append(math.degrees(math.acos(float(p @ q) / float(np.linalg.norm(p) * np.linalg.norm(q)))))
    assert 0.2 < float(np.mean(angles)) < 1.5


def test_wrong_arguments_are_named() -> None:
    scene = Scene(make_part("empty", 0))
    with pytest.raises(ValueError, match="product 'conector' is unknown"):
        make_part("conector", 1)
    with pytest.raises(ValueError, match="defect kind 'crack' is unknown"):
        random_defect("knob", "crack", 1)
    with pytest.raises(ValueError, match="no face 'lid'"):
        _ = make_part("knob", 1, [Defect("dent", 2.0, 100.0, face="lid")]).packed
    with pytest.raises(ValueError, match="no feature 'spring'"):
        make_part("knob", 1, [Defect("missing_feature", face="spring")])
    with pytest.raises(ValueError, match="RGB9"):
        photograph(scene, VIEWS["top"], pixel_format="RGB9")
    with pytest.raises(ValueError, match="no channel 12"):
        photograph(scene, VIEWS["top"], channel=12)
    with pytest.raises(ValueError, match="leaves the sensor"):
        photograph(scene, VIEWS["top"], roi=(600, 0, 100, 100))
