"""The JSON files of a record: the inspection without its arrays, its frames, and the manifest."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from drivers.geometry.pose import Pose
from drivers.protocols import Frame, Pixels
from station.inspection.frame_proof import FrameProof
from station.inspection.re_looks import ReLook
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection, Verdict, ViewResult
from station.inspection.retakes import Retake, RetakeKind
from station.inspection.rule import not_captured, without_reason

FORMAT_VERSION = 1
VERDICT_VERSION = 2  # since reasons are records; a record of version 1 has them as text
FRAME_FIELDS = (
    "pixel_format", "significant_bits", "black_level_dn", "exposure_us", "gain_db", "timestamp_ns", "frame_id",
)  # fmt: skip
PROOF_FIELDS = ("channel", "brightness", "lit_ns", "exposure_end_ns", "take", "re_exposed")

_TRANSLATED = {"format_version", "views", "reasons", "retakes", "re_looks"}  # of an inspection: not copied as they are


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class ReasonRecord(_Record):
    """One reason. Records written before reasons had a kind hold plain strings instead."""

    kind: ReasonKind
    text: str
    remedy: str = ""
    view: str | None = None
    light: str | None = None

    @classmethod
    def of(cls, reason: Reason) -> ReasonRecord:
        return cls(kind=reason.kind, text=reason.text, remedy=reason.remedy, view=reason.view, light=reason.light)

    def reason(self) -> Reason:
        return Reason(self.kind, self.text, self.remedy, self.view, self.light)


StoredReasons = tuple[ReasonRecord | str, ...]


class ViewRecord(_Record):
    """A ViewResult with the names of files instead of its arrays."""

    view: str
    verdict: Verdict
    limit: float
    pred_score: float | None  # "NaN" where the model gave that
    reasons: StoredReasons
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
            reasons=tuple(map(ReasonRecord.of, result.reasons)),
            light_residuals=result.light_residuals,
            left_out_residuals=result.left_out_residuals,
            light_levels=result.light_levels,
            quality=result.quality,
            solvers=result.solvers,
            white_balance=result.white_balance,
            files=files,
        )

    def stated_reasons(self) -> tuple[Reason, ...]:
        """The view's reasons, whether they were written as records or as text."""
        return tuple(
            Reason(ReasonKind.EARLIER, found, view=self.view) if isinstance(found, str) else found.reason()
            for found in self.reasons
        )


class RetakeRecord(_Record):
    """A take of a view that was rejected."""

    view: str
    take: int
    kind: RetakeKind
    text: str
    frame_ids: tuple[int, ...]

    @classmethod
    def of(cls, retake: Retake) -> RetakeRecord:
        return cls(**asdict(retake))

    def retake(self) -> Retake:
        return Retake(self.view, self.take, self.kind, self.text, self.frame_ids)


class ReLookRecord(_Record):
    """A second look at a view, or why there was none."""

    view: str
    why: tuple[ReasonRecord, ...]
    first_take: int
    take: int
    exposures_us: dict[str, tuple[float, float]]
    frame_ids: tuple[int, ...]
    counts: bool
    reasons: tuple[ReasonRecord, ...]
    first_score: float | None
    score: float | None
    not_done: str

    @classmethod
    def of(cls, look: ReLook) -> ReLookRecord:
        why, reasons = (tuple(map(ReasonRecord.of, found)) for found in (look.why, look.reasons))
        names = set(cls.model_fields) - {"why", "reasons"}
        return cls(why=why, reasons=reasons, **{name: getattr(look, name) for name in names})

    def look(self) -> ReLook:
        why, reasons = (tuple(found.reason() for found in of) for of in (self.why, self.reasons))
        names = set(type(self).model_fields) - {"why", "reasons"}
        return ReLook(why=why, reasons=reasons, **{name: getattr(self, name) for name in names})


