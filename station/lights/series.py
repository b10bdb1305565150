"""What inspections recorded of a recipe's lights, as comparable series: levels and residuals per inspection."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from station.inspection.result import Inspection

LEAST_INSPECTIONS = 5  # of which a median is taken: at first, and of late
PerInspection = dict[str, float]  # inspection id (sorts by time) -> figure
PerLight = dict[str, PerInspection]


@dataclass(frozen=True, slots=True)
class LightReading:
    """One light in one view of one inspection, as the archive recorded it; None where it recorded nothing."""

    inspection_id: str  # sorts by time
    creation_time: datetime
    recipe_id: str
    view: str
    light: str
    level: float | None  # mean over black, share of full scale
    left_out_residual: float | None
    calibration: str = ""  # SHA-256 of the record that the inspection was solved with


@dataclass(frozen=True, slots=True)
class LightSeries:
    """One recipe's lights under one calibration: figures per light and inspection id, lights in the order of names."""

    times: dict[str, datetime]  # of the inspections, oldest first
    levels: PerLight  # against the other lights, over what it was at first
    residuals: PerLight  # left out, mean over the views; directional lights only
    over_median: PerLight  # residual over that of the inspection's median light
    set_rise: PerInspection  # the mean residual of all lights over what it was at first

    @property
    def lights(self) -> tuple[str, ...]:
        """All lights with a level or a residual."""
        return tuple(sorted({*self.levels, *self.residuals}))


def readings_of(inspection: Inspection) -> list[LightReading]:
    """What the archive records of this inspection's lights."""
    calibration = inspection.provenance.get("calibration", "")
    return [
        LightReading(
            inspection.inspection_id,
            inspection.creation_time,
            inspection.recipe_id,
            view.view,
            light,
            _finite(level),
            _finite(view.left_out_residuals.get(light)),
            calibration,
        )
        for view in inspection.views
        for light, level in view.light_levels.items()
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def light_series(readings: Sequence[LightReading]) -> LightSeries:
    """The series of one recipe. Only inspections under its latest calibration count: the figures of others differ."""
    if not readings:
        return LightSeries({}, {}, {}, {}, {})
    present = max(readings, key=lambda r: r.inspection_id).calibration
    of_present = [r for r in readings if r.calibration == present]
    residuals = _residuals(of_present)
    times = {r.inspection_id: r.creation_time for r in sorted(of_present, key=lambda r: r.inspection_id)}
    return LightSeries(times, _levels(of_present), residuals, _over_median(residuals), _set_rise(residuals))


def _residuals(readings: Sequence[LightReading]) -> PerLight:
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in readings:
        if r.left_out_residual is not None:
            values[r.light][r.inspection_id].append(r.left_out_residual)
    return _means(values)


def _levels(readings: Sequence[LightReading]) -> PerLight:
    """Each light's level over its level at first, over the same ratio of the median light; mean over the views.

    So neither a dark part, nor the exposure, nor a view's share of a light counts as drift.
    """
    series: dict[tuple[str, str], PerInspection] = defaultdict(dict)  # (view, light)
    for r in sorted(readings, key=lambda r: r.inspection_id):
        if r.level is not None:
            series[r.view, r.light][r.inspection_id] = r.level
    relative: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # (inspection, view) -> light
    for (view, light), levels in series.items():
        first = _first(list(levels.values()))
        if first > 0:
            for inspection_id, level in levels.items():
                relative[inspection_id, view][light] = level / first
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (inspection_id, _), by_light in relative.items():
        middle = median(by_light.values())
        if middle > 0:
            for light, value in by_light.items():
                shares[light][inspection_id].append(value / middle)
    return _means(shares)


def _over_median(residuals: PerLight) -> PerLight:
    ratios: PerLight = {name: {} for name in residuals}
    for inspection_id in _inspections(residuals):
        present = {name: by[inspection_id] for name, by in residuals.items() if inspection_id in by}
        middle = median(present.values())
        if middle > 0:
            for name, value in present.items():
                ratios[name][inspection_id] = value / middle
    return ratios


def _set_rise(residuals: PerLight) -> PerInspection:
    inspections = _inspections(residuals)
    means = [_mean([by[i] for by in residuals.values() if i in by]) for i in inspections]
    first = _first(means)
    return {i: mean / first for i, mean in zip(inspections, means, strict=True)} if first > 0 else {}


def _first(values: Sequence[float]) -> float:
    return median(values[:LEAST_INSPECTIONS]) if values else 0.0


def _inspections(of_lights: PerLight) -> list[str]:
    return sorted({inspection_id for by in of_lights.values() for inspection_id in by})


def _means(values: dict[str, dict[str, list[float]]]) -> PerLight:
    return {light: {i: _mean(by[i]) for i in sorted(by)} for light, by in sorted(values.items())}


def _mean(values: Sequence[float]) -> float:
    """Of a few numbers: numpy takes ten times as long to begin, and this is asked thousands of times a part."""
    return sum(values) / len(values)
