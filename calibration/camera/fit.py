"""Calibration of the camera from pictures of a board: which pictures and which distortion model are used.

A picture that does not fit the others is taken out and named. The simplest model is taken that predicts pictures left
out of the fit as well as the best one does. A bow of the board is adjusted only where it is clearly there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.boards.board import Board, BoardNotFound, Picture, find_board
from calibration.camera.adjust import (
    FREE_COEFFICIENTS,
    AdjustmentError,
    BoardView,
    DistortionModel,
    Solution,
    adjust,
    bow_um,
    first_solution,
    fit_pose,
    residuals,
)
from calibration.camera.fit_warnings import fit_warnings
from calibration.camera.left_out import LeftOut, jackknife_spread, leave_out
from calibration.camera.report import CameraReport, ImageFinding
from calibration.camera.uncertainty import estimates
from calibration.camera.views import (
    FEWEST_VIEWS,
    LEAST_SUSPICIOUS_PX,
    MISDETECTED_RATIO,
    azimuth_spread_deg,
    misdetected,
    own_evidence,
    refusal_of,
    tilt_and_azimuth_deg,
)
from calibration.camera_model import F64, CameraModel

MODELS: tuple[DistortionModel, ...] = ("k1", "k1k2", "full")
SIMPLER_WITHIN = 1.0005  # a richer model must predict pictures that it has not seen better by this factor
VIEWS_FOR_BOW, BOW_SIGMAS, LEAST_BOW_UM = 8, 4.0, 3.0
Progress = Callable[[str], None]


def calibrate_camera(
    pictures: Iterable[tuple[str, Picture]], board: Board, *, size_px: tuple[int, int] | None = None,
    tangential: bool = False, progress: Progress = lambda _: None,
) -> CameraReport:  # fmt: skip
    """The camera from pictures (H, W) or (H, W, 3) with their names; only one of them needs to be in memory.

    `size_px` is the camera's own width and height; without it the size of most pictures counts. Never raises for poor
    pictures: the report says what is wrong with them.
    """
    sighted: list[tuple[ImageFinding, BoardView | None, tuple[int, int]]] = []
    for name, picture in pictures:
        sighted.append(_sight(name, picture, board))
        progress(f"{name}: {sighted[-1][0].reason}")
    if not sighted:
        return CameraReport(board, size_px or (0, 0), (), "no pictures")
    usual = size_px or Counter(size for _, _, size in sighted).most_common(1)[0][0]
    findings, views = [], []
    for finding, view, size in sighted:
        if size != usual:
            reason = f"{size[0]} x {size[1]} px, but the camera's pictures have {usual[0]} x {usual[1]} px"
            findings.append(ImageFinding(finding.file, False, reason))
            continue
        findings.append(finding)
        if view is not None:
            views.append(view)
    report = calibrate_views(views, board, usual, tangential=tangential, progress=progress)
    judged = {image.file: image for image in report.images}
    return replace(report, images=tuple(judged.get(finding.file, finding) for finding in findings))


def _sight(name: str, picture: Picture, board: Board) -> tuple[ImageFinding, BoardView | None, tuple[int, int]]:
    """What is seen of the board in one picture, and the picture's width and height."""
    size = (int(picture.shape[1]), int(picture.shape[0]))
    try:
        seen = find_board(picture, board)
    except BoardNotFound as error:
        return ImageFinding(name, False, str(error)), None, size
    finding = ImageFinding(name, True, f"{len(seen.pixels)} points found", points=len(seen.pixels))
    return finding, BoardView(name, seen.board_mm, seen.pixels), size


def calibrate_views(
    views: Sequence[BoardView], board: Board, size_px: tuple[int, int], *, tangential: bool = False,
    progress: Progress = lambda _: None, grain_px: float = 1.0,
) -> CameraReport:  # fmt: skip
    """The camera from points already found.

    `grain_px` is the size of a picture's pixel in the unit of the points: the binning, where the points are in pixels
    of the full sensor. Never raises for poor views: the report says what is wrong with them.
    """
    refused: dict[str, ImageFinding] = {}
    kept = list(views)
    for index, reason in reversed(misdetected(kept, grain_px).items()):
        view = kept.pop(index)
        refused[view.name] = ImageFinding(view.name, False, reason, points=len(view.pixels))
    try:
        start = _screen(kept, size_px, refused, grain_px)
        pictures = _Pictures(tuple(views), tuple(kept), refused)
        refusal = refusal_of(start.poses)
        if refusal is not None:
            return CameraReport(board, size_px, _images(pictures, start, None), refusal)
        return _fitted(pictures, start, CameraReport(board, size_px, (), grain_px=grain_px), tangential, progress)
    except AdjustmentError as error:
        images = tuple(
            refused.get(v.name, ImageFinding(v.name, False, "not judged", points=len(v.pixels))) for v in views
        )
        return CameraReport(board, size_px, images, str(error))


def _screen(
    kept: list[BoardView], size_px: tuple[int, int], refused: dict[str, ImageFinding], grain_px: float
) -> Solution:
    """Fits, and takes out the worst picture if it stands out, until none does; changes `kept` and `refused`."""
    while True:
        if len(kept) < FEWEST_VIEWS:
            raise AdjustmentError(f"{len(kept)} usable views, at least {FEWEST_VIEWS} are needed")
        solution = adjust(kept, first_solution(kept, size_px), "k1k2")
        each = np.array([_rms(view, pose, solution) for view, pose in zip(kept, solution.poses, strict=True)])
        worst = int(each.argmax())
        usual = float(np.median(each))
        if each[worst] <= max(MISDETECTED_RATIO * usual, LEAST_SUSPICIOUS_PX * grain_px):
            return solution
        view = kept.pop(worst)
        reason = (
            f"misdetected: does not fit the other pictures, rms {each[worst]:.2f} px, "
            f"{each[worst] / usual:.1f} x the usual"
        )
        refused[view.name] = ImageFinding(view.name, False, reason, float(each[worst]), points=len(view.pixels))


