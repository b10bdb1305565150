"""`station calibrate all`: from a rig as it was put together to a released record and its report.

The order is that of dependence: the camera and its viewpoints from the board, the lights with that camera, the flat
field with those lights. The record is written before anything is compared with a simulated rig's truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from calibration.record import Calibration
from calibration.report.page import Section
from calibration.report.plots import Plot
from calibration.sensor.photon_transfer import SensorCharacter
from drivers.geometry.pose import Pose
from station.calibrate.bench.target_bench import Identity, Progress, Recorder
from station.calibrate.errors import CalibrationRefused
from station.calibrate.field.measured_field import MeasuredField, field_maps
from station.calibrate.lights.measured_lights import MeasuredLights, measure_lights
from station.calibrate.lights.settings import LightSettings
from station.calibrate.records.make_record import Release, make_record, with_field
from station.calibrate.records.plots import camera_plots, field_plots, light_plots, sensor_plots
from station.calibrate.records.record_file import record_hash, write_record
from station.calibrate.runs.all_report import CalibrateReport, write_page
from station.calibrate.runs.opened_rig import OpenedRig
from station.calibrate.sensor.exposure_series import measure_sensor
from station.calibrate.studies.compare import Comparison, as_built, compare, truth_of_rig
from station.calibrate.studies.demo_part import NormalErrors, Used, When, measure_parts
from station.calibrate.viewpoints.drift_check import viewpoints_record
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry, measure_geometry, with_geometry
from station.calibrate.viewpoints.taught_views import STATION_VIEWS
from station.documents.document import save_document
from station.recipe.flat_field_file import FieldMaps

LIGHTS_VIEW = "top"  # where the lights are measured from


@dataclass(frozen=True)
class _Measured:
    """All that was measured, before it becomes a record."""

    geometry: MeasuredGeometry | None
    lights: MeasuredLights
    sensor: SensorCharacter | None
    identity: Identity
    recorder: Recorder
    settings: LightSettings


def calibrate_all(
    opened: OpenedRig,
    reference: Calibration,
    out: Path,
    release_by: str,
    progress: Progress,
    settings: LightSettings | None = None,
    *,
    lens: str = "unknown",
    with_camera: bool = True,
    with_sensor: bool = True,
    with_part: bool = True,
    views: Mapping[str, Pose] = STATION_VIEWS,
) -> CalibrateReport:
    """Camera, viewpoints, lights, sensor, field, record, report; on a simulated rig the comparison with its truth.

    `views` must hold one of the name LIGHTS_VIEW; the diffuse light is the reference's. Without camera (and viewpoints)
    or sensor the record keeps the reference's and calls them nominal; `with_part` compares the demo parts' normals.
    Raises CalibrationRefused, OutOfTravel, RecordError, DeviceError.
    """
    if LIGHTS_VIEW not in views:
        raise CalibrationRefused(
            f"no viewpoint is named {LIGHTS_VIEW!r} (there are {', '.join(views)}): the lights are measured from "
            "there; teach one that looks straight down"
        )
    began = datetime.now(UTC)
    chosen = (settings or LightSettings()).for_lights_of(reference)
    opened.board_bench.diffuse_channel = chosen.diffuse_channel
    geometry = measure_geometry(opened.board_bench, progress, views=views) if with_camera else None
    opened.bench.stand_at(views[LIGHTS_VIEW])
    found = _measured(opened, reference, geometry, chosen, with_sensor, progress)
    record, maps = _recorded(found, reference, Release(release_by, datetime.now(UTC), lens=lens))
    path = write_record(out, record, maps)
    _write_viewpoints(out, record, found)
    comparison, normals = _against_truth(opened, reference, record, maps, views if with_part else {}, progress)
    plots = _plots(found, record, reference, maps)
    page, drawn = write_page(out, record, found.lights, plots, comparison, normals)
    about = record.provenance
    assert about is not None
    return CalibrateReport(
        str(path), str(page), record.calibration_id, record_hash(record), about.released_by is not None, about.flags,
        (datetime.now(UTC) - began).total_seconds(), drawn, comparison, normals,
    )  # fmt: skip


def _measured(
    opened: OpenedRig, reference: Calibration, geometry: MeasuredGeometry | None, settings: LightSettings,
    with_sensor: bool, progress: Progress,
) -> _Measured:  # fmt: skip
    """The lights and the sensor, seen with the camera as it was found before the board."""
    known = reference if geometry is None else with_geometry(reference, geometry)
    camera_pose = None if geometry is None else geometry.camera_pose(LIGHTS_VIEW, known.working_distance_mm)
    recorder = Recorder(opened.bench)
    lights = measure_lights(recorder, known, settings, progress, camera_pose)
    sensor = measure_sensor(recorder, known, settings, progress) if with_sensor else None
    identity = opened.identity()  # now: the camera is as warm as it was for most of the pictures
    return _Measured(geometry, lights, sensor, identity, recorder, settings)


def _recorded(found: _Measured, reference: Calibration, release: Release) -> tuple[Calibration, FieldMaps]:
    """The record with its flat field, and the maps that belong beside it."""
    lights = found.lights
    name = f"{found.identity.camera}-{release.at.strftime('%Y%m%dT%H%M%SZ')}"
    pictures = [*(() if found.geometry is None else found.geometry.pictures), *found.recorder.pictures]
    bare = make_record(reference, lights, found.sensor, found.identity, pictures, release, name, found.geometry)
    maps = field_maps(bare, lights.white, found.settings.binning, lights.camera_pose)
    return with_field(bare, MeasuredField(maps, lights.tilt, lights.plane.intensities)), maps


def _write_viewpoints(out: Path, record: Calibration, found: _Measured) -> None:
    """Writes the file with which `station calibrate viewpoints --check` compares each shift, if they were measured."""
    if found.geometry is None:
        return
    kept = viewpoints_record(
        found.geometry.viewpoints, found.identity, is_simulated=record.is_simulated,
        diffuse_channel=found.settings.diffuse_channel,
    )  # fmt: skip
    save_document(out / f"{record.calibration_id}.viewpoints.yaml", kept, header=f"Of {record.calibration_id}.")


def _against_truth(
    opened: OpenedRig, reference: Calibration, record: Calibration, maps: FieldMaps, views: Mapping[str, Pose],
    progress: Progress,
) -> tuple[tuple[Comparison, ...], tuple[NormalErrors, ...]]:  # fmt: skip
    """The record against the simulated rig's truth, and the demo parts' normals in `views`; nothing on a real rig."""
    if opened.control is None:
        return (), ()
    progress("comparing with the simulated rig's truth")
    truth = truth_of_rig(opened.control, record)
    used: dict[When, Used] = {
        "before": Used(reference), "after": Used(record, maps), "exact": Used(as_built(record, truth)),
    }  # fmt: skip
    comparison = compare(record, truth)
    return comparison, measure_parts(opened.bench, opened.control, used, progress, views=views) if views else ()


def _plots(
    found: _Measured, record: Calibration, reference: Calibration, maps: FieldMaps
) -> dict[Section, tuple[Plot, ...]]:
    """The plots of each step by the report's section; none of a step that was left out."""
    return {
        "camera": () if found.geometry is None else camera_plots(found.geometry),
        "lights": light_plots(record, reference),
        "field": field_plots(maps, found.lights.names),
        "sensor": () if found.sensor is None else sensor_plots(found.sensor),
    }
