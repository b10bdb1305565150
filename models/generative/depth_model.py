"""The whole module of Figure A: conditioner, denoising U-Net and dense decoder, with the file that holds them."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.depth_views import DepthDataError
from models.generative.autoencoder import DenseDecoder, HeightEncoder
from models.generative.conditioner import HierarchicalConditioner
from models.generative.config import LATENT_STRIDE, DepthConfig
from models.generative.diffusion import Diffusion
from models.generative.patches import Units
from models.generative.slopes import SlopeModel
from models.generative.spread import Spread
from models.generative.unet import DenoisingUnet

FILE_FORMAT = 1


class DepthModelError(DepthDataError):
    """A model file cannot be used; the text names the file, what was found and the cure."""


class DepthModel(nn.Module):
    """All networks. The height encoder serves training alone."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.config = config
        self.diffusion = Diffusion(config.levels, config.predict)
        self.encoder, self.decoder = HeightEncoder(config), DenseDecoder(config)
        self.conditioner, self.unet = HierarchicalConditioner(config), DenoisingUnet(config)
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    def x_0(self, height: Tensor) -> Tensor:
        """(B, 1, H, W) true heights -> (B, C, H/4, W/4) latents with mean 0 and variance 1 over the training set."""
        latent: Tensor = (self.encoder(height) - _cells(self.latent_mean)) / _cells(self.latent_std)
        return latent

    def decoded(self, x_0: Tensor, picture: Tensor, geometry: Tensor) -> Tensor:
        """A latent to the height map (B, 1, H, W), in the model's unit."""
        latent = x_0 * _cells(self.latent_std) + _cells(self.latent_mean)
        height: Tensor = self.decoder(latent, picture, geometry)
        return height

    def draw(self, picture: Tensor, geometry: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """One sample of the height for each image: (B, 3, H, W), (B, G, H, W) -> (B, 1, H, W), in the model's unit."""
        given = self.conditioner(picture, geometry)
        shape = (len(picture), self.config.latent_channels, *(size // LATENT_STRIDE for size in picture.shape[2:]))
        noise = torch.randn(shape, generator=generator)
        return self.decoded(self.diffusion.sample(lambda x, t: self.unet(x, t, given), noise, steps), picture, geometry)


DepthNetwork = DepthModel | SlopeModel


def network_of(config: DepthConfig) -> DepthNetwork:
    """Untrained networks by the head that the settings name."""
    return SlopeModel(config) if config.head == "slopes" else DepthModel(config)


def _cells(per_channel: Tensor) -> Tensor:
    return per_channel[None, :, None, None]


@dataclass(frozen=True, slots=True)
class TrainedDepth:
    """A model and what is known of it."""

    model: DepthNetwork
    units: Units
    spread: Spread
    facts: dict[str, Any]  # of its training, for people: losses, seconds, data

    def save(self, path: Path) -> None:
        """Write the file at once or not at all; the encoder goes with it, so that training can be taken up."""
        content = {
            "format": FILE_FORMAT,
            "config": self.model.config.to_dict(),
            "units": asdict(self.units),
            "spread": self.spread.to_dict(),
            "facts": self.facts,
            "weights": self.model.state_dict(),
        }
        write_torch(path, content)


def write_torch(path: Path, content: dict[str, Any]) -> None:
    """torch.save through a second file, so that a cut leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_torch(path: Path) -> dict[str, Any]:
    """What `write_torch` wrote: tensors and plain values alone. Raises DepthModelError."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DepthModelError(f"{path} is missing: name a file that `station depth train` wrote") from None
    except Exception as error:  # torch has an exception of its own for each way in which a file can be broken
        # its texts are long, and some advise to run code from the file
        raise DepthModelError(
            f"{path}: no depth model, or a broken one ({type(error).__name__}): name a file that `station depth train` "
            "wrote, or train it anew"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FILE_FORMAT:
        raise DepthModelError(f"{path}: not a depth model of format {FILE_FORMAT}: train it anew")
    return content


def load_depth_model(path: Path) -> TrainedDepth:
    """Read a file that `train_depth` wrote. Raises DepthModelError."""
    content = read_torch(path)
    model, units, facts = networks_of(path, content)
    try:
        spread = Spread.from_dict(content["spread"])
    except (KeyError, TypeError) as error:
        raise DepthModelError(
            f"{path}: its uncertainty was calibrated by an earlier version: run `station depth calibrate {path} DATA "
            "--out MODEL`"
        ) from error
    return TrainedDepth(model, units, spread, facts)


def networks_of(path: Path, content: dict[str, Any]) -> tuple[DepthNetwork, Units, dict[str, Any]]:
    """All but the calibration of what `read_torch` gave. Raises DepthModelError."""
    try:
        model = network_of(DepthConfig.from_dict(content["config"]))
        model.load_state_dict(content["weights"])
        return model.eval(), Units(**content["units"]), dict(content["facts"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DepthModelError(f"{path}: not a finished depth model ({reason}): train it to its end") from error


def count_parameters(*networks: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(p.numel() for network in networks for p in network.parameters())
