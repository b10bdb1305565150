"""Evaluation of a model file on a data set's test split: per view, per part, per pixel, per kind of defect.

It compares models and presets on pictures (docs/cprn.md); `station evaluate` inspects parts over the wires instead.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.config import TrainConfig
from models.dataset import Dataset, DatasetError, Item, load_dataset, read_mask, read_normals, read_rgb, regions_of
from models.export import INPUTS, METADATA_KEY, OUTPUTS
from models.metrics import AUPRO_LIMIT, PixelMetrics, auroc, f1_max
from models.progress import Progress, silent

PILOT_STEP = 7  # every seventh pixel of the first maps sets the histogram's edges
PILOT_VIEWS = 20


@dataclass(frozen=True, slots=True)
class KindReport:
    """One kind of defect, against all good parts."""

    parts: int
    failed: int  # parts with a view over its suggested limit
    s_auroc: float
    p_aupro: float
    ratios: dict[str, float]  # per part: the highest score over limit among its views


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The paper's metrics, and beside them how they were made: two reports compare only when all of that agrees."""

    product: str
    views: int
    good_parts: int
    good_parts_failed: int
    i_auroc: float  # per view image, label = the view's mask is not empty
    s_auroc: float  # per part: the highest score over limit
    i_f1_max: float
    i_f1_floor: float  # F1 of calling every view positive
    p_auroc: float
    p_aupro: float
    aupro_limit: float
    map_size: tuple[int, int]
    regions: int
    kinds: dict[str, KindReport]
    good_ratios: dict[str, float]

    def to_json(self) -> str:
        """Indented JSON, one field for each of this record's."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True, slots=True)
class _Judged:
    """One test view: what the model gave, its suggested limit and the truth."""

    item: Item
    score: float
    limit: float
    fused: NDArray[np.float32]  # (H, W), the map
    mask: NDArray[np.bool_]  # (H, W)


def evaluate_model(dataset_folder: Path, model_file: Path, progress: Progress = silent) -> EvaluationReport:
    """Run the model over the test split. Raises DatasetError when there is none, or it is of another product."""
    dataset = load_dataset(dataset_folder)
    session = onnxruntime.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    metadata = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    items = dataset.of("test")
    if not items or metadata["product"] != dataset.product:
        raise DatasetError(
            f"{dataset_folder}: no test parts of {metadata['product']!r} (it holds {len(items)} test views of "
            f"{dataset.product!r}): make it with `station dataset simulate {metadata['product']} --defective N`"
        )
    judged = []
    for n, item in enumerate(items):
        judged.append(_judge(session, metadata, dataset, item))
        progress(f"{item.part} {item.view}", (n + 1) / len(items))
    return _report(dataset, judged)


def _judge(session: Any, metadata: dict[str, Any], dataset: Dataset, item: Item) -> _Judged:
    """Run the model on one view."""
    index = np.array([metadata["views"].index(item.view)], np.int64)
    config = TrainConfig.from_dict(metadata["config"])
    rgb = read_rgb(item.rgb, config)
    normals = np.zeros_like(rgb) if item.normal is None else read_normals(item.normal)
    region = regions_of(dataset)[int(index[0])][None].astype(np.float32)
    named = dict(zip(INPUTS, (rgb[None], normals[None], index, region), strict=True))
    feed = {i.name: named[i.name] for i in session.get_inputs()}
    score, fused = session.run(list(OUTPUTS), feed)
    limit = float(metadata["limits_suggested"][item.view])
    return _Judged(item, float(score[0]), limit, fused[0], read_mask(item.mask, dataset.input_size))


def _pixels(judged: list[_Judged]) -> PixelMetrics:
    """Pixel metrics over these views' maps, histogram edges from a sample of them."""
    pilot = np.concatenate([j.fused.ravel()[::PILOT_STEP] for j in judged[:: max(1, len(judged) // PILOT_VIEWS)]])
    metrics = PixelMetrics.from_pilot(pilot)
    for j in judged:
        metrics.add(j.fused, j.mask)
    return metrics


def _ratios(judged: list[_Judged]) -> dict[str, float]:
    """Per part, the highest score over limit."""
    found: dict[str, float] = {}
    for j in judged:
        found[j.item.part] = max(found.get(j.item.part, -np.inf), j.score / j.limit)
    return found


def _report(dataset: Dataset, judged: list[_Judged]) -> EvaluationReport:
    """All figures; scores are shares of their view's limit, so that views compare."""
    good = [j for j in judged if j.item.kind == "good"]
    good_ratios = _ratios(good)
    kinds = {}
    for kind in sorted({j.item.kind for j in judged} - {"good"}):
        bad = [j for j in judged if j.item.kind == kind]
        ratios = _ratios(bad)
        kinds[kind] = KindReport(
            parts=len(ratios),
            failed=sum(not r <= 1 for r in ratios.values()),
            s_auroc=_auroc(good_ratios, ratios),
            p_aupro=_pixels([*good, *bad]).p_aupro(),
            ratios=ratios,
        )
    scores = np.array([j.score / j.limit for j in judged])
    labels = np.array([bool(j.mask.any()) for j in judged])
    best, pixels = f1_max(scores, labels), _pixels(judged)
    return EvaluationReport(
        product=dataset.product,
        views=len(judged),
        good_parts=len(good_ratios),
        good_parts_failed=sum(not r <= 1 for r in good_ratios.values()),
        i_auroc=auroc(scores, labels),
        s_auroc=_auroc(good_ratios, {k: v for kind in kinds.values() for k, v in kind.ratios.items()}),
        i_f1_max=best.value,
        i_f1_floor=best.floor,
        p_auroc=pixels.p_auroc(),
        p_aupro=pixels.p_aupro(),
        aupro_limit=AUPRO_LIMIT,
        map_size=dataset.input_size,
        regions=pixels.regions,
        kinds=kinds,
        good_ratios=good_ratios,
    )


def _auroc(good: dict[str, float], bad: dict[str, float]) -> float:
    """AUROC over parts, from the ratios of good and of defective ones."""
    scores = np.array([*good.values(), *bad.values()])
    return auroc(scores, np.arange(len(scores)) >= len(good))
