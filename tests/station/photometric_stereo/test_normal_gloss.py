"""A broad highlight is predicted and taken off: against an analytic ball, and against the Scene's knob."""

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BLACK_LEVEL_DN, Scene, make_part
from station.photometric_stereo.checks import angular_error_map, sample_pixels
from station.photometric_stereo.gloss import (
    Gloss,
    GlossView,
    fit_gloss,
    solved_compiled,
    solved_in_arrays,
    without_gloss,
)
from station.photometric_stereo.lights import DirectionalLights, PointLights
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

SIZE, FULL = 96, 4095
SATIN = Gloss(0.5, 0.4)
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ring(count: int = 8) -> DirectionalLights:
    azimuth = 2 * np.pi * np.arange(count) / count
    across = np.sin(np.radians(40))
    rows = [across * np.cos(azimuth), across * np.sin(azimuth), np.full(count, np.cos(np.radians(40)))]
    return DirectionalLights(tuple(map(str, range(count))), np.stack(rows, axis=1), np.ones(count))


def cap() -> np.ndarray:
    """(3, H, W) normals of the part of a ball that every light of the ring reaches."""
    row, column = np.mgrid[:SIZE, :SIZE]
    x, y = (column - SIZE / 2) / SIZE * 1.1, (SIZE / 2 - row) / SIZE * 1.1
    return np.stack([x, y, np.sqrt(1 - x**2 - y**2)]) * (np.hypot(x, y) < 0.55)


def photographs(gloss: Gloss, truth: np.ndarray | None = None) -> list[Frame]:
    n = (cap() if truth is None else truth).reshape(3, -1).T
    lights = ring()
    directions = np.broadcast_to(lights.directions, (len(n), 8, 3))
    views = np.broadcast_to(np.array([0.0, 0.0, 1.0]), n.shape)
    light = 0.3 * (np.maximum(n @ lights.directions.T, 0) + gloss.added(n, directions, views))
    counts = np.round(light.T.reshape(8, SIZE, SIZE) * FULL).astype(np.uint16)
    return [Frame(pixels, "Mono12", 12, 0.0, 1.0, 0.0, 0, k) for k, pixels in enumerate(counts)]


def solved(frames: list[Frame], lights: DirectionalLights | PointLights) -> NormalMap:
    solver = PhotometricStereo(lights, (frames[0].pixels.shape[0], frames[0].pixels.shape[1]))
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return solver.solve()


def test_gloss_is_found_in_the_frames_and_taken_off() -> None:
    frames, lights = photographs(SATIN), ring()
    first = solved(frames, lights)
    found = fit_gloss([GlossView(frames, lights, first)], SolverSettings())
    assert found.residual_of_albedo < 0.3 * found.matte_residual_of_albedo
    refined = without_gloss(frames, lights, first, SolverSettings(), found.gloss)
    before, after = (np.nanmean(angular_error_map(m.normals, cap())) for m in (first, refined))
    assert before > 1
    assert after < 0.3 * before
    np.testing.assert_array_equal(refined.observable, first.observable)


