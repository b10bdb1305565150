"""The JSON files of a record: the inspection without its arrays, its frames, and the manifest."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from drivers.protocols import Frame, Pixels, Pose
from station.inspection.result import Inspection, Verdict, ViewResult

FORMAT_VERSION = 1
FRAME_FIELDS = (
    "pixel_format", "significant_bits", "black_level_dn", "exposure_us", "gain_db", "timestamp_ns", "frame_id",
)  # fmt: skip


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class ViewRecord(_Record):
    """A ViewResult with the names of files instead of its arrays."""

    view: str
    verdict: Verdict
    limit: float
    pred_score: float | None  # "NaN" where the model gave that
    reasons: tuple[str, ...]
    light_residuals: dict[str, float]
    left_out_residuals: dict[str, float] = {}  # these five came later: older records have none
    light_levels: dict[str, float] = {}
    quality: dict[str, float] = {}
    solvers: dict[str, str] = {}
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    files: dict[str, str]  # image, normals, albedo, residual, quality, anomaly -> path inside the record

    @classmethod
    def of(cls, result: ViewResult, files: dict[str, str]) -> ViewRecord:
        """The record of a view whose arrays lie in `files` (what -> path inside the record)."""
        return cls(
            view=result.view,
            verdict=result.verdict,
            limit=result.limit,
            pred_score=result.pred_score,
            reasons=result.reasons,
            light_residuals=result.light_residuals,
            left_out_residuals=result.left_out_residuals,
            light_levels=result.light_levels,
            quality=result.quality,
            solvers=result.solvers,
            white_balance=result.white_balance,
            files=files,
        )


class InspectionRecord(_Record):
    """verdict.json: an Inspection with the names of its views' files instead of their arrays."""

    format_version: int = FORMAT_VERSION
    inspection_id: str
    part_id: str
    product: str
    recipe_id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    views: tuple[ViewRecord, ...]
    expected_views: tuple[str, ...]
    deciding_view: str | None
    is_simulated: bool
    is_partial: bool
    creation_time: datetime
    processing_times_ms: dict[str, float]
    provenance: dict[str, str]

    @classmethod
    def of(cls, inspection: Inspection, views: tuple[ViewRecord, ...]) -> InspectionRecord:
        """The record of an inspection whose views have been recorded."""
        names = set(cls.model_fields) - {"format_version", "views"}
        return cls(views=views, **{name: getattr(inspection, name) for name in names})

    def inspection(self, views: tuple[ViewResult, ...]) -> Inspection:
        """The inspection again, with views that have their arrays."""
        names = set(type(self).model_fields) - {"format_version", "views"}
        return Inspection(views=views, **{name: getattr(self, name) for name in names})


class PoseRecord(_Record):
    """A commanded pose, in the station frame."""

    x_mm: float
    y_mm: float
    z_mm: float
    tilt_deg: float
    pan_deg: float


class FrameRecord(_Record):
    """A frame without its pixels, with the view, light and pose that it was commanded for."""

    file: str
    view: str
    light: str
    pose: PoseRecord
    pixel_format: str
    significant_bits: int
    black_level_dn: float
    exposure_us: float
    gain_db: float
    timestamp_ns: int
    frame_id: int

    @classmethod
    def of(cls, file: str, view: str, light: str, pose: Pose, frame: Frame) -> FrameRecord:
        """The record of a frame whose pixels lie in `file`."""
        x_mm, y_mm, z_mm, tilt_deg, pan_deg = pose.as_tuple()
        place = PoseRecord(x_mm=x_mm, y_mm=y_mm, z_mm=z_mm, tilt_deg=tilt_deg, pan_deg=pan_deg)
        taken = {name: getattr(frame, name) for name in FRAME_FIELDS}
        return cls(file=file, view=view, light=light, pose=place, **taken)

    def commanded_pose(self) -> Pose:
        """The pose that the arm was sent to for this frame."""
        return Pose(**self.pose.model_dump())

    def frame(self, pixels: Pixels) -> Frame:
        """The frame again, with the pixels of its file."""
        return Frame(pixels=pixels, **{name: getattr(self, name) for name in FRAME_FIELDS})


class FramesRecord(_Record):
    """frames.json: all frames of the inspection, in the order in which they were taken."""

    format_version: int = FORMAT_VERSION
    is_simulated: bool
    frames: tuple[FrameRecord, ...]


class StoredFile(_Record):
    """What the manifest keeps of a file."""

    sha256: str
    bytes: int


class Manifest(_Record):
    """manifest.json: written last; a folder without it is not a record."""

    format_version: int = FORMAT_VERSION
    inspection_id: str
    is_simulated: bool
    files: dict[str, StoredFile]
