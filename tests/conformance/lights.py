"""What every light controller promises: one class, run on each implementation; the lamps themselves decide.

A bench has `open()`, which gives Lights, and `lit()`: channel -> level of what shines, seen from outside.
"""

from __future__ import annotations

from typing import Any

import pytest

from drivers.errors import FeatureMissing, LightStateUnknown
from drivers.protocols import Lights


class LightsPromises:
    """A subclass gives the fixture `bench`."""

    channels: tuple[int, ...] = tuple(range(1, 10))
    level_tolerance = 1e-3

    def check_lit(self, bench: Any, wanted: dict[int, float]) -> None:
        assert bench.lit() == pytest.approx(wanted, abs=self.level_tolerance)

    def test_it_reports_who_it_is_and_what_it_has(self, bench: Any) -> None:
        lights: Lights = bench.open()
        assert lights.identity.vendor
        assert lights.channels == self.channels

    def test_all_is_dark_once_open(self, bench: Any) -> None:
        channel = self.channels[len(self.channels) // 2]
        first = bench.open()
        first.on(channel, 0.7)
        first.close()
        self.check_lit(bench, {channel: 0.7})
        bench.open()
        self.check_lit(bench, {})

    def test_one_channel_at_a_time_at_the_level_asked(self, bench: Any) -> None:
        lights: Lights = bench.open()
        first, last = self.channels[0], self.channels[-1]
        for channel, level in ((first, 1.0), (self.channels[1 % len(self.channels)], 0.25), (last, 0.505), (last, 0.5)):
            lights.on(channel, level)
            self.check_lit(bench, {channel: level})

    def test_off_is_dark(self, bench: Any) -> None:
        lights: Lights = bench.open()
        lights.on(self.channels[0], 1.0)
        lights.off()
        self.check_lit(bench, {})
        lights.off()

    def test_a_check_at_rest_finds_what_may_be_on_and_switches_nothing(self, bench: Any) -> None:
        """Issue 15, point 3."""
        lights: Any = bench.open()
        lights.check_at_rest()
        lights.on(self.channels[0], 1.0)
        with pytest.raises(LightStateUnknown, match=f"channel {self.channels[0]}"):
            lights.check_at_rest()
        self.check_lit(bench, {self.channels[0]: 1.0})
        lights.off()
        lights.check_at_rest()

    @pytest.mark.parametrize("level", [-0.1, 1.01, float("nan")])
    def test_a_level_that_it_does_not_have_is_refused(self, bench: Any, level: float) -> None:
        lights: Lights = bench.open()
        with pytest.raises(FeatureMissing):
            lights.on(self.channels[0], level)
        self.check_lit(bench, {})

    def test_a_channel_that_it_does_not_have_is_refused(self, bench: Any) -> None:
        lights: Lights = bench.open()
        for channel in (0, max(self.channels) + 1):
            with pytest.raises(FeatureMissing):
                lights.on(channel, 0.5)
        self.check_lit(bench, {})
