"""The filter bank against a plain formula, and the whitening."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from models.config import EncoderConfig
from models.encoder import FilterBank, TokenMoments, gaussian_kernel

CONFIG = EncoderConfig(sigmas_px=(1.0, 2.0), components=10, stride_px=6)


def _inputs(seed: int, n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 36, 48, generator=g), torch.rand(n, 3, 36, 48, generator=g) * 2 - 1


def _tokens(bank: FilterBank, rgb: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
    """(B, 2, N, F), as the network takes them from the grid."""
    return bank(rgb, normals).flatten(3).transpose(2, 3)


def _blurred(channel: np.ndarray, sigma_px: float) -> np.ndarray:
    k = gaussian_kernel(sigma_px)
    return cv2.sepFilter2D(channel, cv2.CV_64F, k, k, borderType=cv2.BORDER_REFLECT_101)


def _plain_responses(channel: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
    border = cv2.BORDER_REFLECT_101
    gx, gy = (cv2.Sobel(g, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=border) for dx in (1, 0))
    lap = cv2.Laplacian(g, cv2.CV_64F, ksize=1, borderType=border)
    found = [g, np.hypot(gx, gy), lap, np.abs(lap), np.abs(channel - g)]
    return [cv2.resize(f, (8, 6), interpolation=cv2.INTER_AREA) for f in found]


def test_the_bank_is_the_written_formula_borders_included() -> None:
    rgb, normals = _inputs(0, 1)
    found = FilterBank(CONFIG)(rgb, normals).numpy()
    r, _, b = rgb[0].double().numpy()
    luma = rgb[0].double().mean(0).numpy()
    channels = {0: [luma, r - luma, b - luma], 1: list(normals[0].double().numpy())}
    for modality, planes in channels.items():
        for c, plane in enumerate(planes):
            first = _blurred(plane, 1.0)
            half = cv2.resize(first, (24, 18), interpolation=cv2.INTER_AREA)
            wide = _blurred(half, np.sqrt(2.0**2 - 1.0**2) / 2)  # in pixels of half the resolution
            expected = [*_plain_responses(plane, first), *_plain_responses(half, wide)]
            np.testing.assert_allclose(found[0, modality, c::3], expected, atol=2e-6)


def test_an_odd_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride_px 5 is odd"):
        FilterBank(EncoderConfig(stride_px=5))


def test_the_bank_has_nothing_to_learn() -> None:
    assert not list(FilterBank(CONFIG).parameters())


def test_whitened_training_tokens_have_zero_mean_and_no_correlation() -> None:
    bank = FilterBank(CONFIG)
    features = _tokens(bank, *_inputs(1, 8))
    moments = TokenMoments.empty(bank.responses)
    moments.add(features[:3])
    moments.add(features[3:])
    z = moments.whitening(CONFIG)(features)[:, 0].reshape(-1, 10).double().numpy()
    covariance = np.cov(z.T)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-3)
    assert np.all(np.diag(covariance) < 1.01)


def test_a_channel_that_never_changes_does_not_explode() -> None:
    bank = FilterBank(CONFIG)
    rgb, normals = _inputs(2, 4)
    gray = rgb[:, :1].expand(-1, 3, -1, -1)
    moments = TokenMoments.empty(bank.responses)
    moments.add(_tokens(bank, gray, normals))
    white = moments.whitening(CONFIG)
    assert torch.isfinite(white.matrix).all()
    assert white(_tokens(bank, gray, normals)).abs().max() < 30
