"""`station calibrate all`: from a rig as it was put together to a released record and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calibration.record import Calibration
from calibration.report.page import Section, html_report
from calibration.report.plots import Plot
from drivers.protocols import Pose
from station.calibrate.bench.target_bench import Identity, Progress, Recorder
from station.calibrate.runs.opened_rig import Station
from station.calibrate.field.measured_field import MeasuredField, field_maps
from station.calibrate.lights.measured_lights import (
    CalibrationRefused,
    LightSettings,
    MeasuredLights,
    measure_lights,
    measure_sensor,
)
from station.calibrate.records.make_record import Release, make_record, record_hash, with_field, write_record
from station.calibrate.records.plots import camera_plots, field_plots, light_plots, sensor_plots, write_plots
from station.calibrate.studies.compare import Comparison, as_built, compare, truth_of_rig
from station.calibrate.studies.demo_part import NormalErrors, Used, When, measure_parts, summary
from station.calibrate.viewpoints.drift_check import viewpoints_record
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry, measure_geometry, with_geometry
from station.calibrate.viewpoints.measured_viewpoints import STATION_VIEWS
from station.documents.atomic import write_atomic
from station.documents.document import save_document

NORMALS = ("before", "after", "exact")
LIGHTS_VIEW = "top"  # where the lights are measured from


@dataclass(frozen=True)
class CalibrateReport:
    """What `calibrate all` did; `comparison` and `normals` need a simulated rig."""

    record: str
    report: str
    calibration_id: str
    sha256: str
    released: bool
    flags: tuple[str, ...]
    seconds: float
    plots: dict[str, str]  # files by name
    comparison: tuple[Comparison, ...]
    normals: tuple[NormalErrors, ...]  # of the demo parts, before and after

    @property
    def ok(self) -> bool:
        return self.released and all(row.ok for row in self.comparison) and normals_wanted(self.normals)

    def as_dict(self) -> dict[str, Any]:
        document = asdict(self)
        for row, shown in zip(self.comparison, document["comparison"], strict=True):
            shown["ok"] = row.ok
        for errors, shown in zip(self.normals, document["normals"], strict=True):
            shown["ok"] = errors.ok
        return document

    def as_text(self) -> str:
        lines = [row.as_text() for row in self.comparison]
        lines += summary(self.normals)
        lines += [f"! {flag}" for flag in self.flags]
        state = "released" if self.released else "NOT released"
        return "\n".join([*lines, f"{state}: {self.record}", f"report: {self.report}", f"{self.seconds:.0f} s"])


def normals_wanted(found: Sequence[NormalErrors]) -> bool:
    """Of each demo part, all views together: beyond the limit before calibration, within it afterwards."""
    own = {(n.part, n.when): n for n in found if n.view == "all"}
    return all(own[part, "after"].ok and not own[part, "before"].ok for part in {n.part for n in found})


def calibrate_all(
    station_open: Station,
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

    `views` need one of the name LIGHTS_VIEW; the diffuse light is the reference's.
    Raises CalibrationRefused, RecordError, DeviceError.
    """
    if LIGHTS_VIEW not in views:
        raise CalibrationRefused(
            f"no viewpoint is named {LIGHTS_VIEW!r} (there are {', '.join(views)}): the lights are measured from "
            "there; teach one that looks straight down"
        )
    chosen = (settings or LightSettings()).for_lights_of(reference)
    station_open.board_bench.diffuse_channel = chosen.diffuse_channel
    began = datetime.now(UTC)
    geometry = measure_geometry(station_open.board_bench, progress, views=views) if with_camera else None
    known = reference if geometry is None else with_geometry(reference, geometry)
    camera_pose = None if geometry is None else geometry.camera_pose(LIGHTS_VIEW, known.working_distance_mm)
    station_open.bench.stand_at(views[LIGHTS_VIEW])
    recorder = Recorder(station_open.bench)
    lights = measure_lights(recorder, known, chosen, progress, camera_pose)
    sensor = measure_sensor(recorder, known, chosen, progress) if with_sensor else None
    identity = station_open.identity()  # now: the camera is as warm as it was for most of the pictures
    release = Release(release_by, datetime.now(UTC), lens=lens)
    name = f"{identity.camera}-{release.at.strftime('%Y%m%dT%H%M%SZ')}"
    pictures = [*(geometry.pictures if geometry is not None else ()), *recorder.pictures]
    bare = make_record(reference, lights, sensor, identity, pictures, release, name, geometry)
    maps = field_maps(bare, lights.white, chosen.binning, lights.camera_pose)
    field = MeasuredField(maps, lights.tilt, lights.plane.intensities)
    record = with_field(bare, field)
    path = write_record(out, record, field.maps)
    if geometry is not None:
        _write_viewpoints(out, record, geometry, identity, chosen.diffuse_channel)
    comparison: tuple[Comparison, ...] = ()
    normals: tuple[NormalErrors, ...] = ()
    if station_open.control is not None:
        progress("comparing with the simulated rig's truth")
        truth = truth_of_rig(station_open.control, record)
        comparison = compare(record, truth)
        if with_part:
            used: dict[When, Used] = {
                "before": Used(reference), "after": Used(record, field.maps), "exact": Used(as_built(record, truth)),
            }  # fmt: skip
            normals = measure_parts(station_open.bench, station_open.control, used, progress, views=views)
    page = out / f"{record.calibration_id}.html"
    plots: dict[Section, tuple[Plot, ...]] = {
        "camera": () if geometry is None else camera_plots(geometry),
        "lights": light_plots(record, reference),
        "field": field_plots(field.maps, lights.names),
        "sensor": () if sensor is None else sensor_plots(sensor),
    }
    text = html_report(record, record_hash(record), plots=plots, tables=_tables(lights, comparison, normals))
    write_atomic(page, text.encode("utf-8"))
    drawn = write_plots(out / f"{record.calibration_id}.plots", [p for own in plots.values() for p in own])
    about = record.provenance
    assert about is not None
    return CalibrateReport(
        str(path), str(page), record.calibration_id, record_hash(record), about.released_by is not None, about.flags,
        (datetime.now(UTC) - began).total_seconds(), drawn, comparison, normals,
    )  # fmt: skip


