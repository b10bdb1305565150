"""The files that `station calibrate camera` and `import` write: figures, plots, and other programs' formats."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera.info_files import FileKind, write_opencv, write_ros
from calibration.camera.plots import distortion_plot, residual_plot, view_plot
from calibration.camera.report import CameraReport
from calibration.camera.vendor_calibration import VendorCalibration
from calibration.camera.vendor_yaml import write_vendor_yaml
from calibration.camera_model import CameraModel
from station.errors import BadInput


class ConversionRefused(BadInput, ValueError):
    """The target format needs what the source does not hold; the text says what that is."""


def write_camera_files(report: CameraReport, folder: Path) -> tuple[Path, ...]:
    """Writes camera.json and views.png; camera.yaml, residuals.png and distortion.png too where there is a camera.

    Returns the paths that were written. The folder is made if absent; its files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "camera.json", folder / "views.png"]
    written[0].write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    _write_png(written[1], view_plot(report))
    if report.camera is not None:
        more = [folder / name for name in ("camera.yaml", "residuals.png", "distortion.png")]
        write_opencv(report.camera, more[0])
        _write_png(more[1], residual_plot(report))
        _write_png(more[2], distortion_plot(report.camera))
        written += more
    return tuple(written)


def _write_png(path: Path, canvas: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", canvas[..., ::-1])
    if not done:
        raise OSError(f"{path}: the plot of {canvas.shape[1]} x {canvas.shape[0]} px could not be encoded")
    path.write_bytes(data.tobytes())


def convert(model: CameraModel, vendor: VendorCalibration | None, path: Path, to: FileKind) -> None:
    """Writes the camera to `path` in the format `to`.

    Raises ConversionRefused for the vendor's format without `vendor`: it holds a board's pose, which the others lack.
    """
    if to == "opencv":
        write_opencv(model, path)
    elif to == "ros":
        write_ros(model, path)
    elif vendor is not None:
        path.write_text(write_vendor_yaml(vendor), encoding="utf-8")
    else:
        raise ConversionRefused(f"{path}: appendix-c files hold a board's pose and H, which the source file lacks")
