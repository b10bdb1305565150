"""A simulated rig can be made of each kind of stand-in; the whole inspection works on every one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from few_views import recipe_of_few_views

from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl, Verb
from drivers.simulated.rig import SimulatedRig
from station.commands.app import app
from station.commands.exit_codes import run_guarded
from station.commands.inspect.part import inspect_part
from station.inspection.result import Verdict
from station.rig.file import load_rig
from station.rig.simulated import running_rig

VIEWS = 2  # of the demo recipe: another view asks nothing else of a device
ENDPOINTS = "FACET_SIMCAM_ENDPOINTS"


@pytest.mark.parametrize(
    "kinds",
    [
        {"lights_kind": "ccs", "arm_kind": "grblhal"},
        {"arm_kind": "mycobot", "stepping": "strobe"},
        {"lights_kind": "sa0255", "line_kind": "socket"},
    ],
    ids=str,
)
def test_a_part_is_inspected_on_every_kind(
    tmp_path: Path, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINTS, "")  # what opening sets is undone
    config = SimulatedRigConfig(clock_speed=20.0, serial_number="KINDS-1", **kinds)
    with running_rig(tmp_path / "rig", config, frame_timeout_s=60.0) as (process, rig):
        process.control.load("connector", 7)
        report = inspect_part(rig, recipe_of_few_views(tmp_path, VIEWS), "KIND-1", tmp_path / "out")
        lit = process.control.call("status")["light_levels"]
    assert report.inspection.verdict is Verdict.PASS, report.inspection.reasons
    assert all(level == 0 for level in lit.values())
    drivers = {load_rig(rig).driver_of("lights"), load_rig(rig).driver_of("arm")}
    assert drivers >= set(kinds.values()) - {"grblhal", "socket", "strobe"}


def run_cli(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["station", *arguments])
    return run_guarded(app)


def test_the_configuration_of_a_rig_can_be_printed_edited_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["rig", "up", "--lights", "ccs", "--show-config"], monkeypatch) == 0
    file = tmp_path / "simulated.yaml"
    file.write_text(capsys.readouterr().out)
    assert run_cli(["rig", "up", "--config", str(file), "--show-config"], monkeypatch) == 0
    assert "lights_kind: ccs" in capsys.readouterr().out


def test_an_unknown_kind_is_refused_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["rig", "up", "--lights", "candles"], monkeypatch) == 2
    assert "no lights of kind 'candles'; there are gardasoft, ccs" in capsys.readouterr().err


@pytest.fixture
def verbs(tmp_path: Path) -> Iterator[dict[str, Verb]]:
    """The back door of a rig that is not on any wire."""
    rig = SimulatedRig(SimulatedRigConfig(), tmp_path)
    yield rig.verbs()
    rig.close()


def test_every_fault_is_listed_with_its_arguments(
    verbs: dict[str, Verb], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RigControl, "call", lambda _, verb, **request: verbs[verb](request))
    assert run_cli(["rig", "inject", "--list", "--json"], monkeypatch) == 0
    faults = json.loads(capsys.readouterr().out)
    assert faults["ambient"] == "[LEVEL=0.1]"
    assert faults["lights.light_dead"] == "CHANNEL"
    assert faults["camera.late"] == "[COUNT=1]"
    assert {"gantry.freeze", "lights.freeze", "camera.unplug", "gantry.unplug"} <= set(faults)


@pytest.mark.parametrize(
    ("fault", "arguments", "expected"),
    [
        ("nonsense", [], "say ambient"),
        ("wheel.flat", [], "gantry.NAME, lights.NAME or camera.NAME"),
        ("lights.no_such", [], "there are .*light_dead"),
        ("lights.light_dead", [], "takes CHANNEL"),
        ("lights.light_dead", ["40"], "no channel '40'"),
        ("ambient", ["bright"], "could not convert"),
    ],
)
def test_a_fault_that_does_not_exist_names_those_that_do(
    verbs: dict[str, Verb], fault: str, arguments: list[str], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        verbs["inject"]({"fault": fault, "arguments": arguments})
