"""What inspections recorded of a recipe's lights, as comparable series: levels and residuals per inspection."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from station.inspection.result import Inspection

LEAST_INSPECTIONS = 5  # of which a median is taken: at first, and of late
PerInspection = dict[str, float]  # inspection id (sorts by time) -> figure
PerLight = dict[str, PerInspection]
FirstLevels = dict[tuple[str, str], float]  # (view, light) -> level at first


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
class InspectionLights:
    """One inspection's figures per light, the mean over its views where not said; a light without one is absent."""

    creation_time: datetime
    levels: dict[str, float]  # against the other lights, over what they were at first
    residuals: dict[str, float]  # left out
    over_median: dict[str, float]  # of each light's residual over the median light's, the least of all views


@dataclass(frozen=True, slots=True)
class LightSeries:
    """One recipe's lights under one calibration: figures per light and inspection id, lights in the order of names."""

    times: dict[str, datetime]  # of the inspections, oldest first
    levels: PerLight  # against the other lights, over what it was at first
    residuals: PerLight  # left out, mean over the views; directional lights only
    over_median: PerLight  # residual over that of the view's median light, in the view where it is least
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
        return series_of({})
    present = max(readings, key=lambda r: r.inspection_id).calibration
    inspections: dict[str, list[LightReading]] = defaultdict(list)
    for r in sorted(readings, key=lambda r: r.inspection_id):
        if r.calibration == present:
            inspections[r.inspection_id].append(r)
    firsts = first_levels(inspections.values())
    return series_of({name: lights_of(of_one, firsts) for name, of_one in inspections.items()})


def first_levels(inspections: Iterable[Sequence[LightReading]]) -> FirstLevels:
    """What each view and light had at first: the median of its first few levels. Inspections come oldest first."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for readings in inspections:
        for r in readings:
            if r.level is not None and len(of_light := values[r.view, r.light]) < LEAST_INSPECTIONS:
                of_light.append(r.level)
    return {place: median(of_light) for place, of_light in values.items() if of_light}


def lights_of(readings: Sequence[LightReading], firsts: FirstLevels) -> InspectionLights:
    """One inspection's figures, each the mean over its views.

    A light's level is taken over its level at first, over the same ratio of the median light. So neither a dark part,
    nor the exposure, nor a view's share of a light counts as drift. A wrong light is wrong in every view, and so the
    least ratio of all views counts: one that only grazes a tilted part, where bounced light and an unmodelled height
    weigh most, stands out in the side views alone (benchmarks/light_table.py --bounced).
    """
    relative: dict[str, dict[str, float]] = defaultdict(dict)  # view -> light
    residuals: dict[str, list[float]] = defaultdict(list)
    left_out: dict[str, dict[str, float]] = defaultdict(dict)  # view -> light
    for r in readings:
        first = firsts.get((r.view, r.light), 0.0)
        if r.level is not None and first > 0:
            relative[r.view][r.light] = r.level / first
        if r.left_out_residual is not None:
            residuals[r.light].append(r.left_out_residual)
            left_out[r.view][r.light] = r.left_out_residual
    levels: dict[str, list[float]] = defaultdict(list)
    for by_light in relative.values():
        middle = median(by_light.values())
        if middle > 0:
            for light, value in by_light.items():
                levels[light].append(value / middle)
    return InspectionLights(readings[0].creation_time, _means(levels), _means(residuals), _least_ratios(left_out))


def series_of(inspections: Mapping[str, InspectionLights]) -> LightSeries:
    """The series of inspections by their ids, oldest first, all under one calibration."""
    levels: PerLight = defaultdict(dict)
    residuals: PerLight = defaultdict(dict)
    over_median: PerLight = defaultdict(dict)
    for name, found in inspections.items():
        for light, value in found.levels.items():
            levels[light][name] = value
        for light, value in found.residuals.items():
            residuals[light][name] = value
        for light, value in found.over_median.items():
            over_median[light][name] = value
    levels, residuals = dict(sorted(levels.items())), dict(sorted(residuals.items()))
    times = {name: found.creation_time for name, found in inspections.items()}
    return LightSeries(times, levels, residuals, dict(sorted(over_median.items())), _set_rise(residuals))


def _least_ratios(residuals: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Per light, the least over the views of its residual over that of the view's median light."""
    ratios: dict[str, float] = {}
    for by_light in residuals.values():
        middle = median(by_light.values())
        if middle > 0:
            for light, value in by_light.items():
                ratios[light] = min(ratios.get(light, math.inf), value / middle)
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


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {light: _mean(of_light) for light, of_light in values.items()}


def _mean(values: Sequence[float]) -> float:
    """Of a few numbers: numpy takes ten times as long to begin, and this is asked thousands of times a part."""
    return sum(values) / len(values)
