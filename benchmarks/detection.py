"""Detection on data sets: CPRN, its presets and baselines, with seeds, n and intervals, and what holds of the goals.

    python benchmarks/detection.py connector=FOLDER knob=FOLDER [--tuned connector knob] [--seeds 0 1 2] [--out FOLDER]

FOLDER is a data set with train, calibrate and test parts. Each preset is trained once a seed on each product, and each
baseline is fitted once. A model that lies in `--out` from an earlier run, of the same data and settings, is used again.
Figures are means over seeds; intervals (95 %) resample the parts, the same ones for every method, so that differences
are paired. Means are over products. Products that are not named with `--tuned` were not used in tuning.
The exit code is 1 where a goal is not met.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnxruntime

from models.baselines.registry import RULES, fit_baselines
from models.bootstrap import Estimate, mean_of
from models.config import TrainConfig, preset
from models.dataset import Dataset, DatasetError, load_dataset
from models.encoder import ENCODER_ID
from models.evaluate import Figure, estimates_of
from models.evaluation_text import figure_text
from models.export import FORMAT_VERSION
from models.judgements import Judgements, judge_dataset
from models.model_file import METADATA_KEY, ModelFile
from models.shares import share
from models.train import config_for, train_product

FULL, PAPER = "sound", "paper"
PRESETS = (FULL, "filled", PAPER, "rgb_only", "normals_only", "concatenation", "without_lp", "ucp", "fixed_prototypes")
METRICS = {"i_auroc": "I-AUROC", "s_auroc": "S-AUROC", "i_f1": "I-F1", "p_auroc": "P-AUROC", "p_aupro": "P-AUPRO"}
GOALS = {"s_auroc": 0.99, "p_aupro": 0.95}
LARGE = 0.8  # of the defect's largest picture in any view: such a view sees it as large
FEWEST_SEEN = 5  # defects, below which a view's POD is not compared


@dataclass(frozen=True, slots=True)
class Claim:
    """A goal and whether it holds: by the figure, and by its interval."""

    text: str
    figure: str
    holds: bool
    is_sure: bool


Results = dict[str, dict[str, list[Judgements]]]  # method -> product -> one for each seed


def trained(dataset: Dataset, name: str, seed: int, out: Path, steps: int | None) -> ModelFile:
    """The model of a preset, from an earlier run where data and settings agree."""
    config = replace(preset(name), seed=seed)  # type: ignore[arg-type] # an unknown name is refused by `preset`
    config = config if steps is None else replace(config, steps=steps)
    file = out / f"{dataset.product}-{name}-{seed}.onnx"
    if not _is_of(file, dataset, config):
        began = time.perf_counter()
        train_product(dataset.folder, file, config)
        print(f"{file}: trained in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return ModelFile(file, dataset)


def _is_of(file: Path, dataset: Dataset, config: TrainConfig) -> bool:
    if not file.is_file():
        return False
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    same_data = found["training"]["dataset_sha256"] == dataset.sha256
    same_code = (found["format_version"], found["encoder"]["id"]) == (FORMAT_VERSION, ENCODER_ID)
    return bool(same_data and same_code and TrainConfig.from_dict(found["config"]) == config_for(dataset, config))


def judge_all(datasets: Sequence[Dataset], arguments: argparse.Namespace) -> Results:
    """Every method on every product. A preset or baseline that cannot be had ends the run: a gap would be hidden."""
    results: Results = {}
    for dataset in datasets:
        for name in arguments.presets:
            for seed in arguments.seeds:
                model = trained(dataset, name, seed, arguments.out, arguments.steps)
                results.setdefault(name, {}).setdefault(dataset.product, []).append(judge_dataset(model, dataset))
        for baseline in fit_baselines(arguments.baselines, dataset):
            results.setdefault(baseline.name, {})[dataset.product] = [judge_dataset(baseline, dataset)]
            print(f"{dataset.product}: {baseline.name}", file=sys.stderr, flush=True)
    return results


def estimate(judged: Sequence[Judgements], metric: str, resamples: int) -> Estimate:
    """The mean over seeds; every seed's figure on the same resamples of parts."""
    return mean_of([estimates_of(j, j.rows(), "part", resamples)[metric] for j in judged])


def claims(found: dict[str, dict[str, dict[str, Estimate]]], baselines: Sequence[str]) -> Iterator[Claim]:
    """The goals on means over products; `found` is method -> product -> metric."""

    def mean(method: str, metric: str) -> Estimate:
        return mean_of([of_product[metric] for of_product in found[method].values()])

    def above(better: str, worse: str, text: str, at_least: bool = False) -> Iterator[Claim]:
        for metric in GOALS:
            if better in found and worse in found:
                difference = mean(better, metric).minus(mean(worse, metric))
                low = difference.interval()[0]
                holds = difference.value >= 0 if at_least else difference.value > 0
                yield Claim(f"{text}: {METRICS[metric]}", _signed(difference), holds, low >= 0)

    for other in baselines:
        yield from above(FULL, other, f"full at or above {other}", at_least=True)
    yield from above("ucp", "rgb_only", "normals and colour above colour alone")
    yield from above("ucp", "normals_only", "normals and colour above normals alone")
    yield from above("ucp", "fixed_prototypes", "input-conditioned above fixed prototypes")
    yield from above(FULL, PAPER, "default above paper")
    for metric, goal in GOALS.items():
        for product, figures in found.get(FULL, {}).items():
            value = figures[metric]
            low = value.interval()[0]
            text = f"{product}: {METRICS[metric]} at least {goal}"
            yield Claim(text, figure_text(Figure.of(value)), value.value >= goal, low >= goal)