def test_gloss_is_found_where_each_face_of_the_part_loses_a_light_and_only_the_dark_fixture_loses_none() -> None:
    lean = np.radians(60)  # toward +x: the light at -x stands behind the horizon of the middle of the cap
    x, y, z = cap()
    part = np.hypot(x, y) > 0
    leaned = np.where(part, [np.cos(lean) * x + np.sin(lean) * z, y, np.cos(lean) * z - np.sin(lean) * x], 0)
    least = np.einsum("kc,cyx->kyx", ring().directions, leaned).min(axis=0)
    leaned[:, (leaned[2] < 0.25) | (least > 0.08)] = 0
    board = np.broadcast_to(np.reshape([np.sin(np.radians(35)), 0, np.cos(np.radians(35))], (3, 1, 1)), leaned.shape)
    frames, fixture = photographs(SATIN, leaned), photographs(Gloss(0.0, 0.4), board)
    seen = leaned[2] > 0
    mixed = []
    for on_part, beside in zip(frames, fixture, strict=True):
        pixels = np.where(seen, on_part.pixels, beside.pixels // 6).astype(np.uint16)
        mixed.append(Frame(pixels, "Mono12", 12, 0.0, 1.0, 0.0, 0, on_part.frame_id))
    first = solved(mixed, ring())
    every = first.lit_count == 8
    assert np.count_nonzero(every & seen) < 0.1 * np.count_nonzero(every)
    found = fit_gloss([GlossView(mixed, ring(), first)], SolverSettings()).gloss
    assert found.of_albedo == pytest.approx(SATIN.of_albedo, rel=0.15)
    assert found.roughness == pytest.approx(SATIN.roughness, rel=0.15)


def test_a_matte_part_is_left_as_it_is() -> None:
    frames, lights = photographs(Gloss(0.0, 0.4)), ring()
    first = solved(frames, lights)
    same = without_gloss(frames, lights, first, SolverSettings(), Gloss(0.0, 0.4))
    assert np.nanmax(angular_error_map(same.normals, first.normals.astype(np.float64))) < 0.01
    assert fit_gloss([GlossView(frames, lights, first)], SolverSettings()).gloss.of_albedo < 0.05


def test_the_turned_knob_is_solved_to_within_a_degree_with_its_height_and_gloss() -> None:
    binning, channels = 16, (2, 4, 6, 8)
    scene = Scene(make_part("knob", 6))
    lights = PointLights(
        names=tuple(map(str, channels)),
        positions_mm=np.array([scene.head.light(c).position_mm for c in channels]),
        intensities=np.ones(4),
        mm_per_px=250 / 24429 * binning,
        center_px=(5472 / binning / 2 - 0.5, 3648 / binning / 2 - 0.5),
        plane_height_mm=5.2,
    )
    for pose in (Pose(0.0, 0.0, 258.0, 0.0, -90.0), Pose(176.777, 0.0, 184.777, 45.0, 0.0)):
        frames = []
        for k, channel in enumerate(channels):
            pixels = scene.photograph(
                pose, {channel: 1.0}, exposure_us=8000.0, gain_db=0.0, pixel_format="Mono12", binning=binning,
                roi=None, frame_seed=k,
            )  # fmt: skip
            frames.append(Frame(pixels, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, 8000.0, 0.0, k, k))
        truth = scene.truth(pose, binning)
        dark = np.stack([scene.shadow(pose, channel, binning) for channel in channels]).any(axis=0)
        first = solved(frames, lights)
        refined = without_gloss(frames, lights, first, SolverSettings(), Gloss(0.45, 0.36), camera_mm=250.0)
        lit = truth.part_mask & ~dark & refined.observable
        before, after = (
            float(angular_error_map(m.normals, truth.normals.astype(np.float64))[lit].mean()) for m in (first, refined)
        )
        assert after < 1.0
        assert after < 0.6 * before


@pytest.mark.parametrize("method", ["ls", "masked", "robust"])
def test_compiled_and_array_form_agree(method: str) -> None:
    """On the ball, and on anything: saturated, dark and black pixels among it."""
    rng = np.random.default_rng(7)
    counts = rng.integers(0, FULL + 1, (8, SIZE, SIZE)).astype(np.uint16)
    counts[:, :10], counts[:3, 10:20], counts[:, 20:25] = 0, FULL, FULL
    anything = [Frame(c, "Mono12", 12, 64.0, 1.0, 0.0, 0, k) for k, c in enumerate(counts)]
    settings = SolverSettings(method=method)  # type: ignore[arg-type]
    for frames in (photographs(SATIN), anything):
        y, x = (a.ravel() for a in np.mgrid[0:SIZE:3, 0:SIZE:3])
        sample = sample_pixels(frames, ring(), settings, y, x)
        views = np.tile([0.0, 0.0, 1.0], (y.size, 1))
        fast, plain = (f(sample, views, settings, SATIN) for f in (solved_compiled, solved_in_arrays))
        np.testing.assert_array_equal(fast.observable, plain.observable)
        np.testing.assert_array_equal(fast.lit_count, plain.lit_count)
        np.testing.assert_allclose(fast.g[fast.observable], plain.g[fast.observable], atol=1e-9)
        np.testing.assert_allclose(fast.residual[fast.observable], plain.residual[fast.observable], atol=1e-9)
        assert fast.observable.any()
    assert not fast.observable.all()


def test_gloss_that_cannot_be_is_refused() -> None:
    with pytest.raises(PhotometricStereoError, match="of_albedo is -1"):
        Gloss(-1.0, 0.4)
    with pytest.raises(PhotometricStereoError, match="roughness is nan"):
        Gloss(0.5, float("nan"))
    frames = photographs(SATIN)
    black = [Frame(f.pixels * np.uint16(0), "Mono12", 12, 0.0, 1.0, 0.0, 0, f.frame_id) for f in frames]
    with pytest.raises(PhotometricStereoError, match="only 0 pixels"):
        fit_gloss([GlossView(black, ring(), solved(black, ring()))], SolverSettings())
