"""`station calibrate lights FOLDER` on folders drawn here: what it prints and what it names."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.lights.rays import angle_deg, unit
from station.calibrate.lights.lights_on_disk import write_lights
from station.calibrate.lights.sphere_folder import SphereFolderError
from station.calibrate.lights.sphere_lights import calibrate_lights_folder
from station.commands.app import app
from station.photometric_stereo.photographs import read_photographs

SIZE, RADIUS = 260, 110.0


def ring() -> np.ndarray:
    azimuth, slant = np.radians(np.arange(0, 360, 45)), np.radians(42)
    return np.stack([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(8, np.cos(slant))], 1)


def write(folder: Path, kind: str, lights: np.ndarray, table: np.ndarray | None = None) -> Path:
    folder.mkdir()
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    a, b = (x - 130.2) / RADIUS, (129.1 - y) / RADIUS
    inside = a * a + b * b < 1
    normals = np.stack([a, b, np.sqrt(np.where(inside, 1 - a * a - b * b, 0))], -1)
    for k, light in enumerate(lights):
        if kind == "mirror":
            half = unit(light + np.array([0.0, 0.0, 1.0]))
            picture = 0.9 * np.exp(-(angle_deg(normals, half) ** 2) / 3) + 0.01
        else:
            picture = 0.8 * np.maximum(normals @ light, 0)
        cv2.imwrite(str(folder / f"{k:03d}.png"), (picture * inside * 65535).astype(np.uint16))
    cv2.imwrite(str(folder / "mask.png"), inside.astype(np.uint8) * 255)
    (folder / "filenames.txt").write_text("".join(f"{k:03d}.png\n" for k in range(len(lights))))
    if table is not None:
        np.savetxt(folder / "light_directions.txt", table)
    return folder


@pytest.mark.parametrize("kind", ["mirror", "diffuse"])
def test_directions_spreads_and_flags_are_printed_per_light(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path / kind, kind, ring())
    run = CliRunner().invoke(app, ["calibrate", "lights", str(folder), "--sphere", kind, "--json"])
    assert run.exit_code == 0, run.output
    lights = json.loads(run.stdout)["lights"]
    assert len(lights) == 8
    for light, truth in zip(lights, ring(), strict=True):
        assert angle_deg(np.array(light["direction"]), truth) < 0.4
        assert light["spread_deg"] < 1
        assert light["flags"] == []


def test_a_table_that_holds_the_spheres_normal_is_named_unprompted(tmp_path: Path) -> None:
    table = ring()
    table[3] = unit(table[3] + np.array([0.0, 0.0, 1.0]))
    folder = write(tmp_path / "mirror", "mirror", ring(), table)
    run = CliRunner().invoke(app, ["calibrate", "lights", str(folder), "--sphere", "mirror", "--json"])
    assert run.exit_code == 1
    flags = [light["flags"] for light in json.loads(run.stdout)["lights"]]
    assert "sphere's normal" in flags[3][0]
    assert [k for k, f in enumerate(flags) if f] == [3]


def test_two_spheres_that_saw_different_lights_are_named_with_the_angle(tmp_path: Path) -> None:
    moved = ring()
    moved[6] = unit(moved[6] + np.array([0.0, 0.09, 0.0]))
    mirror, diffuse = write(tmp_path / "m", "mirror", ring()), write(tmp_path / "d", "diffuse", moved)
    report = calibrate_lights_folder(mirror, "mirror", diffuse)
    assert [k for k, light in enumerate(report.lights) if light.flags] == [6]
    assert "disagree by" in report.lights[6].flags[0]


def test_a_light_that_is_off_is_reported_and_the_others_are_measured(tmp_path: Path) -> None:
    folder = write(tmp_path / "mirror", "mirror", ring())
    cv2.imwrite(str(folder / "002.png"), np.zeros((SIZE, SIZE), np.uint16))
    report = calibrate_lights_folder(folder, "mirror")
    assert report.lights[2].direction is None
    assert "no highlight" in report.lights[2].flags[0]
    assert all(light.direction is not None for k, light in enumerate(report.lights) if k != 2)


@pytest.mark.parametrize("kind", ["mirror", "diffuse"])
def test_measured_lights_are_written_as_solve_reads_them(kind: str, tmp_path: Path) -> None:
    """Issue 16, point 14."""
    sphere = write(tmp_path / kind, kind, ring())
    part = write(tmp_path / "part", "diffuse", ring())
    command = ["calibrate", "lights", str(sphere), "--sphere", kind, "--out", str(part)]
    assert CliRunner().invoke(app, command).exit_code == 0
    read = read_photographs(part)
    assert max(angle_deg(read.lights.directions, ring())) < 0.4
    assert (part / "light_intensities.txt").exists() == (kind == "diffuse")
    with pytest.raises(SphereFolderError, match=r"light_directions\.txt: is there already"):
        write_lights(calibrate_lights_folder(sphere, kind), part)  # type: ignore[arg-type]
    own = tmp_path / "own"
    assert write_lights(calibrate_lights_folder(sphere, kind), own)[0] == own / "light_directions.txt"  # type: ignore[arg-type]
    assert (own / "filenames.txt").read_text() == (sphere / "filenames.txt").read_text()


def test_lights_that_were_not_measured_are_not_written(tmp_path: Path) -> None:
    """Issue 16, point 14."""
    folder = write(tmp_path / "mirror", "mirror", ring())
    cv2.imwrite(str(folder / "002.png"), np.zeros((SIZE, SIZE), np.uint16))
    with pytest.raises(SphereFolderError, match=r"not measured: 002\.png"):
        write_lights(calibrate_lights_folder(folder, "mirror"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "mask.png").unlink(), r"mask\.png: missing"),
        (lambda f: (f / "filenames.txt").write_text("000.png\n000.png\n"), "listed twice"),
        (
            lambda f: cv2.imwrite(str(f / "001.png"), np.zeros((9, 9), np.uint8)),
            r"001\.png \(filenames\.txt, line 2\): 9 x 9 px",
        ),
        (
            lambda f: (f / "005.png").symlink_to(f.parent / "x") if (f / "005.png").rename(f.parent / "x") else None,
            r"line 6: '005\.png' leads out of the folder",
        ),
        (lambda f: (f / "004.png").write_bytes(b"\x89PNG cut"), r"004\.png: not a readable picture"),
        (lambda f: (f / "light_directions.txt").write_text("1 0\n"), r"light_directions\.txt, line 1"),
        (lambda f: cv2.imwrite(str(f / "mask.png"), np.zeros((SIZE, SIZE), np.uint8)), "nothing is masked"),
    ],
)
def test_a_folder_that_cannot_be_used_names_the_file(spoil: object, words: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "mirror", "mirror", ring())
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(SphereFolderError, match=words):
        calibrate_lights_folder(folder, "mirror")
