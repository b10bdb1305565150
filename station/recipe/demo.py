"""Where the recipes of the demo products lie, with their models and the drawing of the simulated rig."""

from __future__ import annotations

from pathlib import Path

import station

DEMO_RECIPES = Path(station.__file__).parent / "demo_recipes"
SIMULATED_RIG_DRAWING = DEMO_RECIPES / "simulated_rig.calibration.yaml"
