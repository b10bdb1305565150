"""`station calibrate all`: from a rig as it was put together to a released record and its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import station
from calibration.record import Calibration
from calibration.report import Curve, html_report
from calibration.sensor import SensorCharacter
from drivers.protocols import Pose
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.atomic import write_atomic
from station.bad_input import BadInput
from station.calibrate.bench import Identity, LiveBench, Place, Progress, Recorder, Target
from station.calibrate.compare import Comparison, compare, with_true_lights
from station.calibrate.demo_part import PART_BINNING, PART_EXPOSURE_US, NormalErrors, normal_errors
from station.calibrate.measure import LightSettings, MeasuredLights, measure_lights, measure_sensor
from station.calibrate.records import Release, make_record, record_hash, write_record
from station.calibrate.verify import VerifyReport, verify
from station.devices import Rig, open_rig
from station.documents import load_document
from station.rig import load_rig
from station.simulated_rig import PATIENT_FRAME_TIMEOUT_S, running_rig

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)  # straight above the target point
REFERENCE = Path(station.__file__).parent / "recipes" / "simulated_rig.calibration.yaml"
SIMULATED = "simulated"
NORMALS = ("before", "after", "exact")
# a rig as it might leave the workshop: lights 3 degrees rms off their places
UNCALIBRATED = Imperfections(
    pose_repeatability_mm=0.05, pose_repeatability_deg=0.01, light_direction_deg=2.12, light_intensity_percent=20.0
)


class RigChoiceError(BadInput, ValueError):
    """The rig asked for cannot be calibrated like this; the text says why and what to do."""


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


@dataclass(frozen=True)
class Station:
    """An open rig with what lies before it."""

    rig: Rig
    control: RigControl | None  # of a simulated rig
    bench: LiveBench

    def identity(self) -> Identity:
        return self.bench.identity()


Ask = Callable[[str], None]


@contextmanager
def opened(rig: str, folder: Path, ask: Ask, seed: int = 1) -> Iterator[Station]:
    """The rig of the file `rig`; the word `simulated` starts one with the imperfections of a rig never calibrated.

    `ask` is called with words for a person who must change what lies in the fixture of a real rig.
    """
    path = Path(rig)
    if rig.lower() == SIMULATED and not path.exists():
        config = SimulatedRigConfig(seed=seed, clock_speed=10.0, imperfections=UNCALIBRATED)
        with running_rig(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, file), _station(file, ask) as found:
            yield found
        return
    with _station(path, ask) as found:
        yield found


@contextmanager
def _station(file: Path, ask: Ask) -> Iterator[Station]:
    simulated = load_rig(file).simulated
    control = RigControl(file.parent) if simulated else None
    with open_rig(file) as rig:
        yield Station(rig, control, LiveBench(rig, TOP, _placer(control, ask)))


def _placer(control: RigControl | None, ask: Ask) -> Place:
    def place(target: Target, x_mm: float, y_mm: float) -> None:
        if control is not None:
            control.place(target, x_mm, y_mm)
        else:
            ask(f"Put into the fixture: {target.replace('_', ' ')}, its middle at x {x_mm:+g}, y {y_mm:+g} mm")

    return place


def load_reference(path: Path | None, rig: Rig) -> Calibration:
    """The calibration that says where things should be. Raises RigChoiceError where none was given for a real rig."""
    if path is None and not rig.is_simulated:
        raise RigChoiceError("a real rig needs --reference: a calibration file with its camera and its lights as drawn")
    return load_document(path or REFERENCE, Calibration)


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
    record = make_record(reference, lights, sensor, identity, recorder.pictures, release, name)
    path = write_record(out, record)
    comparison: tuple[Comparison, ...] = ()
    normals: tuple[NormalErrors, ...] = ()
    if station_open.control is not None:
        progress("comparing with the simulated rig's truth")
        truth = station_open.control.call("truth")
        comparison = compare(record, truth)
        if with_part:
            normals = _demo_part(station_open, (reference, record, with_true_lights(record, truth)), progress)
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
    station_open: Station, calibrations: tuple[Calibration, ...], progress: Progress
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
    return tuple(normal_errors(frames, calibration, normals, part) for calibration in calibrations)


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
