"""`preset("paper")` computes equations 1 to 6 as printed: each value against a transcription in numpy, float64.

The transcription is written from sections 4.2 to 4.4 of the paper and shares no code with `models`. What the paper
leaves open is taken as docs/cprn.md says: Attention is one head with learned projections, FFN is linear, GELU, linear,
and q is the mean softmax over cosines.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.config import preset
from models.cprn import L_p, L_r, L_total, assignment
from models.places import BareTokens
from models.reconstruction import Cprn, Reconstruction
from models.region import RegionTokens
from models.scoring import Scoring

CONFIG = preset("paper").network
GRID, D, N = (3, 5), 8, 15
WHERE = torch.arange(N).expand(2, -1)
Weights = dict[str, np.ndarray]


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(w: Weights, name: str, Q: np.ndarray, K: np.ndarray, V: np.ndarray) -> np.ndarray:
    q, k, v = linear(w, f"{name}.W_q", Q), linear(w, f"{name}.W_k", K), linear(w, f"{name}.W_v", V)
    return linear(w, f"{name}.W_o", softmax(q @ k.T / math.sqrt(D)) @ v)


def layer_norm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    centered = x - x.mean(axis=-1, keepdims=True)
    scaled = centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def ffn(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    inside = linear(w, f"{name}.0", x)
    gelu = inside * 0.5 * (1 + np.vectorize(math.erf)(inside / math.sqrt(2)))
    return linear(w, f"{name}.3", gelu)


def sim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def prototypes(w: Weights, F_rgb: np.ndarray, F_nv: np.ndarray) -> np.ndarray:
    """Equations 1 to 3."""
    Q_learn = w["ucp.Q_learn"][0]
    P_rgb = attention(w, "ucp.attention_rgb", Q_learn, F_rgb, F_rgb)
    P_nv = attention(w, "ucp.attention_nv", Q_learn, F_nv, F_nv)
    return ffn(w, "ucp.FFN", layer_norm(w, "ucp.LayerNorm", Q_learn + (P_rgb + P_nv) / 2))


def stage(w: Weights, number: int, E_rgb: np.ndarray, P_ucmp: np.ndarray) -> np.ndarray:
    """Equation 4, "then refined with a residual connection and an FFN"."""
    F_dec = attention(w, f"decoders.0.stages.{number}.attention", E_rgb, P_ucmp, P_ucmp)
    return F_dec + ffn(w, f"decoders.0.stages.{number}.FFN", F_dec)


@pytest.fixture
def net() -> Cprn:
    """Weights far from their start, so that no LayerNorm, scale or bias hides behind ones and zeros."""
    torch.manual_seed(4)
    net = Cprn(CONFIG, D, GRID, n_views=2).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape))
    return net


@pytest.fixture
def weights(net: Cprn) -> Weights:
    return {name: p.detach().double().numpy() for name, p in net.named_parameters()}


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(2, 2, N, D, generator=torch.Generator().manual_seed(5))


def _flat(tokens: torch.Tensor, image: int, modality: int) -> np.ndarray:
    return tokens[image, modality].reshape(N, D).double().numpy()


def test_equations_1_to_3(net: Cprn, weights: Weights, tokens: torch.Tensor) -> None:
    found = net.ucp(tokens[:, 0].reshape(2, N, D), tokens[:, 1].reshape(2, N, D)).detach().numpy()
    for image in range(2):
        expected = prototypes(weights, _flat(tokens, image, 0), _flat(tokens, image, 1))
        np.testing.assert_allclose(found[image], expected, rtol=1e-4, atol=1e-5)


def test_equation_4_and_its_refinement_in_every_stage(net: Cprn, weights: Weights, tokens: torch.Tensor) -> None:
    P_ucmp = torch.randn(1, CONFIG.prototypes, D)
    for number, module in enumerate(net.decoders[0].stages):
        found = module(tokens[:1, 0].reshape(1, N, D), P_ucmp).detach().numpy()[0]
        expected = stage(weights, number, _flat(tokens, 0, 0), P_ucmp[0].double().numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_equation_5_compares_the_mean_of_the_skips_with_the_mean_of_the_stages(
    net: Cprn, weights: Weights, tokens: torch.Tensor
) -> None:
    found = _in_training(net, tokens)
    expected = []
    for image in range(2):
        E_rgb = _flat(tokens, image, 0)
        P_ucmp = prototypes(weights, E_rgb, _flat(tokens, image, 1))
        F_dec_mean = np.mean([stage(weights, n, E_rgb, P_ucmp) for n in range(CONFIG.stages)], axis=0)
        F_mean = np.mean([E_rgb] * CONFIG.stages, axis=0)  # the encoder has one level: all skips are alike
        expected.append(np.mean(1 - sim(F_mean, F_dec_mean)))
    assert float(L_r(found.distances)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_equation_6_with_the_printed_sign_and_the_total(net: Cprn, weights: Weights, tokens: torch.Tensor) -> None:
    found = _in_training(net, tokens)
    uses = []
    for image in range(2):
        F_rgb, F_nv = _flat(tokens, image, 0), _flat(tokens, image, 1)
        fused = sum(f / np.linalg.norm(f, axis=-1, keepdims=True) for f in (F_rgb, F_nv))
        P_ucmp = prototypes(weights, F_rgb, F_nv)
        uses.append(softmax(sim(fused[:, None, :], P_ucmp[None, :, :]) / 0.1))
    q = np.mean(uses, axis=(0, 1))
    expected = -sum(q_j * math.log(q_j + 1e-8) for q_j in q)
    loss = L_p(assignment(found.F_fused, found.P_ucmp), CONFIG.lp_sign)
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    total = L_total(L_r(found.distances), loss, CONFIG.lp_weight)
    assert float(total) == pytest.approx(float(L_r(found.distances)) + 0.02 * expected, abs=1e-6)


def test_the_map_is_the_last_stage_s_distance_from_f_rgb(net: Cprn, weights: Weights, tokens: torch.Tensor) -> None:
    found = net(tokens, WHERE, torch.tensor([0, 1])).detach().numpy()
    for image in range(2):
        F_rgb = _flat(tokens, image, 0)
        rebuilt = stage(weights, CONFIG.stages - 1, F_rgb, prototypes(weights, F_rgb, _flat(tokens, image, 1)))
        np.testing.assert_allclose(found[image, 0].ravel(), 1 - sim(F_rgb, rebuilt), atol=1e-5)


def test_the_letter_has_no_weights_but_those_of_the_equations(net: Cprn) -> None:
    """No embedding, place memory, bottleneck, added norm, head scale or head."""
    projections = [f"{W}.{kind}" for W in ("W_q", "W_k", "W_v", "W_o") for kind in ("weight", "bias")]
    layers = [f"{n}.{kind}" for n in (0, 3) for kind in ("weight", "bias")]
    expected = {"ucp.Q_learn", "ucp.LayerNorm.weight", "ucp.LayerNorm.bias", *(f"ucp.FFN.{x}" for x in layers)}
    expected |= {f"ucp.attention_{m}.{p}" for m in ("rgb", "nv") for p in projections}
    for n in range(CONFIG.stages):
        expected |= {f"decoders.0.stages.{n}.attention.{p}" for p in projections}
        expected |= {f"decoders.0.stages.{n}.FFN.{x}" for x in layers}
    assert {name for name, _ in net.named_parameters()} == expected
    assert isinstance(net.places, BareTokens)
    paper = preset("paper")
    assert (paper.token_noise, paper.tokens_per_view, CONFIG.dropout) == (0.0, 0, 0.0)


def test_the_letter_s_map_is_neither_smoothed_nor_calibrated_locally_and_its_score_is_the_mean() -> None:
    whole = RegionTokens(None, (6, 10), 1, 2)
    scoring = Scoring(preset("paper").score, whole, n_targets=1)
    distances = torch.rand(1, 1, N)
    score, fused, _ = scoring(distances, torch.tensor([0]), torch.ones(1, 6, 10))
    large = torch.nn.functional.interpolate(
        distances.reshape(1, 1, *GRID), size=(6, 10), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(fused, large[:, 0])
    torch.testing.assert_close(score, distances.mean(dim=(1, 2)))


def _in_training(net: Cprn, tokens: torch.Tensor) -> Reconstruction:
    """The stages' mean, as the loss sees it; nothing is random, the letter has no dropout."""
    flat = net.streams(tokens)
    net.train()
    with torch.no_grad():
        return net.reconstruct(net.places(flat, WHERE, torch.tensor([0, 1])), flat)
