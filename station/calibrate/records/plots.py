"""The plots of each step of a calibration, for the report and for the folder beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera.plots import distortion_plot, residual_plot, view_plot
from calibration.record import Calibration
from calibration.report.plots import Curve, Plot, curve_svg, dome_svg, maps_svg
from calibration.sensor.photon_transfer import SensorCharacter
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry
from station.documents.atomic import write_atomic
from station.recipe.flat_field_file import FieldMaps

# half ranges of the colour scales; fixed, so that reports can be laid side by side
OWN_SPAN, SHARED_SPAN = 0.005, 0.05


def camera_plots(found: MeasuredGeometry) -> tuple[Plot, ...]:
    """Rms of each picture, residuals of all points, and the lens's distortion."""
    report = found.camera.report
    return (
        _png("camera-pictures", "Residual of each picture of the board", view_plot(report)),
        _png("camera-residuals", "Residuals of all points", residual_plot(report)),
        _png("camera-distortion", "Distortion of the lens; the cross is the principal point",
             distortion_plot(found.viewpoints.camera)),
    )  # fmt: skip


def light_plots(record: Calibration, reference: Calibration | None) -> tuple[Plot, ...]:
    """The dome of lights, with the reference's lights in grey where there is one."""
    caption = "Lights seen along the viewing axis, degrees from it; grey: the reference; size: intensity; red: flagged"
    return (_svg("lights", caption, dome_svg(record, reference)),)


def sensor_plots(sensor: SensorCharacter) -> tuple[Plot, ...]:
    """Photon transfer and linearity."""
    transfer = Curve(
        "Photon transfer", "mean above dark (DN)", "variance above dark (DN^2)",
        tuple((p.mean_dn, p.variance_dn2) for p in sensor.points), sensor.gain_dn_per_e,
    )  # fmt: skip
    linear = Curve(
        "Linearity", "exposure (us)", "mean above dark (DN)", tuple((p.exposure_us, p.mean_dn) for p in sensor.points)
    )
    fitted = f"Variance against mean; the line's slope is K = {sensor.gain_dn_per_e:.4f} DN/e-, fitted below saturation"
    return (
        _svg("photon-transfer", fitted, curve_svg(transfer)),
        _svg("linearity", "Signal against exposure, up to saturation", curve_svg(linear)),
    )


def field_plots(maps: FieldMaps, names: Sequence[str]) -> tuple[Plot, ...]:
    """One plot of what each light has of its own, one of what all of them share; `names` in the maps' order."""
    shared, own = maps.shared_and_own()
    rest = f"blue: weaker than the light model says by {OWN_SPAN:.1%} or more, red: stronger; smallest to largest"
    common = f"blue: darker by {SHARED_SPAN:.0%} or more; lens and plane"
    return (
        _svg("flat-field", "Flat field: what each light has of its own", maps_svg(own, names, OWN_SPAN, rest)),
        _svg("flat-field-shared", "Flat field: what all lights share, which leaves the normals alone",
             maps_svg(shared[None], ["all"], SHARED_SPAN, common)),
    )  # fmt: skip


def write_plots(folder: Path, plots: Sequence[Plot]) -> dict[str, str]:
    """Writes each plot into a file of its own, and returns their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for plot in plots:
        path = folder / f"{plot.name}.{plot.kind}"
        write_atomic(path, plot.data)
        written[plot.name] = str(path)
    return written


def _svg(name: str, caption: str, text: str) -> Plot:
    return Plot(name, caption, text.encode("utf-8"), "svg")


def _png(name: str, caption: str, canvas: NDArray[np.uint8]) -> Plot:
    done, data = cv2.imencode(".png", canvas[..., ::-1])
    if not done:
        raise OSError(f"plot {name} of {canvas.shape[1]} x {canvas.shape[0]} px could not be encoded")
    return Plot(name, caption, data.tobytes(), "png")
