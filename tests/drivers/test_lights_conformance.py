"""Every light controller that can be had without hardware keeps the promises of `tests/conformance/lights.py`."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.lights import LightsPromises


class TestGardasoftLights(LightsPromises):
    @pytest.fixture
    def bench(self, lamps: Any) -> Any:
        return lamps
