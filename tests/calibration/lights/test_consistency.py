"""Issue 16, point 13: a table of lights judged by frames of a part, without any truth."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.lights.consistency import judge_table

PIXELS = 900


def frames(count: int, seed: int, gloss: float = 0.03) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, which are lit, and the true table, of a bumpy part with highlights and noise of 0.4 %."""
    rng = np.random.default_rng(seed)
    k = np.arange(count)
    azimuth, slant = 2.4 * k + rng.uniform(0, 6), np.deg2rad(20 + 35 * np.sqrt((k + 0.5) / count))
    lights = np.stack([np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.cos(slant)], axis=1)
    row, column = np.divmod(np.arange(PIXELS), 30)
    slopes = 0.45 * np.stack([np.sin(0.31 * column + 0.1 * row), np.cos(0.37 * row)])
    normals = np.vstack([slopes, np.ones(PIXELS)]) / np.sqrt((slopes**2).sum(axis=0) + 1)
    half = lights + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    values = rng.uniform(0.4, 0.8, PIXELS) * np.maximum(lights @ normals, 0) + gloss * (half @ normals) ** 60
    values += rng.normal(0, 0.004, values.shape)
    return values, values > 0.08 * np.quantile(values, 0.7, axis=0), lights


def tilted(row: np.ndarray, angle_deg: float) -> np.ndarray:
    aside = np.cross(row, [0.3, -0.8, 0.5])
    aside /= np.linalg.norm(aside)
    return np.asarray(np.cos(np.deg2rad(angle_deg)) * row + np.sin(np.deg2rad(angle_deg)) * aside)


@pytest.mark.parametrize("count", [4, 5, 6, 8, 16, 96])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_good_table_is_not_doubted(count: int, seed: int) -> None:
    values, lit, table = frames(count, seed)
    judged = judge_table(values, lit, table)
    assert judged.why_not == ""
    assert judged.doubts == ()


def glossy_ball(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `frames`, of a ball with broad highlights and shadows under lights that stand anywhere."""
    rng = np.random.default_rng(seed)
    lights = np.vstack([rng.uniform(-0.7, 0.7, (2, count)), np.ones(count)]).T
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    y, x = np.mgrid[-1:1:36j, -1:1:36j]
    inside = x**2 + y**2 < 0.96
    x, y = x[inside], y[inside]
    normals = np.stack([x, y, np.sqrt(1 - x * x - y * y)])
    half = lights + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shading = lights @ normals
    values = 0.5 * np.maximum(shading, 0) + 0.5 * np.maximum(half @ normals, 0) ** 10 * (shading > 0)
    values = np.clip(values + rng.normal(0, 0.003, values.shape), 0, 1)
    return values, values > 0.08 * np.quantile(values, 0.7, axis=0), lights


@pytest.mark.parametrize("seed", [5, 31])
def test_of_five_lights_a_good_table_is_not_doubted_because_each_pixel_fits_three_of_them(seed: int) -> None:
    """The robust fit left two lights of each pixel aside, and called the rest exact."""
    judged = judge_table(*glossy_ball(5, seed))
    assert judged.why_not == ""
    assert judged.doubts == ()


@pytest.mark.parametrize("count", [5, 6, 8, 16, 96])
def test_two_exchanged_rows_are_named(count: int) -> None:
    values, lit, table = frames(count, 3)
    table[[1, 3]] = table[[3, 1]]
    judged = judge_table(values, lit, table)
    assert judged.doubted == (1, 3)
    assert [doubt.kind for doubt in judged.doubts] == ["exchanged"]


@pytest.mark.parametrize("count", [8, 16, 96])
def test_a_row_off_by_10_degrees_is_named_with_the_direction_that_fits(count: int) -> None:
    values, lit, table = frames(count, 4)
    true = table[2].copy()
    table[2] = tilted(table[2], 10)
    judged = judge_table(values, lit, table)
    assert judged.doubted == (2,)
    assert judged.doubts[0].kind == "direction"
    assert judged.doubts[0].angle_deg == pytest.approx(10, abs=2)
    shown = np.array([float(word) for word in judged.doubts[0].text.split("fit ")[1].split(",")[0].split()])
    assert np.rad2deg(np.arccos(shown @ true / np.linalg.norm(shown))) < 2


def test_a_mirrored_row_is_called_mirrored() -> None:
    values, lit, table = frames(8, 5)
    k = int(np.argmax(np.abs(table[:, 0])))
    table[k, 0] *= -1
    judged = judge_table(values, lit, table)
    assert judged.doubted == (k,)
    assert judged.doubts[0].kind == "mirrored"
    assert "left-right" in judged.doubts[0].text


def test_of_four_lights_the_table_is_doubted_and_no_single_row() -> None:
    values, lit, table = frames(4, 6)
    table[2] = tilted(table[2], 25)
    judged = judge_table(values, lit, table)
    assert judged.doubted == (0, 1, 2, 3) or judged.doubts[0].kind == "exchanged"


def test_three_lights_a_flat_part_and_a_glossy_one_are_not_judged() -> None:
    values, lit, table = frames(8, 7)
    assert "3 lights always agree" in judge_table(values[:3], lit[:3], table[:3]).why_not
    flat = np.repeat(values[:, :1], PIXELS, axis=1)
    assert "too few different slopes" in judge_table(flat, lit, table).why_not
    glossy, seen, table = frames(8, 7, gloss=0.8)
    assert "gloss or noise" in judge_table(glossy, seen, table).why_not
