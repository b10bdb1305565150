"""Whether a light stands out, part after part: trends of what every inspection recorded of its lights.

One part's residual proves nothing: parts are glossy and flat in places. A light that stands out again and again has a
wrong place or strength in the calibration, or has changed. Such a light is named; it is never refitted, and no verdict
changes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum

import numpy as np

from station.lights.series import LEAST_INSPECTIONS, LightReading, LightSeries, PerInspection, light_series

STANDING_OUT = 1.8  # times the median light's left-out residual
LEAST_LIGHTS = 6  # with fewer, every light's residual rises with one bad light
RECENT = 20  # inspections
REPEATEDLY = 0.5  # share of the recent inspections in which a light must stand out
LEVEL_DRIFT = 0.02  # of a light against the others: one lamp 2 % weaker makes good demo connectors FAIL
RISEN = 2.0  # times what the set's residual was at first


class FlagKind(StrEnum):
    """What is wrong with a light."""

    STANDS_OUT = "stands out"
    LEVEL = "level"
    SET_RESIDUAL = "set residual"  # one of few lights, and the figures do not show which


@dataclass(frozen=True, slots=True)
class LightFlag:
    """A finding about a light that holds over its last inspections."""

    kind: FlagKind
    text: str
    since: datetime | None  # of the inspection with which it began


@dataclass(frozen=True, slots=True)
class LightTrend:
    """One light of one recipe over its inspections; a figure is None where nothing was recorded."""

    recipe_id: str
    light: str
    inspections: int
    median_residual: float | None  # left out, of the recent inspections' means over the views
    residual_over_median_light: float | None  # the median of that ratio
    standing_out_share: float | None  # of the recent inspections: worst light, above STANDING_OUT times the median one
    level_drift: float | None  # recent level against the other lights, over what it was at first, minus 1
    flags: tuple[LightFlag, ...]


@dataclass(frozen=True, slots=True)
class LightHistory:
    """One light's curves; the entries of all tuples belong to the same inspections, None where one has no figure."""

    light: str
    times: tuple[datetime, ...]
    levels: tuple[float | None, ...]  # against the other lights, 1 = as at first
    residuals: tuple[float | None, ...]  # left out, over what `residual_basis` says
    residual_basis: str  # empty for a light without residuals
    residual_limit: float | None  # on that scale; None for a light without residuals


@dataclass(frozen=True, slots=True)
class TrendReport:
    """The trends of all lights of all recipes in an archive."""

    trends: tuple[LightTrend, ...]

    @property
    def flagged(self) -> tuple[LightTrend, ...]:
        """Those about which there is a finding."""
        return tuple(trend for trend in self.trends if trend.flags)

    def as_dict(self) -> dict[str, object]:
        return {"lights": [asdict(trend) for trend in self.trends], "flagged": len(self.flagged)}

    def as_text(self) -> str:
        """A table with a line per light, and the findings under their light."""
        if not self.trends:
            return "no inspection in this archive recorded its lights"
        head = f"{'recipe':<18}{'light':<10}{'parts':>6}{'left out':>10}{'/ median':>10}"
        lines = [f"{head}{'stands out':>12}{'level drift':>13}"]
        for t in self.trends:
            figures = f"{_shown(t.median_residual, '.4f'):>10}{_shown(t.residual_over_median_light, '.2f'):>10}"
            figures += f"{_shown(t.standing_out_share, '.0%'):>12}{_shown(t.level_drift, '+.1%'):>13}"
            lines.append(f"{t.recipe_id:<18}{t.light:<10}{t.inspections:>6}{figures}")
            lines += [f"    <- {flag.text}{_since_text(flag.since)}" for flag in t.flags]
        return "\n".join(lines)


def light_trends(readings: Iterable[LightReading]) -> TrendReport:
    """Trends per recipe and light, in the order of names, since the recipe got its present calibration."""
    by_recipe: dict[str, list[LightReading]] = defaultdict(list)
    for reading in readings:
        by_recipe[reading.recipe_id].append(reading)
    trends: list[LightTrend] = []
    for recipe_id in sorted(by_recipe):
        trends += recipe_trends(recipe_id, light_series(by_recipe[recipe_id]))
    return TrendReport(tuple(trends))


def recipe_trends(recipe_id: str, series: LightSeries) -> tuple[LightTrend, ...]:
    """The trends of one recipe's lights, in the order of names."""
    return tuple(_trend(recipe_id, name, series) for name in series.lights)


