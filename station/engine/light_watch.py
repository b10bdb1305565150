"""The lights over the last parts: what the archive recorded of them, as warnings and curves for the operator."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from station.archive import Archive, ArchiveError
from station.engine.events import LightsWatched
from station.inspection.result import Inspection
from station.lights.series import (
    LEAST_INSPECTIONS,
    FirstLevels,
    InspectionLights,
    LightReading,
    LightSeries,
    first_levels,
    lights_of,
    readings_of,
    series_of,
)
from station.lights.surface import surface_warning
from station.lights.trend import light_histories, recipe_trends
from station.lights.warning import LightWarning, ambient_warning, light_warnings
from station.recipe.loaded import LoadedRecipe

log = logging.getLogger(__name__)

WATCHED = 100  # inspections whose lights are compared after every part


class LightWatch:
    """Looks at the lights with each recipe and after each part; `latest` is what it found last.

    The archive is read with the recipe alone. After each part its own readings are added, because a look into an
    archive of 10,000 parts costs more than the comparison (`benchmarks/archive_costs.py`).
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._ambient: LightWarning | None = None
        self._surface: LightWarning | None = None
        self._of: tuple[str, str] | None = None  # recipe and calibration whose readings are held
        self._readings: dict[str, list[LightReading]] = {}  # by inspection, oldest first
        self._firsts: FirstLevels = {}
        self._figures: dict[str, InspectionLights] = {}  # of those inspections, under those first levels
        self.latest: LightsWatched | None = None

    def with_recipe(self, loaded: LoadedRecipe) -> LightsWatched:
        """How this recipe's lights did on earlier parts. What was warned of another recipe's surface is over."""
        if self._of != _key(loaded):
            self._surface = None
        self._read(loaded)
        return self._look(loaded, "")

    def after_part(self, loaded: LoadedRecipe, inspection: Inspection) -> LightsWatched:
        """How the lights did up to this part, which is stored."""
        warned_above = loaded.recipe.light_level_limits.ambient_told_above
        self._ambient = ambient_warning(inspection, warned_above, self._ambient)
        self._surface = surface_warning(inspection, self._surface)
        if self._of == _key(loaded):
            self._add(readings_of(inspection))
        else:
            self._read(loaded)
        return self._look(loaded, inspection.inspection_id)

    def _look(self, loaded: LoadedRecipe, inspection_id: str) -> LightsWatched:
        """New warnings go to the log too. Without an archive to read, ambient light and surface alone are warned of."""
        series = self._series()
        of_all = [warning for warning in (self._ambient, self._surface) if warning is not None]
        warnings = (*of_all, *light_warnings(recipe_trends(loaded.recipe.recipe_id, series)))
        known = set() if self.latest is None else {warning.key for warning in self.latest.warnings}
        for warning in warnings:
            if warning.key not in known:
                log.warning("%s; what to do: %s", warning.text, warning.action)
        self.latest = LightsWatched(loaded.recipe.recipe_id, inspection_id, warnings, light_histories(series))
        return self.latest

    def _series(self) -> LightSeries:
        """Of the readings held. An inspection's own figures are computed once, while what was at first stays."""
        firsts = first_levels(self._readings.values())
        known = self._figures if firsts == self._firsts else {}
        self._firsts = firsts
        self._figures = {
            name: known[name] if name in known else lights_of(readings, firsts)
            for name, readings in self._readings.items()
        }
        return series_of(self._figures)

    def _read(self, loaded: LoadedRecipe) -> None:
        """Take the readings of this recipe and calibration from the archive; none where it cannot be read."""
        recipe_id, calibration = _key(loaded)
        self._of, self._readings, self._figures = None, {}, {}
        try:
            found = self._archive.light_readings(
                WATCHED, recipe_id, calibration=calibration, with_first=LEAST_INSPECTIONS
            )
        except ArchiveError:
            log.exception("the lights' trends could not be read")
            return
        self._of = (recipe_id, calibration)
        self._add(found)

    def _add(self, readings: Iterable[LightReading]) -> None:
        """Add them, and keep the first inspections, as the reference, and the latest."""
        for reading in readings:
            self._readings.setdefault(reading.inspection_id, []).append(reading)
        ids = sorted(self._readings)
        kept = ids[:LEAST_INSPECTIONS] + ids[LEAST_INSPECTIONS:][-WATCHED:]
        self._readings = {inspection_id: self._readings[inspection_id] for inspection_id in kept}


def _key(loaded: LoadedRecipe) -> tuple[str, str]:
    return loaded.recipe.recipe_id, loaded.sha256s["calibration"]
