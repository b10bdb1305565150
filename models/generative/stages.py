"""One step of each stage, with its optimisers; `train.py` walks them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.generative.adversarial import L_adv, L_discriminator, PatchDiscriminator
from models.generative.autoencoder import L_reconstruct
from models.generative.config import DepthConfig
from models.generative.depth_model import DepthModel
from models.generative.diffusion import L_diffusion
from models.generative.patches import Batch, PatchSource, Units

AUTOENCODER, DIFFUSION, LATENTS = 0, 1, 2  # kinds of draws
LATENT_BATCHES = 16  # from which the latents' mean and variance are measured
SEED_STRIDE = 1_000_003
LEAST_RATE = 0.05  # of the learning rate, at the end


class Stage(Protocol):
    """What `train.py` needs of a stage."""

    name: str

    def begin(self) -> None:
        """Before the first step."""

    def step(self, n: int) -> dict[str, float]:
        """The n-th step; the losses by name."""

    def finish(self) -> None:
        """After the last step."""

    def content(self) -> dict[str, Any]:
        """Networks and optimisers."""

    def load(self, content: dict[str, Any]) -> None:
        """Take up what `content` gave."""


class AutoencoderStage:
    """Encoder and decoder by A3; from `adversarial_start` on also by A4, against the discriminator."""

    name = "latent and decoder"

    def __init__(self, model: DepthModel, source: PatchSource, units: Units, steps: int) -> None:
        self._model, self._source, self._units, self._steps = model, source, units, steps
        self._config = config = model.config
        self._discriminator = PatchDiscriminator()
        self._optimiser = adam([model.encoder, model.decoder], config)
        self._opponent = adam([self._discriminator], config)

    def begin(self) -> None:
        """Nothing has to be measured first."""

    def step(self, n: int) -> dict[str, float]:
        """A3, then A4 for the decoder, then A4 for the discriminator."""
        config, random = self._config, noise_source(self._config.seed, AUTOENCODER, n)
        batch = draw(self._source, self._units, config, AUTOENCODER, n)
        set_rate((self._optimiser, self._opponent), n, self._steps, config)
        latent = self._model.encoder(batch.height)
        noisy = latent + config.latent_noise * torch.randn(latent.shape, generator=random)
        height = self._model.decoder(noisy, batch.picture, batch.geometry)
        reconstruct = L_reconstruct(height, batch.height, batch.valid)  # (A3)
        loss = reconstruct + config.latent_penalty * (latent**2).mean()
        losses = {"reconstruction": float(reconstruct.detach())}
        if n >= config.adversarial_start * self._steps and config.adversarial_weight:
            fake = self._depth_image(height, batch)
            loss = loss + config.adversarial_weight * L_adv(self._discriminator(fake), config.adversarial)  # (A4)
            descend(loss, self._optimiser, config)
            losses["discriminator"] = self._oppose(self._depth_image(batch.height, batch), fake.detach())
        else:
            descend(loss, self._optimiser, config)
        return losses

    def _oppose(self, true: Tensor, fake: Tensor) -> float:
        """The discriminator's own step of A4."""
        loss = L_discriminator(self._discriminator(true), self._discriminator(fake), self._config.adversarial)
        descend(loss, self._opponent, self._config)
        return float(loss.detach())

    def _depth_image(self, height: Tensor, batch: Batch) -> Tensor:
        """What D judges: the depth image, to which the residual form adds the integrated height; 0 without truth."""
        if self._config.form == "literal":
            return height * batch.valid
        integrated = batch.geometry[:, 4:5] * (self._units.integrated_px / self._units.height_px)
        return (integrated + height) * batch.valid

    def finish(self) -> None:
        """Measure the latents' mean and variance, so that the diffusion starts from numbers near one."""
        batches = (draw(self._source, self._units, self._config, LATENTS, n) for n in range(LATENT_BATCHES))
        with torch.no_grad():
            latents = torch.cat([self._model.encoder(batch.height) for batch in batches])
        self._model.latent_mean.copy_(latents.mean(dim=(0, 2, 3)))
        self._model.latent_std.copy_(latents.std(dim=(0, 2, 3)).clamp(min=1e-6))

    def content(self) -> dict[str, Any]:
        """Also the discriminator's state, which is worth nothing afterwards."""
        return {
            "model": self._model.state_dict(),
            "discriminator": self._discriminator.state_dict(),
            "optimisers": [self._optimiser.state_dict(), self._opponent.state_dict()],
        }

    def load(self, content: dict[str, Any]) -> None:
        """Take up what `content` gave."""
        self._model.load_state_dict(content["model"])
        self._discriminator.load_state_dict(content["discriminator"])
        for optimiser, state in zip((self._optimiser, self._opponent), content["optimisers"], strict=True):
            optimiser.load_state_dict(state)


