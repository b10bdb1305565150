"""A network that is fitted and exported in a second or two, where a test is not of the network.

Every part of the default one is there, but narrow: one scale of the filter bank, one stage.
"""

from __future__ import annotations

from typing import Any

import pytest


def small_preset(_name: str = "sound") -> Any:
    """In place of `models.config.preset`; torch is not loaded."""
    from models.config import EncoderConfig, NetworkConfig, ScoreConfig, TrainConfig

    return TrainConfig(
        encoder=EncoderConfig(sigmas_px=(1.0,), components=8, floor=0.02),
        score=ScoreConfig(spread_minimum=0.05),  # made-up pictures have hardly any: rounding would count
        network=NetworkConfig(width=16, heads=2, prototypes=3, stages=1, place_components=4),
        tokens_per_view=64,
    )


def use_small_network(patch: pytest.MonkeyPatch) -> None:
    """`station train` and `retrain` take it until the patch is undone."""
    patch.setattr("models.config.preset", small_preset)