def _rms(view: BoardView, pose: F64, solution: Solution) -> float:
    return float(np.sqrt((residuals(view, pose, solution) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True)
class _Pictures:
    """All pictures in which the board was found, those that are used, and why the others are not, by name."""

    all: tuple[BoardView, ...]
    kept: tuple[BoardView, ...]
    refused: dict[str, ImageFinding]


def _fitted(
    pictures: _Pictures, start: Solution, empty: CameraReport, tangential: bool, progress: Progress
) -> CameraReport:
    """`empty`, filled with the results of the fit."""
    kept = pictures.kept
    fits: dict[DistortionModel, tuple[Solution, LeftOut]] = {}
    for model in (*MODELS, "full+tangential") if tangential else MODELS:
        fitted = adjust(kept, _zeroed(start, model), model)
        fits[model] = (fitted, leave_out(kept, fitted, False))
        progress(f"model {model}: left out {fits[model][1].total_px:.3f} px")
    best = min(left.total_px for _, left in fits.values())
    model = next(name for name, (_, left) in fits.items() if left.total_px <= SIMPLER_WITHIN * best)
    fit, left, bow, bow_spread = _with_bow(kept, *fits[model])
    report = replace(
        empty,
        images=_images(pictures, fit, left),
        camera=_camera(fit, empty.size_px),
        estimates=estimates(kept, fit, left, empty.size_px),
        model=model,
        left_out_by_model_px={name: part.total_px for name, (_, part) in fits.items()},
        rms_px=fit.rms_px,
        left_out_rms_px=left.total_px,
        corner_noise_px=_noise_floor(kept),
        azimuth_spread_deg=azimuth_spread_deg(tilt_and_azimuth_deg(fit.poses)),
        bow_um=bow,
        bow_spread_um=bow_spread,
        views=kept,
        solution=fit,
    )
    return replace(report, warnings=fit_warnings(report))


def _with_bow(
    kept: Sequence[BoardView], fit: Solution, left: LeftOut
) -> tuple[Solution, LeftOut, float | None, float | None]:
    """The fit with the board's bow where it is clearly bowed, else `fit`; the bow and its spread in um, if measured."""
    if len(kept) < VIEWS_FOR_BOW:
        return fit, left, None, None
    bent = adjust(kept, fit, fit.model, bow=True)
    bent_left = leave_out(kept, bent, True)
    bow, spread = bow_um(bent.shape_mm, kept, bent.frame), float(jackknife_spread(bent_left.bows_um))
    if _is_bowed(bow, spread, bent, bent_left, left):
        return bent, bent_left, bow, spread
    return fit, left, bow, spread


def _is_bowed(bow: float, spread: float, bent: Solution, bent_left: LeftOut, flat_left: LeftOut) -> bool:
    """Whether the bow is clear by jackknife and covariance, and predicts left-out pictures better than a flat board."""
    shape, covariance = bent.shape_mm, bent.covariance[-3:, -3:]
    odds = float(shape @ np.linalg.solve(covariance, shape))
    clear = bow > BOW_SIGMAS * spread and odds > BOW_SIGMAS**2 * 3
    return bool(bow > LEAST_BOW_UM and clear and bent_left.total_px < flat_left.total_px)


def _zeroed(start: Solution, model: DistortionModel) -> Solution:
    """`start` with the coefficients that the model lacks at 0: a fit leaves them where they are."""
    distortion = np.zeros(5)
    free = list(FREE_COEFFICIENTS[model])
    distortion[free] = start.distortion[free]
    return replace(start, distortion=distortion)


def _camera(fit: Solution, size_px: tuple[int, int]) -> CameraModel:
    fx, fy, cx, cy = (float(value) for value in fit.intrinsic)
    return CameraModel(*size_px, fx, fy, cx, cy, tuple(float(value) for value in fit.distortion))


def _noise_floor(views: Sequence[BoardView]) -> float:
    """Rms in px that a perfect camera would leave, from the noise of the corners in a usual picture."""
    return float(np.sqrt(2) * np.median([own_evidence(view).noise_px for view in views]))


def _images(pictures: _Pictures, fit: Solution, left: LeftOut | None) -> tuple[ImageFinding, ...]:
    """One finding per picture, in the pictures' order; `left` is None where the views were too few or too similar."""
    leans = tilt_and_azimuth_deg(fit.poses)
    found = dict(pictures.refused)
    for i, view in enumerate(pictures.kept):
        out = None if left is None else float(left.rms_px[i])
        found[view.name] = ImageFinding(
            view.name, left is not None, "used" if left is not None else "views too few or too similar",
            _rms(view, fit.poses[i], fit), out, len(view.pixels), float(leans[i, 0]), float(leans[i, 1]),
        )  # fmt: skip
    for view in pictures.all:
        if view.name in pictures.refused and pictures.refused[view.name].rms_px is None:
            found[view.name] = replace(found[view.name], rms_px=_rms_of_refused(view, fit))
    return tuple(found[view.name] for view in pictures.all)


def _rms_of_refused(view: BoardView, fit: Solution) -> float | None:
    """How badly a refused picture fits the camera of the others; None where it has no pose at all."""
    try:
        return fit_pose(view, fit)[1]
    except AdjustmentError:
        return None
