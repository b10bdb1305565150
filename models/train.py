"""Training: whitening from good parts, cached tokens, CPRN by AdamW, calibration on held-out parts, export."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.calibrate import HeldOut, calibration_of, cross_scores, suggested_limit
from models.config import TrainConfig
from models.cprn import Cprn, prototype_loss, reconstruction_loss
from models.dataset import Dataset, DatasetError, Item, load_dataset, read_normals, read_rgb
from models.encoder import TokenMoments
from models.export import Arrays, ModelDescription, ParityReport, export_network
from models.network import AnomalyNetwork, Calibration

Progress = Callable[[str, float], None]  # what is being done, and its share done 0..1


def silent(_what: str, _share: float) -> None:
    """The progress of nobody."""


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
    last_loss: float
    seconds: float
    limits: dict[str, float]  # per view
    good_scores: dict[str, tuple[float, float]]  # per view: mean and highest of held-out good parts
    parity: ParityReport

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def train_product(
    dataset_folder: Path, out_file: Path, config: TrainConfig | None = None, progress: Progress = silent
) -> TrainReport:
    """Train one product's model on `<dataset_folder>` and write `out_file`, once it has passed the parity gate.

    The same data, configuration and library versions give the same weights. Raises DatasetError, ParityError.
    """
    config = config or TrainConfig()
    started = time.monotonic()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    dataset = load_dataset(dataset_folder)
    training, held_out_items = dataset.of("train", "good"), dataset.of("calibrate", "good")
    if not training or len({i.part for i in held_out_items}) < 5:
        raise DatasetError(f"{dataset_folder}: needs good train parts, and five good calibrate parts or more")
    network = AnomalyNetwork(config, dataset.input_size, len(dataset.views))
    fit_whitening(network, training, config, progress)
    tokens, views = cache_tokens(network, training, dataset.views, config, progress)
    network.cprn.remember_places(mean_tokens(tokens, views, len(dataset.views)))
    losses = fit_cprn(network.cprn, tokens, views, config, progress)
    network.eval()
    held_out = measure(network, held_out_items, dataset.views, config, progress)
    calibration, limits, good = calibrate(network, held_out, dataset.views, config)
    describe = _description(dataset, config, network, calibration, limits, len({i.part for i in training}))
    progress("export", 0.0)
    exported = export_network(network, describe, out_file, _stored(held_out_items, dataset.views, config))
    progress("export", 1.0)
    return TrainReport(
        product=dataset.product,
        color=config.color,
        file=str(out_file),
        sha256=exported.sha256,
        bytes=exported.bytes,
        n_train_parts=describe.n_train_parts,
        n_calibrate_parts=calibration.n_parts,
        steps=config.steps,
        first_loss=losses[0],
        last_loss=float(np.mean(losses[-20:])),
        seconds=round(time.monotonic() - started, 1),
        limits=limits,
        good_scores=good,
        parity=exported.parity,
    )


def _stored(items: tuple[Item, ...], views: tuple[str, ...], config: TrainConfig) -> list[Arrays]:
    """Held-out inputs for the parity gate: the first of each view."""
    first = {i.view: i for i in reversed(items)}
    found: list[Arrays] = []
    for view, item in first.items():
        rgb, normals = load_inputs(item, config)
        found.append((rgb.numpy(), normals.numpy(), np.array([views.index(view)], np.int64)))
    return found


def _description(
    dataset: Dataset,
    config: TrainConfig,
    network: AnomalyNetwork,
    calibration: Calibration,
    limits: dict[str, float],
    n_train_parts: int,
) -> ModelDescription:
    return ModelDescription(
        product=dataset.product,
        views=dataset.views,
        input_size=dataset.input_size,
        photometric_stereo=dataset.photometric_stereo,
        config=config,
        modalities=network.modalities,
        calibration=calibration,
        limits=limits,
        dataset_sha256=dataset.sha256,
        n_train_parts=n_train_parts,
    )


def load_inputs(item: Item, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """(1, 3, H, W) colour and normals of one view."""
    rgb, normals = read_rgb(item.rgb, config), read_normals(item.normal)
    return torch.from_numpy(rgb)[None], torch.from_numpy(normals)[None]


def fit_whitening(network: AnomalyNetwork, items: tuple[Item, ...], config: TrainConfig, progress: Progress) -> None:
    """Set the network's whitening from a third of the good training views."""
    moments = TokenMoments.empty(network.bank.responses)
    chosen = items[:: 3 if len(items) >= 30 else 1]
    with torch.no_grad():
        for n, item in enumerate(chosen):
            moments.add(network.bank(*load_inputs(item, config)))
            progress("whitening", (n + 1) / len(chosen))
    network.whitening = moments.whitening(config.encoder)


