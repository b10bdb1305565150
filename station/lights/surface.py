"""The surface of a part as its views show it: warned of where photometric stereo cannot see its normals."""

from __future__ import annotations

from station.inspection.result import Inspection
from station.lights.warning import ONE_OF_THEM, LightWarning
from station.photometric_stereo.diffuse_base import LEAST_EXPLAINED_WITH_FIXTURE

DIFFUSE_SHARE = "diffuse_share"  # names among a view's figures of quality
CONCAVE_SHARE, ROBUST_APART_SHARE = "concave_share", "robust_apart_share"


def surface_warning(inspection: Inspection, before: LightWarning | None) -> LightWarning | None:
    """The warning of a surface without a diffuse base, or None.

    `before` is the warning after the last part: it stands where this part recorded nothing, and it keeps its beginning.
    """
    shares = {view.view: view.quality[DIFFUSE_SHARE] for view in inspection.views if DIFFUSE_SHARE in view.quality}
    if not shares:
        return before
    worst = min(shares, key=lambda view: shares[view])
    if shares[worst] >= LEAST_EXPLAINED_WITH_FIXTURE:
        return None
    text = f"The surface is not matte enough for its normals: view {worst} is explained on {shares[worst]:.0%}"
    action = "metal, or gloss on a black body: see that the right part lies there, and do not trust its normals"
    since = inspection.creation_time if before is None else before.since
    return LightWarning(ONE_OF_THEM, "surface", text, action, since)
