"""One inspection as tiles and detail show it: the running or last one, or one from the archive."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from station.console.pictures import ViewPictures
from station.inspection.result import Inspection, Verdict, ViewResult, inspection_without_pictures, without_pictures


class Pane(StrEnum):
    """What stands where one view is large: that view, the lights' curves, or every finding about the part."""

    VIEW = "view"
    LIGHTS = "lights"
    REASONS = "reasons"


@dataclass(slots=True)
class Shown:
    """Figures and pictures per view. Pictures arrive later than figures, and views one after the other.

    Full pictures are dropped once those for the screen are made: 480 MB a view at 20 megapixels.
    """

    inspection_id: str = ""
    part_id: str = ""
    views: tuple[str, ...] = ()
    results: dict[str, ViewResult] = field(default_factory=dict)  # without their pictures
    pictures: dict[str, ViewPictures] = field(default_factory=dict)
    inspection: Inspection | None = None  # once it is judged; without pictures
    is_archived: bool = False
    selected: str = ""

    def take_inspection(self, inspection: Inspection) -> None:
        """Enter the whole result and select the view that is worth a look. Pictures that are here already stay."""
        self.inspection_id, self.part_id = inspection.inspection_id, inspection.part_id
        extra = tuple(v.view for v in inspection.views if v.view not in inspection.expected_views)
        self.views = (*inspection.expected_views, *extra)
        self.results = {view.view: without_pictures(view) for view in inspection.views}
        self.inspection = inspection_without_pictures(inspection)
        self.selected = _worth_a_look(inspection)

    @property
    def deciding_view(self) -> str | None:
        """The view that is highest against its limit; None until the part is judged, and of an UNDECIDED part."""
        is_judged = self.inspection is not None and self.inspection.verdict is not Verdict.UNDECIDED
        return self.inspection.deciding_view if self.inspection is not None and is_judged else None

    @property
    def awaits_pictures(self) -> bool:
        """Whether a view that was judged has no pictures yet."""
        return any(view not in self.pictures for view in self.results)

    def note(self, view: str) -> str:
        """What a tile without a picture says instead."""
        if view in self.results:
            return "preparing the picture" if view not in self.pictures else "no picture of this kind"
        if self.inspection is not None:
            return "not captured"
        return "waiting" if self.inspection_id else ""


def _worth_a_look(inspection: Inspection) -> str:
    """The view that decided; of an UNDECIDED part, the first view that is UNDECIDED itself."""
    first = inspection.views[0].view if inspection.views else ""
    if inspection.verdict is Verdict.UNDECIDED:
        return next((v.view for v in inspection.views if v.verdict is Verdict.UNDECIDED), first)
    return inspection.deciding_view or first