class AveragedStage:
    """A stage with one optimiser, whose averaged weights are those that are kept."""

    def __init__(self, model: nn.Module, trained: Sequence[nn.Module], config: DepthConfig) -> None:
        """`trained` are the parts of `model` that this stage changes."""
        self._whole = model
        self._trained = nn.ModuleList(trained)
        self._optimiser = adam(trained, config)
        self._average = copy.deepcopy(self._trained)

    def begin(self) -> None:
        """The average starts where the networks do."""
        self._average = copy.deepcopy(self._trained)

    def finish(self) -> None:
        """The averaged weights take the place of the last ones."""
        self._trained.load_state_dict(self._average.state_dict())

    def content(self) -> dict[str, Any]:
        """Also the average so far."""
        return {
            "model": self._whole.state_dict(),
            "average": self._average.state_dict(),
            "optimisers": [self._optimiser.state_dict()],
        }

    def load(self, content: dict[str, Any]) -> None:
        """Take up what `content` gave."""
        self._whole.load_state_dict(content["model"])
        self._average.load_state_dict(content["average"])
        self._optimiser.load_state_dict(content["optimisers"][0])

    def _follow(self, n: int, config: DepthConfig) -> None:
        follow(self._average, self._trained, n, config)


class DiffusionStage(AveragedStage):
    """U-Net and conditioner by A2; encoder and decoder stand still. The averaged weights are those that are kept."""

    name = "diffusion"

    def __init__(self, model: DepthModel, source: PatchSource, units: Units, steps: int) -> None:
        self._model, self._source, self._units, self._steps = model, source, units, steps
        super().__init__(model, [model.unet, model.conditioner], model.config)

    def step(self, n: int) -> dict[str, float]:
        """(A2) at random levels."""
        model, config = self._model, self._model.config
        random = noise_source(config.seed, DIFFUSION, n)
        batch = draw(self._source, self._units, config, DIFFUSION, n)
        set_rate((self._optimiser,), n, self._steps, config)
        with torch.no_grad():
            x_0 = model.x_0(batch.height)
        epsilon = torch.randn(x_0.shape, generator=random)
        t = torch.randint(config.levels, (len(x_0),), generator=random)
        x_t = model.diffusion.noised(x_0, epsilon, t)  # (A1), forward
        predicted = model.unet(x_t, t, model.conditioner(batch.picture, batch.geometry))
        loss = L_diffusion(model.diffusion.target(x_0, epsilon, t), predicted)  # (A2)
        descend(loss, self._optimiser, config)
        self._follow(n, config)
        return {"noise": float(loss.detach())}


def follow(average: nn.Module, now: nn.Module, n: int, config: DepthConfig) -> None:
    """The averaged weights after the n-th step; they forget the beginning faster."""
    decay = min(config.average_decay, (1 + n) / (10 + n))
    with torch.no_grad():
        for kept, value in zip(average.parameters(), now.parameters(), strict=True):
            kept.lerp_(value, 1 - decay)


def draw(source: PatchSource, units: Units, config: DepthConfig, kind: int, n: int) -> Batch:
    """The n-th batch of one kind of draw."""
    return Batch.of(source.draw((config.seed, kind, n), config.batch), units, config)


def noise_source(seed: int, kind: int, n: int) -> torch.Generator:
    """Random numbers of one step, whatever came before it."""
    return torch.Generator().manual_seed((seed * SEED_STRIDE + kind) * SEED_STRIDE + n)


def descend(loss: Tensor, optimiser: torch.optim.Optimizer, config: DepthConfig) -> None:
    """One step of one optimiser; gradients that reached other networks on the way are not used."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(list(_parameters(optimiser)), config.clip_norm)
    optimiser.step()


def _parameters(optimiser: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    for group in optimiser.param_groups:
        yield from group["params"]


def adam(networks: Sequence[nn.Module], config: DepthConfig) -> torch.optim.Optimizer:
    """AdamW over these networks."""
    parameters = chain.from_iterable(network.parameters() for network in networks)
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


def set_rate(optimisers: tuple[torch.optim.Optimizer, ...], n: int, steps: int, config: DepthConfig) -> None:
    """Linear warm-up, then a cosine: a function of the step alone, so nothing of it is stored."""
    warm = min(1.0, (n + 1) / max(1, min(config.warm_up_steps, steps // 4)))
    cosine = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * n / steps))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * warm * cosine
