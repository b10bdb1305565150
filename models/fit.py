"""The fit: whitening from good parts, cached features, and CPRN's weights by AdamW on L_total.

Added to the paper, which names neither optimiser nor augmentation: random tokens of random views for each step, and
noise on what the network sees while its target stays clean. Several processes share the work (models/together.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.beyond_picture import beyond_in, with_repeated
from models.checkpoint import EVERY, Checkpoint
from models.config import TrainConfig
from models.cprn import L_p, L_r, L_total, assignment
from models.dataset import PLAIN, Dataset, Item, read_normals, read_rgb, regions_of
from models.encoder import TokenMoments
from models.network import AnomalyNetwork
from models.progress import Progress
from models.together import ALONE, Together, set_batch

FILL_PARTS = 10


@dataclass(frozen=True, slots=True)
class Encoded:
    """Views as the encoder gave them, which is all that the branches measure."""

    features: Tensor  # (n, 2, N, F) float16
    view_index: Tensor  # (n,)
    measured: Tensor | None  # (n, N): AnomalyNetwork.measured

    def measured_in(self, n: int) -> Tensor | None:
        """(1, N) of row n, or None where all normals count alike."""
        return None if self.measured is None else self.measured[n : n + 1]


class Inputs:
    """The network's inputs for items of one data set: pictures, view and region as batches of one."""

    def __init__(self, dataset: Dataset, config: TrainConfig) -> None:
        self._config = config
        self.views = dataset.views
        self.regions = regions_of(dataset)
        self._shape = dataset.input_size

    def of(self, item: Item) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(1, 3, H, W) colour and normals, (1,) view, (1, H, W) region; normals are 0 in a set of pictures alone."""
        rgb = read_rgb(item.rgb, self._config)
        normals = np.zeros_like(rgb) if item.normal is None else read_normals(item.normal)
        view = self.views.index(item.view)
        region = self.regions[view].astype(np.float32)
        if item.normal is not None:
            rgb, normals, region = with_repeated(rgb, normals, self.regions[view], beyond_in(rgb, normals))
        colours, directions, inside = (torch.from_numpy(array)[None] for array in (rgb, normals, region))
        return colours, directions, torch.tensor([view]), inside


def seen_tokens(network: AnomalyNetwork, region: Tensor, view_index: Tensor) -> Tensor:
    """(1, H, W), (1,) -> (N,) which of the view's tokens lie on this item's region."""
    inside = network.region.tokens_of(region, view_index)
    found: Tensor = network.region.take(inside[:, None, :, :, None], view_index)[0, 0, :, 0] > 0
    return found


def as_others(values: Tensor, seen: Tensor, view_index: Tensor) -> Tensor:
    """(n, M, N, ...), with what was not `seen` (n, N) of a part replaced by the mean of the others at that place."""
    for v in sorted(set(view_index.tolist())):
        of_view = (view_index == v).nonzero()[:, 0]
        for n in of_view[~seen[of_view].all(dim=1)]:
            for token in (~seen[n]).nonzero()[:, 0]:
                others = of_view[seen[of_view, token]]
                if len(others):
                    values[n, :, token] = values[:, :, token][others].float().mean(dim=0).to(values.dtype)
    return values


def fit_network(
    network: AnomalyNetwork, items: tuple[Item, ...], inputs: Inputs, config: TrainConfig, progress: Progress,
    checkpoint: Checkpoint | None = None, group: Together = ALONE,
) -> tuple[list[float], Encoded]:  # fmt: skip
    """Fit fill, whitening, second branch, place memory and weights to good training views.

    Returns the loss of every step, and the views as the encoder gave them.

    The weights go on from `checkpoint`, where it has a state; all else is computed anew, and comes out the same.
    """
    network.region.fill.copy_(mean_of_parts(items, inputs))
    if network.unseen is not None:
        network.unseen.fit(_normals_of(network, items, inputs, progress))
    encoded = cache_features(network, items, inputs, progress, group)
    features, view_index = encoded.features, encoded.view_index
    moments = TokenMoments.empty(network.bank.responses)
    drawn = np.random.default_rng(config.seed).permutation(len(features))
    for part in features[np.sort(drawn[: max(30, len(features) // 3)])]:
        moments.add(part[None].float())
    network.whitening = moments.whitening(config.encoder)
    if network.gauss is not None:
        progress("second branch", 0.0)
        network.gauss.fit(features, view_index, network.region.neighbours(), network.doubt())
    if network.near is not None:
        network.near.fit(_seen(network, items, inputs, progress))
    tokens = whitened(network, features)
    remember(network, tokens, view_index)
    return fit_cprn(network, tokens, view_index, config, progress, checkpoint, group), encoded


def mean_of_parts(items: tuple[Item, ...], inputs: Inputs) -> Tensor:
    """(6,) mean colour and mean normal of the parts, which stands for everything outside their regions."""
    total, count = np.zeros(6), 0.0
    parts = sorted({item.part for item in items})
    few = set(parts[:: max(1, len(parts) // FILL_PARTS)])  # whole parts: every view counts alike
    for item in (item for item in items if item.part in few and item.variant == PLAIN):
        rgb, normals, _, region = inputs.of(item)
        inside = region[0] > 0.5
        total += torch.cat([rgb[0], normals[0]])[:, inside].sum(dim=1).double().numpy()
        count += float(inside.sum())
    return torch.from_numpy(total / max(count, 1.0)).float()


def cache_features(
    network: AnomalyNetwork, items: tuple[Item, ...], inputs: Inputs, progress: Progress, group: Together = ALONE
) -> Encoded:
    """Every view encoded. The encoder is frozen, so each picture is encoded once and not at every step."""

    def encoded(item: Item) -> tuple[Tensor, Tensor | None, Tensor, int]:
        rgb, normals, view, region = inputs.of(item)
        cut = network.region(rgb, normals, region)
        found = network.features(cut[0], cut[1], view).half()
        return found, network.measured(cut[1], view), seen_tokens(network, region, view), int(view[0])

    cached, shares, index, seen = [], [], [], []
    with torch.no_grad():
        for n, (features, measured, is_seen, view) in group.each(items, encoded):
            cached.append(features)
            shares.append(measured)
            seen.append(is_seen)
            index.append(view)
            progress("tokens", (n + 1) / len(items))
    view_index = torch.tensor(index)
    are_seen, known = torch.stack(seen), [share for share in shares if share is not None]
    measured = as_others(torch.stack(known, dim=0), are_seen, view_index)[:, 0] if known else None
    return Encoded(as_others(torch.cat(cached), are_seen, view_index), view_index, measured)


def _normals_of(
    network: AnomalyNetwork, items: tuple[Item, ...], inputs: Inputs, progress: Progress
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each item's normals as the region cuts them, where they count, and the view."""
    for n, item in enumerate(items):
        rgb, normals, view, region = inputs.of(item)
        yield network.region(rgb, normals, region)[1], network.region.cut(region), view
        progress("unseen normals", (n + 1) / len(items))


