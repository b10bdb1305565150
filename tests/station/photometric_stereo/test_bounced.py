"""Bounced light: lit sets that are earned, a groove whose faces light each other, and a doubt that holds the errors."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from typer.testing import CliRunner

from drivers.protocols import Frame
from station.commands.app import app
from station.photometric_stereo import refined_photographs
from station.photometric_stereo.bounced import refine
from station.photometric_stereo.bounced.doubt import doubt_p95_deg
from station.photometric_stereo.bounced.kernels import FIGURES, earn_rows, turn_by_height
from station.photometric_stereo.bounced.refine import BouncedMap, without_bounced_light
from station.photometric_stereo.bounced.relief import Relief
from station.photometric_stereo.bounced.transport import Cells, transport_of
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.folder import SolveReport, solve_folder
from station.photometric_stereo.lights import DirectionalLights
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import PhotographsError
from station.photometric_stereo.settings import PhotometricStereoError, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.uncertainty import SensorNoise

F64 = NDArray[np.float64]
FULL = 4095
NOISE = SensorNoise(FULL / 40_000, 10.0)
HEIGHT, WIDTH, HALF = 90, 150, 40  # pixels; half the groove's width


def ring(count: int = 8) -> DirectionalLights:
    turn, slant = np.arange(count) * 2 * np.pi / count, np.radians(40)
    directions = np.stack(
        [np.sin(slant) * np.cos(turn), np.sin(slant) * np.sin(turn), np.full(count, np.cos(slant))], 1
    )
    return DirectionalLights(tuple(f"L{k}" for k in range(count)), directions, np.ones(count))


def frames_of(light: F64) -> list[Frame]:
    """Of (K, H, W) light, 1 at full scale, with the sensor's noise."""
    rng, counts = np.random.default_rng(5), light * FULL
    noisy = np.round(counts + rng.normal(size=light.shape) * np.sqrt(NOISE.variance_dn2(counts)))
    pixels = np.clip(noisy, 0, FULL).astype(np.uint16)
    return [Frame(plane, "Mono12", 12, 0.0, 1.0, 0.0, k, k) for k, plane in enumerate(pixels)]


def first(frames: list[Frame], lights: DirectionalLights) -> NormalMap:
    solver = PhotometricStereo(lights, (frames[0].pixels.shape[0], frames[0].pixels.shape[1]))
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return solver.solve()


