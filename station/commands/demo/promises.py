"""What the demo promises of each part, and whether the inspection kept it."""

from __future__ import annotations

import numpy as np

from drivers.simulated.control import RigControl
from station.commands.demo.parts import DemoPart
from station.commands.demo.truth import peak_inside, true_defect_mask
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection, Verdict
from station.recipe.loaded import LoadedRecipe

Promise = tuple[str, bool]  # what was promised, and whether it was kept


def promises_of(
    part: DemoPart, inspection: Inspection, control: RigControl, loaded: LoadedRecipe
) -> tuple[Promise, ...]:
    """Every promise about this part: its verdict and the right cause for it, at every resolution alike."""
    promises = [
        _all_judged(inspection),
        (f"the verdict is {part.expected.value}", inspection.verdict is part.expected),
    ]
    if part.defects:
        promises += _side_scratch(inspection, control, loaded)
    if part.dead_channel is not None:
        name = next(light.name for light in loaded.recipe.lights if light.channel == part.dead_channel)
        named = any(r.kind is ReasonKind.LIGHT_DEAD and r.light == name for r in inspection.reasons)
        promises.append((f"the dead light {name} is named", named))
    return tuple(promises)


def _all_judged(inspection: Inspection) -> Promise:
    """No view is missing, and none went without a score."""
    scored = [v for v in inspection.views if v.pred_score is not None and np.isfinite(v.pred_score)]
    number = len(inspection.expected_views)
    return f"all {number} views were captured, solved and scored", len(scored) == number


def _side_scratch(inspection: Inspection, control: RigControl, loaded: LoadedRecipe) -> list[Promise]:
    """The scratch is invisible from the top: a side view must decide, and its map must peak on the scratch."""
    views = {v.view: v for v in inspection.views}
    deciding = views.get(inspection.deciding_view or "")
    top = views.get("top")
    promises = [
        (f"a side view decides ({inspection.deciding_view})", deciding is not None and deciding.view != "top"),
        ("the top view alone would have passed", top is not None and top.verdict is Verdict.PASS),
    ]
    if deciding is not None and deciding.anomaly_map is not None:
        mask = true_defect_mask(deciding.view, control, loaded)
        inside = peak_inside(deciding, mask)
        promises.append((f"the peak of the {deciding.view} map lies in the true defect, dilated by 2 %", inside))
    return promises
