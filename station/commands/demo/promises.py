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
    """Every promise about this part; at full resolution (binning 1) only those that hold for its model there."""
    is_full = loaded.recipe.capture.binning == 1
    return tuple(_completion(part, inspection) if is_full else _verdict_and_cause(part, inspection, control, loaded))


def _completion(part: DemoPart, inspection: Inspection) -> list[Promise]:
    """Every view is complete and scored, and a part with a dead light never passes.

    The demo model learned from pictures that the simulated sensor binned, one ray per pixel. Full-resolution
    pictures that are averaged down differ from those along every edge, so PASS and FAIL are not promised.
    """
    scored = [v for v in inspection.views if v.pred_score is not None and np.isfinite(v.pred_score)]
    promises = [("all five views were captured, solved and scored", len(scored) == len(inspection.expected_views))]
    if part.dead_channel is not None:
        promises.append((f"the verdict is {part.expected.value}", inspection.verdict is part.expected))
    return promises


def _verdict_and_cause(
    part: DemoPart, inspection: Inspection, control: RigControl, loaded: LoadedRecipe
) -> list[Promise]:
    """The verdict is the expected one and is given for the right cause."""
    promises = [(f"the verdict is {part.expected.value}", inspection.verdict is part.expected)]
    if part.defects:
        promises += _side_scratch(inspection, control, loaded)
    if part.dead_channel is not None:
        name = next(light.name for light in loaded.recipe.lights if light.channel == part.dead_channel)
        named = any(r.kind is ReasonKind.LIGHT_DEAD and r.light == name for r in inspection.reasons)
        promises.append((f"the dead light {name} is named", named))
    return promises


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
