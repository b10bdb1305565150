"""What every light controller promises: one class, run on each implementation; the lamps themselves decide."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.errors import FeatureMissing
from drivers.protocols import Lights


class LightsPromises:
    """A subclass gives `bench` with `open` and `lit`, which says what shines."""

    def test_it_says_who_it_is_and_what_it_has(self, bench: Any) -> None:
        lights: Lights = bench.open()
        assert lights.identity.vendor
        assert lights.channels == tuple(range(1, 10))

    def test_all_is_dark_once_open(self, bench: Any) -> None:
        first = bench.open()
        first.on(3, 0.7)
        first.close()
        assert bench.lit() == pytest.approx({3: 0.7})
        bench.open()
        assert bench.lit() == {}

    def test_one_channel_at_a_time_at_the_level_asked(self, bench: Any) -> None:
        lights: Lights = bench.open()
        for channel, level in ((1, 1.0), (2, 0.25), (9, 0.505), (9, 0.5), (1, 0.001)):
            lights.on(channel, level)
            assert bench.lit() == pytest.approx({channel: level}, abs=1e-3)

    def test_off_is_dark(self, bench: Any) -> None:
        lights: Lights = bench.open()
        lights.on(4, 1.0)
        lights.off()
        assert bench.lit() == {}
        lights.off()

    @pytest.mark.parametrize(("channel", "level"), [(0, 0.5), (10, 0.5), (1, -0.1), (1, 1.01), (1, float("nan"))])
    def test_what_it_does_not_have_is_refused(self, bench: Any, channel: int, level: float) -> None:
        lights: Lights = bench.open()
        with pytest.raises(FeatureMissing):
            lights.on(channel, level)
        assert bench.lit() == {}


class TestGardasoftLights(LightsPromises):
    @pytest.fixture
    def bench(self, lamps: Any) -> Any:
        return lamps
