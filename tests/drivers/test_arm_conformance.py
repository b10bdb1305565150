"""Every arm that can be had without hardware keeps the promises of `tests/conformance/arm.py`."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.arm import ArmPromises


class TestGrblArm(ArmPromises):
    @pytest.fixture(params=["grbl", "grblhal"])
    def dialect(self, request: Any) -> str:
        return str(request.param)

    @pytest.fixture
    def bench(self, gantry: Any) -> Any:
        return gantry

    @pytest.fixture
    def slow_bench(self, make_gantry: Any) -> Any:
        return make_gantry(speed=3.0)

    @pytest.fixture
    def homed(self, bench: Any) -> Any:
        return bench.homed()
