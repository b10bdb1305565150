"""Lights, flat field and `verify` over the wires of a simulated rig."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.record import Calibration
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from station.calibrate.lights.settings import LightSettings
from station.calibrate.runs.all import calibrate_all
from station.calibrate.runs.opened_rig import opened_rig
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.documents.document import load_document, save_document
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.flat_field_file import load_field
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig


def drawing_of_few_lights() -> Calibration:
    """The simulated rig's, with three of its directional lights and the diffuse one: each costs a capture a step."""
    drawing = load_document(SIMULATED_RIG_DRAWING, Calibration)
    few = tuple(light for light in drawing.lights if light.channel in (1, 4, 6, 9))
    return drawing.model_copy(update={"lights": few})


def quiet(_text: str) -> None:
    """Nobody to tell or to ask."""


def test_lights_then_field_are_calibrated_over_the_wires_and_the_record_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Camera, sensor and demo parts are left out here: their steps have tests of their own."""
    wrong = Imperfections(light_direction_deg=2.0, light_intensity_percent=20.0)
    config = SimulatedRigConfig(clock_speed=30.0, imperfections=wrong)
    with running_rig(tmp_path / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, file):
        with opened_rig(str(file), tmp_path, quiet) as opened:
            whole = calibrate_all(
                opened, drawing_of_few_lights(), tmp_path / "first", "me", quiet, LightSettings(binning=8), lens="L-7",
                with_camera=False, with_sensor=False, with_part=False,
            )  # fmt: skip
        assert (whole.ok, whole.flags) == (True, ())
        assert set(whole.plots) == {"lights", "flat-field", "flat-field-shared"}
        assert "Released by me" in Path(whole.report).read_text(encoding="utf-8")
        first = load_document(Path(whole.record), Calibration)
        assert first.provenance is not None
        assert first.provenance.lens_serial_number == "L-7"
        assert first.provenance.temperature_c is not None
        assert 20.0 < first.provenance.temperature_c < 60.0
        assert "degrees C" in Path(whole.report).read_text(encoding="utf-8")
        assert first.provenance.nominal == ("camera", "viewpoints", "sensor")
        record = Path(whole.record)

        def run(*arguments: object) -> tuple[int, dict[str, object]]:
            words = [*map(str, arguments), "--rig", str(file), "--json"]
            monkeypatch.setattr("sys.argv", ["station", "calibrate", *words])
            code = run_guarded(app)
            return code, json.loads(capsys.readouterr().out)

        code, made = run("field", record, "--out", tmp_path / "second", "--release-by", "me", "--binning", "8")
        assert (code, made["released"], made["flags"]) == (ExitCode.DONE, True, [])
        path = Path(str(made["record"]))
        kept = load_document(path, Calibration)
        assert kept.provenance is not None
        assert kept.provenance.expires is not None
        assert kept.provenance.expires <= str(first.provenance.expires)
        assert "flat field" in kept.provenance.measured
        maps = load_field(kept, path)
        assert maps is not None
        assert maps.channels == (1, 4, 6)
        assert np.abs(maps.shared_and_own()[1] - 1).max() < 0.01
        code, report = run("verify", path, "--target", "plane")
        assert (code, report["accepted"], report["target"]) == (ExitCode.DONE, True, "plane")


def test_saturated_highlights_and_a_saturated_plane_are_named_over_the_wires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_document(tmp_path / "few.yaml", drawing_of_few_lights())
    with running_rig(tmp_path / "rig", SimulatedRigConfig(clock_speed=30.0), PATIENT_FRAME_TIMEOUT_S) as (_, file):
        words = ["--rig", str(file), "--reference", str(tmp_path / "few.yaml"), "--binning", "8", "--json"]
        monkeypatch.setattr("sys.argv", ["station", "calibrate", "lights", *words, "--mirror-us", "2000"])
        assert run_guarded(app) == ExitCode.FOUND
        lights = json.loads(capsys.readouterr().out)["lights"]
        assert [light["name"] for light in lights] == ["L0", "L135", "L225"]
        for light in lights:
            assert light["flags"][0].startswith("saturated highlight: ")
            assert light["flags"][0].endswith("places)")
        monkeypatch.setattr("sys.argv", ["station", "calibrate", "lights", *words, "--plane-us", "50000"])
        assert run_guarded(app) == ExitCode.BAD_INPUT
        assert "light L0: the white plane is saturated; expose less" in capsys.readouterr().err
