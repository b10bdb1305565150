"""Equations A1 to A6 against their formulas, with the printed form beside the default."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from models.generative.adversarial import L_adv, L_discriminator
from models.generative.autoencoder import L_reconstruct
from models.generative.conditioner import InformationGate, gated, information_proxy
from models.generative.diffusion import Diffusion, L_diffusion

LEVELS = 40


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("predict", ["noise", "velocity"])
def test_noise_is_added_as_a1_says(predict: str) -> None:
    diffusion = Diffusion(LEVELS, predict)
    x_0, epsilon, t = _random(2, 2, 4, 4), _random(2, 2, 4, 4, seed=1), torch.tensor([3, 30])
    a = diffusion.alpha_bar[t][:, None, None, None]
    assert torch.allclose(diffusion.noised(x_0, epsilon, t), a.sqrt() * x_0 + (1 - a).sqrt() * epsilon, atol=1e-6)
    assert (diffusion.alpha_bar.diff() < 0).all()


def test_a_reverse_step_draws_around_the_mean_of_a1() -> None:
    diffusion, t = Diffusion(LEVELS, "noise"), 20
    x_0, epsilon = _random(1, 1, 200, 200), _random(1, 1, 200, 200, seed=1)
    x_t = diffusion.noised(x_0, epsilon, torch.tensor([t]))
    x_before = diffusion.reverse_step(epsilon, t, x_t, torch.Generator().manual_seed(2))
    a, a_before = float(diffusion.alpha_bar[t]), float(diffusion.alpha_bar[t - 1])
    beta = 1 - a / a_before
    mean = (x_t - beta / math.sqrt(1 - a) * epsilon) / math.sqrt(1 - beta)  # Ho et al. 2020, equation 11
    sigma = math.sqrt(beta * (1 - a_before) / (1 - a))
    drawn = x_before - mean
    assert float(drawn.mean()) == pytest.approx(0, abs=4 * sigma / 200)
    assert float(drawn.std()) == pytest.approx(sigma, rel=0.02)


@pytest.mark.parametrize(("predict", "tolerance"), [("noise", 2e-3), ("velocity", 1e-4)])
def test_who_knows_the_noise_gets_the_latent_back_in_few_strides(predict: str, tolerance: float) -> None:
    diffusion = Diffusion(LEVELS, predict)
    x_0, epsilon = _random(1, 2, 4, 4), _random(1, 2, 4, 4, seed=1)
    x_T = diffusion.noised(x_0, epsilon, torch.tensor([LEVELS - 1]))
    found = diffusion.sample(lambda _x, t: diffusion.target(x_0, epsilon, t), x_T, steps=5)
    assert torch.allclose(found, x_0, atol=tolerance)


def test_the_last_level_holds_no_trace_of_the_latent_for_velocity_alone() -> None:
    assert float(Diffusion(LEVELS, "velocity").alpha_bar[-1]) == pytest.approx(0, abs=1e-7)
    assert float(Diffusion(LEVELS, "noise").alpha_bar[-1]) > 0


@pytest.mark.parametrize("steps", [0, LEVELS + 1])
def test_more_strides_than_levels_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="sampling steps"):
        Diffusion(LEVELS, "velocity").sample(lambda x, _t: x, _random(1, 1, 2, 2), steps)


def test_a2_is_the_mean_squared_error_of_the_noise() -> None:
    epsilon, predicted = _random(2, 2, 4, 4), _random(2, 2, 4, 4, seed=1)
    assert float(L_diffusion(epsilon, predicted)) == pytest.approx(float(((epsilon - predicted) ** 2).mean()))


def test_a3_counts_pixels_with_a_truth_alone() -> None:
    height, valid = _random(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    valid[..., :2] = 1
    wrong = torch.where(valid > 0, height + 2, height + 100)
    assert float(L_reconstruct(wrong, height, valid)) == pytest.approx(4)


@pytest.mark.parametrize("kind", ["hinge", "non_saturating", "printed"])
def test_discriminator_and_decoder_of_a4_pull_in_opposite_directions(kind: str) -> None:
    true, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    L_discriminator(true, fake, kind).backward()
    assert true.grad is not None
    assert fake.grad is not None
    assert float(true.grad) < 0 < float(fake.grad)  # D raises the true logit and lowers the other
    assert float(true.grad) == pytest.approx(-float(fake.grad))  # both terms of A4 weigh the same
    fooled = torch.zeros(1, requires_grad=True)
    L_adv(fooled, kind).backward()
    assert fooled.grad is not None
    assert float(fooled.grad) < 0  # the decoder raises it


def test_the_printed_a4_is_its_formula_and_stalls_where_the_discriminator_is_sure() -> None:
    true, fake = torch.tensor([0.7]), torch.tensor([-0.4])
    D_true, D_fake = torch.sigmoid(true), torch.sigmoid(fake)
    a4 = torch.log(1 - D_fake) + torch.log(D_true)
    assert float(L_discriminator(true, fake, "printed")) == pytest.approx(-float(a4), rel=1e-6)
    assert float(L_adv(fake, "printed")) == pytest.approx(float(torch.log(1 - D_fake)), rel=1e-6)
    slopes = {}
    for kind in ("printed", "non_saturating"):
        caught = torch.tensor([-8.0], requires_grad=True)
        L_adv(caught, kind).backward()
        assert caught.grad is not None
        slopes[kind] = abs(float(caught.grad))
    assert slopes["printed"] < 1e-3 < 0.99 < slopes["non_saturating"]


def test_an_unknown_adversarial_loss_is_named() -> None:
    with pytest.raises(ValueError, match="'wasserstein' is unknown"):
        L_adv(torch.zeros(1), "wasserstein")


def test_alpha_spans_0_to_1_by_default_and_not_as_printed() -> None:
    r, beta = torch.linspace(0, 1, 11), torch.tensor(12.0)
    centred, printed = gated(r, beta, "centred"), gated(r, beta, "printed")
    assert float(centred[0]) < 1e-5
    assert float(centred[5]) == pytest.approx(0.5)
    assert float(centred[-1]) > 1 - 1e-5
    assert float(printed.min()) >= 0.5
    assert float(gated(r, torch.tensor(1.0), "printed").max()) < 0.732


@torch.no_grad()
@pytest.mark.parametrize("kind", ["centred", "printed"])
def test_the_gate_can_favour_the_picture_by_default_alone(kind: str) -> None:
    gate = InformationGate(8, kind, beta=8.0)
    for projection in (gate.W_Q, gate.W_I, gate.W_P):
        projection.weight.copy_(torch.eye(8))
    Q = torch.ones(1, 5, 8)
    answers, denies = torch.ones(1, 6, 8), -torch.ones(1, 6, 8)
    favours_shape, favours_picture = gate(Q, denies, answers), gate(Q, answers, denies)
    assert float(favours_shape) > 0.99
    assert float(favours_picture) < 0.01 if kind == "centred" else float(favours_picture) >= 0.5


def test_the_proxy_of_information_is_positive_and_rises_with_likeness() -> None:
    Q = _random(2, 5, 8)
    alike, strange, opposite = (information_proxy(Q, F) for F in (Q, _random(2, 5, 8, seed=1), -Q.mean(1, True)))
    assert (opposite > 0).all()
    assert (alike > strange).all()


def test_an_unknown_gate_is_named() -> None:
    with pytest.raises(ValueError, match="gate 'open' is unknown"):
        InformationGate(8, "open", 1.0)
