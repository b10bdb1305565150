"""Does a light stand out, part after part? Trends of what every inspection recorded of its lights.

One part's residual proves nothing: parts are glossy and flat in places. A light that stands out again and again has a
wrong place or strength in the calibration, or has changed. It is named, never refitted, and changes no verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np

STANDING_OUT = 1.8  # times the median light's left-out residual
LEAST_LIGHTS = 6  # with fewer, every light's residual rises with one bad light
LEAST_INSPECTIONS = 5
RECENT = 20  # inspections
REPEATEDLY = 0.5  # share of the recent inspections in which a light must stand out
LEVEL_DRIFT = 0.05  # of a light against the others
RISEN = 2.0  # times what the set's residual was at first


@dataclass(frozen=True, slots=True)
class LightReading:
    """One light in one view of one inspection."""

    inspection_id: str  # sorts by time
    creation_time: datetime
    recipe_id: str
    view: str
    light: str
    level: float | None  # mean over black, share of full scale
    left_out_residual: float | None


@dataclass(frozen=True, slots=True)
class LightTrend:
    """One light of one recipe over its inspections; figures are None where nothing tells."""

    recipe_id: str
    light: str
    inspections: int
    median_residual: float | None  # left out, of the recent inspections' means over the views
    residual_over_median_light: float | None  # the median of that ratio
    standing_out_share: float | None  # of the recent inspections: worst light, above STANDING_OUT times the median one
    level_drift: float | None  # recent level against the other lights, over what it was at first, minus 1
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrendReport:
    """All lights of all recipes of an archive."""

    trends: tuple[LightTrend, ...]

    @property
    def flagged(self) -> tuple[LightTrend, ...]:
        return tuple(trend for trend in self.trends if trend.flags)

    def as_dict(self) -> dict[str, object]:
        return {"lights": [asdict(trend) for trend in self.trends], "flagged": len(self.flagged)}

    def as_text(self) -> str:
        if not self.trends:
            return "no inspection in this archive tells of its lights"
        head = f"{'recipe':<18}{'light':<10}{'parts':>6}{'left out':>10}{'/ median':>10}"
        lines = [f"{head}{'stands out':>12}{'level drift':>13}"]
        for t in self.trends:
            figures = f"{_shown(t.median_residual, '.4f'):>10}{_shown(t.residual_over_median_light, '.2f'):>10}"
            figures += f"{_shown(t.standing_out_share, '.0%'):>12}{_shown(t.level_drift, '+.1%'):>13}"
            lines.append(f"{t.recipe_id:<18}{t.light:<10}{t.inspections:>6}{figures}")
            lines += [f"    <- {flag}" for flag in t.flags]
        return "\n".join(lines)


def light_trends(readings: Iterable[LightReading]) -> TrendReport:
    """Trends per recipe and light, in the order of names."""
    by_recipe: dict[str, list[LightReading]] = defaultdict(list)
    for reading in readings:
        by_recipe[reading.recipe_id].append(reading)
    trends = [t for recipe_id in sorted(by_recipe) for t in _of_recipe(recipe_id, by_recipe[recipe_id])]
    return TrendReport(tuple(trends))


def _of_recipe(recipe_id: str, readings: Sequence[LightReading]) -> list[LightTrend]:
    residuals = _means(readings)
    shares = _level_shares(readings)
    known = [name for name in sorted({r.light for r in readings}) if residuals.get(name) or shares.get(name)]
    directional = [name for name in known if residuals.get(name)]
    ratios = _ratios(residuals, directional)
    risen = _risen(residuals, directional)
    return [_trend(recipe_id, name, residuals, shares, ratios, directional, risen) for name in known]


def _means(readings: Sequence[LightReading]) -> dict[str, dict[str, float]]:
    """light -> inspection -> left-out residual, mean over its views."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in readings:
        if r.left_out_residual is not None:
            values[r.light][r.inspection_id].append(r.left_out_residual)
    return {light: {i: float(np.mean(v)) for i, v in by.items()} for light, by in values.items()}