class InspectionRecord(_Record):
    """verdict.json: an Inspection with the names of its views' files instead of their arrays."""

    format_version: int = VERDICT_VERSION
    inspection_id: str
    part_id: str
    product: str
    recipe_id: str
    verdict: Verdict
    reasons: StoredReasons
    views: tuple[ViewRecord, ...]
    expected_views: tuple[str, ...]
    deciding_view: str | None
    is_simulated: bool
    is_partial: bool
    creation_time: datetime
    processing_times_ms: dict[str, float]
    provenance: dict[str, str]
    retakes: tuple[RetakeRecord, ...] = ()  # came later
    re_looks: tuple[ReLookRecord, ...] = ()  # as well

    @classmethod
    def of(cls, inspection: Inspection, views: tuple[ViewRecord, ...]) -> InspectionRecord:
        names = set(cls.model_fields) - _TRANSLATED
        return cls(
            views=views,
            reasons=tuple(map(ReasonRecord.of, inspection.reasons)),
            retakes=tuple(map(RetakeRecord.of, inspection.retakes)),
            re_looks=tuple(map(ReLookRecord.of, inspection.re_looks)),
            **{name: getattr(inspection, name) for name in names},
        )

    def inspection(self, views: tuple[ViewResult, ...]) -> Inspection:
        names = set(type(self).model_fields) - _TRANSLATED
        return Inspection(
            views=views,
            reasons=self.stated_reasons(),
            retakes=tuple(record.retake() for record in self.retakes),
            re_looks=tuple(record.look() for record in self.re_looks),
            **{name: getattr(self, name) for name in names},
        )

    def stated_reasons(self) -> tuple[Reason, ...]:
        """The reasons. Those that were written as text are found again among the views' own and the rule's."""
        of_views = [reason for view in self.views for reason in view.stated_reasons()]
        captured = {view.view for view in self.views}
        absent = [not_captured(name) for name in self.expected_views if name not in captured]
        known = {str(reason): reason for reason in of_views}
        known |= {f"view {reason.view!r} {reason.text}": reason for reason in absent}
        known |= {reason.text: reason for reason in (without_reason(()), without_reason(self.expected_views))}
        return tuple(
            known.get(found, Reason(ReasonKind.EARLIER, found)) if isinstance(found, str) else found.reason()
            for found in self.reasons
        )


class PoseRecord(_Record):
    """A pose, in the station frame."""

    x_mm: float
    y_mm: float
    z_mm: float
    tilt_deg: float
    pan_deg: float

    @classmethod
    def of(cls, pose: Pose) -> PoseRecord:
        x_mm, y_mm, z_mm, tilt_deg, pan_deg = pose.as_tuple()
        return cls(x_mm=x_mm, y_mm=y_mm, z_mm=z_mm, tilt_deg=tilt_deg, pan_deg=pan_deg)

    def as_pose(self) -> Pose:
        return Pose(**self.model_dump())


class ProofRecord(_Record):
    """What was commanded for a frame, and what the devices answered; times on the camera's clock."""

    channel: int
    brightness: float
    lit_ns: int | None
    exposure_end_ns: int
    reached: PoseRecord
    take: int
    re_exposed: int

    @classmethod
    def of(cls, proof: FrameProof) -> ProofRecord:
        return cls(reached=PoseRecord.of(proof.reached), **{name: getattr(proof, name) for name in PROOF_FIELDS})

    def proof(self) -> FrameProof:
        return FrameProof(reached=self.reached.as_pose(), **{name: getattr(self, name) for name in PROOF_FIELDS})


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
    proof: ProofRecord | None = None  # came later

    @classmethod
    def of(
        cls, file: str, view: str, light: str, pose: Pose, frame: Frame, proof: FrameProof | None = None
    ) -> FrameRecord:
        """The record of a frame whose pixels lie in `file`."""
        taken = {name: getattr(frame, name) for name in FRAME_FIELDS}
        proven = None if proof is None else ProofRecord.of(proof)
        return cls(file=file, view=view, light=light, pose=PoseRecord.of(pose), proof=proven, **taken)

    def commanded_pose(self) -> Pose:
        """The pose that the arm was sent to for this frame."""
        return self.pose.as_pose()

    def stated_proof(self) -> FrameProof | None:
        """What shows that the frame belongs to its light and place; None in records of earlier versions."""
        return None if self.proof is None else self.proof.proof()

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


class Thinned(_Record):
    """thinned.json: which raw frames of the record were removed on purpose, when, and by which rule.

    It is written before the first of them goes, so that no frame is ever missing without it. The sums are the
    manifest's: a frame that turns up again can still be proven.
    """

    format_version: int = FORMAT_VERSION
    inspection_id: str
    is_simulated: bool
    when: datetime
    rule: str
    manifest_sha256: str
    files: dict[str, StoredFile]


class Manifest(_Record):
    """manifest.json: written last; a folder without it is not a record."""

    format_version: int = FORMAT_VERSION
    inspection_id: str
    is_simulated: bool
    files: dict[str, StoredFile]
