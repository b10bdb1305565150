"""The report of a camera calibration: each picture's fate, each figure with its uncertainty, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from calibration.boards.board import Board
from calibration.camera.adjust import BoardView, DistortionModel, Solution
from calibration.camera_model import CameraModel

NAMES = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True)
class ImageFinding:
    """What became of one picture: whether it was used, and why not."""

    file: str
    used: bool
    reason: str
    rms_px: float | None = None  # in the fit; for a picture not used, with the camera that the others gave
    left_out_rms_px: float | None = None  # with the camera fitted without this picture
    points: int = 0
    tilt_deg: float | None = None
    azimuth_deg: float | None = None


@dataclass(frozen=True)
class Estimate:
    """A figure in px with its uncertainty."""

    value: float
    spread: float  # one sigma by jackknife over the views
    corner_noise_spread: float  # as OpenCV states it, from the noise of the corners alone
    interval95: float  # half width: Student's t over the views, widened for the few views that the spread comes from


@dataclass(frozen=True)
class CameraReport:
    """A camera with its uncertainties; where the pictures do not suffice, `camera` is None and `refusal` says why."""

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
    bow_um: float | None = None  # peak to valley; None for too few views
    bow_spread_um: float | None = None
    warnings: tuple[str, ...] = ()
    views: tuple[BoardView, ...] = ()  # those used
    solution: Solution | None = None
    grain_px: float = 1.0  # a pixel of the pictures in the unit of all other figures

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; the points found in the pictures are left out."""
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
        """One line a picture, then the figures and the warnings."""
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
