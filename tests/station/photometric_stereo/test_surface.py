"""What frames say of the surface: a diffuse base or none, bounced light, and where robust stands on enough lights."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.lights.consistency import judge_table
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import (
    DEFAULT_BLACK_LEVEL_DN,
    DIRECTIONAL_CHANNELS,
    Light,
    LightHead,
    Scene,
    make_part,
)
from station.commands.app import app
from station.photometric_stereo.checks import leave_one_out_residuals, sampled_values
from station.photometric_stereo.concave_light import concave_light
from station.photometric_stereo.diffuse_base import diffuse_base
from station.photometric_stereo.folder import solve_folder
from station.photometric_stereo.gloss import Gloss, GlossView, fit_gloss
from station.photometric_stereo.lights import DirectionalLights
from station.photometric_stereo.photographs import PhotographsError
from station.photometric_stereo.robust_support import robust_support, solve_supported
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

SIZE = 64
METAL, PLASTIC = Gloss(20.0, 0.25), Gloss(0.12, 0.15)
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ring(count: int = 8) -> np.ndarray:
    azimuth = 2 * np.pi * np.arange(count) / count
    across = np.sin(np.radians(40))
    rows = [across * np.cos(azimuth), across * np.sin(azimuth), np.full(count, np.cos(np.radians(40)))]
    return np.stack(rows, axis=1)


def ball() -> np.ndarray:
    """(SIZE * SIZE, 3) normals up to 64 degrees off the axis, evenly spread over the ball's outline."""
    k = np.arange(SIZE * SIZE)
    radius, azimuth = np.sqrt(0.8 * (k + 0.5) / k.size), 2.39996 * k
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), np.sqrt(1 - radius**2)], axis=1)


def light_of(gloss: Gloss, albedo: float, count: int = 8) -> np.ndarray:
    """(K, n) of the ball, the brightest hundredth at 0.8 of full scale or under."""
    n, lights = ball(), ring(count)
    views = np.broadcast_to(np.array([0.0, 0.0, 1.0]), n.shape)
    light = np.maximum(n @ lights.T, 0) + gloss.added(n, np.broadcast_to(lights, (len(n), count, 3)), views)
    light = albedo * light.T
    return np.asarray(np.minimum(light * min(1, 0.8 / np.quantile(light, 0.99)), 1))


def frames_of(light: np.ndarray) -> list[Frame]:
    counts = np.round(light.reshape(-1, SIZE, SIZE) * 4095).astype(np.uint16)
    return [Frame(pixels, "Mono12", 12, 0.0, 1.0, 0.0, 0, k) for k, pixels in enumerate(counts)]


def lights_of(count: int = 8) -> DirectionalLights:
    return DirectionalLights(tuple(map(str, range(count))), ring(count), np.ones(count))


@pytest.mark.parametrize("gloss", [Gloss(0.0, 1.0), PLASTIC, Gloss(0.3, 0.4)])
def test_matte_plastic_and_satin_have_a_diffuse_base(gloss: Gloss) -> None:
    light = light_of(gloss, 0.3)
    found = diffuse_base(light, light < 0.99, ring(), SolverSettings())
    assert found.explained_share is not None
    assert found.explained_share > 0.85
    assert not found.is_missing


def test_metal_has_none_although_most_of_it_is_observable() -> None:
    light = light_of(METAL, 0.02)
    found = diffuse_base(light, light < 0.99, ring(), SolverSettings())
    assert found.explained_share is not None
    assert found.explained_share < 0.4
    assert found.is_missing
    assert "pixels" in found.text()


def test_noise_on_a_dark_matte_part_is_not_taken_for_metal() -> None:
    rng = np.random.default_rng(1)
    light = light_of(Gloss(0.0, 1.0), 0.03) + rng.normal(0, 0.01 / 6, (8, SIZE * SIZE))
    assert not diffuse_base(light, light < 0.99, ring(), SolverSettings()).is_missing


def test_bounced_light_in_shadows_is_found_and_true_shadows_are_not() -> None:
    light = light_of(PLASTIC, 0.3)
    walled = np.arange(SIZE * SIZE) % 5 == 0  # a wall keeps two lamps from every fifth pixel
    direct, bounced = light.copy(), light.copy()
    direct[2:4, walled] = 0
    bounced[2:4, walled] = 0.06 * light[:, walled].max(axis=0)
    settings = SolverSettings()
    assert concave_light(direct, direct < 0.99, ring(), settings).share == pytest.approx(0, abs=0.005)
    found = concave_light(bounced, bounced < 0.99, ring(), settings)
    assert found.dominates
    assert found.share is not None
    assert 0.05 < found.share < 0.2
    assert found.fill == pytest.approx(0.07, abs=0.02)
    assert concave_light(light[:4], light[:4] < 0.99, ring()[:4], settings).share is None


def test_robust_takes_the_masked_normal_where_it_keeps_three_lights() -> None:
    light = light_of(Gloss(0.0, 1.0), 0.5)
    rng = np.random.default_rng(2)
    spoiled = np.arange(SIZE * SIZE) % 3 == 0
    light[:, spoiled] *= rng.uniform(0.3, 1.7, (8, int(spoiled.sum())))
    maps = []
    for method in ("masked", "robust"):
        solver = PhotometricStereo(lights_of(), (SIZE, SIZE), SolverSettings(method=method))  # type: ignore[arg-type]
        for k, frame in enumerate(frames_of(light)):
            solver.add(k, frame)
        maps.append(solver.solve())
    masked, robust = maps
    supported = solve_supported(solver)
    weak = robust.observable & masked.observable & (robust.lit_count < 4)
    assert weak.sum() > 50
    np.testing.assert_array_equal(supported.normals[:, weak], masked.normals[:, weak])
    np.testing.assert_array_equal(supported.normals[:, ~weak], robust.normals[:, ~weak])
    assert solver.settings.method == "robust"
    report = robust_support(light, light < 0.99, ring(), SolverSettings())
    assert report is not None
    assert report.unsupported_share == pytest.approx(
        weak.sum() / (masked.observable & robust.observable).sum(), abs=0.02
    )
    assert report.apart_share > 0.02


