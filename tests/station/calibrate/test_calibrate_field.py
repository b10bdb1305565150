"""`station calibrate field` and `verify --target plane` over the wires of a simulated rig, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.record import Calibration, Provenance
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from station.calibrate.records import write_record
from station.calibrate.station_open import REFERENCE
from station.cli import app
from station.documents import load_document
from station.exit_codes import ExitCode, run_guarded
from station.flat_field_file import load_field
from station.simulated_rig import PATIENT_FRAME_TIMEOUT_S, running_rig

RELEASED = Provenance(
    measured=("light directions",), released_by="engineer", released="2026-11-24T12:00:00Z",
    expires="2126-11-24T12:00:00Z",
)  # fmt: skip


def test_maps_are_measured_kept_beside_a_new_record_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing = load_document(REFERENCE, Calibration)
    lights = tuple(light.model_copy(update={"lobe_exponent": 1.0}) for light in drawing.lights)
    changes = {"calibration_id": "first", "provenance": RELEASED, "lights": lights}
    record = write_record(tmp_path, drawing.model_copy(update=changes))
    config = SimulatedRigConfig(clock_speed=30.0, imperfections=Imperfections())
    with running_rig(tmp_path / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, file):

        def run(*arguments: object) -> tuple[int, dict[str, object]]:
            words = [*map(str, arguments), "--rig", str(file), "--json"]
            monkeypatch.setattr("sys.argv", ["station", "calibrate", *words])
            code = run_guarded(app)
            return code, json.loads(capsys.readouterr().out)

        code, made = run("field", record, "--out", tmp_path, "--release-by", "me", "--binning", "8")
        assert (code, made["released"], made["flags"]) == (ExitCode.DONE, True, [])
        path = Path(str(made["record"]))
        kept = load_document(path, Calibration)
        assert kept.provenance is not None
        assert kept.provenance.expires is not None
        assert kept.provenance.expires < "2126"
        assert "flat field" in kept.provenance.measured
        maps = load_field(kept, path)
        assert maps is not None
        assert maps.channels == tuple(range(1, 9))
        assert np.abs(maps.factors - 1).max() < 0.03
        code, report = run("verify", path, "--target", "plane")
        assert (code, report["accepted"], report["target"]) == (ExitCode.DONE, True, "plane")
