"""Equations 1 to 6: shapes, gradients, the sign of L_p, and no way round the prototypes."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from models.config import PRESETS, NetworkConfig, Preset, preset
from models.cprn import Cpga, L_p, L_r, Ucp, assignment, cosine_distance
from models.reconstruction import Cprn

CONFIG = NetworkConfig(width=32, heads=2, prototypes=5, stages=2, dropout=0.0)
GRID, TOKENS, COMPONENTS, VIEWS = (4, 6), 24, 8, 3


def _cprn(config: NetworkConfig = CONFIG) -> Cprn:
    torch.manual_seed(0)
    return Cprn(config, COMPONENTS, GRID, VIEWS)


def _tokens(seed: int = 1) -> torch.Tensor:
    return torch.randn(2, 2, TOKENS, COMPONENTS, generator=torch.Generator().manual_seed(seed))


def _everywhere(images: int) -> torch.Tensor:
    return torch.arange(TOKENS).expand(images, -1)


@pytest.mark.parametrize("name", PRESETS)
def test_one_distance_per_target_and_token_within_0_and_2(name: Preset) -> None:
    config = dataclasses.replace(preset(name).network, heads=1)
    net = _cprn(config).eval()
    found = net(_tokens(), _everywhere(2), torch.tensor([0, 2]))
    assert found.shape == (2, len(net.names), TOKENS)
    assert found.min() >= 0
    assert found.max() <= 2


def test_prototypes_follow_equations_1_to_3() -> None:
    torch.manual_seed(0)
    ucp = Ucp(CONFIG, 32)
    rgb, normals = torch.randn(1, 7, 32), torch.randn(1, 7, 32)

    def attended(norm: torch.nn.Module, block: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        t = norm(tokens)[0]
        heads = []
        for h in range(2):
            part = slice(16 * h, 16 * h + 16)
            q, k, v = (f(x)[:, part] for f, x in ((block.W_q, ucp.Q_learn[0]), (block.W_k, t), (block.W_v, t)))
            heads.append(torch.softmax(q @ k.T / 4.0, dim=1) @ v)
        return block.W_o(torch.cat(heads, dim=1))

    from_rgb = attended(ucp.norm_rgb, ucp.attention_rgb, rgb)
    from_nv = attended(ucp.norm_nv, ucp.attention_nv, normals)
    u = ucp.LayerNorm(ucp.Q_learn[0] + (from_rgb + from_nv) / 2)
    torch.testing.assert_close(ucp(rgb, normals)[0], u + ucp.FFN(u))


def test_both_modalities_reach_the_prototypes() -> None:
    ucp = Ucp(CONFIG, 32)
    rgb, normals = (torch.randn(1, 7, 32, requires_grad=True) for _ in range(2))
    ucp(rgb, normals).square().sum().backward()
    assert rgb.grad is not None
    assert normals.grad is not None
    assert rgb.grad.abs().sum() > 0
    assert normals.grad.abs().sum() > 0


def test_a_token_reaches_the_output_only_through_attention_weights() -> None:
    """With one value for all prototypes, softmax weights (which sum to one) can carry nothing."""
    torch.manual_seed(0)
    stage = Cpga(dataclasses.replace(CONFIG, attention="softmax"), 32).eval()
    alike = torch.randn(1, 1, 32).expand(1, 5, 32)
    a, b = stage(torch.randn(1, 9, 32), alike), stage(torch.randn(1, 9, 32), alike)
    torch.testing.assert_close(a, b)


def test_the_query_residual_opens_that_way() -> None:
    torch.manual_seed(0)
    stage = Cpga(dataclasses.replace(CONFIG, attention="softmax", query_residual=True), 32).eval()
    alike = torch.randn(1, 1, 32).expand(1, 5, 32)
    assert not torch.allclose(stage(torch.randn(1, 9, 32), alike), stage(torch.randn(1, 9, 32), alike))


def test_rgb_targets_alone_are_blind_to_normals_of_a_token_but_both_are_not() -> None:
    """A geometry-only defect reaches an RGB target through the prototypes at most, never at its own place."""
    for targets, moves_there in (("rgb", False), ("both", True)):
        net = _cprn(dataclasses.replace(CONFIG, targets=targets)).eval()
        tokens = _tokens()[:1]
        truth = net.streams(tokens)
        embedded = net.places(truth, _everywhere(1), torch.tensor([0]))
        dented = truth[1].clone()
        dented[0, 5] += 3.0
        with torch.no_grad():
            before = net.reconstruct(embedded, truth).distances[0].sum(0)
            after = net.reconstruct(embedded, [truth[0], dented]).distances[0].sum(0)
        assert bool((after[5] - before[5]).abs() > 1e-3) is moves_there


def test_reconstruction_loss_is_0_when_identical_and_2_when_opposite() -> None:
    a = torch.randn(2, 5, 8)
    assert float(cosine_distance(a, a).mean()) == pytest.approx(0, abs=1e-6)
    assert float(cosine_distance(a, -a).mean()) == pytest.approx(2, abs=1e-6)
    distances = torch.tensor([[[0.0, 2.0]]])
    assert float(L_r(distances)) == 1.0


def _entropy_after_descent(sign: str) -> float:
    torch.manual_seed(3)
    fused = torch.randn(1, 40, 6)
    prototypes = torch.nn.Parameter(torch.randn(1, 4, 6))
    optimiser = torch.optim.SGD([prototypes], lr=0.3)
    for _ in range(300):
        loss = L_p(assignment(fused, prototypes), sign)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return -float(L_p(assignment(fused, prototypes), "corrected").detach())


def test_descending_l_p_evens_out_prototype_use_and_the_printed_sign_does_not() -> None:
    assert _entropy_after_descent("corrected") > 0.99 * math.log(4)
    assert _entropy_after_descent("literal") < _entropy_after_descent("corrected") - 0.05


def test_a_token_is_placed_alike_among_others_and_alone() -> None:
    net, tokens, view = _cprn().eval(), _tokens(), torch.tensor([1, 2])
    net.places.remember(torch.randn(VIEWS, 2, TOKENS, COMPONENTS), _everywhere(VIEWS))
    where = torch.tensor([[0, 7, 23], [5, 6, 11]])
    chosen = [torch.gather(tokens[:, m], 1, where[:, :, None].expand(-1, -1, 8)) for m in range(2)]
    whole = net.places(net.streams(tokens), _everywhere(2), view)
    for part, full in zip(net.places(chosen, where, view), whole, strict=True):
        torch.testing.assert_close(part, torch.gather(full, 1, where[:, :, None].expand(-1, -1, 32)))


def test_fixed_prototypes_do_not_look_at_the_image_and_those_of_one_modality_not_at_the_other() -> None:
    def prototypes(name: Preset, tokens: torch.Tensor) -> torch.Tensor:
        config = dataclasses.replace(
            CONFIG, **{k: getattr(preset(name).network, k) for k in ("inputs", "prototype_source")}
        )
        net = _cprn(config).eval()
        streams = net.streams(tokens)
        return net.reconstruct(net.places(streams, _everywhere(2), torch.tensor([0, 1])), streams).P_ucmp

    other_normals = torch.cat([_tokens()[:, :1], _tokens(9)[:, 1:]], dim=1)
    torch.testing.assert_close(prototypes("fixed_prototypes", _tokens()), prototypes("fixed_prototypes", _tokens(9)))
    torch.testing.assert_close(prototypes("rgb_only", _tokens()), prototypes("rgb_only", other_normals))
    for name in ("ucp", "concatenation", "normals_only"):
        assert not torch.allclose(prototypes(name, _tokens()), prototypes(name, other_normals))
