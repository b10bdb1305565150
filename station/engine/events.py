"""What the engine reports: frozen events to plain callables. The console knows no more than these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from station.archive.outlook import Outlook
from station.inspection.re_looks import ReLook
from station.inspection.result import Inspection, ViewResult
from station.inspection.retakes import Retake
from station.lights.trend import LightHistory
from station.lights.warning import LightWarning


class State(StrEnum):
    """The states of OPC 40100-1, operational ones flattened."""

    PREOPERATIONAL = "Preoperational"  # devices not open, or not homed
    INITIALIZED = "Initialized"  # devices open, no recipe
    READY = "Ready"  # recipe prepared, waiting for a part
    SINGLE_EXECUTION = "SingleExecution"  # a part is being inspected
    PAUSED = "Paused"  # within SingleExecution: the arm stands, the lights are off, a person has to resume
    HALTED = "Halted"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class PresentFollows:
    """A listener that was away is back: what it heard before is superseded, and the present follows as events."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecipeRead:
    """A recipe's files were read and fit each other; no device was asked, and nothing is prepared yet."""

    recipe_id: str
    product: str
    views: tuple[str, ...]
    limits: tuple[float, ...]
    model_id: str
    is_simulated: bool  # what the rig file says
    release: str = ""  # the active release's number, or `draft: ` and why


@dataclass(frozen=True, slots=True)
class RecipePrepared:
    recipe_id: str
    product: str
    views: tuple[str, ...]
    limits: tuple[float, ...]
    model_id: str
    is_simulated: bool
    release: str = ""  # as of RecipeRead


@dataclass(frozen=True, slots=True)
class JobStarted:
    """An inspection begins: `steps` frames will be captured, so many of them in each view."""

    inspection_id: str
    part_id: str
    steps: int
    steps_per_view: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepDone:
    """One frame captured: `index` of `steps`, at `view` under `light`."""

    inspection_id: str
    index: int
    steps: int
    view: str
    light: str


@dataclass(frozen=True, slots=True)
class ViewRetaken:
    """A take was rejected: its frames and its result count no more, and the view is taken again from its first frame.

    One result stays: a complete take that FAILed.
    """

    inspection_id: str
    retake: Retake


@dataclass(frozen=True, slots=True)
class ViewLookedAgain:
    """A second look begins at a view that exposure or coverage alone left undecided; its outcome comes with the result.

    Its frames are reported as steps of the plan's end. Where it decides, ViewJudged comes for the view once more.
    """

    inspection_id: str
    look: ReLook


@dataclass(frozen=True, slots=True)
class ViewJudged:
    inspection_id: str
    result: ViewResult


@dataclass(frozen=True, slots=True)
class AcquisitionDone:
    """All frames of a sound run are in, and every device was asked afterwards: the part may be moved.

    A run that a fault or a stop has ended never gets here: the arm may stand anywhere.
    """

    inspection_id: str


@dataclass(frozen=True, slots=True)
class ResultReady:
    """The verdict. It comes again for an inspection that was stored late: then with its true verdict."""

    inspection: Inspection
    archive_folder: str  # empty while it is not stored
    is_stored: bool = True  # disk and data base have it


@dataclass(frozen=True, slots=True)
class Fault:
    """Something needs a person: what, and what to do about it."""

    text: str
    action: str
    alarm_id: str = ""  # which alarm it is, in words that stay: see station/engine/alarms.py


@dataclass(frozen=True, slots=True)
class LightsWatched:
    """How the recipe's lights did over the last parts: reported with the recipe and after every part.

    A warning that is no longer among these is over. The work goes on under every one of them, and no verdict changes.
    """

    recipe_id: str
    inspection_id: str  # the part after which it is reported; empty with the recipe
    warnings: tuple[LightWarning, ...]
    histories: tuple[LightHistory, ...]


@dataclass(frozen=True, slots=True)
class RoomWatched:
    """How much room the archive has and for how many days: reported after every part, and at rest."""

    outlook: Outlook


Event = (
    PresentFollows
    | StateChanged
    | RecipeRead
    | RecipePrepared
    | JobStarted
    | StepDone
    | ViewRetaken
    | ViewLookedAgain
    | ViewJudged
    | AcquisitionDone
    | ResultReady
    | Fault
    | LightsWatched
    | RoomWatched
)
Listener = Callable[[Event], None]
