"""The many reasons of one part as few causes: a dead light is one cause, however many views it spoils.

Reasons are kept as they were found; a cause says in one sentence what they have in common, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from station.inspection.reasons import Reason, ReasonKind

# What explains the others stands first: a lost device explains views that were not captured, a dead light explains
# pixels without a normal. Kinds that are not listed come between these two groups, in the order in which they were met.
_EXPLAINS = (
    "device fault",
    "stopped",
    "skipped",
    "not stored",
    "camera moved",
    "light dead",
    "light stuck on",
    "lights weak",
    "lights strong",
    "exposure wrong",
    "blurred",
    "ambient light",
    "light weak",
    "light strong",
)
_FOLLOWS = ("saturated", "few observable", "missing frame", "not captured", "not judged", "not finite")
# Kinds that the view of the lights must agree with, whether or not they name a light.
_OF_LIGHTS = ("light dead", "light stuck on", "light weak", "light strong", "lights weak", "lights strong")


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause with all its reasons: the same kind, at the same light where one is named."""

    kind: ReasonKind
    light: str | None
    text: str  # what was found, without figures that differ from view to view
    remedy: str
    views: tuple[str, ...]  # in which it was found, in the order in which it was met; empty: of the whole part
    reasons: tuple[Reason, ...]

    @property
    def is_of_lights(self) -> bool:
        """Whether a light is the cause, or all of them are."""
        return self.light is not None or str(self.kind) in _OF_LIGHTS

    def sentence(self, expected_views: int) -> str:
        """The cause with its views, such as "Light 'L90' is dead (every view)"."""
        return f"{self.text[:1].upper()}{self.text[1:]}{_places(self.views, expected_views)}"


def causes_of(reasons: Iterable[Reason]) -> tuple[Cause, ...]:
    """All causes, the one that explains most of the others first."""
    groups: dict[tuple[ReasonKind, str | None, str], list[Reason]] = {}
    for reason in reasons:
        groups.setdefault((reason.kind, reason.light, _sort(reason)), []).append(reason)
    causes = [_cause(group) for group in groups.values()]
    return tuple(sorted(causes, key=lambda cause: _rank(cause.kind)))


def _cause(group: Sequence[Reason]) -> Cause:
    first = group[0]
    texts = {reason.text for reason in group}
    text = first.text if len(texts) == 1 else _stem(first.text)
    if len(texts) > 1 and text == first.text:
        text = f"{text}, or a similar figure"
    views = tuple(dict.fromkeys(reason.view for reason in group if reason.view is not None))
    return Cause(first.kind, first.light, text, first.remedy, views, tuple(group))


def _sort(reason: Reason) -> str:
    """What tells causes of one kind apart: nothing where a light does, or where the kind only follows from others."""
    return "" if reason.light or str(reason.kind) in _FOLLOWS else _stem(reason.text)


def _stem(text: str) -> str:
    """The text before its figures, which follow a colon."""
    return text.partition(": ")[0]


def _rank(kind: ReasonKind) -> int:
    name = str(kind)
    if name in _EXPLAINS:
        return _EXPLAINS.index(name)
    return len(_EXPLAINS) + (1 + _FOLLOWS.index(name) if name in _FOLLOWS else 0)


def _places(views: Sequence[str], expected_views: int) -> str:
    if not views:
        return ""
    if len(views) == expected_views and len(views) > 1:
        return " (every view)"
    return f" (view{'s' if len(views) > 1 else ''} {', '.join(views)})"
