"""The script of docs/product.md goes from a mesh to a released recipe and back, at its small size."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from small_network import use_small_network

from station.commands.app import app
from station.commands.exit_codes import run_guarded

pytest.importorskip("torch", reason="training needs the extra `train`")
sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
import whole_way
from whole_way_mesh import write_mesh


class InThisProcess(whole_way.Way):
    """The commands of the script without a process each: their imports alone would cost a minute."""

    def station(self, *arguments: object) -> tuple[int, Any]:
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
            patch.setattr("sys.argv", ["station", *map(str, arguments), "--json"])
            code = run_guarded(app)
        return code, json.loads(out.getvalue()) if out.getvalue().strip() else None


@pytest.mark.timeout(1800)  # many commands, on a machine that may be busy
@pytest.mark.filterwarnings("ignore")
def test_the_whole_way_from_a_mesh_to_a_release_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 11, acceptance."""
    monkeypatch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone
    use_small_network(monkeypatch)
    way = InThisProcess(tmp_path, write_mesh(tmp_path / "mesh"), whole_way.SMALL)
    with whole_way.running_rig(way):
        whole_way.go(way, whole_way.DRAWING)
    assert way.steps["models"]["found"]["active"] == 1
    assert [version["number"] for version in way.steps["models"]["found"]["versions"]] == [1, 2]
    told = whole_way.report(way)
    assert "retrain" in told
    assert "defective" in told
