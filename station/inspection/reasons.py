"""Why something is UNDECIDED: one record per cause, from the check that finds it to the screen that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class ReasonKind(StrEnum):
    """What sort of cause; programs ask for the kind, people read the text."""

    STOPPED = "stopped"  # by a person, or by the station's end
    SKIPPED = "skipped"  # a person wanted the verdict on what had been seen
    DEVICE_FAULT = "device fault"
    NOT_CAPTURED = "not captured"
    MISSING_FRAME = "missing frame"
    REFUSED_FRAME = "refused frame"
    LIGHT_DEAD = "light dead"
    LIGHT_WEAK = "light weak"
    LIGHT_STRONG = "light strong"
    LIGHTS_WEAK = "lights weak"  # all of them, or too many to name one
    LIGHTS_STRONG = "lights strong"
    LIGHT_STUCK_ON = "light stuck on"
    EXPOSURE_WRONG = "exposure wrong"  # of every frame alike: exposure, gain, aperture, or the lights' supply
    CAMERA_MOVED = "camera moved"  # against the fixture: the camera, the arm, or the fixture itself
    PART_MOVED = "part moved"  # against its place on the fixture, farther than the recipe bears
    PART_NOT_FOUND = "part not found"  # an empty fixture, or another product
    BLURRED = "blurred"
    NOISY = "noisy"
    NO_REFERENCE = "no reference"
    SATURATED = "saturated"
    AMBIENT_LIGHT = "ambient light"
    FEW_OBSERVABLE = "few observable"
    NOT_FINITE = "not finite"
    NOT_JUDGED = "not judged"
    NOT_STORED = "not stored"  # the verdict is not durable
    PROGRAM_FAULT = "program fault"  # the station's own program, or a foreign driver's
    NO_VIEWS = "no views"
    UNSTATED = "unstated"  # a view is undecided and gives no reason
    EARLIER = "earlier"  # read from an archive that kept the text alone


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause: what was found, in which view, and what to do about it.

    Two reasons are equal if all fields are; checks leave `view` empty, and the judge fills it in.
    """

    kind: ReasonKind
    text: str  # what was found, without the view's name
    remedy: str = ""  # what to do, as an instruction; empty where only the text can say
    view: str | None = None  # None: of the whole part
    light: str | None = None  # where one light is the cause

    @property
    def advice(self) -> str:
        """The text with its remedy, as one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    def __str__(self) -> str:
        """The line for a terminal and for `--json`: the view, the text, the remedy."""
        return self.advice if self.view is None else f"view {self.view!r}: {self.advice}"

    def of_view(self, view: str) -> Reason:
        """The same cause, found in this view."""
        return replace(self, view=view)


def of_view(view: str, reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """These causes, found in this view."""
    return tuple(reason.of_view(view) for reason in reasons)


def reason_lines(reasons: Iterable[Reason], expected_views: int) -> tuple[str, ...]:
    """One line per cause, in the order in which each was met first; what holds of several views names them all."""
    views: dict[Reason, list[str]] = {}
    for reason in reasons:
        names = views.setdefault(replace(reason, view=None), [])
        if reason.view is not None and reason.view not in names:
            names.append(reason.view)
    return tuple(f"{_places(names, expected_views)}{cause.advice}" for cause, names in views.items())


def _places(names: list[str], expected_views: int) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f"view {names[0]!r}: "
    return "every view: " if len(names) == expected_views else f"views {', '.join(names)}: "
