"""Made-up records of a few small files, for what several tests archive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.archive import ArchivedFrame, new_inspection_id
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.photometric_stereo.normal_map import NormalMap

POSE = Pose(1.0, -2.5, 258.0, 45.0, -90.0)
SHAPE = (37, 53)


def make_view(name: str, seed: int, score: float = 0.4) -> ViewResult:
    random = np.random.default_rng(seed)
    normals = random.normal(size=(3, *SHAPE)).astype(np.float32) + np.array([0, 0, 3], np.float32)[:, None, None]
    normals /= np.linalg.norm(normals, axis=0)
    observable = random.random(SHAPE) > 0.1
    normals[:, ~observable] = 0
    normal_map = NormalMap(
        normals=normals,
        albedo=random.random(SHAPE).astype(np.float32) * 1.7,
        lit_count=random.integers(0, 5, SHAPE).astype(np.uint8),
        residual=random.random(SHAPE).astype(np.float32) * 0.01,
        observable=observable,
        saturated=random.random(SHAPE) > 0.95,
    )
    return ViewResult(
        view=name,
        verdict=Verdict.PASS,
        limit=1.0,
        image=random.random((3, *SHAPE)).astype(np.float32),
        normal_map=normal_map,
        anomaly_map=AnomalyMap(random.random((9, 13)).astype(np.float32), score),
        light_residuals={"L45": 0.0123456789},
    )


def make_inspection(**changes: Any) -> Inspection:
    dead = Reason(ReasonKind.LIGHT_DEAD, "light 'L45' is dead", "check its lamp", "back", "L45")
    blind = ViewResult("back", Verdict.UNDECIDED, 1.0, reasons=(dead,))
    inspection = Inspection(
        inspection_id=new_inspection_id(),
        part_id="../part 7\n",
        product="connector",
        recipe_id="connector",
        verdict=Verdict.UNDECIDED,
        reasons=(dead,),
        views=(make_view("top", 1), blind),
        expected_views=("top", "back", "left"),
        deciding_view="top",
        is_simulated=True,
        is_partial=True,
        creation_time=datetime(2026, 11, 24, 23, 59, 59, 123456, tzinfo=UTC),
        processing_times_ms={"move": 12.5},
        provenance={"software": "facet-station 0.1.0"},
    )
    return replace(inspection, **changes)


def make_frames(count: int = 2) -> list[ArchivedFrame]:
    random = np.random.default_rng(5)
    frames = []
    for index in range(count):
        pixels = random.integers(0, 4096, SHAPE).astype(np.uint16)
        frame = Frame(pixels, "BayerRG12", 12, 64.0, 8000.0, 0.0, 10**15 + index, index)
        frames.append(ArchivedFrame("top", f"L{index}", frame, POSE))
    return frames
