"""The table of disturbances judges raw frames by ViewJudge, and promises no more than good parts bear."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_collection import SHAPE, made_collection, made_recipe

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Verdict, ViewResult
from station.recipe.edit import update_recipe_values
from station.recipe.fields import ProofTolerances
from station.recipe.loaded import load_recipe
from station.teach.disturbance_table import TRIALS, Trial, _Outcome, disturbance_table, held_out, promise

LIMIT = 2.0


class NoiseMeter:
    """A detector whose score is the picture's roughness over that of an undisturbed one."""

    metadata: Any = SimpleNamespace(input_size=SHAPE)
    usual: float | None = None

    def detect(self, image: np.ndarray, normals: np.ndarray, view: str, **_placed: Any) -> AnomalyMap:
        del normals, view
        rough = float(np.abs(np.diff(image[1, :20, :30], axis=1)).mean())
        self.usual = self.usual or rough
        return AnomalyMap(np.zeros(SHAPE, np.float32), 1.2 * rough / self.usual)


def test_noise_that_good_parts_do_not_bear_is_seen_in_the_table(tmp_path: Path) -> None:
    """Issue 17, point 3."""
    loaded = made_recipe(tmp_path)
    collection = made_collection(loaded, tmp_path / "tiles", 1, 2)
    assert [part.split for part in held_out(collection, 9)] == ["test", "calibrate", "calibrate"]
    trials = [t for t in TRIALS if t.name in ("undisturbed", "one lamp -10%", "noise x2", "one light 1 deg off")]
    seen: list[float] = []
    table = disturbance_table(
        loaded,
        NoiseMeter(),  # type: ignore[arg-type]
        collection,
        2,
        lambda _, share: seen.append(share),
        trials,
    )
    rows = {row.name: row for row in table.rows}
    assert rows["undisturbed"].passed == 2
    assert rows["one lamp -10%"].failed == rows["one light 1 deg off"].failed == 0
    assert rows["noise x2"].failed == rows["noise x2"].failed_if_judged == 2
    assert rows["noise x2"].worst > 1
    assert seen[-1] == 1.0
    assert table.tolerances == loaded.recipe.proof_tolerances, "nothing is proven here, so nothing is promised"
    assert "noise: not measured in the pictures, so nothing is promised" in table.as_text()
    assert "none of 2 parts means at most 78% of all parts" in table.as_text()
    assert table.as_dict()["n"] == 2


def outcome(name: str, tolerance: str | None, strength: float, verdicts: str, **quality: float) -> _Outcome:
    """Of parts with one view each; verdicts as P, F, U."""
    full = {"P": Verdict.PASS, "F": Verdict.FAIL, "U": Verdict.UNDECIDED}
    why = (Reason(ReasonKind.NOT_FINITE, "x"),)
    views = [
        ViewResult("top", full[v], LIMIT, reasons=why if v == "U" else (), quality=dict(quality)) for v in verdicts
    ]
    trial = Trial(name, lambda _: None, tolerance, strength)  # type: ignore[arg-type, return-value]
    return _Outcome(trial, [(view,) for view in views])


def promised(*outcomes: _Outcome) -> Mapping[str, float]:
    return promise(ProofTolerances(), outcomes)[0].model_dump()


def test_a_recipe_promises_the_largest_strength_at_which_no_more_parts_fail() -> None:
    """Issue 17, point 3: the tolerance is the worst figure that was measured at that strength."""
    base = outcome("undisturbed", None, 0, "PPPF", light_ratio_L45=1.004)
    weak = outcome("one lamp -2%", "light", 0.02, "PPPF", light_ratio_L45=0.9781)
    less = outcome("one lamp -5%", "light", 0.05, "PPPF", light_ratio_L45=0.9487)
    more = outcome("one lamp +5%", "light", 0.05, "PPFF", light_ratio_L45=1.0502)
    most = outcome("one lamp -10%", "light", 0.1, "PPPF", light_ratio_L45=0.8991)
    assert promised(base, weak, less, more, most)["light"] == 0.022, "what fails more ends the promise"
    assert promised(base, weak, less)["light"] == 0.052
    assert promised(base, more)["light"] == 0.02, "no rig is steadier between two parts"
    assert promised(base)["light"] == ProofTolerances().light
    tolerances, words = promise(ProofTolerances(), [base, weak, more])
    assert words == ("borne: one lamp -2% (proof_tolerances.light: 0.022)",)
    assert tolerances.stray == ProofTolerances().stray


def test_sharpness_is_promised_downward_and_an_undecided_part_is_not_borne() -> None:
    base = outcome("undisturbed", None, 0, "PP", sharpness_ratio=0.98)
    soft = outcome("blur 0.5 px", "blurred_below", 0.5, "PP", sharpness_ratio=0.8137)
    softer = outcome("blur 1 px", "blurred_below", 1.0, "PU", sharpness_ratio=0.5)
    assert promised(base, soft, softer)["blurred_below"] == 0.813


def test_promised_tolerances_stand_in_the_recipe(tmp_path: Path) -> None:
    loaded = made_recipe(tmp_path)
    tolerances = replace_tolerances(light=0.031, blurred_below=0.8)
    update_recipe_values(loaded.path, proof_tolerances=tolerances)
    update_recipe_values(loaded.path, proof_tolerances=replace_tolerances(light=0.05))
    assert load_recipe(loaded.path, need_model=False).recipe.proof_tolerances == replace_tolerances(light=0.05)


def replace_tolerances(**values: float) -> ProofTolerances:
    return ProofTolerances().model_copy(update=values)


def test_without_held_out_parts_there_is_no_table(tmp_path: Path) -> None:
    loaded = made_recipe(tmp_path)
    collection = made_collection(loaded, tmp_path / "tiles", 1, 0)
    with pytest.raises(ValueError, match="no good part was held out"):
        disturbance_table(loaded, NoiseMeter(), collection, 0, lambda _w, _s: None)  # type: ignore[arg-type]
