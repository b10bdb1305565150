"""The script that plays an operator's morning, on the stand-in engine: its hands reach the window's controls."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from station.console import scan_filter
from station.console.window import ConsoleWindow
from station.inspection.result import Inspection

SCRIPT = Path(__file__).parents[3] / "scripts" / "operator_walk.py"


@pytest.mark.usefixtures("qtbot")
def test_its_scanner_starts_a_part_and_every_look_is_a_picture_at_each_size(
    make_engine: Any, good_inspection: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Issue 15, acceptance: ten minutes at the window can be repeated."""
    monkeypatch.setattr(scan_filter, "now_ms", scan_filter.now_ms)  # the script puts its own clock there
    script = runpy.run_path(str(SCRIPT))
    engine = make_engine(good_inspection)
    window = ConsoleWindow(engine)
    window.show()
    operator = script["Operator"](window, None, tmp_path, script["SIZES"])
    operator.wait_for_state(script["State"].READY)
    operator.scan("SN 0001", onto=window.panels.stop_button)
    operator.wait_for_verdict()
    operator.look("pass")
    window.close()
    window.deleteLater()
    assert engine.calls == ["start SN 0001"]
    assert "PASS | part P-0001" in capsys.readouterr().out
    for width, height in script["SIZES"]:
        with Image.open(tmp_path / f"01-pass-{width}x{height}.png") as picture:
            assert picture.size == (width, height)
