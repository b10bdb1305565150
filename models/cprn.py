"""Equations 1 to 6 of CPRN, the Cross-modal Prototype Reconstruction Network of Real-IAD-MVN, in the paper's order.

Names are the paper's: F_rgb and F_nv are the encoders' final tokens of the colour picture and of the normals, Q_learn
the learned queries, P_ucmp the unified prototypes, E_l the tokens that enter decoder stage l. Every tensor is float32
and has a batch in front: B images, N tokens, M prototypes, D numbers in each.

Where a line departs from the printed equation, a switch of `NetworkConfig` gives the printed one, and
`preset("paper")` sets all of these switches. docs/cprn.md lists every departure with its reason. What this project
adds around the equations stands in reconstruction.py, places.py, encoder.py, scoring.py and fit.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.attention import Attention, CosineAttention
from models.config import NetworkConfig

ASSIGNMENT_TEMPERATURE = 0.1
EPSILON = 1e-8  # of equation 6


class Ucp(nn.Module):
    """Unified Cross-Modal Prototype extraction (section 4.2): the prototypes of an image, from both modalities."""

    def __init__(self, config: NetworkConfig, D: int) -> None:
        super().__init__()
        self.Q_learn = nn.Parameter(torch.randn(1, config.prototypes, D) * 0.5)
        self.norm_rgb, self.attention_rgb = added_norm(config, D), Attention(D, config.heads)
        self.norm_nv, self.attention_nv = added_norm(config, D), Attention(D, config.heads)
        self.LayerNorm = nn.LayerNorm(D)
        self.FFN = feed_forward(D, config.ffn_ratio, dropout=0.0)
        self.residual = config.prototype_residual

    def forward(self, F_rgb: Tensor, F_nv: Tensor) -> Tensor:
        """Equations 1 to 3: (B, N, D) twice -> P_ucmp (B, M, D). Each modality has attention weights of its own."""
        F_rgb, F_nv = self.norm_rgb(F_rgb), self.norm_nv(F_nv)
        P_rgb = self.attention_rgb(self.Q_learn, F_rgb, F_rgb)  # (1)
        P_nv = self.attention_nv(self.Q_learn, F_nv, F_nv)  # (2)
        u = self.LayerNorm(self.Q_learn + 0.5 * (P_rgb + P_nv))
        P_ucmp: Tensor = u + self.FFN(u) if self.residual else self.FFN(u)  # (3); printed without the residual
        return P_ucmp


class OneModalityPrototypes(nn.Module):
    """Table 4's rows without UCP: prototypes from one kind of token, which may hold both modalities side by side."""

    def __init__(self, config: NetworkConfig, D: int) -> None:
        super().__init__()
        self.Q_learn = nn.Parameter(torch.randn(1, config.prototypes, D) * 0.5)
        self.norm, self.attention = added_norm(config, D), Attention(D, config.heads)
        self.LayerNorm = nn.LayerNorm(D)
        self.FFN = feed_forward(D, config.ffn_ratio, dropout=0.0)
        self.residual = config.prototype_residual

    def forward(self, F: Tensor) -> Tensor:
        """(B, N, D) -> (B, M, D): equations 1 and 3 with the one modality that there is."""
        F = self.norm(F)
        u = self.LayerNorm(self.Q_learn + self.attention(self.Q_learn, F, F))
        P: Tensor = u + self.FFN(u) if self.residual else self.FFN(u)
        return P


class FixedPrototypes(nn.Module):
    """A dictionary that is learned and then the same for every image, instead of equations 1 to 3."""

    def __init__(self, config: NetworkConfig, D: int) -> None:
        super().__init__()
        self.P = nn.Parameter(torch.randn(1, config.prototypes, D))
        self.LayerNorm = nn.LayerNorm(D)

    def forward(self, F: Tensor, *_others: Tensor) -> Tensor:
        """(B, N, D) of each modality -> (B, M, D), without a look at them."""
        P: Tensor = self.LayerNorm(self.P).expand(F.shape[0], -1, -1)
        return P


