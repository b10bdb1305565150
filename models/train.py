"""Training of a product's model: fit on good parts, limits from held-out good parts, export behind the parity gate."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.alignment import MOST_PICTURES, Alignment, alignment_of
from models.checkpoint import Checkpoint
from models.config import TrainConfig
from models.cross_fit import learned_distances
from models.dataset import Dataset, DatasetError, Item, constant_normals, load_dataset, read_rgb, regions_of, sound
from models.export import (
    MAP_TOLERANCE,
    SCORE_TOLERANCE,
    Arrays,
    Exported,
    ModelDescription,
    ParityReport,
    export_network,
)
from models.fit import Inputs, as_others, fit_network, seen_tokens
from models.limits import GoodScores, HeldOut, set_limits
from models.network import AnomalyNetwork
from models.part_limits import FEWEST_PARTS, PartLimits
from models.progress import Progress, silent
from models.scoring import ScoreCalibration
from models.together import ALONE, Together, together

FEWEST_CALIBRATE_PARTS = FEWEST_PARTS  # one per fold of the cross-calibration


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What training did, for the record and the screen."""

    product: str
    color: str
    file: str
    sha256: str
    bytes: int
    n_train_parts: int
    n_calibrate_parts: int
    steps: int
    first_loss: float
    last_loss: float  # mean of the last 20 steps
    seconds: float
    limits: dict[str, float]  # per view
    risk: PartLimits  # what the held-out parts say about them
    good_scores: dict[str, tuple[float, float]]  # per view: mean and highest of held-out good parts
    parity: ParityReport
    held_out: GoodScores  # of each part by name
    has_normals: bool = True  # whether it learned from normals, or from pictures alone

    def to_json(self) -> str:
        """Indented JSON, one field for each of this record's."""
        return json.dumps(asdict(self), indent=2)