def view_pod(judged: Sequence[Judgements]) -> dict[str, tuple[int, int]]:
    """View -> (found, of) among the defects that this view sees as large, all seeds together."""
    counts: dict[str, tuple[int, int]] = {}
    for j in judged:
        pixels = j.pixels.defect_pixels
        largest: dict[str, int] = {}
        for n, view in enumerate(j.views):
            largest[view.part] = max(largest.get(view.part, 0), int(pixels[n]))
        for n, view in enumerate(j.views):
            if pixels[n] and pixels[n] >= LARGE * largest[view.part]:
                found, of = counts.get(view.view, (0, 0))
                counts[view.view] = (found + (view.ratio > 1), of + 1)
    return counts


def view_claim(product: str, judged: Sequence[Judgements]) -> Claim:
    """Whether no view finds less than half of what the best view finds."""
    counts = {v: c for v, c in view_pod(judged).items() if c[1] >= FEWEST_SEEN}
    text = f"{product}: no view finds under half of what the best view finds, of defects that it sees as large"
    if len(counts) < 2:
        return Claim(text, f"fewer than two views see {FEWEST_SEEN} such defects", False, False)
    rates = {v: found / of for v, (found, of) in counts.items()}
    shown = ", ".join(f"{v} {share(*c).as_text()}" for v, c in counts.items())
    return Claim(text, shown, min(rates.values()) >= 0.5 * max(rates.values()), False)


def _signed(difference: Estimate) -> str:
    low, high = difference.interval()
    return f"{difference.value:+.4f} [{low:+.4f}, {high:+.4f}]"


def _tables(found: dict[str, dict[str, dict[str, Estimate]]], products: Sequence[str]) -> Iterator[str]:
    for product in (*products, "mean"):
        yield f"\n{product:<44}" + "".join(f"{name:>21}" for name in METRICS.values())
        for method, of_method in found.items():
            chosen = list(of_method.values()) if product == "mean" else [of_method[product]]
            cells = [figure_text(Figure.of(mean_of([c[metric] for c in chosen]))) for metric in METRICS]
            yield f"{method:<44}" + "".join(f"{cell:>21}" for cell in cells)


def main() -> int:
    """The command line; 1 where a goal is not met, 2 for what cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--tuned", nargs="*", default=["connector", "knob"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--baselines", nargs="*", default=list(RULES), choices=list(RULES))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("out/detection"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        datasets = [_named(text) for text in arguments.products]
        results = judge_all(datasets, arguments)
    except (DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = {
        method: {p: {m: estimate(judged, m, arguments.resamples) for m in METRICS} for p, judged in of_method.items()}
        for method, of_method in results.items()
    }
    baselines = [name for name in results if name not in PRESETS]
    listed = [*claims(found, baselines)]
    listed += [view_claim(product, judged) for product, judged in results.get(FULL, {}).items()]
    if arguments.json:
        print(json.dumps(_document(found, listed, results), indent=2))
    else:
        print(
            "\n".join(
                [*_counts(results, arguments), *_tables(found, [d.product for d in datasets]), "", *_lines(listed)]
            )
        )
    return 0 if all(c.holds for c in listed) else 1


def _named(text: str) -> Dataset:
    name, _, folder = text.partition("=")
    dataset = load_dataset(Path(folder or name))
    if folder and dataset.product != name:
        raise DatasetError(f"{folder}: is a set of {dataset.product!r}, not of {name!r}; name it so")
    return dataset


def _counts(results: Results, arguments: argparse.Namespace) -> Iterator[str]:
    for product, judged in next(iter(results.values())).items():
        parts = judged[0].parts()
        bad = sum(parts.values())
        used = "used in tuning" if product in arguments.tuned else "not used in tuning"
        yield f"{product} ({used}): {len(parts) - bad} good and {bad} defective parts, {len(judged[0].views)} views"
    yield f"seeds {arguments.seeds} of the presets, one fit of each baseline; 95 % intervals over parts"


def _lines(listed: Sequence[Claim]) -> list[str]:
    word = {(True, True): "holds", (True, False): "holds, not sure", (False, False): "DOES NOT HOLD"}
    return [f"{word.get((c.holds, c.is_sure), 'DOES NOT HOLD'):<17}{c.text}: {c.figure}" for c in listed]


def _document(
    found: dict[str, dict[str, dict[str, Estimate]]], listed: Sequence[Claim], results: Results
) -> dict[str, object]:
    figures = {
        method: {p: {m: [e.value, *e.interval()] for m, e in of_p.items()} for p, of_p in of_method.items()}
        for method, of_method in found.items()
    }
    return {
        "figures": figures,
        "seeds": {method: {p: len(j) for p, j in of.items()} for method, of in results.items()},
        "claims": [{"text": c.text, "figure": c.figure, "holds": c.holds, "is_sure": c.is_sure} for c in listed],
    }


if __name__ == "__main__":
    sys.exit(main())
