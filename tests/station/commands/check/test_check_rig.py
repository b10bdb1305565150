"""`station check --rig`: every device states what it is; nothing moves or shines without `--move`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.serial_line.port import Port
from drivers.simulated import simcam
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.control import RigControl
from station.commands.app import app
from station.commands.exit_codes import run_guarded
from station.rig.simulated import running_rig

pytestmark = pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RigControl, Path]]:
    config = SimulatedRigConfig(serial_number="CHECK-1", clock_speed=20.0)
    with (
        pytest.MonkeyPatch.context() as patch,
        running_rig(tmp_path_factory.mktemp("rig"), config, frame_timeout_s=60.0) as (process, file),
    ):
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone with the module
        yield process.control, file


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Every byte that leaves, by device."""
    left: dict[str, bytes] = {"gantry": b"", "lights": b""}
    write = Port.write

    def noted(port: Port, data: bytes) -> None:
        left[port.device] += data
        write(port, data)

    monkeypatch.setattr(Port, "write", noted)
    return left


def check(
    rig: Path, *options: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Exit code, and the findings about the rig by the first word of what was looked at."""
    monkeypatch.setattr("sys.argv", ["station", "check", "--rig", str(rig), "--json", *options])
    code = run_guarded(app)
    return code, {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)}


def about(findings: dict[str, Any], start: str) -> dict[str, Any]:
    found: dict[str, Any] = next(finding for what, finding in findings.items() if what.startswith(start))
    return found


def test_it_reports_identity_features_travel_and_channels_and_moves_nothing(
    rig: tuple[RigControl, Path],
    written: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    control, file = rig
    before = control.call("status")
    code, findings = check(file, monkeypatch=monkeypatch, capsys=capsys)
    after = control.call("status")
    assert code == 0
    assert about(findings, "lights (gardasoft)")["details"]["channels"] == list(range(1, 10))
    assert about(findings, "arm (grbl)")["details"]["travel z_mm"] == "40 .. 320"
    assert about(findings, "arm (grbl)")["details"]["z_mm (Z)"] == "500 mm/s, 2000 mm/s2"
    camera = about(findings, "camera (genicam)")
    assert "CHECK-1" in camera["found"]
    assert {"Mono8", "Mono12p", "BayerRG12"} <= set(camera["details"]["pixel formats"])
    assert "ExposureActive" in camera["details"]["line sources"]
    assert (before["axes"], before["frames"]) == (after["axes"], after["frames"])
    assert set(after["light_levels"].values()) == {0.0}
    levels = re.findall(rb"R[SWT]\d+,([\d.]+)", written["lights"])
    assert levels  # off was sent
    assert {float(level) for level in levels} == {0.0}
    assert not re.search(rb"[GXYZABC~]|\$[HJX]", written["gantry"].replace(b"$G", b""))


def test_with_move_it_homes_visits_and_shows_each_light(
    rig: tuple[RigControl, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    control, file = rig
    control.inject("lights.light_dead", "4")
    code, findings = check(file, "--move", monkeypatch=monkeypatch, capsys=capsys)
    control.inject("lights.light_repaired", "4")
    status = control.call("status")
    assert code == 1
    assert not findings["light channel 4"]["ok"]
    assert "the camera sees no light" in findings["light channel 4"]["action"]
    bad = [what for what, finding in findings.items() if not finding["ok"]]
    assert bad == ["light channel 4"]
    assert status["axes"] == pytest.approx([0.0, 0.0, 180.0, 30.0, 0.0], abs=0.1)
    assert status["frames"] == 10
    assert set(status["light_levels"].values()) == {0.0}
    assert findings["light channel 3"]["details"]["mean level"] > 0.01


def test_a_missing_device_hides_no_other(
    rig: tuple[RigControl, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "rig.yaml"
    broken.write_text(rig[1].read_text().replace("/gantry", "/no-such-port"))
    code, findings = check(broken, "--move", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 1
    assert "no-such-port cannot be opened" in about(findings, "arm (grbl)")["found"]
    assert about(findings, "lights (gardasoft)")["ok"]
    assert findings["light channel 1"]["ok"]
    assert findings["lights off"]["ok"]
    assert "homing" not in findings


def test_a_camera_that_lacks_features_has_them_listed(
    rig: tuple[RigControl, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The virtual camera in the genicam wheel runs freely: no trigger, no exposure time."""
    text = rig[1].read_text().replace("producer: simcam", "producer: viky")
    foreign = tmp_path / "rig.yaml"
    foreign.write_text("\n".join(line for line in text.splitlines() if "serial_number" not in line))
    code, findings = check(foreign, monkeypatch=monkeypatch, capsys=capsys)
    camera = about(findings, "camera (genicam)")
    if "Viky" not in camera["found"]:
        pytest.skip(camera["found"])
    assert code == 1
    assert {"TriggerMode", "TriggerSource", "TriggerSoftware"} <= set(camera["details"]["missing"])
    assert about(findings, "arm (grbl)")["ok"]
