"""A short run of `benchmarks/soak.py`: delays and faults at random, every frame judged by the Scene's truth."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

pytestmark = pytest.mark.skipif(
    not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
)


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(ENDPOINTS_VARIABLE, "")  # what opening the camera sets is undone
    path = Path(__file__).parents[3] / "benchmarks" / "soak.py"
    spec = importlib.util.spec_from_file_location("soak_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_no_frame_is_bound_to_a_wrong_light_or_pose(soak: Any, tmp_path: Path) -> None:
    report = soak.run(cycles=15, fault_rate=0.3, seed=5, folder=tmp_path)
    assert report.wrong == []
    assert report.cycles == 15
    assert report.frames + sum(report.reported.values()) == 15
    assert report.injected


def test_without_faults_nothing_may_be_reported_and_no_frame_may_be_missing(soak: Any) -> None:
    assert soak.Report(cycles=3, frames=6).faultless_failures(2) == []
    assert soak.Report(cycles=3, frames=5).faultless_failures(2) == ["5 frames of 6 that were asked"]
    told = soak.Report(cycles=3, frames=3)
    told.reported["no fault: DeviceTimeout"] += 1
    assert told.faultless_failures(1) == ["1 x no fault: DeviceTimeout"]


@pytest.mark.parametrize(("frames", "code"), [(6, 0), (5, 1)])
def test_the_exit_code_tells_of_a_missing_frame(
    soak: Any, monkeypatch: pytest.MonkeyPatch, frames: int, code: int
) -> None:
    report = soak.Report(cycles=3, frames=frames, peak_memory_mb=[1.0], rig_peak_memory_mb=[1.0])
    monkeypatch.setattr(soak, "run", lambda *_, **__: report)
    monkeypatch.setattr("sys.argv", ["soak.py", "--cycles", "3", "--steps", "2"])
    with pytest.raises(SystemExit) as ended:
        soak.main()
    assert ended.value.code == code