def cache_tokens(
    network: AnomalyNetwork, items: tuple[Item, ...], views: tuple[str, ...], config: TrainConfig, progress: Progress
) -> tuple[Tensor, Tensor]:
    """Whitened tokens of every view, float16 (n, 2, h, w, C), and view indices (n,)."""
    cached = []
    with torch.no_grad():
        for n, item in enumerate(items):
            cached.append(network.tokens(*load_inputs(item, config)).half())
            progress("tokens", (n + 1) / len(items))
    return torch.cat(cached), torch.tensor([views.index(i.view) for i in items])


def mean_tokens(tokens: Tensor, views: Tensor, n_views: int) -> Tensor:
    """(V, 2, h, w, C) float32."""
    return torch.stack([tokens[views == v].float().mean(dim=0) for v in range(n_views)])


def fit_cprn(cprn: Cprn, tokens: Tensor, views: Tensor, config: TrainConfig, progress: Progress) -> list[float]:
    """Minimise L_r + lambda_p L_p over random tokens of random views; returns the loss of every step."""
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.AdamW(cprn.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    cprn.train()
    losses: list[float] = []
    for step in range(config.steps):
        chosen = torch.randint(len(tokens), (config.batch_views,), generator=generator)
        loss = _loss(cprn, tokens[chosen].float(), views[chosen], config, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(cprn.parameters(), config.clip_norm)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        progress(f"training, loss {losses[-1]:.3f}", (step + 1) / config.steps)
    return losses


def _rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to five per cent."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    share = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return float(0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * share)))


def _loss(cprn: Cprn, clean: Tensor, view: Tensor, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Prototypes and reconstruction see the same random tokens, under noise; the target is clean."""
    b, _, h, w, c = clean.shape
    where = torch.randint(h * w, (b, config.tokens_per_view), generator=generator)
    index = where[:, :, None].expand(-1, -1, c)
    truth = [torch.gather(clean[:, m].reshape(b, h * w, c), 1, index) for m in range(2)]
    noisy = [t + config.token_noise * torch.randn(t.shape, generator=generator) for t in truth]
    embedded = cprn.place_at(noisy, where, view)
    found = cprn.reconstruct(embedded, truth)
    regular = config.network.lp_weight * prototype_loss(found, config.network.lp_sign)
    return reconstruction_loss(found) + regular


def measure(
    network: AnomalyNetwork, items: tuple[Item, ...], views: tuple[str, ...], config: TrainConfig, progress: Progress
) -> HeldOut:
    """Token distances of held-out views."""
    found = []
    index = np.array([views.index(i.view) for i in items], np.int64)
    with torch.no_grad():
        for n, item in enumerate(items):
            view = torch.from_numpy(index[n : n + 1])
            found.append(network.cprn(network.tokens(*load_inputs(item, config)), view).numpy())
            progress("held-out parts", (n + 1) / len(items))
    return HeldOut(np.concatenate(found), index, tuple(i.part for i in items))


def calibrate(
    network: AnomalyNetwork, held_out: HeldOut, views: tuple[str, ...], config: TrainConfig
) -> tuple[Calibration, dict[str, float], dict[str, tuple[float, float]]]:
    """Limits from cross-calibrated scores, then the final calibration from all held-out parts."""
    scores = cross_scores(network, held_out, len(views), config)
    calibration = calibration_of(network, held_out, len(views), config)
    per_view = {name: scores[held_out.view_index == v] for v, name in enumerate(views)}
    limits = {name: round(suggested_limit(s, config), 3) for name, s in per_view.items()}
    good = {name: (round(float(s.mean()), 3), round(float(s.max()), 3)) for name, s in per_view.items()}
    return calibration, limits, good