@pytest.mark.parametrize("gloss", [METAL, Gloss(8.0, 0.4)])
def test_the_fit_of_gloss_refuses_metal_with_figures(gloss: Gloss) -> None:
    frames = frames_of(light_of(gloss, 0.02))
    solver = PhotometricStereo(lights_of(), (SIZE, SIZE))
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    with pytest.raises(PhotometricStereoError, match=r"explains \d+% of \d+ pixels.*no diffuse base.*does not apply"):
        fit_gloss([GlossView(frames, lights_of(), solver.solve())], SolverSettings())


def folder_of(folder: Path, light: np.ndarray) -> Path:
    folder.mkdir()
    for k, frame in enumerate(frames_of(light)):
        cv2.imwrite(str(folder / f"{k}.png"), frame.pixels * 16)
    (folder / "filenames.txt").write_text("".join(f"{k}.png\n" for k in range(len(light))))
    np.savetxt(folder / "light_directions.txt", ring(len(light)))
    return folder


def test_solve_warns_of_metal_in_text_and_report(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", light_of(METAL, 0.02))
    run = CliRunner().invoke(app, ["solve", str(folder), "--out", str(tmp_path / "out")])
    assert run.exit_code == 0
    assert "! no diffuse base" in run.output
    assert "method masked" in run.output
    report = solve_folder(folder_of(tmp_path / "plastic", light_of(PLASTIC, 0.3)), tmp_path / "other", "robust")
    assert report.warnings == ()
    assert report.robust_against_masked is not None
    assert '"unsupported_share"' in report.as_json()


def test_solve_recommends_the_refinement_where_bounced_light_fills_shadows(tmp_path: Path) -> None:
    light = light_of(Gloss(0.0, 1.0), 0.3)
    walled = np.arange(SIZE * SIZE) % 5 == 0
    light[2:4, walled] = 0.06 * light[:, walled].max(axis=0)
    (warning,) = solve_folder(folder_of(tmp_path / "in", light), tmp_path / "out").warnings
    assert warning.startswith("bounced light: on ")
    assert "use --refine bounced" in warning


def test_a_shadow_fraction_counts_and_one_out_of_bounds_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", light_of(Gloss(0.0, 1.0), 0.5))
    usual = solve_folder(folder, tmp_path / "usual")
    strict = solve_folder(folder, tmp_path / "strict", shadow_fraction=0.4)
    assert strict.mean_lit_count < usual.mean_lit_count
    assert strict.shadow_fraction == 0.4
    for fraction in (0.0, 0.51, float("nan")):
        with pytest.raises(PhotographsError, match=r"shadow fraction of .*0\.01 to 0\.5"):
            solve_folder(folder, tmp_path / "none", shadow_fraction=fraction)
    assert not (tmp_path / "none").exists()


def test_a_light_that_grazes_the_part_is_not_judged_by_what_it_leaves_out() -> None:
    tilted = np.array([np.sin(np.radians(46)), 0.0, np.cos(np.radians(46))])
    rng = np.random.default_rng(3)
    n = tilted + rng.normal(0, 0.03, (SIZE * SIZE, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    light = 0.5 * np.maximum(ring() @ n.T, 0) + 0.004  # a little of another light: much of what grazes
    found = leave_one_out_residuals(frames_of(light), lights_of(), SolverSettings())
    assert np.isnan(found["4"])  # it stands 86 degrees off
    judged = [value for value in found.values() if np.isfinite(value)]
    assert len(judged) >= 5
    assert max(judged) < 0.01


@pytest.mark.parametrize("seed", [102, 106])
def test_a_good_table_is_not_doubted_by_a_part_of_few_flat_faces(seed: int) -> None:
    positions = [LightHead.nominal().light(channel).position_mm for channel in DIRECTIONAL_CHANNELS]
    far = [Light(k + 1, (20 * x, 20 * y, 20 * z), power=400.0) for k, (x, y, z) in enumerate(positions)]
    scene = Scene(make_part("connector", seed), head=LightHead(tuple(far)))
    pose, roi = Pose(0.0, -176.777, 184.777, 45.0, -90.0), (150, 80, 384, 296)
    frames = []
    for k, channel in enumerate(DIRECTIONAL_CHANNELS):
        pixels = scene.photograph(
            pose, {channel: 1.0}, exposure_us=8000.0, gain_db=0.0, pixel_format="Mono12", binning=8, roi=roi,
            frame_seed=50 + k,
        )  # fmt: skip
        frames.append(Frame(pixels, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, 8000.0, 0.0, k, k))
    mask = scene.truth(pose, 8, roi).part_mask
    values, usable, _ = sampled_values(frames, lights_of(), SolverSettings(), mask, 2_000)
    judged = judge_table(values, usable & (values > 0.08 * np.quantile(values, 0.7, axis=0)), ring())
    assert judged.doubts == ()
    assert "of the shading by slopes" in judged.why_not
