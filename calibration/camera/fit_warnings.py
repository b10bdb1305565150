"""What the engineer is warned of after a camera calibration: too few views, a bowed board, a lens of another model."""

from __future__ import annotations

from collections.abc import Iterator

from calibration.camera.report import CameraReport
from calibration.camera.views import LEAST_AZIMUTH_DEG, filled_share, tilt_and_azimuth_deg
from calibration.camera_model import model_warnings

LEAST_RMS_PX = 0.05  # of the pictures' own pixels: a smaller rms is no fault of board or lens


def fit_warnings(report: CameraReport) -> tuple[str, ...]:
    """Each warning as a sentence with its cure; none for a good fit, and none where nothing was fitted."""
    if report.camera is None:
        return ()
    return (*model_warnings(report.camera), *_view_warnings(report), *_fit_warnings(report), *_area_warnings(report))


def _view_warnings(report: CameraReport) -> Iterator[str]:
    """Views that are too few, or tilted too alike."""
    assert report.solution is not None
    leans = tilt_and_azimuth_deg(report.solution.poses)
    if len(report.views) < 10:
        yield f"{len(report.views)} views; 15 give half the uncertainty of 5 and show a bowed board"
    if (report.azimuth_spread_deg or 0.0) < LEAST_AZIMUTH_DEG:
        yield f"all tilts lean the same way (within {report.azimuth_spread_deg:.0f} degrees of azimuth)"
    if leans[:, 0].max() < 10:
        yield f"largest tilt {leans[:, 0].max():.0f} degrees; focal length needs 10 to 50"


def _fit_warnings(report: CameraReport) -> Iterator[str]:
    """Residuals that neither the noise of the corners nor the model explains."""
    assert report.solution is not None
    assert report.rms_px is not None
    assert report.left_out_rms_px is not None
    if report.left_out_rms_px > 2 * report.rms_px:
        yield (
            f"pictures left out of the fit miss by {report.left_out_rms_px:.2f} px, those in it by "
            f"{report.rms_px:.2f} px: too few or too similar views for this model"
        )
    if report.solution.shape_mm.any():
        yield f"the board is bowed: {report.bow_um:.0f} +- {report.bow_spread_um:.0f} um peak to valley; taken out"
    floor = report.corner_noise_px or 0.0
    if report.rms_px > max(1.5 * floor, LEAST_RMS_PX * report.grain_px):
        yield (
            f"rms {report.rms_px:.2f} px is {report.rms_px / floor:.1f} x what the noise of the corners gives "
            f"({floor:.2f} px): the board is not flat or not square, or the lens is not of this model"
        )


def _area_warnings(report: CameraReport) -> Iterator[str]:
    """Corners of the picture that no board reached."""
    share = filled_share(report.views, report.size_px)
    if share < 0.6:
        yield f"points in {share:.0%} of the picture's area; fill the corners too"
