"""Flat field, uncertainty, curvature and height, against surfaces and a Scene that are known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BLACK_LEVEL_DN, Scene, make_part
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.flat_field import FlatField, flat_field_from_plane
from station.photometric_stereo.lights import DirectionalLights, LightGeometryError, PointLights
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.surfaces import height_mm, mean_curvature_per_mm, slope_deg
from station.photometric_stereo.uncertainty import SensorNoise, predicted_uncertainty

BINNING = 16
CHANNELS = tuple(range(1, 9))
TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
EXPOSURE_US = 8000.0
Roi = tuple[int, int, int, int]
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def photographed(scene: Scene, binning: int = BINNING, roi: Roi | None = None) -> list[Frame]:
    frames = []
    for k, channel in enumerate(CHANNELS):
        pixels = scene.photograph(
            TOP, {channel: 1.0}, exposure_us=EXPOSURE_US, gain_db=0.0, pixel_format="Mono12", binning=binning,
            roi=roi, frame_seed=50 + k,
        )  # fmt: skip
        frames.append(Frame(pixels, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, EXPOSURE_US, 0.0, k, k))
    return frames


def head_lights(scene: Scene, binning: int = BINNING, roi: Roi | None = None) -> PointLights:
    lights = [scene.head.light(channel) for channel in CHANNELS]
    left, top = (0, 0) if roi is None else roi[:2]
    return PointLights(
        names=tuple(str(channel) for channel in CHANNELS),
        positions_mm=np.array([light.position_mm for light in lights]),
        intensities=np.array([light.power for light in lights]),
        mm_per_px=250 / 24429 * binning,
        center_px=(5472 / binning / 2 - 0.5 - left, 3648 / binning / 2 - 0.5 - top),
        lobe_exponent=1.0,
    )


def far(lights: PointLights) -> DirectionalLights:
    lengths = np.linalg.norm(lights.positions_mm, axis=1, keepdims=True)
    return DirectionalLights(lights.names, lights.positions_mm / lengths, lights.intensities)


def mean_error_deg(
    frames: list[Frame], lights: PointLights | DirectionalLights, truth: np.ndarray, flat_field: FlatField | None = None
) -> float:
    solver = PhotometricStereo(lights, truth.shape[1:], flat_field=flat_field)  # type: ignore[arg-type]
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return float(np.nanmean(angular_error_map(solver.solve().normals, truth.astype(np.float64))))


@pytest.fixture(scope="module")
def white() -> Scene:
    return Scene(make_part("plane_white", 0))


@pytest.fixture(scope="module")
def white_frames(white: Scene) -> list[Frame]:
    return photographed(white)


def test_a_plane_under_near_lights_needs_the_near_model_or_a_flat_field(
    white: Scene, white_frames: list[Frame]
) -> None:
    truth, lights = white.truth(TOP, BINNING).normals, head_lights(white)
    flat = flat_field_from_plane(white_frames, far(lights), step_px=16)
    assert mean_error_deg(white_frames, far(lights), truth) > 5
    assert mean_error_deg(white_frames, lights, truth) < 0.3
    assert mean_error_deg(white_frames, far(lights), truth, flat) < 0.3


def test_a_sphere_of_the_scene_is_solved_to_within_a_degree() -> None:
    scene = Scene(make_part("sphere_diffuse", 3))
    truth = scene.truth(TOP, BINNING)
    frames, lights = photographed(scene), head_lights(scene)
    part = np.where(truth.part_mask, truth.normals, 0)
    assert mean_error_deg(frames, lights, part) < 1
    assert mean_error_deg(frames, far(lights), part) > 2


def test_a_flat_field_interpolates_linearly_and_twin_and_kernel_agree_on_it(
    white_frames: list[Frame], white: Scene
) -> None:
    rows, columns = np.mgrid[:5, :4].astype(float)
    flat = FlatField(np.stack([1 + 0.1 * rows + 0.05 * columns, np.ones((5, 4))]), 8)
    assert flat.at(np.array([12.0]), np.array([4.0]))[0] == pytest.approx([1 + 0.05 + 0.075, 1])
    lights = head_lights(white)
    measured = flat_field_from_plane(white_frames, far(lights), step_px=16)
    maps = []
    for engine in ("numba", "numpy"):
        solver = PhotometricStereo(far(lights), white_frames[0].pixels.shape[:2], engine=engine, flat_field=measured)  # type: ignore[arg-type]
        for k, frame in enumerate(white_frames):
            solver.add(k, frame)
        maps.append(solver.solve())
    assert np.nanmax(angular_error_map(maps[0].normals, maps[1].normals.astype(np.float64))) < 0.01


def test_bad_flat_fields_are_refused(white: Scene, white_frames: list[Frame]) -> None:
    lights = far(head_lights(white))
    with pytest.raises(PhotometricStereoError, match="7 flat-field frames for 8"):
        flat_field_from_plane(white_frames[:7], lights)
    dark = [replace(f, pixels=f.pixels * np.uint16(0)) for f in white_frames]
    with pytest.raises(PhotometricStereoError, match="light '1' is dark"):
        flat_field_from_plane(dark, lights)
    with pytest.raises(LightGeometryError, match="grazes the plane"):
        flat_field_from_plane(white_frames, lights, (1.0, 0.0, 0.1))
    with pytest.raises(PhotometricStereoError, match="not finite and above 0"):
        FlatField(np.zeros((3, 4, 4)), 8)


def test_the_predicted_error_covers_the_error_of_the_scene(white: Scene) -> None:
    binning, roi = 2, (1100, 700, 320, 240)
    frames = photographed(white, binning, roi)
    lights = head_lights(white, binning, roi)
    solver = PhotometricStereo(lights, (roi[3], roi[2]))
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    result = solver.solve()
    sensor = white.sensor
    dark_e = float(np.hypot(sensor.read_noise_e, sensor.dsnu_e))
    noise = SensorNoise(sensor.gain_dn_per_e(12, 0.0) / binning**2, dark_e * binning)
    predicted = predicted_uncertainty(frames, lights, result, noise, SolverSettings(), stride=2)
    truth = white.truth(TOP, binning, roi).normals.astype(np.float64)
    error = angular_error_map(result.normals, truth)[::2, ::2]
    assert np.mean(error <= predicted.p68_deg) == pytest.approx(0.68, abs=0.03)
    assert np.mean(error <= predicted.p95_deg) == pytest.approx(0.95, abs=0.03)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(np.sqrt(np.mean(predicted.rms_deg**2)), rel=0.05)
    assert np.nanmax(predicted.condition) < 2


def ball(size: int, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    row, column = np.mgrid[:size, :size]
    x, y = column - (size - 1) / 2, (size - 1) / 2 - row
    inside = x**2 + y**2 < (0.8 * radius_px) ** 2
    z = np.sqrt(np.where(inside, radius_px**2 - x**2 - y**2, 0))
    return (np.stack([x, y, z]) / radius_px * inside).astype(np.float32), np.where(inside, z, np.nan)


def test_a_ball_has_the_slope_curvature_and_height_of_a_ball() -> None:
    mm_per_px = 0.05
    normals, z = ball(161, 90.0)
    assert slope_deg(normals)[80, 80 + 45] == pytest.approx(30, abs=0.01)
    assert np.nanmedian(mean_curvature_per_mm(normals, mm_per_px)) == pytest.approx(1 / 4.5, rel=1e-3)
    height = height_mm(normals, mm_per_px)
    expected = (z - np.nanmean(z)) * mm_per_px
    assert np.array_equal(np.isfinite(height), np.isfinite(z))
    assert np.nanmax(np.abs(height - expected)) < 0.01


def test_a_slope_rises_where_its_normals_lean_away() -> None:
    normals = np.zeros((3, 40, 50), np.float32)
    normals[0], normals[1], normals[2] = -0.6, 0.0, 0.8  # leans left: z rises to the right
    height = height_mm(normals, 0.1)
    np.testing.assert_allclose(np.diff(height, axis=1), 0.075, atol=1e-4)
    normals[0], normals[1] = 0.0, -0.6  # leans down: z rises upward in the picture
    np.testing.assert_allclose(np.diff(height_mm(normals, 0.1), axis=0), -0.075, atol=1e-4)


def test_what_is_not_observable_has_no_height() -> None:
    assert np.isnan(height_mm(np.zeros((3, 8, 8), np.float32), 0.1)).all()
    assert np.isnan(slope_deg(np.zeros((3, 8, 8), np.float32))).all()
