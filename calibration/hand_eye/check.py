"""Faults that a hand-eye calibration shows: a wrong board pitch, an arm worse than stated, a visit that stands out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.camera.adjust import Solution
from calibration.hand_eye.adjust import FREE_PITCH, calibrate_hand_eye
from calibration.hand_eye.result import HandEye, Repeatability, Visit

PITCH_SIGMAS, LEAST_PITCH = 4.0, 1e-3
ARM_FACTOR = 2.0
VISIT_SIGMAS = 5.0


def hand_eye_faults(
    visits: Sequence[Visit], start: Solution, size_px: tuple[int, int], expected: Repeatability, found: HandEye
) -> list[str]:
    """Each fault in words with its cure; none for a good calibration. `start` and `expected` as in
    `calibrate_hand_eye`.
    """
    faults = []
    pitch, spread = pitch_by_arm(visits, start, size_px, found.repeatability)
    if abs(pitch - 1) > max(PITCH_SIGMAS * spread, LEAST_PITCH):
        faults.append(
            f"wrong board pitch: by the arm's own travel the board is {100 * (pitch - 1):+.2f} % "
            f"+- {100 * 1.96 * spread:.2f} % larger than stated; measure a row of squares and give the true pitch"
        )
    faults += _arm_faults(expected, found)
    return faults + _visit_faults(visits, expected, found)


def pitch_by_arm(
    visits: Sequence[Visit], start: Solution, size_px: tuple[int, int], arm: Repeatability
) -> tuple[float, float]:
    """True pitch over the stated one, and its one sigma, with the pitch left free: lengths come from the arm alone."""
    free = calibrate_hand_eye(visits, start, size_px, arm, FREE_PITCH, 2)
    return free.pitch, free.pitch_spread


def _arm_faults(expected: Repeatability, found: HandEye) -> list[str]:
    """An arm that scatters more than ARM_FACTOR times what was expected of it."""
    faults = []
    for what, unit, is_now, said in (
        ("position", "mm", found.repeatability.mm, expected.mm),
        ("angle", "degrees", found.repeatability.deg, expected.deg),
    ):
        if is_now > ARM_FACTOR * said:
            faults.append(
                f"the arm's {what} scatters by {is_now:.3f} {unit} (one sigma), {is_now / said:.1f} x what was "
                "expected of it; the board moved between pictures, the mount is loose, or an axis lost steps"
            )
    return faults


def _visit_faults(visits: Sequence[Visit], expected: Repeatability, found: HandEye) -> list[str]:
    """Visits at which one axis stood more than VISIT_SIGMAS off what the arm reported."""
    mm, deg = max(expected.mm, found.repeatability.mm), max(expected.deg, found.repeatability.deg)
    off = np.abs(found.deviations) / [mm, mm, mm, deg, deg]
    names = ("x", "y", "z", "tilt", "pan")
    units = ("mm", "mm", "mm", "degrees", "degrees")
    return [
        f"{visits[i].view.name}: the arm stood {found.deviations[i, a]:+.3f} {units[a]} off what it reported in "
        f"{names[a]}, {off[i, a]:.0f} sigmas"
        for i, a in zip(*np.nonzero(off > VISIT_SIGMAS), strict=True)
    ]
