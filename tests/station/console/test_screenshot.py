"""The window drawn offscreen into a file, and what is said where Qt cannot run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from station.console import ConsoleUnavailable, requirements, run_console
from station.engine.events import Fault
from station.inspection.result import Inspection
from station.lights.warning import LightWarning


@pytest.mark.usefixtures("qtbot")
def test_a_screenshot_shows_the_result_at_1920_by_1080(
    make_engine: Any, failed_inspection: Inspection, tmp_path: Path
) -> None:
    path = tmp_path / "pictures" / "console.png"
    weak = LightWarning("L90", "level", "Light L90 is 15% weaker than it was", "wipe its window", None)
    engine = make_engine(failed_inspection, light_warnings=(weak,))
    assert run_console(engine, screenshot=path, part_id="SN-1", timeout_s=30) == 0
    assert engine.calls == ["start SN-1"]
    with Image.open(path) as picture:
        assert picture.size == (1920, 1080)
        pixels = np.asarray(picture.convert("RGB"))
    assert np.mean(np.all(pixels == (186, 12, 20), axis=-1)) > 0.08, "the FAIL banner fills its place"
    amber = np.all(pixels[-180:-76, :70] == (255, 178, 0), axis=-1)
    assert amber.mean() > 0.2, "the light warning that came with the part is on it"
    assert not [t.name for t in threading.enumerate() if t.name.startswith("console-")]


@pytest.mark.usefixtures("qtbot")
def test_a_fault_instead_of_a_result_is_pictured_and_told_by_the_exit_code(
    make_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from station.console import app

    monkeypatch.setattr(app, "_AFTER_FAULT_MS", 10)
    engine = make_engine(refusal=RuntimeError("arm: not homed"))
    assert run_console(engine, screenshot=tmp_path / "fault.png", timeout_s=30) == 3
    assert (tmp_path / "fault.png").exists()


@pytest.mark.usefixtures("qtbot")
def test_a_fault_with_a_result_waits_for_the_result(
    make_engine: Any, undecided_inspection: Inspection, tmp_path: Path
) -> None:
    engine = make_engine(undecided_inspection, fault=Fault("lights: silent", "check the line"))
    assert run_console(engine, screenshot=tmp_path / "both.png", timeout_s=30) == 0


def test_missing_libraries_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "loads", lambda library: library != "libxcb-cursor.so.0")
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "")
    with pytest.raises(ConsoleUnavailable, match=r"apt-get install .*libxcb-cursor0"):
        requirements.require_qt(is_offscreen=False)
    assert requirements.missing_packages(is_offscreen=True) == []


def test_without_a_screen_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConsoleUnavailable, match="--screenshot"):
        requirements.require_qt(is_offscreen=False)
