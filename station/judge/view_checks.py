"""What makes a view UNDECIDED: every check of its lights, its normals and its score, and the reason that each gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drivers.protocols import Frame
from station.acquire.captured_view import CapturedView
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap
from station.lights.ambient import DARK_LEVEL, SHARE, DarkLevel, ambient_share, check_ambient
from station.lights.levels import check_clipped, check_light_levels
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.recipe.loaded import LoadedRecipe
from station.recipe.reference_lights import expected_levels


class LightChecks:
    """The checks of one recipe's lights, against its reference levels under the present calibration."""

    def __init__(self, loaded: LoadedRecipe, strengths: Mapping[str, float]) -> None:
        """`strengths` are the lights' strengths now over those of the reference levels; see reference_lights."""
        self._recipe = loaded.recipe
        self._limits = loaded.recipe.light_level_limits
        self._strengths = strengths
        self._directional = [light.name for light in loaded.recipe.directional_lights]
        self._exposures_us = {light.name: light.exposure_us for light in loaded.recipe.directional_lights}

    def levels(self, view: str, levels: Mapping[str, float]) -> tuple[Reason, ...]:
        """A dead, weak or too bright light; `levels` are shares of full scale, per light."""
        references = self._recipe.reference_levels
        if references and view not in references:
            text = "the recipe has reference levels of other views, but not of this one"
            return (Reason(ReasonKind.NO_REFERENCE, text, "train or teach them"),)
        limits = self._limits
        expected = expected_levels(references.get(view, {}), self._strengths)
        return check_light_levels(levels, expected, limits.dead_below, limits.weak_below, limits.strong_above)

    def saturation(self, light: str, frame: Frame) -> tuple[Reason, ...]:
        """Too many pixels at full scale under the diffuse light."""
        return check_clipped(light, frame, self._limits.clipped_above)

    def ambient_figures(self, dark: DarkLevel | None, levels: Mapping[str, float]) -> dict[str, float]:
        """The part's dark frame as figures of quality; empty where none was taken.

        It is compared with the references of its own view where they name every light, else with `levels`.
        """
        if dark is None:
            return {}
        references = expected_levels(self._recipe.reference_levels.get(dark.view, {}), self._strengths)
        are_all_known = references.keys() >= set(self._directional)
        share = ambient_share(dark, self._exposures_us, references if are_all_known else levels)
        return {DARK_LEVEL: dark.level_per_ms, SHARE: share}

    def ambient(self, figures: Mapping[str, float]) -> tuple[Reason, ...]:
        """Too much light while every light is off."""
        return check_ambient(figures[SHARE], self._limits.ambient_above) if SHARE in figures else ()


def check_observed(
    normal_map: NormalMap | PackedNormalMap, least: float, of_part: float | None = None
) -> tuple[Reason, ...]:
    """Fewer than the share `least` of the part's pixels have an observable normal.

    `of_part` is the share of the part's region; None where no region is known, and the whole picture counts.
    """
    share = normal_map.observable_share if of_part is None else of_part
    if share >= least:
        return ()
    what = "pixels" if of_part is None else "part's pixels"
    text = f"only {share:.1%} of the {what} have an observable normal; the recipe asks for {least:.1%}"
    return (Reason(ReasonKind.FEW_OBSERVABLE, text, "check the lights and how the part lies"),)


def check_finite(anomaly_map: AnomalyMap) -> tuple[Reason, ...]:
    """NaN or infinity out of the model is never a number to compare (fault 27)."""
    if np.isfinite(anomaly_map.pred_score) and bool(np.isfinite(anomaly_map.scores).all()):
        return ()
    text = "the model's score or map is not finite"
    return (Reason(ReasonKind.NOT_FINITE, text, "keep the archived frames and report it"),)


def missing_frames(view: CapturedView) -> Reason:
    """The reason of a view that is not complete."""
    return Reason(ReasonKind.MISSING_FRAME, f"no frame under {', '.join(view.missing)}", "inspect the part again")


def refused_frame(error: Exception) -> Reason:
    """The reason of a view one of whose frames could not be taken."""
    text = f"a frame could not be taken: {type(error).__name__}: {error}"
    return Reason(ReasonKind.REFUSED_FRAME, text, "inspect the part again; if it comes back, keep the log")


def not_judged(error: Exception) -> Reason:
    """The reason of a view at which the judging itself failed."""
    text = f"could not be judged: {type(error).__name__}: {error}"
    return Reason(ReasonKind.NOT_JUDGED, text, "keep the log and report it")
