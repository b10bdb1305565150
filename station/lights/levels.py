"""Whether the light that was commanded is the light that shone, asked of the pictures alone (faults 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind

BLIND_DARK_LEVEL = 0.002  # without references: of full scale; less than half a step of 8 bits
BLIND_DEAD_SHARE = 0.15  # without references: of the median of the view's other directional lights

CLIPPED = 0.98  # of full scale: noise lets a saturated pixel fall no lower


def mean_level(frame: Frame) -> float:
    """Mean signal over black, as a share of full scale over black.

    Every other pair of rows is read: this halves the time and keeps the phases of a Bayer mosaic.
    """
    rows = frame.pixels.reshape(frame.pixels.shape[0], -1)
    even = rows.shape[0] - rows.shape[0] % 4
    sample = rows[:even].reshape(-1, 4, rows.shape[1])[:, :2] if even else rows
    full = frame.full_scale_dn
    return float((np.mean(sample, dtype=np.float64) - frame.black_level_dn) / (full - frame.black_level_dn))


def clipped_share(frame: Frame) -> float:
    """Share of the pixels at full scale, where differences in brightness no longer show."""
    clipped = frame.pixels >= int(CLIPPED * frame.full_scale_dn)
    return int(np.count_nonzero(clipped)) / max(clipped.size, 1)


def check_clipped(light: str, frame: Frame, limit: float) -> tuple[Reason, ...]:
    """Why a picture under this light cannot show every defect: more than `limit` of its pixels are at full scale."""
    share = clipped_share(frame)
    if share <= limit:
        return ()
    text = f"light {light!r} saturates {share:.1%} of the pixels (limit {limit:.1%})"
    return (Reason(ReasonKind.SATURATED, text, "shorten its exposure", light=light),)


def check_light_levels(
    levels: Mapping[str, float],
    references: Mapping[str, float] | None,
    dead_below: float,
    weak_below: float,
    strong_above: float,
) -> tuple[Reason, ...]:
    """Why this view's lights cannot be trusted; each reason names its light.

    `levels` and `references` are mean levels per light name, as shares of full scale. With references a light's
    ratio is compared with the median ratio of all lights: a darker part is then no fault, and one weak light is.
    Without references only a dead light shows, against the median of the others.
    """
    if references:
        return _against_references(levels, references, dead_below, weak_below, strong_above)
    if levels and not max(levels.values()) > BLIND_DARK_LEVEL:
        text = f"every picture is dark: no mean level above {BLIND_DARK_LEVEL:g} of full scale"
        return (Reason(ReasonKind.LIGHTS_WEAK, text, "look for lens cap, supply, exposure"),)
    return tuple(_dead_among_others(levels))


def _dead_among_others(levels: Mapping[str, float]) -> Iterator[Reason]:
    for name, level in levels.items():
        others = [v for n, v in levels.items() if n != name]
        if others and not level >= BLIND_DEAD_SHARE * float(np.median(others)):
            yield _dead(name, f"level {level:.4f}, the others' median is {np.median(others):.4f}")


def _dead(light: str, figures: str) -> Reason:
    text = f"light {light!r} is dead: {figures}"
    return Reason(ReasonKind.LIGHT_DEAD, text, "check its lamp, cable and channel", light=light)


def _against_references(
    levels: Mapping[str, float],
    references: Mapping[str, float],
    dead_below: float,
    weak_below: float,
    strong_above: float,
) -> tuple[Reason, ...]:
    missing = [name for name in levels if name not in references]
    if missing:
        text = f"the recipe has no reference level for light {', '.join(missing)}"
        return (Reason(ReasonKind.NO_REFERENCE, text, "train or teach them"),)
    ratios = {name: level / references[name] for name, level in levels.items()}
    median = float(np.median(list(ratios.values())))
    if not median >= dead_below:
        text = f"no light reaches its reference level (median ratio {median:.3f})"
        return (Reason(ReasonKind.LIGHTS_WEAK, text, "check part, exposure and the lights' supply"),)
    if not median <= strong_above:
        text = f"every light is above its reference level (median ratio {median:.2f})"
        return (Reason(ReasonKind.LIGHTS_STRONG, text, "look for ambient light or a light that stays on"),)
    found = (_light_reason(name, ratio, median, dead_below, weak_below, strong_above) for name, ratio in ratios.items())
    return tuple(reason for reason in found if reason is not None)


def _light_reason(
    light: str, ratio: float, median: float, dead_below: float, weak_below: float, strong_above: float
) -> Reason | None:
    relative = ratio / median
    figures = f"{ratio:.2f} of its reference level where the median light has {median:.2f}"
    if not ratio >= dead_below:
        return _dead(light, figures)
    if not relative >= weak_below:
        remedy = "clean its window, or replace the lamp and calibrate the lights"
        return Reason(ReasonKind.LIGHT_WEAK, f"light {light!r} is weak: {figures}", remedy, light=light)
    if not relative <= strong_above:
        remedy = "check its brightness, and look for ambient light"
        return Reason(ReasonKind.LIGHT_STRONG, f"light {light!r} is too bright: {figures}", remedy, light=light)
    return None
