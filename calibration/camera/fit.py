"""Calibration of the camera from pictures of a board: which pictures, which model, how sure each figure is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from scipy.stats import t as student

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
    without,
)
from calibration.camera.views import (
    FEWEST_VIEWS,
    LEAST_AZIMUTH_DEG,
    LEAST_SUSPICIOUS_PX,
    MISDETECTED_RATIO,
    azimuth_spread_deg,
    filled_share,
    misdetected,
    own_evidence,
    refusal_of,
    tilt_and_azimuth_deg,
)
from calibration.camera_model import F64, CameraModel, model_warnings

MODELS: tuple[DistortionModel, ...] = ("k1", "k1k2", "full")
SIMPLER_WITHIN = 1.0005  # a richer model must predict pictures that it has not seen better by this factor
LEAST_RMS_PX = 0.05  # of the pictures: less is nobody's fault
LEFT_OUT_ENOUGH = 1e-7  # of the cost: a thirtieth of a spread, and half the time
VIEWS_FOR_BOW, BOW_SIGMAS, LEAST_BOW_UM = 8, 4.0, 3.0
NAMES = ("fx", "fy", "cx", "cy")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ImageFinding:
    """One picture: whether it was used, and why not."""

    file: str
    used: bool
    reason: str
    rms_px: float | None = None  # in the fit; of a picture not used, with the camera that the others gave
    left_out_rms_px: float | None = None  # with the camera fitted without this picture
    points: int = 0
    tilt_deg: float | None = None
    azimuth_deg: float | None = None


@dataclass(frozen=True)
class Estimate:
    """A figure in px with its uncertainty."""

    value: float
    spread: float  # one sigma by jackknife over the views
    corner_noise_spread: float  # OpenCV's, which knows only the noise of the corners
    interval95: float  # half width: Student's t over the views, widened by what so few views know of a spread


@dataclass(frozen=True)
class CameraReport:
    """`camera` is None where the pictures do not suffice, and `refusal` says why."""

    board: Board
    size_px: tuple[int, int]
    images: tuple[ImageFinding, ...]
    refusal: str | None = None
    camera: CameraModel | None = None
    estimates: dict[str, Estimate] | None = None  # by NAMES
    model: DistortionModel | None = None
    left_out_by_model_px: dict[str, float] | None = None
    rms_px: float | None = None
    left_out_rms_px: float | None = None
    corner_noise_px: float | None = None  # rms of the same kind that corner noise alone would give
    azimuth_spread_deg: float | None = None
    bow_um: float | None = None  # peak to valley; None if the views cannot tell
    bow_spread_um: float | None = None
    warnings: tuple[str, ...] = ()
    views: tuple[BoardView, ...] = ()  # those used
    solution: Solution | None = None
    grain_px: float = 1.0  # a pixel of the pictures in the unit of all other figures

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; pictures' points left out."""
        out: dict[str, Any] = {"board": asdict(self.board), "width_px": self.size_px[0], "height_px": self.size_px[1]}
        for name, estimate in (self.estimates or {}).items():
            out[name] = estimate.value
        if self.estimates is not None:
            for key in ("spread", "corner_noise_spread", "interval95"):
                out[key] = {name: getattr(estimate, key) for name, estimate in self.estimates.items()}
        if self.camera is not None:
            out["distortion"] = list(self.camera.distortion)
        for key in ("model", "left_out_by_model_px", "rms_px", "left_out_rms_px", "corner_noise_px",
                    "azimuth_spread_deg", "bow_um", "bow_spread_um", "warnings", "refusal"):  # fmt: skip
            out[key] = getattr(self, key)
        out["images"] = [asdict(image) for image in self.images]
        return out

    def as_text(self) -> str:
        lines = []
        for image in self.images:
            rms = "" if image.rms_px is None else f"{image.rms_px:.3f} px  "
            lines.append(f"{'used   ' if image.used else 'refused'} {image.file}  {rms}{image.reason}")
        if self.refusal is not None:
            return "\n".join([*lines, f"refused: {self.refusal}"])
        for name, e in (self.estimates or {}).items():
            lines.append(
                f"{name} {e.value:10.2f} px +- {e.spread:.2f} (95 %: {e.interval95:.2f}; "
                f"corner noise only: {e.corner_noise_spread:.2f})"
            )
        if self.camera is not None:
            lines.append(f"distortion ({self.model}): " + " ".join(f"{v:+.5g}" for v in self.camera.distortion))
        lines.append(f"rms {self.rms_px:.3f} px, left out {self.left_out_rms_px:.3f} px")
        return "\n".join([*lines, *(f"! {warning}" for warning in self.warnings)])


