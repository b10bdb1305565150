"""`station calibrate all`: from a rig as it was put together to a released record and its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from calibration.record import Calibration
from calibration.report import Curve, html_report
from calibration.sensor import SensorCharacter
from station.atomic import write_atomic
from station.calibrate.bench import Progress, Recorder
from station.calibrate.compare import Comparison, compare, with_true_lights
from station.calibrate.demo_part import PART_BINNING, PART_EXPOSURE_US, NormalErrors, normal_errors
from station.calibrate.measure import LightSettings, MeasuredLights, measure_lights, measure_sensor
from station.calibrate.measure_field import MeasuredField, field_maps
from station.calibrate.records import Release, make_record, record_hash, with_field, write_record
from station.calibrate.stand import TOP
from station.calibrate.station_open import Station
from station.calibrate.verify import VerifyReport, verify
from station.flat_field_file import FieldMaps

NORMALS = ("before", "after", "exact")
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
    comparison: tuple[Comparison, ...]
    normals: tuple[NormalErrors, ...]  # of a demo part: before, after, and with the true lights

    @property
    def ok(self) -> bool:
        return self.released and all(row.ok for row in self.comparison)

    def as_dict(self) -> dict[str, Any]:
        document = asdict(self)
        for row, shown in zip(self.comparison, document["comparison"], strict=True):
            shown["ok"] = row.ok
        return document

    def as_text(self) -> str:
        lines = [row.as_text() for row in self.comparison]
        lines += [f"{when}: {n.as_text()}" for when, n in zip(NORMALS, self.normals, strict=False)]
        lines += [f"! {flag}" for flag in self.flags]
        state = "released" if self.released else "NOT released"
        return "\n".join([*lines, f"{state}: {self.record}", f"report: {self.report}", f"{self.seconds:.0f} s"])


def calibrate_all(
    station_open: Station,
    reference: Calibration,
    out: Path,
    release_by: str,
    progress: Progress,
    settings: LightSettings | None = None,
    *,
    with_sensor: bool = True,
    with_part: bool = True,
) -> CalibrateReport:
    """Lights, sensor, record, report; on a simulated rig also the comparison with its truth.

    Raises CalibrationRefused, RecordError, DeviceError.
    """
    chosen = settings or LightSettings()
    began = datetime.now(UTC)
    recorder = Recorder(station_open.bench)
    identity = station_open.identity()
    lights = measure_lights(recorder, reference, chosen, progress)
    sensor = measure_sensor(recorder, reference, chosen, progress) if with_sensor else None
    release = Release(release_by, datetime.now(UTC))
    name = f"{reference.camera_serial_number}-{release.at.strftime('%Y%m%dT%H%M%SZ')}"
    bare = make_record(reference, lights, sensor, identity, recorder.pictures, release, name)
    field = MeasuredField(field_maps(bare, lights.white, chosen.binning, lights.stand), lights.tilt)
    record = with_field(bare, field)
    path = write_record(out, record, field.maps)
    comparison: tuple[Comparison, ...] = ()
    normals: tuple[NormalErrors, ...] = ()
    if station_open.control is not None:
        progress("comparing with the simulated rig's truth")
        truth = station_open.control.call("truth")
        comparison = compare(record, truth)
        if with_part:
            three = (reference, record, with_true_lights(record, truth))
            normals = _demo_part(station_open, three, field.maps, progress)
    page = out / f"{record.calibration_id}.html"
    text = html_report(
        record,
        record_hash(record),
        reference=reference,
        curves=_curves(sensor),
        tables=_tables(lights, comparison, normals),
    )
    write_atomic(page, text.encode("utf-8"))
    about = record.provenance
    assert about is not None
    return CalibrateReport(
        str(path), str(page), record.calibration_id, record_hash(record), about.released_by is not None, about.flags,
        (datetime.now(UTC) - began).total_seconds(), comparison, normals,
    )  # fmt: skip


def verify_rig(station_open: Station, record: Calibration, settings: LightSettings, progress: Progress) -> VerifyReport:
    return verify(station_open.bench, record, station_open.identity(), settings, progress)


def _demo_part(
    station_open: Station, calibrations: tuple[Calibration, ...], maps: FieldMaps, progress: Progress
) -> tuple[NormalErrors, ...]:
    """The connector from above, photographed once: its normals with each of the calibrations."""
    control = station_open.control
    assert control is not None
    progress("demo part, before and after")
    control.load("connector", 1)
    channels = [light.channel for light in calibrations[0].lights if light.kind == "directional"]
    frames = [station_open.bench.photograph(c, PART_EXPOSURE_US, PART_BINNING) for c in channels]
    answer = control.call("truth", pose=list(TOP.as_tuple()), binning=PART_BINNING)
    with np.load(answer["file"]) as truth:
        normals, part = truth["normals"], truth["part_mask"]
    own = [None if calibration.flat_field is None else maps for calibration in calibrations]
    return tuple(
        normal_errors(frames, calibration, normals, part, field)
        for calibration, field in zip(calibrations, own, strict=True)
    )


def _curves(sensor: SensorCharacter | None) -> list[Curve]:
    if sensor is None:
        return []
    return [
        Curve(
            "Photon transfer", "mean above dark (DN)", "variance (DN^2)",
            tuple((p.mean_dn, p.variance_dn2) for p in sensor.points), sensor.gain_dn_per_e,
        ),
        Curve(
            "Linearity", "exposure (us)", "mean above dark (DN)",
            tuple((p.exposure_us, p.mean_dn) for p in sensor.points),
        ),
    ]  # fmt: skip


def _tables(
    lights: MeasuredLights, comparison: tuple[Comparison, ...], normals: tuple[NormalErrors, ...]
) -> dict[str, list[list[str]]]:
    rows = [["Light", "mirror to matte (degrees)", "matte to plane intensity (%)", "left-out ratio", "flags"]]
    for k, name in enumerate(lights.names):
        apart = 100 * (lights.matte_intensities[k] / lights.plane.intensities[k] - 1)
        rows.append([
            name, f"{lights.disagreement_deg[k]:.2f}", f"{apart:+.2f}", f"{lights.left_out.ratios[k]:.2f}",
            "; ".join(lights.flags[k]) or "none",
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
        tables["Normals of a demo part"] = [
            ["With the lights", "mean (degrees)", "median", "95 %"],
            *(
                [when, f"{n.mean_deg:.2f}", f"{n.median_deg:.2f}", f"{n.p95_deg:.2f}"]
                for when, n in zip(NORMALS, normals, strict=True)
            ),
        ]
    return tables