def groove(albedo: float, bounces: int) -> tuple[F64, F64]:
    """(8, H, W) light and (3, H, W) truth of a long groove of 90 degrees, its faces at 45 degrees, flat land beside it.

    Light between the faces is that of infinite strips, dF = x z dz / (2 (x^2 + z^2)^1.5), by repeated bounces.
    """
    lights = ring().directions
    x = (np.arange(HALF) + 0.5) * np.sqrt(2)  # along a face, from the crease
    factor = x[:, None] * x / (2 * (x[:, None] ** 2 + x**2) ** 1.5) * np.sqrt(2)
    faces = np.array([[1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]) / np.sqrt(2)  # left, right
    direct = (lights @ faces.T)[:, :, None] * np.ones(HALF)
    found = np.zeros_like(direct)
    for _ in range(bounces):
        found = albedo * (direct + found)[:, ::-1] @ factor.T
    light, truth = np.zeros((8, HEIGHT, WIDTH)), np.zeros((3, HEIGHT, WIDTH))
    truth[2], middle = 1, WIDTH // 2
    light[:] = (albedo * lights[:, 2])[:, None, None]
    for face, columns in enumerate((np.arange(middle - 1, middle - 1 - HALF, -1), np.arange(middle, middle + HALF))):
        light[:, :, columns] = albedo * (direct + found)[:, face][:, None, :]
        truth[:, :, columns] = faces[face][:, None, None]
    return light, truth


def errors(found: NormalMap, truth: F64) -> F64:
    """(H, W) degrees, NaN where not observable."""
    return angular_error_map(found.normals, truth)


@pytest.fixture(scope="module")
def bounced_groove() -> tuple[NormalMap, BouncedMap, F64]:
    light, truth = groove(0.6, 8)
    frames = frames_of(light)
    return first(frames, ring()), without_bounced_light(frames, ring(), SolverSettings(), NOISE, white=1.0), truth


def test_light_between_the_faces_of_a_groove_is_taken_off(
    bounced_groove: tuple[NormalMap, BouncedMap, F64],
) -> None:
    masked, refined, truth = bounced_groove
    inside = truth[2] < 0.9
    kept = inside & refined.normal_map.observable
    before, after = (np.nanmean(errors(m, truth)[kept]) for m in (masked, refined.normal_map))
    assert before > 5
    assert after < 0.4 * before
    assert kept.sum() > 0.7 * inside.sum()
    assert np.nanmedian(refined.bounced_share[inside]) > 0.1


def test_the_doubt_holds_the_errors_and_the_residual_alone_would_not(
    bounced_groove: tuple[NormalMap, BouncedMap, F64],
) -> None:
    masked, refined, truth = bounced_groove
    for where in (truth[2] < 0.9, truth[2] > 0.9):
        kept = where & refined.normal_map.observable
        assert np.mean(errors(refined.normal_map, truth)[kept] <= refined.p95_deg[kept]) > 0.9
    assert np.isnan(refined.p95_deg[~refined.normal_map.observable]).all()
    inside = truth[2] < 0.9
    assert np.median(masked.residual[inside]) < 3 * np.median(masked.residual[~inside])  # a crease shows no residual


def test_a_fine_picture_gives_the_same_though_only_some_pixels_are_looked_at_before_the_last_round(
    bounced_groove: tuple[NormalMap, BouncedMap, F64], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refined, truth = bounced_groove
    monkeypatch.setattr(refine, "CELLS", 1500)  # the same cells, now of 6 pixels: every second one is looked at
    light, fine = (np.repeat(np.repeat(a, 2, axis=1), 2, axis=2) for a in (groove(0.6, 8)[0], truth))
    found = without_bounced_light(frames_of(light), ring(), SolverSettings(), NOISE, white=1.0)
    seen = found.normal_map.observable
    assert seen.mean() == pytest.approx(refined.normal_map.observable.mean(), abs=0.05)
    mean = np.nanmean(errors(refined.normal_map, truth))
    assert np.nanmean(errors(found.normal_map, fine)) == pytest.approx(mean, abs=0.2)
    assert np.mean(errors(found.normal_map, fine)[seen] <= found.p95_deg[seen]) > 0.9


def test_a_height_that_is_wrong_turns_tilted_normals_under_near_lights_alone() -> None:
    lamps = 250.0 * ring().directions
    normals = np.zeros((3, 1, 2))
    normals[:, 0, 0], normals[:, 0, 1] = (0.0, 0.0, 1.0), (0.6, 0.0, 0.8)
    turns = []
    for sources, near in ((lamps, True), (ring().directions, False)):
        out = np.ones((1, 2))
        lens = (0.01, 1.0, 1.0, 0.0, 1.0, near)
        turn_by_height(sources, lens, np.zeros((1, 2)), normals, np.ones((1, 2, 8)), 3, out)
        turns.append(np.degrees(out[0]))
    assert turns[0][0] < 0.01  # the ring is the same from all sides
    assert 0.05 < turns[0][1] < 0.3
    np.testing.assert_allclose(turns[1], 0, atol=1e-4)


@pytest.mark.parametrize("cause", ["beyond", "height_mm", "whiteness", "unknown white"])
def test_what_is_not_known_widens_the_doubt(cause: str) -> None:
    names = (*FIGURES, "nearby", "beyond", "albedo", "whiteness", "turn_per_mm", "height_mm", "lit")
    usual = {name: np.full((1, 1), 0.01, np.float32) for name in names}
    usual |= {
        "per_value": np.full((1, 1), 0.1, np.float32),
        "corrected": np.full((1, 1), 0.1, np.float32),
        "albedo": np.full((1, 1), 0.5, np.float32),
        "lit": np.full((1, 1), 8, np.float32),
    }
    more = usual | ({cause: usual[cause] + 8} if cause in usual else {})
    before, after = (
        float(doubt_p95_deg(f, is_white_known=known)[0, 0]) for f, known in ((usual, True), (more, cause in usual))
    )
    assert after > before + 0.1


def test_a_part_that_is_far_from_white_bounces_nothing_and_its_normals_stay_as_they_are() -> None:
    light, truth = groove(0.6, 0)
    frames = frames_of(light)
    masked, refined = first(frames, ring()), without_bounced_light(frames, ring(), SolverSettings(), NOISE, white=50.0)
    assert refined.normal_map.observable_share > 0.98
    before, after = (np.nanmean(errors(m, truth)) for m in (masked, refined.normal_map))
    assert after < before + 0.1


def earned(values: F64) -> tuple[NDArray[np.uint8], F64, dict[str, F64]]:
    """lit (n, K), g (n, 3) and figures (n,) of n pixels' values (n, K), without any surroundings."""
    number, count = values.shape
    lit, g = np.zeros((1, number, count), np.uint8), np.zeros((1, number, 3), np.float32)
    figures = np.zeros((1, number, len(FIGURES)), np.float32)
    nothing = np.zeros((1, 1))
    earn_rows(
        values[None].astype(np.float32), np.ones((1, number, count), np.bool_), ring(count).directions,
        (1.0, 0.0, 0.0, 0.0, 0.0, False), nothing, np.zeros((1, 1, count)), np.zeros((3, 1, 1)),
        np.zeros((1, 1), np.bool_), nothing, 3, 1.0, np.full((2, count), 1e-7), (0.012, 1.5, 2.0, count - 3, 100.0),
        lit, g, figures, False, 0, 1,
    )  # fmt: skip
    return (
        lit[0],
        g[0].astype(np.float64),
        {name: figures[0, :, i].astype(np.float64) for i, name in enumerate(FIGURES)},
    )


@pytest.mark.parametrize("fill", [0.04, 0.10, 0.17])
def test_a_light_counts_only_where_it_is_lit_directly_however_bright_the_shadows_are(fill: float) -> None:
    rng = np.random.default_rng(2)
    normal = np.array([0.2, -0.1, np.sqrt(1 - 0.05)])
    truth = np.ones((300, 8), np.bool_)
    for row in truth:
        row[(np.arange(rng.integers(0, 5)) + rng.integers(8)) % 8] = False  # neighbours on the ring, as a wall shades
    values = 0.6 * (np.where(truth, ring().directions @ normal, 0) + fill * np.abs(rng.normal(1, 0.02, truth.shape)))
    lit, g, _ = earned(values)
    assert np.mean((lit > 0) == truth) > 0.99
    found = g / np.linalg.norm(g, axis=1)[:, None]
    shaded = ~truth.all(axis=1)
    assert np.median(np.degrees(np.arccos(np.clip(found[shaded] @ normal, -1, 1)))) < 1.0


def test_two_lamps_and_a_bounced_third_are_refused_with_four_lights() -> None:
    values = np.tile(ring(4).directions[:, 2], (60, 90, 1)) * 0.5
    values[:, 30:60, 2:] = 0.06  # two of four lights are in shadow, which bounced light fills
    frames = frames_of(np.moveaxis(values, 2, 0))
    refined = without_bounced_light(frames, ring(4), SolverSettings(), NOISE, white=1.0)
    assert refined.normal_map.observable[:, 35:55].mean() < 0.05
    assert refined.normal_map.observable[:, :25].mean() > 0.95
    assert first(frames, ring(4)).observable[:, 35:55].mean() > 0.95  # what `masked` makes of the same


def test_frames_that_do_not_fit_and_an_impossible_white_are_refused() -> None:
    frames = frames_of(np.full((8, 12, 12), 0.3))
    with pytest.raises(PhotometricStereoError, match="7 frames for 8 lights"):
        without_bounced_light(frames[:7], ring(), SolverSettings(), NOISE)
    with pytest.raises(PhotometricStereoError, match="white is 0"):
        without_bounced_light(frames, ring(), SolverSettings(), NOISE, white=0.0)
    frames[3] = replace(frames[3], pixels=frames[3].pixels[:6])
    with pytest.raises(PhotometricStereoError, match="differ in size"):
        without_bounced_light(frames, ring(), SolverSettings(), NOISE)


@pytest.fixture(scope="module")
def groove_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The groove as photographs, with a mask that leaves out its margin, and the truth.

    Its albedo is 0.5, which is taken where no shadow says how white a part is.
    """
    folder = tmp_path_factory.mktemp("groove") / "in"
    folder.mkdir()
    light, truth = groove(0.5, 8)
    for k, frame in enumerate(frames_of(light)):
        cv2.imwrite(str(folder / f"{k}.png"), frame.pixels * 16)
    (folder / "filenames.txt").write_text("".join(f"{k}.png\n" for k in range(8)))
    np.savetxt(folder / "light_directions.txt", ring().directions)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[4:-4, 6:-6] = 255
    cv2.imwrite(str(folder / "mask.png"), mask)
    savemat(folder / "Normal_gt.mat", {"Normal_gt": truth.transpose(1, 2, 0)})
    return folder


def test_solve_takes_bounced_light_off_and_its_map_of_expected_errors_covers_it(
    groove_folder: Path, tmp_path: Path
) -> None:
    plain, refined = (
        solve_folder(groove_folder, tmp_path / name, refine=name)  # type: ignore[arg-type]
        for name in ("none", "bounced")
    )
    before, after = (_mean(report) for report in (plain, refined))
    assert after < 0.6 * before
    doubt, error = (np.load(tmp_path / "bounced" / f"{name}.npy") for name in ("uncertainty_deg", "error_deg"))
    seen = np.isfinite(error)
    assert np.mean(error[seen] <= doubt[seen]) > 0.9
    assert np.isnan(doubt[:4]).all()  # beside the mask
    noise_alone, masked_error = (np.load(tmp_path / "none" / f"{n}.npy") for n in ("uncertainty_deg", "error_deg"))
    assert np.mean(masked_error[seen] <= noise_alone[seen]) < 0.8
    assert (plain.uncertainty_level, plain.uncertainty_covers) == ("rms", "a typical sensor's noise alone")
    assert refined.uncertainty_p95_deg == pytest.approx(float(np.nanpercentile(doubt, 95)), rel=1e-6)
    assert plain.relighting_residuals == refined.relighting_residuals  # lights are judged by the first solution


def _mean(report: SolveReport) -> float:
    assert report.truth is not None
    return report.truth.mean_deg


def test_solve_says_in_text_what_the_expected_error_covers(groove_folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["solve", str(groove_folder), "--out", str(tmp_path / "out"), "--refine", "bounced"])
    assert run.exit_code == 0, run.output
    assert "method masked, refined by bounced" in run.output
    assert "(covers sensor noise, bounced light as estimated, residual): median " in run.output
    assert "bounced light taken off: " in run.output


@pytest.mark.parametrize("rectangle", [(0, 1, 0, 1), (HEIGHT - 1, HEIGHT, 3, 43), (20, 60, WIDTH - 2, WIDTH)])
def test_a_mask_narrower_than_a_cell_is_refined_too(
    groove_folder: Path, tmp_path: Path, rectangle: tuple[int, int, int, int]
) -> None:
    top, bottom, left, right = rectangle
    folder = tmp_path / "in"
    shutil.copytree(groove_folder, folder)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:bottom, left:right] = 255
    cv2.imwrite(str(folder / "mask.png"), mask)
    report = solve_folder(folder, tmp_path / "out", refine="bounced")
    assert report.mask_pixels == (bottom - top) * (right - left)
    assert report.observable_share > 0.9
    assert np.isfinite(np.load(tmp_path / "out" / "uncertainty_deg.npy")).sum() <= report.mask_pixels


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"lights": ["0", "3", "5"]}, "needs 4 lights or more.*there are 3"),
        ({"method": "robust"}, "--method robust would not count"),
        ({"most": 10**6}, r"would take 0\.0 GB for the mask's 0\.0 megapixels under 8 lights.*bin the pictures"),
    ],
)
def test_solve_refuses_to_refine_what_it_cannot(
    groove_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: dict[str, object], words: str
) -> None:
    monkeypatch.setattr(refined_photographs, "MOST_BYTES", choice.pop("most", refined_photographs.MOST_BYTES))
    with pytest.raises(PhotographsError, match=words):
        solve_folder(groove_folder, tmp_path / "out", refine="bounced", **choice)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_wall_sees_half_its_sky_full_of_ground_that_goes_on_beyond_the_picture() -> None:
    """A face at right angles to a plane without end has half of its sky filled by it, at whatever height."""
    height, width, crease = 40, 24, 18
    is_wall = np.broadcast_to(np.arange(width) < crease, (height, width))
    normals = np.stack([np.where(is_wall, 1.0, -1.0), np.zeros((height, width)), np.ones((height, width))]) / np.sqrt(2)
    slopes = np.stack([np.where(is_wall, -1.0, 1.0), np.zeros((height, width))])
    z_mm = np.broadcast_to(np.abs(np.arange(width) + 0.5 - crease), (height, width)).copy()
    cells = Cells(
        normals, np.where(is_wall, 0.6, 0.2), np.ones((height, width), np.bool_), np.ones((height, width, 1)),
        np.zeros((height + 1, width + 1, 1, 3))[:height, :width],
    )  # fmt: skip
    seen = np.asarray(transport_of(cells, Relief(z_mm, slopes, 1.0)).matrix.sum(axis=1)).reshape(height + 32, -1)
    np.testing.assert_allclose(seen[16 + height // 2, 16 : 16 + crease], 0.5, atol=0.05)


def test_a_view_in_which_nothing_stays_observable_says_so() -> None:
    dark = frames_of(np.full((8, HEIGHT, WIDTH), 1e-4))
    summary = without_bounced_light(dark, ring(), SolverSettings(), NOISE).summary()
    assert summary == {"refined_observable_share": 0.0}