def train_product(
    dataset_folder: Path, out_file: Path, config: TrainConfig | None = None, progress: Progress = silent
) -> TrainReport:
    """Train one product's model on `<dataset_folder>` and write `out_file`, once it has passed the parity gate.

    The same data, configuration and library versions give the same weights, also in a run that goes on where a killed
    one ended (`models.checkpoint`), and but for the order of sums also in several processes (`models.together`), of
    which the first calls this and the others `help_to_train`. Sets torch's number of threads for the whole process.
    Raises DatasetError for data that cannot be used and ParityError, both before anything is written.
    """
    config = config or TrainConfig()
    started = time.monotonic()
    group = together()
    group.told((dataset_folder, out_file, config))
    fitted = _fitted(dataset_folder, out_file, config, progress, group)
    group.leave()
    dataset, config, network, losses = fitted.dataset, fitted.config, fitted.network, fitted.losses
    calibration, found, good, learned = set_limits(network, fitted.held_out, dataset.views, config, fitted.learned)
    progress("limits", 1.0)
    describe = _description(dataset, config, network, calibration, found, good, learned)
    progress("export", 0.0)
    exported = export_network(network, describe, out_file, _stored(dataset.of("calibrate", "good"), fitted.inputs))
    fitted.checkpoint.remove()
    progress("export", 1.0)
    return _report(describe, exported, out_file, losses, good, found, time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What every process of a training ends with; the first one makes a model file of it."""

    dataset: Dataset
    config: TrainConfig
    inputs: Inputs
    network: AnomalyNetwork
    losses: list[float]
    held_out: HeldOut
    learned: HeldOut | None  # the same of the parts that it was fitted to
    checkpoint: Checkpoint


def help_to_train() -> None:
    """What a process of `torchrun` does that is not the first: its share of the same fit. It writes nothing.

    The first process names data and settings once it has prepared them.
    """
    group = together()
    dataset_folder, out_file, config = group.told()
    _fitted(dataset_folder, out_file, config, silent, group)
    group.leave()


def _fitted(
    dataset_folder: Path, out_file: Path, config: TrainConfig, progress: Progress, group: Together = ALONE
) -> _Fitted:
    """The network, fitted to good training parts, and what it makes of those that were held out."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    dataset = load_dataset(dataset_folder)
    if (flat := constant_normals(dataset)) is not None:
        progress(flat, 1.0)
    dataset = sound(dataset)
    training, held_out_items = _good_parts(dataset)
    aligned = find_alignment(dataset, config)
    if aligned is not None:
        dataset = replace(dataset, alignment=aligned.decision)
        progress(aligned.sentence, 1.0)
    config = config_for(dataset, config)
    inputs = Inputs(dataset, config)
    network = AnomalyNetwork(config, dataset.input_size, len(dataset.views), inputs.regions)
    checkpoint = Checkpoint(out_file, {"data": dataset.sha256, "config": config.to_dict()})
    losses, encoded = fit_network(network, training, inputs, config, progress, checkpoint, group)
    network.eval()
    learned = learned_distances(network, training, encoded, config, progress, group)
    del encoded
    held_out = measure(network, held_out_items, inputs, progress, group)
    return _Fitted(dataset, config, inputs, network, losses, held_out, learned, checkpoint)


def _good_parts(dataset: Dataset) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Good views to train on, and those held out to calibrate on; DatasetError when there are too few."""
    training, held_out = dataset.of("train", "good"), dataset.of("calibrate", "good")
    n_training, n_held_out = len({i.part for i in training}), len({i.part for i in held_out})
    if not training or n_held_out < FEWEST_CALIBRATE_PARTS:
        raise DatasetError(
            f"{dataset.folder}: has {n_training} good `train` parts and {n_held_out} good `calibrate` parts; training "
            f"needs one of the first at least and {FEWEST_CALIBRATE_PARTS} of the second"
        )
    return training, held_out


def find_alignment(dataset: Dataset, config: TrainConfig) -> Alignment | None:
    """What the good training pictures say, where the index leaves it open; of several views, the least aligned.

    None where the index states it. DatasetError for too few pictures.
    """
    if dataset.alignment != "unknown":
        return None
    found = []
    for view in dataset.views:
        items = [i for i in dataset.of("train", "good") if i.view == view and i.variant == "plain"]
        chosen = items[:: max(1, len(items) // MOST_PICTURES)][:MOST_PICTURES]
        try:
            found.append(alignment_of([read_rgb(item.rgb, config) for item in chosen]))
        except ValueError as error:
            raise DatasetError(f"{dataset.folder}, view {view}: {error}") from error
    return min(found, key=lambda a: (a.decision == "placed", a.place_share))


def config_for(dataset: Dataset, config: TrainConfig) -> TrainConfig:
    """The configuration as far as the data bears it: pictures alone have no normals, free parts no places."""
    network, score = config.network, config.score
    if not dataset.has_normals and network.inputs in ("both", "concatenation"):
        network = replace(network, inputs="rgb", has_normals=False)
    if not dataset.has_normals and network.inputs == "normals":
        raise DatasetError(f"{dataset.folder} holds pictures alone: a preset that needs normals cannot learn from it")
    if dataset.alignment == "free":
        network = replace(network, placed=False, place_components=0)
        score = replace(score, local=False, place_gauss=False)
    near = config.neighbours
    if near is not None and dataset.alignment == "free":
        near = replace(near, place_weight=0.0)
    return replace(config, network=network, score=score, neighbours=near)


def measure(
    network: AnomalyNetwork, items: tuple[Item, ...], inputs: Inputs, progress: Progress, group: Together = ALONE
) -> HeldOut:
    """Token distances of held-out views."""

    def measured(item: Item) -> tuple[NDArray[np.float32], torch.Tensor, int]:
        rgb, normals, view, region = inputs.of(item)
        cut = network.region(rgb, normals, region)
        found = network.distances(cut[0], cut[1], view).numpy()
        return found, seen_tokens(network, region, view), int(view[0])

    found, index, seen = [], [], []
    with torch.no_grad():
        for n, (of_view, is_seen, view) in group.each(items, measured):
            found.append(of_view)
            seen.append(is_seen)
            index.append(view)
            progress("held-out parts", (n + 1) / len(items))
    parts, variants = tuple(i.part for i in items), tuple(i.variant for i in items)
    distances = as_others(torch.from_numpy(np.concatenate(found)), torch.stack(seen), torch.tensor(index))
    return HeldOut(distances.numpy(), np.array(index, np.int64), parts, variants)


def _stored(items: tuple[Item, ...], inputs: Inputs) -> list[Arrays]:
    """Held-out inputs for the parity gate: the first of each view."""
    first = {i.view: i for i in reversed(items)}
    return [tuple(array.numpy() for array in inputs.of(item)) for item in first.values()]  # type: ignore[misc]


def _description(
    dataset: Dataset,
    config: TrainConfig,
    network: AnomalyNetwork,
    calibration: ScoreCalibration,
    found: PartLimits,
    good: GoodScores,
    learned: GoodScores | None,
) -> ModelDescription:
    return ModelDescription(
        product=dataset.product,
        views=dataset.views,
        input_size=dataset.input_size,
        photometric_stereo=dataset.photometric_stereo,
        config=config,
        modalities=config.score.scaled_names(network.targets),
        calibration=calibration,
        limits=found.limits,
        held_out_scores=_lists(good),
        learned_scores={} if learned is None else _lists(learned),
        dataset_sha256=dataset.sha256,
        n_train_parts=len({i.part for i in dataset.of("train", "good")}),
        regions=regions_of(dataset) if dataset.regions else None,
        encoder=network.bank,
        second_encoder={} if network.near is None else {"neighbours": network.near.encoder.metadata()},
        # Pictures from elsewhere may have less noise than a camera: then spreads lie near rounding, and the score,
        # which is a mean of four tokens, can differ as much as the map does.
        score_tolerance=SCORE_TOLERANCE if dataset.photometric_stereo else MAP_TOLERANCE,
    )


def _lists(scores: GoodScores) -> dict[str, list[float]]:
    return {view: list(of_view) for view, of_view in scores.worst().items()}


def _report(
    describe: ModelDescription, exported: Exported, file: Path, losses: list[float], good: GoodScores,
    found: PartLimits, seconds: float,
) -> TrainReport:  # fmt: skip
    return TrainReport(
        product=describe.product,
        color=describe.config.color,
        file=str(file),
        sha256=exported.sha256,
        bytes=exported.bytes,
        n_train_parts=describe.n_train_parts,
        n_calibrate_parts=found.n_parts,
        steps=describe.config.steps,
        first_loss=losses[0],
        last_loss=float(np.mean(losses[-20:])),
        seconds=round(seconds, 1),
        limits=found.limits,
        risk=found,
        good_scores=good.summary(),
        parity=exported.parity,
        held_out=good,
        has_normals=describe.config.network.has_normals,
    )