def _seen(
    network: AnomalyNetwork, items: tuple[Item, ...], inputs: Inputs, progress: Progress
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each item as the branches see it: cut to the region's box, constant around the part."""
    for n, item in enumerate(items):
        rgb, normals, view, region = inputs.of(item)
        yield *network.region(rgb, normals, region), view
        progress("neighbours", (n + 1) / len(items))


def whitened(network: AnomalyNetwork, features: Tensor) -> Tensor:
    """(n, 2, N, F) -> (n, 2, N, C) float16, one view at a time."""
    with torch.no_grad():
        return torch.cat([network.whitening(part[None].float()).half() for part in features])


def remember(network: AnomalyNetwork, tokens: Tensor, view_index: Tensor) -> None:
    """Fill the place memory with the mean over each view's parts."""
    views = range(len(network.region.index))
    means = [torch.stack(network.cprn.streams(_mean(tokens[view_index == v])[None]), dim=1)[0] for v in views]
    network.cprn.places.remember(torch.stack(means), network.region.index)


def _mean(parts: Tensor) -> Tensor:
    total = torch.zeros(parts.shape[1:])
    for part in parts:
        total += part.float()
    return total / max(1, len(parts))


def fit_cprn(
    network: AnomalyNetwork, tokens: Tensor, view_index: Tensor, config: TrainConfig, progress: Progress,
    checkpoint: Checkpoint | None = None, group: Together = ALONE,
) -> list[float]:  # fmt: skip
    """Minimise L_total over random tokens of random views; returns the loss of every step.

    Every process of `group` reads the state of `checkpoint`, and the first one writes it. ValueError for more processes
    than a step has views.
    """
    if group.size > config.batch_views:
        raise ValueError(f"{group.size} processes, but a step has {config.batch_views} views: start no more than that")
    group.share_dropout(network.cprn)
    set_batch(network.cprn, config.batch_views)
    generator = torch.Generator().manual_seed(config.seed)
    cprn = network.cprn
    optimiser = torch.optim.AdamW(cprn.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    cprn.train()
    losses: list[float] = []
    parts: dict[str, Any] = {"cprn": cprn, "optimiser": optimiser, "schedule": schedule}
    state = None if checkpoint is None else checkpoint.load()
    if state is not None:
        losses = list(state["losses"])
        for name, part in parts.items():
            part.load_state_dict(state[name])
        generator.set_state(state["generator"])
        torch.set_rng_state(state["dropout"])  # as torch draws it
    for step in range(len(losses), config.steps):
        chosen = torch.randint(len(tokens), (config.batch_views,), generator=generator)
        loss = _loss(network, tokens[chosen], view_index[chosen], config, generator, group)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        group.sum_gradients(cprn.parameters())
        torch.nn.utils.clip_grad_norm_(cprn.parameters(), config.clip_norm)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        progress(f"training, loss {losses[-1]:.3f}", (step + 1) / config.steps)
        if checkpoint is not None and group.rank == 0 and (step + 1) % EVERY == 0:
            states = {name: part.state_dict() for name, part in parts.items()}
            draws = {"generator": generator.get_state(), "dropout": torch.get_rng_state()}
            checkpoint.save({**states, **draws, "losses": losses})
    return losses


def _rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to five per cent."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    share = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return float(0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * share)))


def _loss(
    network: AnomalyNetwork, clean: Tensor, view: Tensor, config: TrainConfig, generator: torch.Generator,
    group: Together,
) -> Tensor:  # fmt: skip
    """L_total of one step: prototypes and reconstruction see the same chosen tokens, under noise.

    Everything is drawn for the whole batch; the network sees this process's rows.
    """
    b, _, n, c = clean.shape
    if config.tokens_per_view:
        chosen = torch.randint(n, (b, config.tokens_per_view), generator=generator)
    else:
        chosen = torch.arange(n).expand(b, -1)
    clean = torch.gather(clean, 2, chosen[:, None, :, None].expand(-1, 2, -1, c)).float()
    truth = network.cprn.streams(clean)
    noisy = [t + config.token_noise * torch.randn(t.shape, generator=generator) for t in truth]
    where = torch.gather(network.region.index[view], 1, chosen)
    rows, share = group.rows(b), group.share(b)
    noisy, truth = [t[rows] for t in noisy], [t[rows] for t in truth]
    found = network.cprn.reconstruct(network.cprn.places(noisy, where[rows], view[rows]), truth)
    q = group.whole(assignment(found.F_fused, found.P_ucmp), share)
    reconstruction = group.whole(L_r(found.distances), share)
    return L_total(reconstruction, L_p(q, config.network.lp_sign), config.network.lp_weight)
