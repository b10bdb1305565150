"""`station evaluate --data`: a model, and baselines beside it, on the test parts of a data set.

A model file runs under onnxruntime alone. Only baselines need torch, which is imported when one is asked for.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.dataset import Dataset, DatasetError, load_dataset, sound
from models.evaluate import EvaluationReport, report
from models.evaluation_text import comparison_text, report_text
from models.judgements import Method, judge_dataset
from models.model_file import ModelFile
from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.recipe.loaded import load_recipe
from station.teach.evaluation_figures import draw_figures
from station.teach.layouts.bring import prepared_set

Protocol = Literal["part", "top", "independent", "ablation"]
BASELINES = ("local", "global", "gaussian", "mapper")  # those of models/baselines/registry.py, whose import needs torch
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class DataEvaluation:
    """One report for each method, in the order in which they were asked for, and the files that were written."""

    reports: tuple[EvaluationReport, ...]
    files: tuple[Path, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The `--json` document."""
        return {
            "methods": [json.loads(r.to_json()) for r in self.reports],
            "files": [str(file) for file in self.files],
        }

    def as_text(self) -> str:
        """Each method's tables, or one line for each under the protocol `ablation`, and a comparison of several."""
        blocks = [] if self.reports[0].protocol == "ablation" else [report_text(r) for r in self.reports]
        if len(self.reports) > 1 or not blocks:
            blocks.append(comparison_text(self.reports))
        return "\n\n\n".join(blocks + [f"written: {file}" for file in self.files])


def evaluate_data(
    data: Path,
    models: Sequence[Path] = (),
    recipe: Path | None = None,
    *,
    protocol: Protocol = "part",
    baselines: Sequence[str] = (),
    out: Path | None = None,
    figures: bool = False,
) -> DataEvaluation:
    """Judge the test parts of `<data>/index.json` by each model, by the recipe's model under its limits, and baselines.

    With `out`, `evaluation.json` is written there; with `figures` also the two pictures of `draw_figures`.
    Raises BadInput for what cannot be used: data, model, protocol, an unknown baseline, or scores that are NaN.
    """
    if not (models or recipe or baselines):
        raise BadInput("--data needs something to judge it: give --model FILE, --recipe FILE or --baseline NAME")
    try:
        dataset = sound(load_dataset(prepared_set(data, show_progress)))
        methods, reports = [], []
        for method in _methods(dataset, models, recipe, baselines):
            methods.append(method)
            reports.append(report(judge_dataset(method, dataset, show_progress), protocol))
        files = _written(dataset, methods, reports, out, figures)
    except (DatasetError, ValueError) as error:
        raise BadInput(str(error)) from error
    return DataEvaluation(tuple(reports), files)


def _methods(
    dataset: Dataset, models: Sequence[Path], recipe: Path | None, baselines: Sequence[str]
) -> Iterator[Method]:
    """One after another, so that what a baseline keeps is not there before it is needed."""
    for file in models:
        yield ModelFile(file, dataset)
    if recipe is not None:
        loaded = load_recipe(recipe)
        limits: Mapping[str, float] = {v.name: v.limit for v in loaded.recipe.viewpoints}
        yield ModelFile(loaded.model_path, dataset, limits)
    if baselines:
        unknown = [name for name in baselines if name not in BASELINES]
        if unknown:
            raise BadInput(f"--baseline {unknown[0]}: is unknown; there are {', '.join(BASELINES)}")
        if importlib.util.find_spec("torch") is None:
            raise BadInput("baselines need torch, which is not installed: run pip install -e '.[train]'")
        from models.baselines.registry import fit_baselines

        yield from fit_baselines(baselines, dataset, progress=show_progress)


def _written(
    dataset: Dataset, methods: Sequence[Method], reports: Sequence[EvaluationReport], out: Path | None, figures: bool
) -> tuple[Path, ...]:
    """The report as JSON, and pictures if asked for; nothing without a folder."""
    if out is None:
        if figures:
            raise BadInput("--figures needs a folder to write to: give --out FOLDER")
        return ()
    out.mkdir(parents=True, exist_ok=True)
    document: Any = [json.loads(r.to_json()) for r in reports]
    write_atomic(out / "evaluation.json", json.dumps(document, indent=2).encode())
    return (out / "evaluation.json", *(draw_figures(dataset, methods, out) if figures else ()))


def show_progress(text: str, share: float) -> None:
    """A line on standard error that overwrites itself; nothing where it is no terminal."""
    if sys.stderr.isatty():
        print(f"\r{text[:70]:<70} {100 * share:3.0f} %", end="\n" if share >= 1 else "", file=sys.stderr, flush=True)
