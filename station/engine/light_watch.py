"""The lights over the last parts: what the archive recorded of them, as warnings and curves for the operator."""

from __future__ import annotations

import logging

from station.archive import Archive, ArchiveError
from station.engine.events import LightsWatched
from station.inspection.result import Inspection
from station.lights.series import LEAST_INSPECTIONS, LightReading, light_series
from station.lights.trend import light_histories, light_trends
from station.lights.warning import LightWarning, ambient_warning, light_warnings
from station.recipe.loaded import LoadedRecipe

log = logging.getLogger(__name__)

WATCHED = 100  # inspections whose lights are compared after every part: some 20 ms


class LightWatch:
    """Looks at the lights with each recipe and after each part; `latest` is what it found last."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._ambient: LightWarning | None = None
        self.latest: LightsWatched | None = None

    def with_recipe(self, loaded: LoadedRecipe) -> LightsWatched:
        """How this recipe's lights did on earlier parts."""
        return self._look(loaded, "")

    def after_part(self, loaded: LoadedRecipe, inspection: Inspection) -> LightsWatched:
        """How the lights did up to this part, as far as the archive has it."""
        warned_above = loaded.recipe.light_level_limits.ambient_told_above
        self._ambient = ambient_warning(inspection, warned_above, self._ambient)
        return self._look(loaded, inspection.inspection_id)

    def _look(self, loaded: LoadedRecipe, inspection_id: str) -> LightsWatched:
        """New warnings go to the log too. Without an archive to read, ambient light alone is warned of."""
        readings = self._readings(loaded)
        of_all = () if self._ambient is None else (self._ambient,)
        warnings = (*of_all, *light_warnings(light_trends(readings).trends))
        known = set() if self.latest is None else {warning.key for warning in self.latest.warnings}
        for warning in warnings:
            if warning.key not in known:
                log.warning("%s; what to do: %s", warning.text, warning.action)
        histories = light_histories(light_series(readings))
        self.latest = LightsWatched(loaded.recipe.recipe_id, inspection_id, warnings, histories)
        return self.latest

    def _readings(self, loaded: LoadedRecipe) -> list[LightReading]:
        try:
            return self._archive.light_readings(
                WATCHED,
                loaded.recipe.recipe_id,
                calibration=loaded.sha256s["calibration"],
                with_first=LEAST_INSPECTIONS,
            )
        except ArchiveError:
            log.exception("the lights' trends could not be read")
            return []
