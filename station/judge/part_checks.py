"""What makes a view UNDECIDED because of how the part lies, or because what lies there is no such part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from station.inspection.reasons import Reason, ReasonKind
from station.judge.part_place import PartPlacement, PartTracker
from station.recipe.fields import ProofTolerances
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import part_misfits

LEAST_LIKENESS = 0.65  # to the reference; demo parts, defective ones too, have 0.98, other products at most 0.46
MOST_OUTSIDE = 0.02  # of the part's region: PASS is for what was seen whole
PART_MOVED, PART_TURNED, PART_RESIDUAL, PART_LIKENESS = (
    "part_moved_mm", "part_turned_deg", "part_residual", "part_likeness",
)  # fmt: skip


def part_trackers(loaded: LoadedRecipe) -> Mapping[str, PartTracker]:
    """Per view; empty where `why_part_unknown` gives a reason."""
    references = loaded.part_references
    if references is None or why_part_unknown(loaded) is not None:
        return {}
    return {view.name: PartTracker(references.views[view.name]) for view in loaded.recipe.viewpoints}


def why_part_unknown(loaded: LoadedRecipe) -> str | None:
    """Why the part is not brought to a reference under this recipe; None where it is."""
    references = loaded.part_references
    if references is None:
        return "the recipe names no part_reference"
    views = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    found = list(
        part_misfits(
            references, views, loaded.sha256s["calibration"], is_aimed=loaded.recipe.reference_camera is not None
        )
    )
    return f"its part_reference does not fit: {'; '.join(found)}" if found else None


def placement_figures(placement: PartPlacement) -> dict[str, float]:
    """The figures that are archived with the view's quality."""
    return {
        PART_MOVED: placement.moved_mm, PART_TURNED: placement.turn_deg,
        PART_RESIDUAL: placement.residual, PART_LIKENESS: placement.likeness,
    }  # fmt: skip


def check_placement(placement: PartPlacement, tolerances: ProofTolerances, outside: float = 0.0) -> tuple[Reason, ...]:
    """A part that lies farther from its reference than the recipe bears, is not seen whole, or is not recognised.

    `outside` is the share of its region that lies outside the picture.
    """
    if not placement.likeness >= LEAST_LIKENESS:
        text = f"the part is not recognised (likeness {placement.likeness:.2f}, at least {LEAST_LIKENESS:g})"
        remedy = "look whether a part lies in the fixture, and whether it is the recipe's product"
        return (Reason(ReasonKind.PART_NOT_FOUND, text, remedy),)
    return (*_moved(placement, tolerances), *_cut_off(outside))


def _moved(placement: PartPlacement, tolerances: ProofTolerances) -> Iterator[Reason]:
    remedy = "seat the part and inspect it again"
    if not placement.moved_mm <= tolerances.part_moved_mm:
        text = (
            f"the part lies {placement.moved_mm:.2f} mm from its place on the fixture ({_way(placement)}; tolerance "
            f"{tolerances.part_moved_mm:g} mm)"
        )
        yield Reason(ReasonKind.PART_MOVED, text, remedy)
    if not abs(placement.turn_deg) <= tolerances.part_turned_deg:
        way = "counterclockwise" if placement.turn_deg > 0 else "clockwise"
        text = (
            f"the part lies turned by {abs(placement.turn_deg):.2f} degrees {way}, seen from above (tolerance "
            f"{tolerances.part_turned_deg:g} degrees)"
        )
        yield Reason(ReasonKind.PART_MOVED, text, remedy)


def _cut_off(outside: float) -> Iterator[Reason]:
    if not outside <= MOST_OUTSIDE:
        text = f"{outside:.1%} of the part lies outside the picture, where it lies now (at most {MOST_OUTSIDE:.0%})"
        yield Reason(ReasonKind.PART_MOVED, text, "seat the part and inspect it again")


def _way(placement: PartPlacement) -> str:
    x, y = placement.x_mm, placement.y_mm
    sides = f"{abs(x):.2f} to the {'right' if x > 0 else 'left'}"
    return f"{sides}, {abs(y):.2f} {'away from' if y > 0 else 'toward'} the operator"


def observable_in(normals: NDArray[np.float32], region: NDArray[np.bool_]) -> float:
    """The share of the region (H, W) in which normals (3, H, W) are observable."""
    return float(np.mean(normals[2][region] != 0)) if region.any() else 0.0
