"""Made-up inspections: a lit bump on a plate from five views, with a score map that has one peak."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.inspection.rule import judge_part, judge_score
from station.photometric_stereo.normal_map import NormalMap

VIEW_NAMES = ("top", "front", "right", "back", "left")
LIMIT = 1.6
HEIGHT, WIDTH = 240, 360


def _bump(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (3, H, W) of a plate with a spherical bump, and where the normals are known."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = (columns - WIDTH * 0.5) / 90, (HEIGHT * 0.5 - rows) / 90
    inside = x**2 + y**2 < 0.9
    slope_x, slope_y = np.where(inside, x, 0), np.where(inside, y, 0)
    normals = np.stack([slope_x, slope_y, np.sqrt(np.maximum(1 - slope_x**2 - slope_y**2, 0.05))])
    normals += rng.normal(0, 0.01, normals.shape)
    normals /= np.linalg.norm(normals, axis=0)
    known = ~((rows > HEIGHT * 0.85) & (columns < WIDTH * 0.2))
    return np.where(known, normals, 0).astype(np.float32), known


def made_view(
    name: str, score: float, limit: float = LIMIT, seed: int = 0, reasons: tuple[str, ...] = ()
) -> ViewResult:
    normals, known = _bump(seed)
    shading = np.clip(0.2 + 0.5 * normals[2], 0, 1)
    image = np.stack([shading * 0.6, shading * 0.65, shading * 0.7]).astype(np.float32)
    ones = np.ones((HEIGHT, WIDTH), dtype=np.float32)
    normal_map = NormalMap(normals, ones, np.full((HEIGHT, WIDTH), 4, np.uint8), ones * 0.01, known, ~known & False)
    rows, columns = np.mgrid[:48, :72].astype(np.float32)
    peak = np.exp(-(((columns - 50) / 6) ** 2 + ((rows - 18) / 4) ** 2))
    scores = (0.25 * limit + (score - 0.25 * limit) * peak).astype(np.float32)
    verdict = Verdict.UNDECIDED if reasons else judge_score(score, limit)
    why = tuple(Reason(ReasonKind.LIGHT_DEAD, text, view=name) for text in reasons)
    return ViewResult(name, verdict, limit, image, normal_map, AnomalyMap(scores, score), why, {"north": 0.011})


def made_inspection(
    scores: dict[str, float],
    *,
    inspection_id: str = "0001",
    part_id: str = "P-0001",
    view_reasons: dict[str, tuple[str, ...]] | None = None,
    is_simulated: bool = True,
) -> Inspection:
    """An inspection with these views captured, judged by the station's own rule."""
    reasons = view_reasons or {}
    views = tuple(
        made_view(name, score, seed=number, reasons=reasons.get(name, ()))
        for number, (name, score) in enumerate(scores.items())
    )
    verdict, why, deciding = judge_part(views, VIEW_NAMES)
    return Inspection(
        inspection_id=inspection_id,
        part_id=part_id,
        product="housing",
        recipe_id="housing r1",
        verdict=verdict,
        reasons=why,
        views=views,
        expected_views=VIEW_NAMES,
        deciding_view=deciding,
        is_simulated=is_simulated,
        is_partial=len(views) < len(VIEW_NAMES),
        creation_time=datetime(2026, 11, 24, 8, 30, 5, tzinfo=UTC),
        processing_times_ms={"capture": 4210.0, "normals": 612.0, "model": 930.0},
        provenance={"model": "sha256:0000"},
    )


GOOD = {"top": 0.7, "front": 0.8, "right": 0.9, "back": 0.75, "left": 0.6}
SIDE_SCRATCH = GOOD | {"right": 2.9}


@pytest.fixture
def make_inspection() -> Callable[..., Inspection]:
    """`made_inspection`: scores per view -> an Inspection."""
    return made_inspection


@pytest.fixture
def good_inspection() -> Inspection:
    return made_inspection(GOOD)


@pytest.fixture
def failed_inspection() -> Inspection:
    return made_inspection(SIDE_SCRATCH, inspection_id="0002", part_id="P-0002")


@pytest.fixture
def undecided_inspection() -> Inspection:
    """The last view was never captured, and one light was dead in another."""
    scores = {name: score for name, score in GOOD.items() if name != "left"}
    dead = {"back": ("light 'east' (channel 2) gave no light: its frame is as dark as the dark frame",)}
    return made_inspection(scores, inspection_id="0003", part_id="P-0003", view_reasons=dead)
