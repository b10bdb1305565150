"""The networks as a whole: shapes, gradients, switches, and what they learn of a small set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from stepped_views import SIDE, stepped_view, tiny
from torch import Tensor, nn

from models.depth_views import DepthView
from models.generative.autoencoder import L_reconstruct
from models.generative.config import DepthConfig, Form, printed
from models.generative.depth_model import DepthModel
from models.generative.diffusion import L_diffusion
from models.generative.patches import Batch, Units, measure_units, turn
from models.generative.stages import AutoencoderStage, DiffusionStage

VIEWS = [stepped_view(n) for n in range(4)]
SWITCHES = [
    tiny(),
    tiny(form="literal"),
    dataclasses.replace(printed("literal"), patch_px=SIDE, widths=(24, 24), decoder_width=8, levels=40),
]


def _batch(config: DepthConfig) -> Batch:
    return Batch.of(VIEWS[:2], measure_units(VIEWS, config), config)


def _predicted(model: DepthModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the U-Net says of a noised latent, and what it shall say."""
    x_0 = model.x_0(batch.height)
    epsilon = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([5, 30])
    x_t = model.diffusion.noised(x_0, epsilon, t)
    given = model.conditioner(batch.picture, batch.geometry)
    return model.unet(x_t, t, given), model.diffusion.target(x_0, epsilon, t).detach()


@pytest.mark.parametrize("config", SWITCHES, ids=["residual", "literal", "printed"])
def test_shapes_follow_from_the_patch(config: DepthConfig) -> None:
    model, batch = DepthModel(config), _batch(config)
    assert batch.geometry.shape == (2, 6 if config.form == "residual" else 4, SIDE, SIDE)
    x_0 = model.x_0(batch.height)
    assert x_0.shape == (2, config.latent_channels, SIDE // 4, SIDE // 4)
    assert model.decoded(x_0, batch.picture, batch.geometry).shape == (2, 1, SIDE, SIDE)
    given = model.conditioner(batch.picture, batch.geometry)
    assert [F.shape[1] for F in given.P] == [(SIDE // s) ** 2 + config.prototypes for s in (4, 8)]
    predicted, target = _predicted(model, batch)
    assert predicted.shape == target.shape == x_0.shape


@pytest.mark.parametrize("config", SWITCHES, ids=["residual", "literal", "printed"])
def test_gradients_reach_every_part(config: DepthConfig) -> None:
    torch.manual_seed(0)
    model, batch = DepthModel(config), _batch(config)
    predicted, target = _predicted(model, batch)
    height = model.decoded(model.x_0(batch.height), batch.picture, batch.geometry)
    (L_diffusion(target, predicted) + L_reconstruct(height, batch.height, batch.valid)).backward()
    assert _untouched(model) == []


def _untouched(model: nn.Module) -> list[str]:
    """Biases of keys shift all attention weights of a query alike, so a softmax takes them off again."""
    return [
        name
        for name, p in model.named_parameters()
        if not name.endswith("W_k.bias") and (p.grad is None or not float(p.grad.abs().max()) > 0)
    ]


class _Fixed:
    """Always the same patches."""

    def draw(self, _seed: Sequence[int], _count: int, *, turned: bool = True) -> list[DepthView]:
        assert turned
        return VIEWS


def test_losses_fall_on_a_small_set() -> None:
    config, steps = tiny(adversarial_start=0.0, learning_rate=3e-3), 24
    torch.manual_seed(0)
    model, units = DepthModel(config), measure_units(VIEWS, config)
    first = AutoencoderStage(model, _Fixed(), units, steps)  # type: ignore[arg-type]
    reconstruction = [first.step(n)["reconstruction"] for n in range(steps)]
    first.finish()
    assert np.mean(reconstruction[-5:]) < 0.5 * reconstruction[0]
    latents = model.x_0(Batch.of(VIEWS, units, config).height).detach()
    assert float(latents.std()) == pytest.approx(1, abs=0.1)
    second = DiffusionStage(model, _Fixed(), units, steps)  # type: ignore[arg-type]
    noise = [second.step(n)["noise"] for n in range(steps)]
    assert np.mean(noise[-10:]) < 0.6 * np.mean(noise[:3])


@pytest.mark.parametrize("which", range(8))
def test_a_turned_view_has_the_normals_of_its_turned_height(which: int) -> None:
    turned = turn(VIEWS[0], which)
    down, right = np.gradient(turned.integrated / turned.pixel_mm)
    inside = turned.mask[1:-1, 1:-1]
    nx, ny, nz = turned.normals[:, 1:-1, 1:-1]
    assert np.allclose((-nx / np.maximum(nz, 0.1))[inside], right[1:-1, 1:-1][inside], atol=1e-3)
    assert np.allclose((ny / np.maximum(nz, 0.1))[inside], down[1:-1, 1:-1][inside], atol=1e-3)


@pytest.mark.parametrize("form", ["residual", "literal"])
def test_the_target_is_what_the_form_shall_predict(form: Form) -> None:
    view, config = VIEWS[0], tiny(form=form)
    batch = Batch.of([view], Units(2.0, 3.0), config)
    found = batch.height[0, 0].numpy() * 2.0 * view.pixel_mm
    sought = view.depth - view.integrated if form == "residual" else view.depth
    assert np.allclose(found, sought - sought.mean(), atol=1e-5)


def test_the_same_part_at_another_magnification_is_the_same_to_the_network() -> None:
    view, config = VIEWS[0], tiny()
    larger = dataclasses.replace(view, depth=view.depth * 3, integrated=view.integrated * 3, pixel_mm=view.pixel_mm * 3)
    one, three = (Batch.of([v], Units(2.0, 3.0), config) for v in (view, larger))
    assert torch.allclose(one.geometry, three.geometry, atol=1e-5)
    assert torch.allclose(one.height, three.height, atol=1e-5)
