"""Judging calibration pictures by themselves and by each other: their noise, their tilts, how different they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.boards.roughness import rough_remainder
from calibration.camera.adjust import BoardView
from calibration.camera_model import F64

MISDETECTED_RATIO, LEAST_SUSPICIOUS_PX = 2.5, 0.1
FEWEST_VIEWS, LEAST_AZIMUTH_DEG, LEAST_TILT_SPAN_DEG, TILTED_DEG = 5, 20.0, 25.0, 3.0
_SAME_DEG, _SAME_SHARE = 1.5, 0.02


@dataclass(frozen=True)
class OwnEvidence:
    """How well a picture's points agree among themselves: they must lie on a smooth image of the board."""

    noise_px: float  # robust, one coordinate
    rms_px: float  # of all points, sqrt(mean squared distance)
    off: int  # points further off than six times the noise
    worst_px: float


def own_evidence(view: BoardView, grain_px: float = 1.0) -> OwnEvidence:
    """The evidence from residuals beside a homography with a smooth remainder, which takes up lens and bow.

    `grain_px` is the size of the picture's pixel in the unit of the points, above 1 for binned pictures.
    """
    rest, used = rough_remainder(view.board_mm, view.pixels)
    points = len(rest)
    noise = 1.4826 * float(np.median(np.abs(rest))) * np.sqrt(points / max(points - used - 4, 1))
    distance = np.linalg.norm(rest, axis=1)
    off = int((distance > max(6 * noise, LEAST_SUSPICIOUS_PX * grain_px)).sum())
    return OwnEvidence(float(noise), float(np.sqrt((distance**2).mean())), off, float(distance.max()))


def misdetected(views: Sequence[BoardView], grain_px: float = 1.0) -> dict[int, str]:
    """By index, the reason for each picture whose own points disagree; none for fewer than three pictures."""
    seen = [own_evidence(view, grain_px) for view in views]
    if len(seen) < 3:
        return {}
    usual = float(np.median([evidence.rms_px for evidence in seen]))
    limit = max(MISDETECTED_RATIO * usual, LEAST_SUSPICIOUS_PX * grain_px)
    return {
        i: f"misdetected: {e.off} of {len(views[i].pixels)} points lie off a smooth board by up to {e.worst_px:.1f} px "
        f"(rms {e.rms_px:.2f} px, {e.rms_px / usual:.1f} x the usual)"
        for i, e in enumerate(seen)
        if e.rms_px > limit and e.off
    }


def tilt_and_azimuth_deg(poses: F64) -> F64:
    """(n, 2) degrees: angle between board normal and optical axis, and the azimuth in the picture to which it leans."""
    normals = np.array([cv2.Rodrigues(pose[:3])[0][:, 2] for pose in poses], np.float64)
    normals *= np.where(normals[:, 2:] > 0, -1.0, 1.0)
    tilt = np.degrees(np.arccos(np.clip(-normals[:, 2], -1, 1)))
    return np.column_stack([tilt, np.degrees(np.arctan2(normals[:, 1], normals[:, 0])) % 360])


def azimuth_spread_deg(leans: F64) -> float:
    """The smallest arc that holds the azimuths of all tilted views; 0 for fewer than two of them."""
    azimuths = np.sort(leans[leans[:, 0] > TILTED_DEG, 1])
    if len(azimuths) < 2:
        return 0.0
    gaps = np.diff(np.append(azimuths, azimuths[0] + 360))
    return float(360 - gaps.max())


def different_views(poses: F64) -> int:
    """The number of poses (6,) that differ; those that repeat another count once."""
    kept: list[F64] = []
    for pose in poses:
        turn = cv2.Rodrigues(pose[:3])[0]
        if all(_differs(turn, pose, other) for other in kept):
            kept.append(pose)
    return len(kept)


def _differs(turn: F64, pose: F64, other: F64) -> bool:
    """Whether two poses (6,) differ by more than _SAME_DEG or _SAME_SHARE of the distance."""
    between = turn.T @ cv2.Rodrigues(other[:3])[0]
    angle = np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))
    shift = np.linalg.norm(pose[3:] - other[3:]) / np.linalg.norm(pose[3:])
    return bool(angle > _SAME_DEG or shift > _SAME_SHARE)


def refusal_of(poses: F64) -> str | None:
    """The reason why views at these poses cannot calibrate a camera, with the cure; None where they can."""
    if len(poses) < FEWEST_VIEWS:
        return f"{len(poses)} usable views, at least {FEWEST_VIEWS} are needed (better 15, tilted by 10 to 50 degrees)"
    different = different_views(poses)
    if different < FEWEST_VIEWS:
        return f"only {different} of {len(poses)} views differ; move and tilt the board between pictures"
    leans = tilt_and_azimuth_deg(poses)
    span, spread = float(np.ptp(leans[:, 0])), azimuth_spread_deg(leans)
    if spread < LEAST_AZIMUTH_DEG and span < LEAST_TILT_SPAN_DEG:
        return (
            f"views too similar: tilts lean within {spread:.0f} degrees of azimuth and span {span:.0f} degrees; "
            f"lean the board in directions at least {LEAST_AZIMUTH_DEG:.0f} degrees apart, tilted by 10 to 50 degrees"
        )
    return None


def filled_share(views: Sequence[BoardView], size_px: tuple[int, int], cells: int = 6) -> float:
    """The share of the picture's cells x cells fields that hold a point in some view."""
    points = np.concatenate([view.pixels for view in views])
    at = np.clip((points / size_px * cells).astype(int), 0, cells - 1)
    return len({(int(x), int(y)) for x, y in at}) / cells**2
