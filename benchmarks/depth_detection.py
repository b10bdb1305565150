"""Does depth as a third modality help detection? Picture and normals, with and without it. All simulated.

    python benchmarks/depth_detection.py connector [knob ...] [--model MODEL] [--views top front] [--cache FOLDER]
                                         [--sheet PICTURE]

Parts are rendered once into `--cache`: good ones to train and to calibrate on, then good ones and as many kinds of
defects in turn to test on, whole views of the rig as drawn, four lights, a binning of 16. One method judges all arms:
the judge's filter bank, whitened, and a Gaussian at each place (PaDiM kind, `models/baselines`), its targets fused by
their maximum. The arms differ in one thing, the height that is filtered as a third modality:

    picture + normals      none                    + integrated    integrated from the same normals
    + model                by `--model`            + true          of the Scene: what no measurement can exceed

The paper's Figures A1 and A2 claim that a generated depth sharpens detection. Scratches, dents and pits of the
simulation bend the normals and leave the true height as it is (a tenth of a millimetre at most); what is missing from a
part changes both. Figures are over the test parts, 95 % intervals resample parts, and differences to picture + normals
are paired. `--sheet` draws the maps of all arms for a view of each kind of defect, after Figures A1 and A2.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.simulated.scene import make_part, random_defect
from models.baselines.features import Features, Height
from models.baselines.gaussian import PlaceGaussian
from models.baselines.method import fit_baseline, train_tokens
from models.bootstrap import Estimate
from models.config import TrainConfig
from models.dataset import Dataset, Item, load_dataset, read_mask, read_rgb
from models.depth_views import DepthView, centred, read_view, write_view
from models.evaluate import Figure, estimates_of
from models.evaluation_text import figure_text
from models.judgements import Judgements, judge_dataset, kinds_of
from station.depth.panels import Panel, draw_panels, picture_panel
from station.depth.run import DepthChoice, found_depth
from station.depth.simulated import RigAsDrawn, views_of_part
from station.depth.sources import NamedView
from station.photometric_stereo.packing import pack_normals
from station.photometric_stereo.pictures import coloured
from station.report.figure_grid import write_picture
from station.teach.dataset import write_png
from station.teach.parts import PartToMake, parts_of_set

BINNING = 16
PANEL_PX = 260
BASE = "picture + normals"
ARMS = ("integrated", "model", "true")
METRICS = {"s_auroc": "S-AUROC", "i_auroc": "I-AUROC", "p_aupro": "P-AUPRO"}
VIEW_FILE = "{part}_{view}.npz"
SHOWN_TO = 3.0  # of a map; 1 is good parts' 99 % quantile
Found = dict[str, Judgements]  # arm -> what it judged
Maps = dict[str, list[NDArray[np.float32]]]  # arm -> (H, W) of each view that is shown


@dataclass(frozen=True, slots=True)
class Size:
    """Parts of a product."""

    good: int
    calibrate: int
    test_good: int
    defective: int


def made(product: str, cache_folder: Path, size: Size, views: Sequence[str], seed: int) -> Path:
    """The data set of a product with the depth of every view beside it, made once."""
    folder = cache_folder / f"{product}-{size.good}-{size.calibrate}-{size.defective}-{'-'.join(views)}-{seed}"
    if (folder / "index.json").exists():
        return folder
    rig = RigAsDrawn.load()
    entries: list[dict[str, object]] = []
    regions: dict[str, NDArray[np.bool_]] = {}
    parts = parts_of_set(size.good, size.calibrate, size.defective, seed, size.test_good)
    for n, part in enumerate(parts):
        defects = () if part.kind == "good" else (random_defect(product, part.kind, part.seed),)
        for name, view, mask in views_of_part(rig, make_part(product, part.seed, defects), views, binning=BINNING):
            entries.append(_written(folder, part, name, view, mask))
            if part.split == "train":
                regions[name] = regions.get(name, np.zeros_like(mask)) | view.valid
        print(f"{(n + 1) / len(parts):6.1%} {product} {part.name}", file=sys.stderr, flush=True)
    for name, region in regions.items():
        write_png(folder / f"region_{name}.png", (region * np.uint8(255))[None])
    shape = next(iter(regions.values())).shape
    index = {
        "product": product, "views": list(regions), "input_size": list(shape), "photometric_stereo": {},
        "regions": {name: f"region_{name}.png" for name in regions}, "items": entries,
    }  # fmt: skip
    (folder / "index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
    return folder


def _written(folder: Path, part: PartToMake, name: str, view: DepthView, mask: NDArray[np.bool_]) -> dict[str, object]:
    stem = f"{part.name}_{name}"
    write_png(folder / "rgb" / f"{stem}.png", np.round(view.picture * 65535).astype(np.uint16))
    write_png(folder / "normal" / f"{stem}.png", pack_normals(view.normals))
    write_view(folder / "depth" / VIEW_FILE.format(part=part.name, view=name), view)
    if mask.any():
        write_png(folder / "mask" / f"{stem}.png", (mask * np.uint8(255))[None])
    return {
        "part": part.name, "view": name, "split": part.split, "kind": part.kind, "rgb": f"rgb/{stem}.png",
        "normal": f"normal/{stem}.png", "mask": f"mask/{stem}.png" if mask.any() else None,
    }  # fmt: skip


def arms(dataset: Dataset, model: Path | None, choice: DepthChoice) -> Iterator[tuple[str, Height | None]]:
    """Each arm and where its heights come from; those of a model are kept in memory, half a megabyte a view."""

    def view_of(item: Item) -> DepthView:
        return read_view(dataset.folder / "depth" / VIEW_FILE.format(part=item.part, view=item.view))

    def integrated(item: Item) -> NDArray[np.float32]:
        view = view_of(item)
        return centred(view.integrated, view.valid)

    def true(item: Item) -> NDArray[np.float32]:
        return view_of(item).depth

    @cache
    def by_model(item: Item) -> NDArray[np.float32]:
        view = view_of(item)
        return centred(found_depth(NamedView(item.part, view), choice).height, view.valid)

    yield BASE, None
    yield "+ integrated", integrated
    if model is not None:
        yield "+ model", by_model
    yield "+ true", true


def judged(
    dataset: Dataset, model: Path | None, choice: DepthChoice, shown: Sequence[Item], wanted: Sequence[str]
) -> tuple[Found, Maps]:
    """Every wanted arm, and always the one without depth, on every test view, and its maps of the views to be shown."""
    found: Found = {}
    maps: Maps = {}
    config = TrainConfig()
    for name, height in arms(dataset, model, choice):
        if name != BASE and name.removeprefix("+ ") not in wanted:
            continue
        features = Features(dataset, config, keep=True, height=height)
        baseline = fit_baseline(dataset, PlaceGaussian(), features, train_tokens(dataset, features), config)
        found[name] = judge_dataset(baseline, dataset)
        maps[name] = [baseline.judge(item)[1] for item in shown]
        print(f"{dataset.product}: {name}", file=sys.stderr, flush=True)
    return found, maps


def to_show(dataset: Dataset) -> list[Item]:
    """For each kind of defect the test view in which it is largest."""
    size = {item: int(read_mask(item.mask, dataset.input_size).sum()) for item in dataset.of("test")}
    kinds = sorted({item.kind for item in size} - {"good"})
    return [max((item for item in size if item.kind == kind), key=lambda item: size[item]) for kind in kinds]


def rows_of(dataset: Dataset, shown: Sequence[Item], maps: Maps) -> list[tuple[str, list[Panel]]]:
    """Picture, mask of the defect, and each arm's map, from good parts' median to three times their 99 % quantile."""
    rows = []
    for n, item in enumerate(shown):
        mask = read_mask(item.mask, dataset.input_size)
        white = np.repeat((mask * np.uint8(255))[..., None], 3, axis=2)
        heat = [Panel(name, coloured(of_arm[n], SHOWN_TO), 0.0, SHOWN_TO, "") for name, of_arm in maps.items()]
        panels = [picture_panel("picture", read_rgb(item.rgb, TrainConfig())), Panel("defect", white), *heat]
        rows.append((f"{dataset.product}, {item.kind}, {item.view}", panels))
    return rows


def estimates(found: Found, kinds: Sequence[str] | None, resamples: int) -> dict[str, dict[str, Estimate]]:
    """Arm -> metric, on good parts and these kinds of defects."""
    return {
        name: estimates_of(judgements, judgements.rows(kinds=kinds), "part", resamples)
        for name, judgements in found.items()
    }


def lines_of(product: str, found: Found, resamples: int) -> Iterator[str]:
    """The table of a product: all defects, then kind by kind."""
    first = found[BASE]
    parts = first.parts()
    defective = sum(parts.values())
    yield f"{product}: {len(parts) - defective} good and {defective} defective test parts, {len(first.views)} views"
    heads = "".join(f"{title:>21}{'difference':>23}" for title in METRICS.values())
    for kind in (None, *kinds_of(first.views)):
        count = defective if kind is None else len({v.part for v in first.views if v.kind == kind})
        yield f"{kind or 'all'} ({count} parts)".ljust(36) + heads
        of_arms = estimates(found, None if kind is None else [kind], resamples)
        for name, metrics in of_arms.items():
            yield f"    {name:<32}" + "".join(_cells(metrics[m], of_arms[BASE][m], name) for m in METRICS)


def _cells(value: Estimate, base: Estimate, arm: str) -> str:
    if arm == BASE:
        return f"{figure_text(Figure.of(value)):>21}{'':>23}"
    difference = value.minus(base)
    low, high = difference.interval()
    return f"{figure_text(Figure.of(value)):>21}{f'{difference.value:+.3f} [{low:+.3f}, {high:+.3f}]':>23}"


def record_of(found: Found, resamples: int) -> dict[str, object]:
    """For machines: kind -> arm -> metric -> value and interval."""
    kinds: dict[str, list[str] | None] = {"all": None, **{kind: [kind] for kind in kinds_of(found[BASE].views)}}
    return {kind: _plain(estimates(found, chosen, resamples)) for kind, chosen in kinds.items()}


def _plain(of_arms: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, list[float]]]:
    return {
        name: {metric: [found[metric].value, *found[metric].interval()] for metric in METRICS}
        for name, found in of_arms.items()
    }


def main() -> int:
    """The command line; the exit code is 0: this is a question, not a goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", nargs="+")
    parser.add_argument("--cache", type=Path, default=Path("out/depth-detection"))
    parser.add_argument("--model", type=Path, help="of `station depth train`, residual form")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, help="beside picture + normals")
    parser.add_argument("--views", nargs="+", default=["top", "front"])
    parser.add_argument("--good", type=int, default=24, help="parts to train on")
    parser.add_argument("--calibrate", type=int, default=12, help="good parts held out")
    parser.add_argument("--test-good", type=int, default=12)
    parser.add_argument("--defective", type=int, default=21, help="test parts, all kinds in turn")
    parser.add_argument("--steps", type=int, default=10, help="of a diffusion head")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    size = Size(wanted.good, wanted.calibrate, wanted.test_good, wanted.defective)
    choice = DepthChoice("residual", wanted.model, wanted.steps, wanted.samples, wanted.seed)
    records, rows = {}, []
    for product in wanted.products:
        dataset = load_dataset(made(product, wanted.cache, size, wanted.views, wanted.seed))
        shown = to_show(dataset)
        found, maps = judged(dataset, wanted.model, choice, shown, wanted.arms)
        rows += rows_of(dataset, shown, maps)
        records[product] = record_of(found, wanted.resamples)
        if not wanted.json:
            print("\n".join(lines_of(product, found, wanted.resamples)), flush=True)
    if wanted.json:
        print(json.dumps(records, indent=2))
    if wanted.sheet is not None:
        title = "Anomaly maps without and with depth (after Figures A1 and A2; simulated)"
        write_picture(
            draw_panels(title, rows, PANEL_PX, "maps: 0 is good parts' median, 1 their 99 % quantile"), wanted.sheet
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