def light_histories(series: LightSeries, latest: int = RECENT) -> tuple[LightHistory, ...]:
    """Every light of one recipe over its latest inspections."""
    ids = list(series.times)[-latest:]
    times = tuple(series.times[i] for i in ids)
    is_few = len(series.residuals) < LEAST_LIGHTS
    histories = []
    for light in sorted(series.lights, key=_natural):
        figures = _over_first(series.residuals.get(light, {})) if is_few else series.over_median.get(light, {})
        limit, basis = (RISEN, "its own at first") if is_few else (STANDING_OUT, "that of the median light")
        levels = series.levels.get(light, {})
        found = LightHistory(light, times, tuple(map(levels.get, ids)), tuple(map(figures.get, ids)), basis, limit)
        histories.append(found if figures else replace(found, residual_basis="", residual_limit=None))
    return tuple(histories)


def _natural(name: str) -> list[tuple[int, str]]:
    """L45 before L135."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", name)]


def _over_first(residuals: PerInspection) -> PerInspection:
    first = float(np.median(list(residuals.values())[:LEAST_INSPECTIONS])) if residuals else 0.0
    return {i: value / first for i, value in residuals.items()} if first > 0 else {}


def _trend(recipe_id: str, name: str, series: LightSeries) -> LightTrend:
    residuals, levels = series.residuals.get(name, {}), series.levels.get(name, {})
    recent = list(residuals)[-RECENT:]
    over_median = series.over_median.get(name, {})
    ratios = [over_median[i] for i in recent if i in over_median]
    worst = _worst(name, series)
    standing = None
    if ratios and len(series.residuals) >= LEAST_LIGHTS:
        standing = sum(worst[i] for i in recent) / len(ratios)
    return LightTrend(
        recipe_id,
        name,
        len({*residuals, *levels}),
        float(np.median([residuals[i] for i in recent])) if recent else None,
        float(np.median(ratios)) if ratios else None,
        standing,
        _drift(list(levels.values())),
        tuple(_flags(series, name, standing, worst, len(recent))),
    )


def _worst(name: str, series: LightSeries) -> dict[str, bool]:
    """Per inspection: whether this light is the worst of all and far above the median one."""
    mine = series.over_median.get(name, {})
    return {
        i: mine.get(i, 0) > STANDING_OUT and all(by.get(i, 0) <= mine[i] for by in series.over_median.values())
        for i in series.residuals.get(name, {})
    }


def _drift(shares: Sequence[float]) -> float | None:
    """Shares are relative to the first ones; None until there are LEAST_INSPECTIONS more."""
    if len(shares) < 2 * LEAST_INSPECTIONS:
        return None
    return float(np.median(shares[-LEAST_INSPECTIONS:])) - 1


def _flags(
    series: LightSeries, name: str, standing: float | None, worst: Mapping[str, bool], recent: int
) -> Iterable[LightFlag]:
    if standing is not None and recent >= LEAST_INSPECTIONS and standing > REPEATEDLY:
        text = f"worst light in {standing:.0%} of the last {recent} parts: measure its place and strength again"
        yield LightFlag(FlagKind.STANDS_OUT, text, _since(series, worst))
    levels = series.levels.get(name, {})
    drift = _drift(list(levels.values()))
    if drift is not None and abs(drift) > LEVEL_DRIFT:
        text = f"its level changed by {drift:+.0%} against the other lights: clean or replace it, measure again"
        beyond = {i: abs(level - 1) > LEVEL_DRIFT for i, level in levels.items()}
        yield LightFlag(FlagKind.LEVEL, text, _since(series, beyond))
    risen = _drift(list(series.set_rise.values()))
    if name in series.residuals and len(series.residuals) < LEAST_LIGHTS and risen is not None and 1 + risen > RISEN:
        text = f"the set's residual is {1 + risen:.1f} times what it was: one of these lights, too few to say which"
        above = {i: rise > RISEN for i, rise in series.set_rise.items()}
        yield LightFlag(FlagKind.SET_RESIDUAL, text, _since(series, above))


def _since(series: LightSeries, holds: Mapping[str, bool]) -> datetime | None:
    """When the present finding began: its first inspection after the last LEAST_INSPECTIONS in a row without it."""
    began, fine = None, 0
    for inspection_id in sorted(holds, reverse=True):
        began, fine = (inspection_id, 0) if holds[inspection_id] else (began, fine + 1)
        if fine >= LEAST_INSPECTIONS:
            break
    return None if began is None else series.times[began]


def _since_text(since: datetime | None) -> str:
    return "" if since is None else f" (since {since:%Y-%m-%d %H:%M} UTC)"


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