class Cpga(nn.Module):
    """Cross-Modal Prototype Guided Attention (section 4.3): one decoder stage, which rebuilds tokens from prototypes.

    Without `query_residual` a token reaches the output through attention weights alone, never as itself.
    """

    def __init__(self, config: NetworkConfig, D: int) -> None:
        super().__init__()
        self.norm_query, self.norm_prototypes, self.norm_ffn = (added_norm(config, D) for _ in range(3))
        self.attention = (
            Attention(D, config.heads)
            if config.attention == "dot_product"
            else CosineAttention(D, config.heads, config.attention)
        )
        self.FFN = feed_forward(D, config.ffn_ratio, config.dropout)
        self.query_residual = config.query_residual

    def forward(self, E_l: Tensor, P_ucmp: Tensor) -> Tensor:
        """Equation 4 and the refinement named below it: (B, N, D), (B, M, D) -> rebuilt E_l (B, N, D)."""
        V = self.norm_prototypes(P_ucmp)  # before K: in another order gradients sum up otherwise in the last bit
        Q, K = self.norm_query(E_l), self.norm_prototypes(P_ucmp)
        F_dec = self.attention(Q, K, V)  # (4)
        if self.query_residual:
            F_dec = F_dec + E_l
        refined: Tensor = F_dec + self.FFN(self.norm_ffn(F_dec))
        return refined


def cosine_distance(F_mean: Tensor, F_dec_mean: Tensor) -> Tensor:
    """1 - sim(., .) of equation 5 for each token: (B, N, D) twice -> (B, N) in 0..2, and 1 where either is zero."""
    length = torch.sqrt((F_mean * F_mean).sum(-1) * (F_dec_mean * F_dec_mean).sum(-1) + 1e-12)
    return 1.0 - (F_mean * F_dec_mean).sum(-1) / length


def L_r(distances: Tensor) -> Tensor:
    """Equation 5: the mean cosine distance, here over tokens, images and whatever else is rebuilt."""
    return distances.mean()


def assignment(F_fused: Tensor, P_ucmp: Tensor) -> Tensor:
    """The prototype assignment q of equation 6, (M,), sums to one; the paper leaves it undefined.

    Each fused token (B, N, D) is assigned by a softmax over its cosines with the image's prototypes (B, M, D); q is
    the mean over tokens and images. A mean, since maximum entropy token by token would make all prototypes alike.
    """
    cosine = functional.normalize(F_fused, dim=-1) @ functional.normalize(P_ucmp, dim=-1).transpose(-1, -2)
    return torch.softmax(cosine / ASSIGNMENT_TEMPERATURE, dim=-1).mean(dim=(0, 1))


def L_p(q: Tensor, sign: str) -> Tensor:
    """Equation 6: `literal` is -sum q log(q + eps) as printed, `corrected` is its negative.

    The text asks for the negative entropy, whose descent evens out the use of prototypes. As printed, L_p is the
    entropy, and its descent ends with one prototype in use.
    """
    negative_entropy = (q * torch.log(q + EPSILON)).sum()
    return negative_entropy if sign == "corrected" else -negative_entropy


def L_total(reconstruction: Tensor, prototypes: Tensor, lambda_p: float) -> Tensor:
    """L_r + lambda_p L_p of section 4.4; the paper gives no value for lambda_p."""
    return reconstruction + lambda_p * prototypes


def feed_forward(D: int, ratio: int, dropout: float) -> nn.Sequential:
    """The FFN of a transformer block, `ratio` times as wide inside; the paper gives neither width nor activation."""
    return nn.Sequential(nn.Linear(D, ratio * D), nn.GELU(), nn.Dropout(dropout), nn.Linear(ratio * D, D))


def added_norm(config: NetworkConfig, D: int) -> nn.Module:
    """A LayerNorm that the paper does not print, or nothing in its place where `added_norms` is off."""
    return nn.LayerNorm(D) if config.added_norms else nn.Identity()
