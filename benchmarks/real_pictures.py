"""Public sets of real pictures: the product's training and evaluation beside plain nearest neighbours.

    python benchmarks/real_pictures.py FOLDER... [--out DIR] [--steps N] [--bank K]

Each FOLDER has the layout of MVTec AD (train/good, test/KIND, ground_truth/KIND). It is read by the product's own
import, and every row is trained and judged by the product's own functions. Where a set has no masks, figures of pixels
are not defined and shown as -. I-AUROC is over pictures: good against every kind of defect.

Published figures of PatchCore (Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022, with a
WideResNet-50)
are printed for sets of these names; a set that is not split as they split it compares in size alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from models.baselines.features import Features
from models.baselines.registry import fit_baselines
from models.config import NeighbourConfig, TrainConfig
from models.dataset import load_dataset
from models.encoders.registry import load_encoder
from models.evaluate import EvaluationReport, report
from models.judgements import judge_dataset
from models.model_file import ModelFile
from models.progress import silent
from models.train import find_alignment, train_product
from station.teach.layouts.mvtec import dataset_from_layout

PUBLISHED_I_AUROC = {"bottle": 1.0, "screw": 0.981, "magnetic_tile": 0.979}
PRETRAINED = "efficientnet-lite0"


def rows(folder: Path, work: Path, config: TrainConfig, bank: int) -> Iterator[tuple[EvaluationReport, float]]:
    """Reports of all methods on one set, each with the seconds that learning took."""
    data = work / folder.name
    if not (data / "index.json").is_file():
        dataset_from_layout(folder, data)
    dataset = load_dataset(data)
    found = find_alignment(dataset, config)
    if found is not None:
        print(found.sentence, flush=True)
    placed = (found.decision if found else dataset.alignment) == "placed"
    for name, second in (("default", None), ("fused", NeighbourConfig(PRETRAINED, bank))):
        file = work / f"{folder.name}_{name}.onnx"
        started = time.monotonic()
        train_product(data, file, replace(config, neighbours=second), silent)
        seconds = time.monotonic() - started
        yield report(judge_dataset(ModelFile(file, dataset), dataset)), seconds
    for encoder in (load_encoder("filterbank", dataset.input_size, 1), load_encoder(PRETRAINED, dataset.input_size, 1)):
        started = time.monotonic()
        features = Features(dataset, config, encoder)
        for baseline in fit_baselines(["local" if placed else "global"], dataset, config, features):
            seconds = time.monotonic() - started
            yield report(judge_dataset(baseline, dataset)), seconds


def line(found: EvaluationReport, seconds: float) -> str:
    """One row of the table."""

    def shown(value: float) -> str:
        return "     -" if value != value else f"{value:6.3f}"

    w = found.whole
    interval = f"[{w.s_auroc.low:.3f}, {w.s_auroc.high:.3f}]"
    pixels = f"{shown(w.p_auroc.value)}  {shown(w.p_aupro.value)}"
    counts = f"{w.good_parts:5} {w.defective_parts:9}"
    return f"{found.method:38} {shown(w.s_auroc.value)} {interval}  {pixels} {counts} {seconds:8.0f}"


def main() -> None:
    """Print a table for each folder, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out") / "real_pictures", help="data sets and models")
    parser.add_argument("--steps", type=int, default=TrainConfig().steps)
    parser.add_argument("--bank", type=int, default=NeighbourConfig().bank)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(TrainConfig(), steps=arguments.steps)
    for folder in arguments.folders:
        print(f"\n{folder.name}, {config.steps} steps")
        for n, (found, seconds) in enumerate(rows(folder, arguments.out, config, arguments.bank)):
            if n == 0:
                print(f"{'method':38} I-AUROC [95 %]        P-AUROC P-AUPRO  good defective  train s")
            print(line(found, seconds), flush=True)
        if folder.name in PUBLISHED_I_AUROC:
            print(f"{'PatchCore, published':38} {PUBLISHED_I_AUROC[folder.name]:6.3f}")


if __name__ == "__main__":
    main()
