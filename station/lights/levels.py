"""Is the light that was commanded the light that shone? Asked of the pictures alone (faults 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drivers.protocols import Frame

BLIND_DARK_LEVEL = 0.002  # without references: of full scale; less than half a step of 8 bits
BLIND_DEAD_SHARE = 0.15  # without references: of the median of the view's other directional lights

CLIPPED = 0.98  # of full scale, as far as noise lets a saturated pixel fall


def mean_level(frame: Frame) -> float:
    """Mean signal over black, as a share of full scale; every other pair of rows keeps Bayer phases."""
    rows = frame.pixels.reshape(frame.pixels.shape[0], -1)
    even = rows.shape[0] - rows.shape[0] % 4
    sample = rows[:even].reshape(-1, 4, rows.shape[1])[:, :2] if even else rows
    full = frame.full_scale_dn
    return float((np.mean(sample, dtype=np.float64) - frame.black_level_dn) / (full - frame.black_level_dn))


def clipped_share(frame: Frame) -> float:
    """Share of the pixels at full scale, where one brighter than the other looks the same."""
    clipped = frame.pixels >= int(CLIPPED * frame.full_scale_dn)
    return int(np.count_nonzero(clipped)) / max(clipped.size, 1)


def check_clipped(light: str, frame: Frame, limit: float) -> tuple[str, ...]:
    """Why a picture under this light cannot show every defect."""
    share = clipped_share(frame)
    if share <= limit:
        return ()
    return (f"light {light!r} saturates {share:.1%} of the pixels (limit {limit:.1%}): shorten its exposure",)


def check_light_levels(
    levels: Mapping[str, float],
    references: Mapping[str, float] | None,
    dead_below: float,
    weak_below: float,
    strong_above: float,
) -> tuple[str, ...]:
    """Reasons why this view's lights cannot be trusted, naming each light.

    `levels` and `references` are mean levels per light name, share of full scale. With references a
    light's ratio is compared with the median ratio of all lights, so that a darker part is no fault
    and one weak light is. Without, only a dead light shows, against the median of the others.
    """
    if references:
        return _against_references(levels, references, dead_below, weak_below, strong_above)
    if levels and not max(levels.values()) > BLIND_DARK_LEVEL:
        return (f"every picture is dark: no mean level above {BLIND_DARK_LEVEL:g} of full scale",)
    reasons = []
    for name, level in levels.items():
        others = [v for n, v in levels.items() if n != name]
        if others and not level >= BLIND_DEAD_SHARE * float(np.median(others)):
            reasons.append(f"light {name!r} is dead: level {level:.4f}, the others' median is {np.median(others):.4f}")
    return tuple(reasons)


def _against_references(
    levels: Mapping[str, float],
    references: Mapping[str, float],
    dead_below: float,
    weak_below: float,
    strong_above: float,
) -> tuple[str, ...]:
    missing = [name for name in levels if name not in references]
    if missing:
        return (f"the recipe has no reference level for light {', '.join(missing)}: train or teach them",)
    ratios = {name: level / references[name] for name, level in levels.items()}
    median = float(np.median(list(ratios.values())))
    if not median >= dead_below:
        return (f"no light reaches its reference level (median ratio {median:.3f}): part, exposure or supply?",)
    if not median <= strong_above:
        return (
            f"every light is above its reference level (median ratio {median:.2f}): ambient light, or one stuck on?",
        )
    reasons = []
    for name, ratio in ratios.items():
        relative = ratio / median
        text = f"{ratio:.2f} of its reference level where the median light has {median:.2f}"
        if not ratio >= dead_below:
            reasons.append(f"light {name!r} is dead: {text}")
        elif not relative >= weak_below:
            reasons.append(f"light {name!r} is weak: {text}")
        elif not relative <= strong_above:
            reasons.append(f"light {name!r} is too bright: {text}")
    return tuple(reasons)
