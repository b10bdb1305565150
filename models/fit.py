"""The fit: whitening from good parts, cached tokens, and CPRN's weights by AdamW on L_total.

Added to the paper, which names neither optimiser nor augmentation: random tokens of random views for each step, and
noise on what the network sees while its target stays clean.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.config import TrainConfig
from models.cprn import L_p, L_r, L_total, assignment
from models.dataset import Item, read_normals, read_rgb
from models.encoder import TokenMoments
from models.network import AnomalyNetwork
from models.progress import Progress
from models.reconstruction import Cprn


def load_inputs(item: Item, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """Colour and normals of one view, (1, 3, H, W) float32 each."""
    rgb, normals = read_rgb(item.rgb, config), read_normals(item.normal)
    return torch.from_numpy(rgb)[None], torch.from_numpy(normals)[None]


def fit_network(
    network: AnomalyNetwork, items: tuple[Item, ...], views: tuple[str, ...], config: TrainConfig, progress: Progress
) -> list[float]:
    """Fit whitening, place memory and weights to good training views; returns the loss of every step."""
    fit_whitening(network, items, config, progress)
    tokens, view_index = cache_tokens(network, items, views, config, progress)
    network.cprn.places.remember(mean_tokens(tokens, view_index, len(views)))
    return fit_cprn(network.cprn, tokens, view_index, config, progress)


def fit_whitening(network: AnomalyNetwork, items: tuple[Item, ...], config: TrainConfig, progress: Progress) -> None:
    """Set the network's whitening from a third of the good training views, or from all when they are fewer than 30."""
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
    """Whitened tokens of every view, float16 (n, 2, h, w, C), and view indices (n,).

    The encoder is frozen, so each picture is encoded once and not at every step.
    """
    cached = []
    with torch.no_grad():
        for n, item in enumerate(items):
            cached.append(network.tokens(*load_inputs(item, config)).half())
            progress("tokens", (n + 1) / len(items))
    return torch.cat(cached), torch.tensor([views.index(i.view) for i in items])


def mean_tokens(tokens: Tensor, view_index: Tensor, n_views: int) -> Tensor:
    """The mean over each view's parts, (V, 2, h, w, C) float32."""
    return torch.stack([tokens[view_index == v].float().mean(dim=0) for v in range(n_views)])


def fit_cprn(cprn: Cprn, tokens: Tensor, view_index: Tensor, config: TrainConfig, progress: Progress) -> list[float]:
    """Minimise L_total over random tokens of random views; returns the loss of every step."""
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.AdamW(cprn.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    cprn.train()
    losses: list[float] = []
    for step in range(config.steps):
        chosen = torch.randint(len(tokens), (config.batch_views,), generator=generator)
        loss = _loss(cprn, tokens[chosen].float(), view_index[chosen], config, generator)
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
    """L_total of one step: prototypes and reconstruction see the same chosen tokens, under noise."""
    b, _, h, w, c = clean.shape
    if config.tokens_per_view:
        where = torch.randint(h * w, (b, config.tokens_per_view), generator=generator)
    else:
        where = torch.arange(h * w).expand(b, -1)
    index = where[:, :, None].expand(-1, -1, c)
    truth = [torch.gather(clean[:, m].reshape(b, h * w, c), 1, index) for m in range(2)]
    noisy = [t + config.token_noise * torch.randn(t.shape, generator=generator) for t in truth]
    found = cprn.reconstruct(cprn.places.at(noisy, where, view), truth)
    q = assignment(found.F_fused, found.P_ucmp)
    return L_total(L_r(found.distances), L_p(q, config.network.lp_sign), config.network.lp_weight)