def _level_shares(readings: Sequence[LightReading]) -> dict[str, dict[str, float]]:
    """light -> inspection -> level over what that view had at first, over the same of the median light; mean of views.

    So neither a dark part, nor exposure, nor what a view sees of a light counts as drift.
    """
    series: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # (view, light) -> inspection -> level
    for r in sorted(readings, key=lambda r: r.inspection_id):
        if r.level is not None:
            series[r.view, r.light][r.inspection_id] = r.level
    relative: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # (inspection, view) -> light
    for (view, light), levels in series.items():
        first = float(np.median(list(levels.values())[:LEAST_INSPECTIONS]))
        if first > 0:
            for inspection_id, level in levels.items():
                relative[inspection_id, view][light] = level / first
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (inspection_id, _), by_light in relative.items():
        middle = float(np.median(list(by_light.values())))
        if middle > 0:
            for light, value in by_light.items():
                shares[light][inspection_id].append(value / middle)
    return {light: {i: float(np.mean(v)) for i, v in by.items()} for light, by in shares.items()}


def _ratios(residuals: dict[str, dict[str, float]], lights: Sequence[str]) -> dict[str, dict[str, float]]:
    """light -> inspection -> residual over that of the median light of the inspection."""
    ratios: dict[str, dict[str, float]] = {name: {} for name in lights}
    for inspection_id in sorted({i for name in lights for i in residuals[name]}):
        present = {name: residuals[name][inspection_id] for name in lights if inspection_id in residuals[name]}
        middle = float(np.median(list(present.values())))
        if middle > 0:
            for name, value in present.items():
                ratios[name][inspection_id] = value / middle
    return ratios


def _risen(residuals: dict[str, dict[str, float]], lights: Sequence[str]) -> float | None:
    """The set's residual of late over what it was at first; None until there are inspections enough for both."""
    inspections = sorted({i for name in lights for i in residuals[name]})
    if len(inspections) < 2 * LEAST_INSPECTIONS:
        return None
    level = [float(np.mean([residuals[n][i] for n in lights if i in residuals[n]])) for i in inspections]
    first = float(np.median(level[:LEAST_INSPECTIONS]))
    return float(np.median(level[-LEAST_INSPECTIONS:])) / first if first > 0 else None


def _trend(
    recipe_id: str,
    name: str,
    residuals: dict[str, dict[str, float]],
    shares: dict[str, dict[str, float]],
    ratios: dict[str, dict[str, float]],
    lights: Sequence[str],
    risen: float | None,
) -> LightTrend:
    recent = sorted(residuals.get(name, {}))[-RECENT:]
    mine = [ratios[name][i] for i in recent if i in ratios[name]] if name in ratios else []
    standing = None
    if mine and len(lights) >= LEAST_LIGHTS:
        worst = [i for i in recent if ratios[name].get(i, 0) > STANDING_OUT and _is_worst(name, i, ratios)]
        standing = len(worst) / len(mine)
    drift = _drift(list(dict(sorted(shares.get(name, {}).items())).values()))
    inspections = len(set(residuals.get(name, {})) | set(shares.get(name, {})))
    return LightTrend(
        recipe_id,
        name,
        inspections,
        float(np.median([residuals[name][i] for i in recent])) if recent else None,
        float(np.median(mine)) if mine else None,
        standing,
        drift,
        _flags(len(recent), standing, drift, risen if name in lights and len(lights) < LEAST_LIGHTS else None),
    )


def _is_worst(name: str, inspection_id: str, ratios: dict[str, dict[str, float]]) -> bool:
    return all(by.get(inspection_id, 0) <= ratios[name][inspection_id] for by in ratios.values())


def _drift(shares: Sequence[float]) -> float | None:
    """Shares are relative to the first ones; None until there are LEAST_INSPECTIONS more."""
    if len(shares) < 2 * LEAST_INSPECTIONS:
        return None
    return float(np.median(shares[-LEAST_INSPECTIONS:])) - 1


def _flags(recent: int, standing: float | None, drift: float | None, risen: float | None) -> tuple[str, ...]:
    flags = []
    if standing is not None and recent >= LEAST_INSPECTIONS and standing > REPEATEDLY:
        flags.append(f"worst light in {standing:.0%} of the last {recent} parts: measure its place and strength again")
    if drift is not None and abs(drift) > LEVEL_DRIFT:
        flags.append(f"its level changed by {drift:+.0%} against the other lights: clean or replace it, measure again")
    if risen is not None and risen > RISEN:
        flags.append(f"the set's residual is {risen:.1f} times what it was: one of these lights, too few to say which")
    return tuple(flags)


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