def calibrate_camera(
    pictures: Iterable[tuple[str, Picture]], board: Board, *, size_px: tuple[int, int] | None = None,
    tangential: bool = False, progress: Progress = lambda _: None,
) -> CameraReport:  # fmt: skip
    """Pictures come one by one, so they need not all be in memory; (H, W) or (H, W, 3).

    `size_px` is the camera's own width and height; without it the size of most pictures counts.
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
    """From points already found; `grain_px`: a pixel of the pictures in the unit of the points (their binning).

    Never raises for poor views: the report says what is wrong with them.
    """
    refused: dict[str, ImageFinding] = {}
    kept = list(views)
    for index, reason in reversed(misdetected(kept, grain_px).items()):
        view = kept.pop(index)
        refused[view.name] = ImageFinding(view.name, False, reason, points=len(view.pixels))
    try:
        solution = _screen(kept, size_px, refused, grain_px)
        return _calibrate(views, kept, solution, board, size_px, refused, tangential, progress, grain_px)
    except AdjustmentError as error:
        images = tuple(
            refused.get(v.name, ImageFinding(v.name, False, "not judged", points=len(v.pixels))) for v in views
        )
        return CameraReport(board, size_px, images, str(error))


def _screen(
    kept: list[BoardView], size_px: tuple[int, int], refused: dict[str, ImageFinding], grain_px: float
) -> Solution:
    """Fit, take out the worst picture if it stands out, and again; `kept` and `refused` are changed."""
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
class _LeftOut:
    """Every view in turn kept out of the fit."""

    cameras: F64  # (n, 4)
    bows_um: F64  # (n,)
    rms_px: F64  # (n,) of the view that was left out

    @property
    def total_px(self) -> float:
        return float(np.sqrt((self.rms_px**2).mean()))


def _leave_out(views: Sequence[BoardView], fit: Solution, bow: bool) -> _LeftOut:
    cameras, bows, errors = [], [], []
    for i, view in enumerate(views):
        others = [*views[:i], *views[i + 1 :]]
        part = adjust(others, without(fit, i), fit.model, bow, 12, LEFT_OUT_ENOUGH)
        cameras.append(part.intrinsic)
        bows.append(bow_um(part.shape_mm, views, part.frame))
        errors.append(fit_pose(view, part, fit.poses[i])[1])
    return _LeftOut(np.array(cameras), np.array(bows), np.array(errors))


def jackknife_spread(values: F64) -> F64:
    """One sigma from the n values that leaving each view out gives; along the first axis."""
    n = len(values)
    return np.asarray(np.sqrt((n - 1) / n * ((values - values.mean(axis=0)) ** 2).sum(axis=0)), np.float64)


def _calibrate(
    views: Sequence[BoardView], kept: list[BoardView], start: Solution, board: Board, size_px: tuple[int, int],
    refused: dict[str, ImageFinding], tangential: bool, progress: Progress, grain_px: float,
) -> CameraReport:  # fmt: skip
    refusal = refusal_of(start.poses)
    if refusal is not None:
        return CameraReport(board, size_px, _images(views, kept, start, None, refused), refusal)
    fits: dict[DistortionModel, tuple[Solution, _LeftOut]] = {}
    for model in (*MODELS, "full+tangential") if tangential else MODELS:
        fitted = adjust(kept, _zeroed(start, model), model)
        fits[model] = (fitted, _leave_out(kept, fitted, False))
        progress(f"model {model}: left out {fits[model][1].total_px:.3f} px")
    best = min(left.total_px for _, left in fits.values())
    model = next(name for name, (_, left) in fits.items() if left.total_px <= SIMPLER_WITHIN * best)
    fit, left = fits[model]
    bow, bow_spread = None, None
    if len(kept) >= VIEWS_FOR_BOW:
        bent = adjust(kept, fit, model, bow=True)
        bent_left = _leave_out(kept, bent, True)
        bow, bow_spread = bow_um(bent.shape_mm, kept, bent.frame), float(jackknife_spread(bent_left.bows_um))
        if _is_bowed(bow, bow_spread, bent, bent_left, left):
            fit, left = bent, bent_left
    report = CameraReport(
        board, size_px, _images(views, kept, fit, left, refused), None, _camera(fit, size_px),
        _estimates(kept, fit, left, size_px), model, {name: part.total_px for name, (_, part) in fits.items()},
        fit.rms_px, left.total_px, _noise_floor(kept), azimuth_spread_deg(tilt_and_azimuth_deg(fit.poses)),
        bow, bow_spread, (), tuple(kept), fit, grain_px,
    )  # fmt: skip
    return replace(report, warnings=_warnings(report))


def _is_bowed(bow: float, spread: float, bent: Solution, bent_left: _LeftOut, flat_left: _LeftOut) -> bool:
    shape, covariance = bent.shape_mm, bent.covariance[-3:, -3:]
    odds = float(shape @ np.linalg.solve(covariance, shape))
    clear = bow > BOW_SIGMAS * spread and odds > BOW_SIGMAS**2 * 3
    return bool(bow > LEAST_BOW_UM and clear and bent_left.total_px < flat_left.total_px)


def _zeroed(start: Solution, model: DistortionModel) -> Solution:
    """Coefficients that the model lacks must be 0, not left where the start had them."""
    distortion = np.zeros(5)
    free = list(FREE_COEFFICIENTS[model])
    distortion[free] = start.distortion[free]
    return replace(start, distortion=distortion)


def _camera(fit: Solution, size_px: tuple[int, int]) -> CameraModel:
    fx, fy, cx, cy = (float(value) for value in fit.intrinsic)
    return CameraModel(*size_px, fx, fy, cx, cy, tuple(float(value) for value in fit.distortion))


def _noise_floor(views: Sequence[BoardView]) -> float:
    return float(np.sqrt(2) * np.median([own_evidence(view).noise_px for view in views]))


def _estimates(
    views: Sequence[BoardView], fit: Solution, left: _LeftOut, size_px: tuple[int, int]
) -> dict[str, Estimate]:
    spreads = jackknife_spread(left.cameras)
    noise = _opencv_spreads(views, fit, size_px)
    own = np.sqrt(np.diag(fit.covariance)[:4])
    # a spread from n views is itself uncertain by 1 / sqrt(2 (n - 1)), and views that share a fault hide it
    factor = float(student.ppf(0.975, len(views) - 1)) * (1 + 1 / np.sqrt(2 * (len(views) - 1)))
    return {
        name: Estimate(
            float(fit.intrinsic[i]), float(spreads[i]), float(noise[i]), factor * float(max(spreads[i], own[i]))
        )
        for i, name in enumerate(NAMES)
    }


def _opencv_spreads(views: Sequence[BoardView], fit: Solution, size_px: tuple[int, int]) -> F64:
    """calibrateCameraExtended's standard deviations of fx fy cx cy for the same model, from the same start."""
    free = FREE_COEFFICIENTS[fit.model]
    flags = cv2.CALIB_USE_INTRINSIC_GUESS
    for place, flag in ((0, cv2.CALIB_FIX_K1), (1, cv2.CALIB_FIX_K2), (4, cv2.CALIB_FIX_K3)):
        flags |= flag if place not in free else 0
    flags |= 0 if 2 in free else cv2.CALIB_ZERO_TANGENT_DIST
    k = _camera(fit, size_px).matrix
    answer = cv2.calibrateCameraExtended(
        [fit.board_points(view.board_mm).astype(np.float32) for view in views],
        [view.pixels.astype(np.float32) for view in views], size_px, k, fit.distortion.copy(), flags=flags,
    )  # fmt: skip
    return np.asarray(answer[5], np.float64).ravel()[:4]


