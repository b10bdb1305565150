"""Equation A4: a discriminator of depth images, and the two sides of its loss.

As printed, one expression stands for both sides: D maximises it, and the decoder minimises the only term that it can
move, log(1 - D(fake)). That term is flat where D is sure, so an untrained decoder gets no gradient (`printed`). The
others keep D's task and give the decoder a slope: `non_saturating` is -log D(fake) (Goodfellow et al. 2014), `hinge`
cuts what D already has right (Lim and Ye 2017). All work on logits: D = sigmoid(logit).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (24, 48)
SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """A logit for each neighbourhood of 22 pixels: positive says that the depth image is true (Isola et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        a, b = WIDTHS
        self.layers = nn.Sequential(
            nn.Conv2d(1, a, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(b, 1, 4, padding=1),
        )  # fmt: skip

    def forward(self, depth_image: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, H/4 - 1, W/4 - 1) logits."""
        logits: Tensor = self.layers(depth_image)
        return logits


def L_discriminator(true_logits: Tensor, fake_logits: Tensor, kind: str) -> Tensor:
    """What D minimises; for all but `hinge` it is minus A4."""
    if kind == "hinge":
        return (functional.relu(1 - true_logits) + functional.relu(1 + fake_logits)).mean()
    return (functional.softplus(-true_logits) + functional.softplus(fake_logits)).mean()


def L_adv(fake_logits: Tensor, kind: str) -> Tensor:
    """What the decoder minimises: its images shall pass for true."""
    if kind == "hinge":
        return -fake_logits.mean()
    if kind == "non_saturating":
        return functional.softplus(-fake_logits).mean()
    if kind == "printed":
        return -functional.softplus(fake_logits).mean()  # log(1 - D(fake))
    raise ValueError(f"adversarial {kind!r} is unknown; there are hinge, non_saturating and printed")


def accuracy(true_logits: Tensor, fake_logits: Tensor) -> float:
    """The share of neighbourhoods that D has right, 0..1; one half is what an indistinguishable decoder leaves."""
    return float(torch.cat([(true_logits > 0).flatten(), (fake_logits < 0).flatten()]).float().mean())