def _write_viewpoints(
    out: Path, record: Calibration, geometry: MeasuredGeometry, identity: Identity, diffuse_channel: int
) -> None:
    """What `station calibrate viewpoints --check` compares with, each shift."""
    kept = viewpoints_record(
        geometry.viewpoints, identity, is_simulated=record.is_simulated, diffuse_channel=diffuse_channel
    )
    save_document(out / f"{record.calibration_id}.viewpoints.yaml", kept, header=f"Of {record.calibration_id}.")


def _tables(
    lights: MeasuredLights, comparison: tuple[Comparison, ...], normals: tuple[NormalErrors, ...]
) -> dict[str, list[list[str]]]:
    rows = [["Light", "mirror to matte (degrees)", "matte to plane intensity (%)",
             "semi-calibrated to plane (%)", "left-out ratio", "flags"]]  # fmt: skip
    for k, name in enumerate(lights.names):
        apart = 100 * (lights.matte_intensities[k] / lights.plane.intensities[k] - 1)
        semi = 100 * (lights.part_intensities[k] / lights.plane.intensities[k] - 1)
        rows.append([
            name, f"{lights.disagreement_deg[k]:.2f}", f"{apart:+.2f}", f"{semi:+.2f}",
            f"{lights.left_out.ratios[k]:.2f}", "; ".join(lights.flags[k]) or "none",
        ])  # fmt: skip
    tables = {"Independent checks": rows}
    if comparison:
        tables["Against the simulated rig's truth"] = [
            ["Quantity", "median error", "worst error", "allowed", "truth inside the 95 % interval"],
            *(
                [r.quantity, f"{r.median_error:.3f} {r.unit}", f"{r.worst_error:.3f} {r.unit}", f"{r.worst_allowed:g}",
                 f"{r.inside} of {r.count}"]
                for r in comparison
            ),
        ]  # fmt: skip
    if normals:
        tables["Normals of the demo parts, mean angle to the exact ones in degrees"] = [
            ["Part", "view", *NORMALS],
            *(
                [part, view, *(f"{n.mean_deg:.2f}" for n in normals if (n.part, n.view) == (part, view))]
                for part, view in dict.fromkeys((n.part, n.view) for n in normals)
            ),
        ]
    return tables