def _images(
    views: Sequence[BoardView], kept: Sequence[BoardView], fit: Solution, left: _LeftOut | None,
    refused: dict[str, ImageFinding],
) -> tuple[ImageFinding, ...]:  # fmt: skip
    leans = tilt_and_azimuth_deg(fit.poses)
    found = dict(refused)
    for i, view in enumerate(kept):
        out = None if left is None else float(left.rms_px[i])
        found[view.name] = ImageFinding(
            view.name, left is not None, "used" if left is not None else "views too few or too similar",
            _rms(view, fit.poses[i], fit), out, len(view.pixels), float(leans[i, 0]), float(leans[i, 1]),
        )  # fmt: skip
    for view in views:
        if view.name in refused and refused[view.name].rms_px is None:
            found[view.name] = replace(found[view.name], rms_px=_rms_of_refused(view, fit))
    return tuple(found[view.name] for view in views)


def _rms_of_refused(view: BoardView, fit: Solution) -> float | None:
    try:
        return fit_pose(view, fit)[1]
    except AdjustmentError:
        return None


def _warnings(report: CameraReport) -> tuple[str, ...]:
    camera, fit = report.camera, report.solution
    if camera is None or fit is None or report.rms_px is None or report.left_out_rms_px is None:
        return ()
    found = list(model_warnings(camera))
    leans = tilt_and_azimuth_deg(fit.poses)
    if len(report.views) < 10:
        found.append(f"{len(report.views)} views; 15 give half the uncertainty of 5 and show a bowed board")
    if (report.azimuth_spread_deg or 0.0) < LEAST_AZIMUTH_DEG:
        found.append(f"all tilts lean the same way (within {report.azimuth_spread_deg:.0f} degrees of azimuth)")
    if leans[:, 0].max() < 10:
        found.append(f"largest tilt {leans[:, 0].max():.0f} degrees; focal length needs 10 to 50")
    if report.left_out_rms_px > 2 * report.rms_px:
        found.append(
            f"pictures left out of the fit miss by {report.left_out_rms_px:.2f} px, those in it by "
            f"{report.rms_px:.2f} px: too few or too similar views for this model"
        )
    if fit.shape_mm.any():
        found.append(
            f"the board is bowed: {report.bow_um:.0f} +- {report.bow_spread_um:.0f} um peak to valley; taken out"
        )
    floor = report.corner_noise_px or 0.0
    if report.rms_px > max(1.5 * floor, LEAST_RMS_PX * report.grain_px):
        found.append(
            f"rms {report.rms_px:.2f} px is {report.rms_px / floor:.1f} x what the noise of the corners gives "
            f"({floor:.2f} px): the board is not flat or not square, or the lens is not of this model"
        )
    share = filled_share(report.views, report.size_px)
    if share < 0.6:
        found.append(f"points in {share:.0%} of the picture's area; fill the corners too")
    return tuple(found)
