"""Which inspection stands below the banner: the live one, or one that was opened from the archive."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from station.console.bridge import Bridge, Lane
from station.console.inspection_engine import InspectionEngine
from station.console.pictures import Mode, ViewPictures, make_pictures
from station.console.shown import Pane, Shown
from station.console.situation import Situation
from station.engine.events import (
    Event,
    JobStarted,
    PresentFollows,
    RecipePrepared,
    RecipeRead,
    ResultReady,
    ViewJudged,
)
from station.inspection.result import Inspection, ViewResult, without_pictures

_HISTORY_ROWS = 200


class Display(QObject):
    """Collects figures and pictures per view. The bridge's threads read the archive and make the pictures.

    A view's figures are shown at once and its pictures when they are ready, up to seconds later at 20 megapixels.
    Pictures that arrive after another part has begun go to the inspection that they belong to.

    `changed` is emitted after anything that tiles, detail or lights show has changed, except from `take`: the window
    redraws after every event anyway.
    """

    changed = pyqtSignal()
    opened = pyqtSignal()  # an archived inspection is on the display now
    history_read = pyqtSignal(object)  # list[HistoryRow], newest first

    def __init__(self, engine: InspectionEngine, bridge: Bridge, situation: Situation, parent: QObject) -> None:
        super().__init__(parent)
        self._engine = engine
        self._bridge = bridge
        self._situation = situation
        self._live = Shown()
        self._archived: Shown | None = None
        self._history_requests = 0  # not answered yet
        self.mode = Mode.HEAT
        self.pane = Pane.VIEW

    @property
    def shown(self) -> Shown:
        """The archived inspection if one is open, else the live one."""
        return self._archived or self._live

    @property
    def is_settled(self) -> bool:
        """Whether the live result is complete, with all its pictures and in the history."""
        live = self._live
        return live.inspection is not None and not live.awaits_pictures and not self._history_requests

    def show_mode(self, mode: Mode) -> None:
        """Image, normals or score map, in tiles and detail alike."""
        self.mode, self.pane = mode, Pane.VIEW
        self.changed.emit()

    def show_lights(self) -> None:
        """The lights' curves over the last parts, where else one view is large."""
        self.pane = Pane.LIGHTS
        self.changed.emit()

    def show_reasons(self) -> None:
        """Every finding about the part that is shown, in full; a second press leads back."""
        self.pane = Pane.VIEW if self.pane is Pane.REASONS else Pane.REASONS
        self.changed.emit()

    def select_view(self, view: str) -> None:
        """Show one view large."""
        self.pane = Pane.VIEW
        self.shown.selected = view
        self.changed.emit()

    def open_archived(self, inspection_id: str) -> None:
        """Load an earlier inspection and show it below the live verdict; refused if a part is running by then."""
        self._situation.notice, self.pane = "Loading from the archive ...", Pane.VIEW
        self._bridge.run(
            Lane.READ,
            lambda: self._engine.load(inspection_id),
            self._archive_loaded,
            lambda error: self._failed("open", error),
        )
        self.changed.emit()

    def back_to_live(self) -> None:
        """Leave the archived inspection."""
        self._archived = None
        self.changed.emit()

    def read_history(self) -> None:
        """Ask for the latest inspections; `history_read` brings them."""
        self._history_requests += 1
        self._bridge.run(
            Lane.READ, lambda: self._engine.history(_HISTORY_ROWS), self._history_arrived, self._history_failed
        )

    def take(self, event: Event) -> None:
        """Enter an event of the live part. Call it after the situation has taken the same event."""
        if isinstance(event, RecipePrepared | RecipeRead):
            self._live = Shown(views=event.views)
        elif isinstance(event, PresentFollows):
            self._live = Shown(views=self._live.views)
        elif isinstance(event, JobStarted):
            self._begin(event)
        elif isinstance(event, ViewJudged) and event.inspection_id == self._live.inspection_id:
            self._take_view(event.result)
        elif isinstance(event, ResultReady):
            self._take_result(event.inspection)

    def _begin(self, job: JobStarted) -> None:
        recipe = self._situation.recipe
        self._live = Shown(job.inspection_id, job.part_id, recipe.views if recipe else self._live.views)
        self._archived = None

    def _take_view(self, result: ViewResult) -> None:
        self._live.results[result.view] = without_pictures(result)
        self._live.selected = result.view
        self._make_pictures(self._live, result)

    def _take_result(self, inspection: Inspection) -> None:
        """Show it, unless it is that of an earlier part, which was stored late while another one is inspected."""
        if self._situation.job is not None:
            self.read_history()
            return
        if inspection.inspection_id != self._live.inspection_id:
            self._live = Shown()
        asked = set(self._live.results)
        self._live.take_inspection(inspection)
        for result in inspection.views:
            if result.view not in asked:
                self._make_pictures(self._live, result)
        self.read_history()

    def _make_pictures(self, shown: Shown, result: ViewResult) -> None:
        def take(pictures: ViewPictures) -> None:
            shown.pictures[pictures.view] = pictures
            self.changed.emit()

        self._bridge.run(Lane.PICTURES, lambda: make_pictures(result), take, lambda error: self._failed("draw", error))

    def _archive_loaded(self, inspection: Inspection) -> None:
        self._situation.notice = ""
        if self._situation.is_busy:
            self._situation.notice = "Not opened: a part is being inspected. Try again after its verdict."
        else:
            archived = Shown(is_archived=True)
            archived.take_inspection(inspection)
            for result in inspection.views:
                self._make_pictures(archived, result)
            self._archived = archived
            self.opened.emit()
        self.changed.emit()

    def _history_arrived(self, rows: object) -> None:
        self._history_requests -= 1
        self.history_read.emit(rows)

    def _history_failed(self, error: Exception) -> None:
        self._history_requests -= 1
        self._failed("history", error)

    def _failed(self, action: str, error: Exception) -> None:
        self._situation.report_failure(action, error)
        self.changed.emit()
