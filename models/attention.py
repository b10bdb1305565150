"""Attention(Q, K, V) of equations 1, 2 and 4 as a scaled dot-product, and the cosine form that is equation 4's default.

The paper does not define Attention. Here it has the learned projections of Vaswani et al. (2017) and splits D numbers
among `heads`, which must divide D.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

COSINE_TEMPERATURE = 0.1


class Attention(nn.Module):
    """Scaled dot-product attention: softmax(Q K^T / sqrt(D / heads)) V, the softmax taken over the keys."""

    def __init__(self, D: int, heads: int) -> None:
        super().__init__()
        if D % heads:
            raise ValueError(f"{D} numbers per token cannot be split among {heads} heads: choose a divisor of {D}")
        self.heads = heads
        self.W_q, self.W_k = nn.Linear(D, D), nn.Linear(D, D)
        self.W_v, self.W_o = nn.Linear(D, D), nn.Linear(D, D)

    def weights(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, heads, n, D / heads) and (B, heads, m, D / heads) -> (B, heads, n, m)."""
        return torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)

    def forward(self, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
        """(B, n, D), (B, m, D), (B, m, D) -> (B, n, D); a Q with B = 1 serves every image."""
        q, k, v = (_split(W(x), self.heads) for W, x in ((self.W_q, Q), (self.W_k, K), (self.W_v, V)))
        attended: Tensor = self.W_o(_joined(self.weights(q, k) @ v))
        return attended


class CosineAttention(Attention):
    """Cosines of q and k, times a learned scale per head, cut at zero (`relu`, as in INP-Former) or through a softmax.

    With `relu` the weights of a token need not sum to one: a token unlike every prototype is rebuilt from nothing.
    """

    def __init__(self, D: int, heads: int, normalise: Literal["relu", "softmax"]) -> None:
        super().__init__(D, heads)
        self.relu = normalise == "relu"
        self.head_scale = nn.Parameter(torch.ones(heads, 1, 1))

    def weights(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, heads, n, D / heads) and (B, heads, m, D / heads) -> (B, heads, n, m)."""
        cosine = functional.normalize(q, dim=-1) @ functional.normalize(k, dim=-1).transpose(-1, -2)
        if self.relu:
            return torch.relu(self.head_scale * cosine)
        return torch.softmax(self.head_scale * cosine / COSINE_TEMPERATURE, dim=-1)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, n, D) -> (B, heads, n, D / heads)."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(B, heads, n, d) -> (B, n, heads d)."""
    y = x.transpose(1, 2)
    return y.reshape(y.shape[0], y.shape[1], y.shape[2] * y.shape[3])
