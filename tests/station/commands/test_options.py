"""Options that name what another room has."""

from __future__ import annotations

from typing import get_args

from models.config import PRESETS
from station.commands.options import PresetName


def test_the_commands_offer_the_trainer_s_presets() -> None:
    assert get_args(PresetName) == PRESETS
