"""Folders of photographs from elsewhere: what they may not do, what a value is, and which lights are doubted."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from drivers.protocols import Frame
from station.commands.app import app
from station.commands.exit_codes import run_guarded
from station.photometric_stereo import blocks, photographs
from station.photometric_stereo.folder import solve_folder
from station.photometric_stereo.photographs import PhotographsError, read_photographs
from station.photometric_stereo.solve import DirectionalLights, PhotometricStereo, SolverSettings

SIZE = 72
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ball() -> np.ndarray:
    """(H, W, 3) normals, 0 outside."""
    row, column = np.mgrid[:SIZE, :SIZE]
    right, up = (column - 35.5) / 34, (35.5 - row) / 34
    inside = right**2 + up**2 < 0.9
    return np.stack([right, up, np.sqrt(np.maximum(1 - right**2 - up**2, 0))], axis=-1) * inside[..., None]


def dome(count: int) -> np.ndarray:
    k = np.arange(count)
    slant = np.deg2rad(20 + 30 * np.sqrt((k + 0.5) / count))
    return np.stack([np.sin(slant) * np.cos(2.4 * k), np.sin(slant) * np.sin(2.4 * k), np.cos(slant)], axis=1)


def written(
    folder: Path, count: int = 6, *, albedo: float = 0.6, strengths: np.ndarray | None = None, noise: float = 0.0
) -> Path:
    """16-bit colour pictures of a ball (grey ones without strengths), with table, mask and truth."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    for k, light in enumerate(dome(count)):
        grey = albedo * np.maximum(ball() @ light, 0) + rng.normal(0, noise, (SIZE, SIZE))
        picture = grey if strengths is None else grey[..., None] * strengths[k]
        stored = np.round(np.clip(picture, 0, 1) * 65535).astype(np.uint16)
        cv2.imwrite(str(folder / f"{k:03d}.png"), stored if stored.ndim == 2 else stored[..., ::-1])
    (folder / "filenames.txt").write_text("".join(f"{k:03d}.png\n" for k in range(count)))
    np.savetxt(folder / "light_directions.txt", dome(count))
    if strengths is not None:
        np.savetxt(folder / "light_intensities.txt", strengths)
    cv2.imwrite(str(folder / "mask.png"), (ball()[..., 2] > 0).astype(np.uint8) * 255)
    savemat(folder / "Normal_gt.mat", {"Normal_gt": ball()})
    return folder


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def replace_line(path: Path, number: int, text: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


def listed_outside(folder: Path) -> None:
    (folder.parent / "secret.png").write_bytes((folder / "002.png").read_bytes())
    replace_line(folder / "filenames.txt", 3, "../secret.png")


def listed_absolute(folder: Path) -> None:
    (folder.parent / "secret.png").write_bytes((folder / "002.png").read_bytes())
    replace_line(folder / "filenames.txt", 3, str(folder.parent / "secret.png"))


def linked_outside(folder: Path) -> None:
    (folder / "002.png").rename(folder.parent / "secret.png")
    (folder / "002.png").symlink_to(folder.parent / "secret.png")


def mask_linked_outside(folder: Path) -> None:
    (folder / "mask.png").rename(folder.parent / "secret.png")
    (folder / "mask.png").symlink_to(folder.parent / "secret.png")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "15.11 path": (listed_outside, r"filenames\.txt, line 3: '\.\./secret\.png' leads out of the folder"),
    "15.11 absolute": (listed_absolute, r"filenames\.txt, line 3: '/.*secret\.png' leads out of the folder"),
    "15.11 link": (linked_outside, r"filenames\.txt, line 3: '002\.png' leads out of the folder"),
    "15.11 mask": (mask_linked_outside, r"mask\.png: leads out of the folder"),
    "15.11 nul": (lambda f: replace_line(f / "filenames.txt", 3, "a\0b.png"), r"line 3: 'a\\x00b\.png'"),
    "15.11 bomb": (
        lambda f: (f / "004.png").write_bytes(png_of(16_000, 16_000)),
        r"004\.png \(filenames\.txt, line 5\): 16000 x 16000 pixels.*64 megapixels",
    ),
    "15.11 size": (
        lambda f: (f / "004.png").write_bytes(png_of(4_000, 4_000)),
        r"004\.png \(filenames\.txt, line 5\): 4000 x 4000 pixels.*000\.png is 72 x 72",
    ),
    "15.11 mask bomb": (lambda f: (f / "mask.png").write_bytes(png_of(16_000, 16_000)), r"mask\.png: 16000 x 16000"),
    "15.11 behind": (
        lambda f: replace_line(f / "light_directions.txt", 4, "0.6 0 -0.8"),
        r"light_directions\.txt, line 4: z is -0\.8, a light from behind",
    ),
    "16.15 length": (
        lambda f: replace_line(f / "light_directions.txt", 5, "0 0 2"),
        r"light_directions\.txt, line 5: a direction of length 2",
    ),
    "16.15 strength": (
        lambda f: (f / "light_intensities.txt").write_text("1\n\n\n1\n0\n1\n1\n1\n"),
        r"light_intensities\.txt, line 5: strength 0 is not above 0",
    ),
    "16.10 truth": (lambda f: savemat(f / "Normal_gt.mat", {"Normal_gt": np.zeros((9, 9, 3))}), "Normal_gt has shape"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_must_be_refused_is_refused_with_its_line_before_a_light_is_decoded(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 11; issue 16, points 10 and 15."""
    spoil, words = REFUSED[what]
    folder = written(tmp_path / "in")
    spoil(folder)
    real = photographs.read_picture

    def only_the_mask(path: Path) -> object:
        assert path.name == "mask.png", f"{path.name} was decoded"
        return real(path)

    monkeypatch.setattr(photographs, "read_picture", only_the_mask)
    with pytest.raises(PhotographsError, match=words):
        solve_folder(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_where_nothing_is_observable_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 11."""
    folder = written(tmp_path / "in", albedo=0.0)
    monkeypatch.setattr("sys.argv", ["station", "solve", str(folder), "--out", str(tmp_path / "out")])
    assert run_guarded(app) == 2
    assert "none of the mask's" in (said := capsys.readouterr().err)
    assert "100% are lit by fewer than three lights" in said
    assert not (tmp_path / "out").exists()


def test_forty_lights_are_solved_the_same_by_kernel_and_twin_and_in_blocks_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 16, point 10."""
    folder = written(tmp_path / "in", 40, noise=0.002)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 40 * 2 * SIZE * 17)
    report = solve_folder(folder, tmp_path / "out", "robust")
    assert report.truth_whole_mask is not None
    assert report.truth_whole_mask.mean_deg < 0.5
    read = read_photographs(folder)
    twin = PhotometricStereo(
        read.lights, (SIZE, SIZE), SolverSettings("robust", dark_fraction=report.dark_fraction), engine="numpy"
    )
    for k in range(40):
        twin.add(k, read.pictures.frame(k, 0, SIZE))
    expected = twin.solve()
    seen = read.mask & expected.observable
    found = np.load(tmp_path / "out" / "normals.npy")
    assert np.abs(found - expected.normals)[:, seen].max() < 1e-3
    assert not found[:, ~read.mask].any()


def test_pictures_beyond_the_memory_wait_in_a_file_and_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 16, point 10."""
    strengths = np.random.default_rng(1).uniform(0.5, 1.5, (6, 3))
    folder = written(tmp_path / "in", strengths=strengths)
    solve_folder(folder, tmp_path / "memory")
    monkeypatch.setattr("station.photometric_stereo.spool.IN_MEMORY_BYTES", 1000)
    solve_folder(folder, tmp_path / "file")
    for name in ("normals.npy", "albedo.npy", "residual.npy"):
        np.testing.assert_array_equal(np.load(tmp_path / "memory" / name), np.load(tmp_path / "file" / name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "in", "memory"]


def test_a_sample_clipped_in_one_colour_is_worth_what_the_sensor_gave(tmp_path: Path) -> None:
    """Issue 16, point 11: lamps of 0.3 and 1.7; red clips under the strong ones, by a third at most."""
    strengths = np.ones((6, 3)) * np.array([0.3, 0.8, 1.0, 1.2, 1.7, 1.0])[:, None]
    strengths[:, 0] *= 1.2
    folder = written(tmp_path / "in", albedo=0.7, strengths=strengths)
    plain = solve_folder(folder, tmp_path / "ls", "ls")
    masked = solve_folder(folder, tmp_path / "masked", "masked")
    assert plain.saturated_share == masked.saturated_share > 0.02
    assert plain.truth is not None
    assert masked.truth is not None
    assert plain.truth.mean_deg < 3  # 8 degrees where a clipped sample counts as full scale under the weakest lamp
    assert masked.truth.mean_deg < 1


@pytest.mark.parametrize("method", ["ls", "masked", "robust"])
def test_clipped_colours_are_ruled_alike_in_every_method_and_in_the_twin(method: str) -> None:
    """Issue 16, point 11: colour frames as a camera gives them."""
    lights = DirectionalLights(tuple("abcdef"), dome(6), np.ones(6))
    shading = np.maximum(np.einsum("yxc,kc->kyx", ball(), dome(6)), 0)
    colours = np.clip(shading[..., None] * np.array([1.3, 0.7, 0.5]), 0, 1)
    frames = [Frame(np.round(c * 255).astype(np.uint8), "RGB8", 8, 0.0, 1.0, 0.0, 0, k) for k, c in enumerate(colours)]
    found = []
    for engine in ("numba", "numpy"):
        solver = PhotometricStereo(lights, (SIZE, SIZE), SolverSettings(method), engine=engine)  # type: ignore[arg-type]
        for k, frame in enumerate(frames):
            solver.add(k, frame)
        found.append(solver.solve())
        packed = solver.solve_packed()
        np.testing.assert_array_equal(packed.lit_count, found[-1].lit_count)
        np.testing.assert_array_equal(packed.observable, found[-1].observable)
    clipped = np.stack([(f.pixels == 255).any(axis=2) for f in frames])
    assert clipped.any()
    for result in found:
        np.testing.assert_array_equal(result.saturated, clipped.any(axis=0))
        assert (result.lit_count.astype(int) + clipped.sum(axis=0) <= 6).all()
    assert np.abs(found[0].normals - found[1].normals).max() < 2e-3
    if method == "ls":  # the mean of what the sensor gave, clipped red included
        values = np.stack([f.pixels.mean(axis=2) for f in frames])
        g = np.linalg.lstsq(dome(6), values.reshape(6, -1), rcond=None)[0].reshape(3, SIZE, SIZE)
        seen = found[0].observable
        wanted = g / np.maximum(np.linalg.norm(g, axis=0), 1e-9)
        assert np.abs(wanted - found[0].normals)[:, seen].max() < 1e-3


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_highlight_that_clips_every_colour_is_left_out_once(engine: str) -> None:
    """Issue 16, point 11: three good lights of four remain, and three are enough."""
    lights = DirectionalLights(tuple("abcd"), dome(4), np.ones(4))
    solver = PhotometricStereo(lights, (SIZE, SIZE), SolverSettings("ls"), engine=engine)  # type: ignore[arg-type]
    for k in range(4):
        pixels = np.full((SIZE, SIZE, 3), 120, np.uint8)
        pixels[2:6, 2:6] = 255 if k == 0 else 120
        solver.add(k, Frame(pixels, "RGB8", 8, 0.0, 1.0, 0.0, 0, k))
    found = solver.solve()
    assert (found.lit_count[2:6, 2:6] == 3).all()
    assert found.observable.all()
    assert found.saturated[2:6, 2:6].all()


def test_colours_are_weighted_as_asked_and_by_luma_without(tmp_path: Path) -> None:
    """Issue 16, point 12: red sees another surface than green and blue."""
    folder = written(tmp_path / "in", strengths=np.ones((6, 3)))
    for k in range(6):
        picture = cv2.imread(str(folder / f"{k:03d}.png"), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        picture[..., 2] = picture[..., 2] // 4 + 8000 * (k % 2)
        cv2.imwrite(str(folder / f"{k:03d}.png"), picture)
    errors = {}
    for weights in ("luma", "equal", "red", "green"):
        report = solve_folder(folder, tmp_path / weights, "ls", weights=weights)  # type: ignore[arg-type]
        assert report.truth is not None
        assert report.weights == weights
        errors[weights] = report.truth.median_deg
    assert errors["green"] < 0.01 < errors["luma"] < errors["equal"] < errors["red"]
    run = CliRunner().invoke(app, ["solve", str(folder), "--out", str(tmp_path / "default"), "--json"])
    assert '"weights": "luma"' in run.stdout


def test_errors_are_given_over_the_whole_mask_beside_the_observable_pixels(tmp_path: Path) -> None:
    """Issue 16, point 12: a dark patch is not observable, and still a part of the mask."""
    folder = written(tmp_path / "in")
    for k in range(6):
        picture = cv2.imread(str(folder / f"{k:03d}.png"), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        picture[30:44, 30:44] = 0
        cv2.imwrite(str(folder / f"{k:03d}.png"), picture)
    report = solve_folder(folder, tmp_path / "out")
    assert report.truth is not None
    assert report.truth_whole_mask is not None
    assert report.truth.pixels < report.truth_whole_mask.pixels == report.mask_pixels
    assert report.truth_whole_mask.mean_deg > 2 * report.truth.mean_deg


def test_two_exchanged_lights_among_eight_are_named_and_a_good_table_is_not_doubted(tmp_path: Path) -> None:
    """Issue 16, point 13."""
    folder = written(tmp_path / "in", 8, noise=0.002)
    good = solve_folder(folder, tmp_path / "good")
    assert good.suspicious_lights == ()
    assert good.table_not_judged == ""
    rows = (folder / "light_directions.txt").read_text().splitlines()
    rows[2], rows[5] = rows[5], rows[2]
    (folder / "light_directions.txt").write_text("\n".join(rows))
    bad = solve_folder(folder, tmp_path / "bad")
    assert bad.suspicious_lights == ("002.png", "005.png")
    assert "exchanged: 002.png and 005.png" in bad.light_doubts[0]


def test_a_dark_object_of_16_bits_is_observable_and_its_residual_is_seen(tmp_path: Path) -> None:
    """Issue 16, point 14: an albedo of half a hundredth, and a noise of a hundredth of that."""
    folder = written(tmp_path / "in", albedo=0.005, noise=0.00005)
    report = solve_folder(folder, tmp_path / "out")
    assert report.observable_share > 0.9
    assert report.truth is not None
    assert report.truth.mean_deg < 2
    assert 0.00003 < report.dark_fraction < 0.002
    residual = cv2.imread(str(tmp_path / "out" / "residual.png"), cv2.IMREAD_UNCHANGED)
    assert residual is not None
    assert residual.max() == 65535
    assert np.median(residual[residual > 0]) > 5_000
    values = np.load(tmp_path / "out" / "residual.npy")
    shown = residual.astype(float) / 65535 * report.residual_full_scale
    assert np.abs(shown - np.minimum(values, report.residual_full_scale)).max() < 1e-7
