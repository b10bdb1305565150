"""A short run of `benchmarks/kills.py`: what a killed engine leaves. Issue 12, acceptance."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from made_records import make_frames, make_inspection

from station.archive import Archive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.fixture(scope="module")
def kills() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "kills.py"
    spec = importlib.util.spec_from_file_location("kills", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kills"] = module
    spec.loader.exec_module(module)
    return module


def test_after_a_kill_nothing_acknowledged_is_lost_and_nothing_half_written_counts(
    kills: ModuleType, tmp_path: Path
) -> None:
    tally = kills.run(tmp_path, kills=3, seed=3, within_s=1.0)
    assert tally.broken == []
    assert tally.kills == 3
    archive = Archive.open(tmp_path / "archive")
    folder = archive.record(make_inspection(), make_frames())
    archive.close()
    next(folder.rglob("frame_L1.tif")).write_bytes(b"II")
    kills.look(tmp_path, {"01LOST": "PASS"}, tally, set())
    assert "01LOST: acknowledged as PASS, and lost" in tally.broken
    assert any("frame_L1.tif" in problem for problem in tally.broken), "the look sees what is damaged"
