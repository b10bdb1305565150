"""`station calibrate viewpoints` and `--check`, and `station calibrate camera --rig`: the board before a live rig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.record import Calibration
from calibration.viewpoints.drift import DriftReport
from calibration.viewpoints.record import ViewpointsRecord
from drivers.geometry.pose import Pose
from station.calibrate.bench.target_bench import Progress
from station.calibrate.camera.files import write_camera_files
from station.calibrate.camera.looks import FLAT
from station.calibrate.camera.measured_camera import MeasuredCamera, measure_camera
from station.calibrate.runs.opened_rig import Ask, BoardChoice, check_choice, opened_rig
from station.calibrate.studies.compare import truth_text
from station.calibrate.viewpoints.drift_check import (
    DriftRefused,
    check_same_camera,
    drift_reference,
    measure_drift,
    viewpoints_record,
)
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints, measure_viewpoints
from station.documents.document import load_document, read_document, save_document

RIG_FOLDER = Path("out/calibration")  # where a simulated rig that is started for a command keeps its files


@dataclass(frozen=True)
class ViewpointsReport:
    """The viewpoints of one calibration, and the file in which they are kept."""

    camera: MeasuredCamera
    found: MeasuredViewpoints
    record: Path
    against_truth: str  # a line per viewpoint on a simulated rig, else empty

    @property
    def flags(self) -> tuple[str, ...]:
        """Those of the camera, then those of the viewpoints."""
        return (*self.camera.flags, *self.found.flags)

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        document = {**self.found.as_dict(), "flags": list(self.flags), "record": str(self.record)}
        return {**document, "against_truth": self.against_truth.splitlines()}

    def as_text(self) -> str:
        """The viewpoints, the camera's flags, on a simulated rig the truth, and the file that was written."""
        flags = (f"! camera: {flag}" for flag in self.camera.flags)
        parts = (self.found.as_text(), *flags, self.against_truth, f"written: {self.record}")
        return "\n".join(part for part in parts if part)


def calibrate_viewpoints(
    rig: str, choice: BoardChoice, views: Mapping[str, Pose], out: Path, ask: Ask, progress: Progress,
    *, returns: int, binning: int,
) -> ViewpointsReport:  # fmt: skip
    """Camera, mount and every viewpoint from the board, written to `out`.

    Raises DriftRefused where `out` is there already, before anything moves; OutOfTravel, CalibrationRefused,
    DeviceError.
    """
    refuse_existing(out)
    check_choice(rig, choice)
    with opened_rig(rig, RIG_FOLDER, ask) as opened:
        bench = opened.show_board(choice)
        camera = measure_camera(bench, progress, binning)
        found = measure_viewpoints(bench, camera, progress, views, returns)
        record = viewpoints_record(
            found, opened.identity(), is_simulated=opened.rig.is_simulated, diffuse_channel=bench.diffuse_channel
        )
        against = "" if opened.control is None else truth_text(found, opened.control)
    report = ViewpointsReport(camera, found, out, against)
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = record.model_copy(update={"flags": report.flags})
    save_document(out, kept, header="Written by `station calibrate viewpoints`.")
    return report


def refuse_existing(out: Path) -> None:
    """Raises DriftRefused where a record would be written over another file."""
    if out.exists():
        raise DriftRefused(f"{out} is there already; a record is never overwritten: choose another name with --out")


def check_viewpoints(
    rig: str, file: Path, choice: BoardChoice, ask: Ask, progress: Progress, *, binning: int
) -> DriftReport:
    """The drift check of a rig against a calibration record or a file of viewpoints.

    Raises DriftRefused for a record without viewpoints or of another camera; OutOfTravel, DocumentError, DeviceError.
    """
    whole = "calibration_id" in read_document(file).data
    record = load_document(file, Calibration) if whole else load_document(file, ViewpointsRecord)
    reference = drift_reference(record)
    check_choice(rig, choice, record)
    with opened_rig(rig, RIG_FOLDER, ask) as opened:
        check_same_camera(record, opened.identity())
        bench = opened.show_board(choice, record)
        if opened.control is not None:
            bench.place_board(FLAT)  # a simulated board goes back exactly where calibration had it
        return measure_drift(bench, reference, progress, binning=binning)


def calibrate_camera_on_rig(
    rig: str, choice: BoardChoice, binning: int, out: Path | None, ask: Ask, progress: Progress
) -> MeasuredCamera:
    """The camera alone, from the board photographed from all sides; its files are written to the folder `out`, if any.

    Raises OutOfTravel, CalibrationRefused, DeviceError.
    """
    check_choice(rig, choice)
    with opened_rig(rig, RIG_FOLDER, ask) as opened:
        found = measure_camera(opened.show_board(choice), progress, binning)
    if out is not None:
        write_camera_files(found.report, out)
    return found
