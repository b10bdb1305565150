"""The promises of a light controller, on the one of the rig file; its camera sees light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.lights import LightsPromises

from station.commands.check.light_response import LIT_ABOVE_DARK
from station.rig.devices import open_lights
from station.rig.file import RigFile


@pytest.mark.hardware
class TestRealLights(LightsPromises):
    @pytest.fixture(autouse=True)
    def channels_of_this_controller(self, rig: RigFile) -> None:
        lights = open_lights(rig)
        self.channels = lights.channels
        lights.close()

    @pytest.fixture
    def bench(self, lights_bench: Any) -> Any:
        """With the dark noted: opening puts all lights off."""
        lights_bench.open().off()
        self.dark = lights_bench.brightness()
        return lights_bench

    def check_lit(self, bench: Any, wanted: dict[int, float]) -> None:
        """A picture shows that something shines, not which light; `station check --move` shows that."""
        is_bright = bench.brightness() >= self.dark + LIT_ABOVE_DARK
        assert is_bright == bool(wanted)
