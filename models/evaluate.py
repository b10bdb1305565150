"""Evaluation on a data set's test split: the paper's metrics with intervals over parts, per view and kind of defect.

It compares models and presets on pictures (docs/cprn.md); `station evaluate PRODUCT` inspects parts over the wires.

Protocols. `part` is the station's: the views of a part decide together, and scores are shares of their view's limit.
`top` is the paper's Table 2: the view from above alone. `independent` is its Table 3, and `ablation` its Table 4: every
view is an image by itself, with its score as the model gave it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    Estimate,
    PartResamples,
    auroc_estimate,
    f1_estimate,
    pixel_estimates,
)
from models.dataset import DatasetError, load_dataset
from models.judgements import Judgements, judge_dataset, kinds_of
from models.metrics import AUPRO_LIMIT, f1_max
from models.model_file import ModelFile
from models.progress import Progress, silent
from models.shares import Share, share

Protocol = Literal["part", "top", "independent", "ablation"]
TOP_VIEW = "top"
# what a kind of the simulated rig changes; of kinds that are not listed nothing is said
CHANGES = {
    "geometry": ("scratch", "dent", "pit", "side_scratch"),
    "colour": ("stain", "discolouration"),
    "both": ("missing_feature",),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric with its bootstrap interval over parts; NaN three times where the metric is not defined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Estimate) -> Figure:
        """The estimate's value and interval."""
        return cls(estimate.value, *estimate.interval())


@dataclass(frozen=True, slots=True)
class Figures:
    """All metrics of one selection of views: everything, one view, or good parts against one kind of defect."""

    views: int
    good_parts: int
    defective_parts: int
    regions: int
    i_auroc: Figure  # per view image, label = the view's mask is not empty
    s_auroc: Figure  # per part: the highest score over limit among the chosen views
    i_f1: Figure  # the best threshold of the test data: optimistic
    i_f1_floor: float  # F1 of calling every view positive
    p_auroc: Figure
    p_aupro: Figure
    good_failed: Share  # parts with a chosen view over its limit
    defective_failed: Share


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The metrics, and beside them how they were made: two reports compare only when all of that agrees."""

    method: str
    product: str
    protocol: Protocol
    aupro_limit: float
    map_size: tuple[int, int]
    resamples: int
    confidence: float
    seed: int
    whole: Figures
    by_view: dict[str, Figures]
    by_kind: dict[str, Figures]
    by_change: dict[str, Figures]  # geometry, colour, both: the modality that shows the defect
    ratios: dict[str, float]  # per part: the highest score over limit

    def to_json(self) -> str:
        """Indented JSON, one field for each of this record's; a figure that is not defined is null."""
        return json.dumps(_without_nan(asdict(self)), indent=2)


def evaluate_model(
    dataset_folder: Path,
    model_file: Path,
    progress: Progress = silent,
    protocol: Protocol = "part",
    limits: Mapping[str, float] | None = None,
) -> EvaluationReport:
    """Run the model over the test split; `limits` by view replace those in the file.

    Raises DatasetError when there are no test parts, the file is of another product or cannot be run, or a protocol
    wants a view that is not there; ValueError for scores that are NaN.
    """
    dataset = load_dataset(dataset_folder)
    return report(judge_dataset(ModelFile(model_file, dataset, limits), dataset, progress), protocol)


def report(
    judgements: Judgements, protocol: Protocol = "part", resamples: int = RESAMPLES, seed: int = 0
) -> EvaluationReport:
    """All figures of one method on one product under a protocol; DatasetError where `top` is not among the views."""
    names = tuple(dict.fromkeys(v.view for v in judgements.views))
    if protocol == "top":
        if TOP_VIEW not in names:
            raise DatasetError(
                f"{judgements.product}: has no view {TOP_VIEW!r}, which the protocol `top` is about (there are "
                f"{', '.join(names)}); choose another protocol"
            )
        names = (TOP_VIEW,)

    def figures(views: Sequence[str] = names, kinds: Sequence[str] | None = None) -> Figures:
        return figures_of(judgements, judgements.rows(views, kinds), protocol, resamples, seed)

    kinds = kinds_of(judgements.views)
    changes = {change: [k for k in kinds if k in of_it] for change, of_it in CHANGES.items()}
    return EvaluationReport(
        method=judgements.method,
        product=judgements.product,
        protocol=protocol,
        aupro_limit=AUPRO_LIMIT,
        map_size=judgements.map_size,
        resamples=resamples,
        confidence=CONFIDENCE,
        seed=seed,
        whole=figures(),
        by_view={name: figures([name]) for name in names},
        by_kind={kind: figures(kinds=[kind]) for kind in kinds},
        by_change={change: figures(kinds=of_it) for change, of_it in changes.items() if of_it},
        ratios=judgements.part_ratios(judgements.rows(names)),
    )


def figures_of(
    judgements: Judgements,
    rows: NDArray[np.intp],
    protocol: Protocol = "part",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Figures:
    """The metrics of chosen views, `rows` (k,); intervals over the parts to which these belong."""
    found = estimates_of(judgements, rows, protocol, resamples, seed)
    chosen = [judgements.views[n] for n in rows]
    ratios = judgements.part_ratios(rows)
    is_defective = judgements.parts()
    failed = {part: not ratio <= 1 for part, ratio in ratios.items()}
    good = [part for part in ratios if not is_defective[part]]
    bad = [part for part in ratios if is_defective[part]]
    return Figures(
        views=len(rows),
        good_parts=len(good),
        defective_parts=len(bad),
        regions=int(judgements.pixels.regions[rows].sum()),
        i_auroc=Figure.of(found["i_auroc"]),
        s_auroc=Figure.of(found["s_auroc"]),
        i_f1=Figure.of(found["i_f1"]),
        i_f1_floor=f1_max(np.zeros(len(chosen)), np.array([v.shows_defect for v in chosen], bool)).floor,
        p_auroc=Figure.of(found["p_auroc"]),
        p_aupro=Figure.of(found["p_aupro"]),
        good_failed=share(sum(failed[p] for p in good), len(good)),
        defective_failed=share(sum(failed[p] for p in bad), len(bad)),
    )


def estimates_of(
    judgements: Judgements, rows: NDArray[np.intp], protocol: Protocol, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """The metrics by name with their resamples, for means over products and for paired differences.

    Two methods on the same rows get the same resamples from the same seed.
    """
    chosen = [judgements.views[n] for n in rows]
    ratios = judgements.part_ratios(rows)
    is_defective = judgements.parts()
    drawn = PartResamples.draw({part: is_defective[part] for part in ratios}, resamples, seed)
    by_view = drawn.of([v.part for v in chosen])
    scores = np.array([v.ratio if protocol == "part" else v.score for v in chosen])
    labels = np.array([v.shows_defect for v in chosen], bool)
    p_auroc, p_aupro = pixel_estimates(judgements.pixels, rows, by_view)
    return {
        "i_auroc": auroc_estimate(scores, labels, by_view),
        "s_auroc": auroc_estimate(
            np.array(list(ratios.values())), np.array([is_defective[p] for p in ratios], bool), drawn.weights
        ),
        "i_f1": f1_estimate(scores, labels, by_view),
        "p_auroc": p_auroc,
        "p_aupro": p_aupro,
    }


def _without_nan(value: object) -> object:
    """The same, with None where a number is NaN: JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value
