"""The Hierarchical Dual Conditioner of section A.2, with equations A5 and A6.

Names are the paper's: I the picture, P the pseudo-3D input (normals, and what else is measured of the shape), l the
level, F_M^l the features of modality M at level l, Q the U-Net's features at that level. The paper says that features
of the UCP are the source and not how; here F~_M^l is F_M^l followed by the level's unified prototypes (equations 1 to
3), so Q attends to places and to prototypes alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attention import Attention
from models.config import NetworkConfig
from models.cprn import Ucp
from models.generative.config import DepthConfig

TEMPERATURE = 0.1  # of the cosines in the proxy for mutual information
WAVES_PER_AXIS = 4  # of the position code, each with sine and cosine


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the U-Net may ask at each level; it stays the same over all noise levels, so it is computed once."""

    I: tuple[Tensor, ...]  # noqa: E741 - the paper's name; F~_I^l, (B, n_l + M, D_l) each
    P: tuple[Tensor, ...]  # F~_P^l, likewise
    finest: Tensor  # (B, 2 D_0, H/4, W/4) both modalities' features of the finest level, place by place


class Pyramid(nn.Module):
    """Features of one modality at 1/4 and 1/8 of its size, by three strided convolutions."""

    def __init__(self, channels: int, widths: tuple[int, int]) -> None:
        super().__init__()
        a, b = widths
        self.entry = nn.Sequential(nn.Conv2d(channels, a // 2, 4, stride=2, padding=1), nn.SiLU())
        self.fine = nn.Sequential(
            nn.Conv2d(a // 2, a, 4, stride=2, padding=1), nn.SiLU(), nn.Conv2d(a, a, 3, padding=1)
        )
        self.coarse = nn.Sequential(nn.SiLU(), nn.Conv2d(a, b, 4, stride=2, padding=1))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, H, W) -> (B, D_0, H/4, W/4), (B, D_1, H/8, W/8)."""
        fine = self.fine(self.entry(maps))
        return fine, self.coarse(fine)


class HierarchicalConditioner(nn.Module):
    """Picture and shape to the features that the U-Net asks for."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.pyramid_I = Pyramid(3, config.widths)
        self.pyramid_P = Pyramid(config.geometry_channels, config.widths)
        network = NetworkConfig(heads=config.heads, prototypes=config.prototypes)
        self.ucp = nn.ModuleList(Ucp(network, D) for D in config.widths)

    def forward(self, picture: Tensor, geometry: Tensor) -> Conditions:
        """(B, 3, H, W), (B, G, H, W) -> the features of both levels."""
        features_I, features_P = self.pyramid_I(picture), self.pyramid_P(geometry)
        enriched_I, enriched_P = [], []
        for ucp, F_I, F_P in zip(self.ucp, features_I, features_P, strict=True):
            tokens_I, tokens_P = tokens_of(F_I), tokens_of(F_P)
            P_ucmp = ucp(tokens_I, tokens_P)  # (1) to (3)
            enriched_I.append(torch.cat([tokens_I, P_ucmp], dim=1))
            enriched_P.append(torch.cat([tokens_P, P_ucmp], dim=1))
        return Conditions(tuple(enriched_I), tuple(enriched_P), torch.cat([features_I[0], features_P[0]], dim=1))


class BiModalCrossAttention(nn.Module):
    """Q asks both modalities (A5); the gate weighs the two answers (A6)."""

    def __init__(self, D: int, config: DepthConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(D)
        self.attention_I, self.attention_P = Attention(D, config.heads), Attention(D, config.heads)
        self.gate = InformationGate(D, config.gate, config.gate_beta)

    def forward(self, features: Tensor, F_I: Tensor, F_P: Tensor) -> Tensor:
        """(B, D, h, w), (B, n, D) twice -> (B, D, h, w), the conditional features that are added to the U-Net's."""
        Q = self.norm(tokens_of(features))
        CA_I = self.attention_I(Q, F_I, F_I)  # (A5) with M = I
        CA_P = self.attention_P(Q, F_P, F_P)  # (A5) with M = P
        alpha = self.gate(Q, F_I, F_P)[:, None, None]  # (A6)
        weighted: Tensor = alpha * CA_P + (1 - alpha) * CA_I
        return weighted.transpose(1, 2).reshape(features.shape)


class InformationGate(nn.Module):
    """Equation A6: alpha_l, the share of the shape's answer, from what each modality has to say to Q.

    r = I(Q; P) / (I(Q; P) + I(Q; I)) lies in 0..1. `printed` is sigma(beta r), which never leaves [1/2, sigma(beta)]
    for beta > 0: the picture can never win. `centred` is sigma(beta (2 r - 1)), which is 1/2 for equals and spans
    (0, 1) as beta grows.
    """

    def __init__(self, D: int, kind: str, beta: float) -> None:
        super().__init__()
        if kind not in ("centred", "printed"):
            raise ValueError(f"gate {kind!r} is unknown; there are centred and printed")
        self.kind = kind
        self.beta = nn.Parameter(torch.tensor(float(beta)))
        self.W_Q = nn.Linear(D, D, bias=False)
        self.W_I, self.W_P = nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False)

    def forward(self, Q: Tensor, F_I: Tensor, F_P: Tensor) -> Tensor:
        """(B, n, D), (B, m, D) twice -> alpha (B,) in (0, 1)."""
        asked = self.W_Q(Q)
        of_P = information_proxy(asked, self.W_P(F_P))
        of_I = information_proxy(asked, self.W_I(F_I))
        return gated(of_P / (of_P + of_I), self.beta, self.kind)


def gated(r: Tensor, beta: Tensor, kind: str) -> Tensor:
    """(A6) from the ratio r to alpha, element by element."""
    return torch.sigmoid(beta * r if kind == "printed" else beta * (2 * r - 1))


def information_proxy(Q: Tensor, F: Tensor) -> Tensor:
    """(B, n, D), (B, m, D) -> (B,) positive. A stand-in for mutual information, which nobody can compute here.

    It is the log-mean-exp of the cosines between Q and F over a temperature, as in InfoNCE without its negatives, and
    a softplus keeps it positive so that r lies in (0, 1). It says how well features answer, in no unit.
    """
    cosine = functional.normalize(Q, dim=-1) @ functional.normalize(F, dim=-1).transpose(-1, -2)
    pairs = cosine.shape[-1] * cosine.shape[-2]
    log_mean_exp = torch.logsumexp(cosine.flatten(1) / TEMPERATURE, dim=1) - math.log(pairs)
    return functional.softplus(log_mean_exp)


def tokens_of(features: Tensor) -> Tensor:
    """(B, D, h, w) -> (B, h w, D), row by row, with the code of their place added."""
    _, D, height, width = features.shape
    return features.flatten(2).transpose(1, 2) + position_code(height, width, D).to(features.device)


def position_code(height: int, width: int, D: int) -> Tensor:
    """(h w, D): sines and cosines of row and column in four octaves; what is beyond 16 numbers is zero."""
    octaves = math.pi * 2.0 ** torch.arange(WAVES_PER_AXIS)
    rows = ((torch.arange(height) + 0.5) / height)[:, None, None] * octaves
    columns = ((torch.arange(width) + 0.5) / width)[None, :, None] * octaves
    shape = (height, width, WAVES_PER_AXIS)
    waves = [wave(phase.expand(shape)) for phase in (rows, columns) for wave in (torch.sin, torch.cos)]
    code = torch.cat(waves, dim=-1).reshape(height * width, 4 * WAVES_PER_AXIS)
    return functional.pad(code, (0, D - code.shape[1])) if code.shape[1] < D else code[:, :D]
