"""A short run of `benchmarks/kills.py`: what a killed engine leaves. Issue 12, acceptance."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
    tally = kills.run(tmp_path, kills=3, seed=3, within_s=0.6)
    assert tally.broken == []
    assert tally.kills == 3


def test_the_look_finds_a_lost_verdict_and_a_damaged_record(kills: ModuleType, tmp_path: Path) -> None:
    _, acknowledged = kills.kill_once(tmp_path, 3.0)
    tally = kills.Tally()
    kills.look(tmp_path, {**acknowledged, "01LOST": "PASS"}, tally, set())
    assert "01LOST: acknowledged as PASS, and lost" in tally.broken
    frame = next(iter((tmp_path / "archive").glob("20*/[!.]*/top/frame_L45.tif")), None)
    if frame is None:
        pytest.skip("this machine stored no part within three seconds")
    frame.write_bytes(frame.read_bytes()[:-1])
    kills.look(tmp_path, {}, tally, set())
    assert any("frame_L45.tif" in problem for problem in tally.broken)
