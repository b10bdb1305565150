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
    path = Path(__file__).parents[2] / "benchmarks" / "soak.py"
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
