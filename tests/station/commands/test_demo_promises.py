"""A promise that the demo did not keep is printed as not kept and ends it with exit code 1, at full resolution too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from station.commands.demo.parts import PARTS, DemoPart
from station.commands.demo.promises import promises_of
from station.commands.demo.run import DemoReport, Outcome
from station.commands.main import main
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe

LOADED = load_recipe(DEMO_RECIPES / "connector_full.yaml", need_model=False)
VIEWS = tuple(v.name for v in LOADED.recipe.viewpoints)
GOOD, SCRATCHED, DEAD = PARTS


def _inspection(part: DemoPart, verdict: Verdict, reasons: tuple[Reason, ...] = (), views: int = 5) -> Inspection:
    fused = AnomalyMap(np.zeros((4, 6), np.float32), 0.5)
    seen = tuple(ViewResult(view, verdict, 1.0, anomaly_map=fused) for view in VIEWS[:views])
    return Inspection(
        "id", part.part_id, "connector", "connector_full", verdict, reasons, seen, VIEWS, None,
        True, False, datetime.now(UTC), {}, {},
    )  # fmt: skip


def _not_kept(part: DemoPart, inspection: Inspection) -> list[str]:
    promises = promises_of(part, inspection, cast(Any, None), LOADED)
    return [text for text, kept in promises if not kept]


def test_the_full_recipe_promises_verdicts_too() -> None:
    assert not _not_kept(GOOD, _inspection(GOOD, Verdict.PASS))
    assert _not_kept(GOOD, _inspection(GOOD, Verdict.FAIL)) == ["the verdict is PASS"]
    assert _not_kept(GOOD, _inspection(GOOD, Verdict.PASS, views=4)) == ["all 5 views were captured, solved and scored"]


def test_a_dead_light_must_be_named() -> None:
    name = next(light.name for light in LOADED.recipe.lights if light.channel == DEAD.dead_channel)
    dead, other = (Reason(ReasonKind.LIGHT_DEAD, "it is dark", light=light) for light in (name, "L45"))
    assert not _not_kept(DEAD, _inspection(DEAD, Verdict.UNDECIDED, (dead,)))
    assert _not_kept(DEAD, _inspection(DEAD, Verdict.UNDECIDED, (other,))) == [f"the dead light {name} is named"]


def test_a_scratch_that_no_view_finds_breaks_its_promises() -> None:
    assert "the verdict is FAIL" in _not_kept(SCRATCHED, _inspection(SCRATCHED, Verdict.PASS))


def test_what_was_not_kept_is_printed_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = _inspection(GOOD, Verdict.FAIL)
    kept = Outcome(GOOD, failed, tmp_path / "s.png", (("the verdict is FAIL", True),))
    broken = replace(kept, promises=promises_of(GOOD, failed, cast(Any, None), LOADED))
    for outcome, code in ((kept, 0), (broken, 1)):
        report = DemoReport((outcome,), tmp_path, tmp_path / "r.yaml", 1.0, 1.0)
        monkeypatch.setattr("station.commands.demo.run.run_demo", lambda *_, found=report, **__: found)
        monkeypatch.setattr("sys.argv", ["station", "demo", "--full", "--no-console", "--out", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            raise SystemExit(main())
        assert end.value.code == code
        assert ("NOT KEPT: DEMO-GOOD: the verdict is PASS" in capsys.readouterr().out) == bool(code)
