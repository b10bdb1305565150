"""Warnings about lights, in the operator's words: what drifts, since when, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from station.inspection.result import Inspection
from station.lights.ambient import SHARE
from station.lights.trend import FlagKind, LightFlag, LightTrend

ONE_OF_THEM = ""  # the light of a warning that no single light can be blamed for


@dataclass(frozen=True, slots=True)
class LightWarning:
    """A light stands out over several parts. The work goes on, and no verdict changes."""

    light: str
    kind: str
    text: str
    action: str
    since: datetime | None  # UTC

    @property
    def key(self) -> tuple[str, str]:
        """Light and kind: the same for as long as the finding lasts."""
        return self.light, self.kind


def light_warnings(trends: Sequence[LightTrend]) -> tuple[LightWarning, ...]:
    """One warning per light and kind.

    A fault visible only in the set's mean is reported once, and not beside a single light that explains it. A light
    explains it if its own drift began no earlier: a lamp that had been weaker before does not explain a knocked holder.
    """
    found: dict[tuple[str, str], LightWarning] = {}
    for trend in trends:
        for flag in trend.flags:
            warning = _warning(trend, flag)
            found.setdefault(warning.key, warning)
    flags = [flag for trend in trends if trend.median_residual is not None for flag in trend.flags]
    named = [flag.since for flag in flags if flag.kind is not FlagKind.SET_RESIDUAL]
    return tuple(w for w in found.values() if w.kind != FlagKind.SET_RESIDUAL or not _explained(w.since, named))


def _explained(since: datetime | None, named: Sequence[datetime | None]) -> bool:
    return any(since is None or began is None or began >= since for began in named)


def ambient_warning(inspection: Inspection, told_above: float, before: LightWarning | None) -> LightWarning | None:
    """The warning of ambient light above the share `told_above`, or None.

    `before` is the warning after the last part: it stands where this part recorded nothing, and it keeps its beginning.
    """
    shares = [view.quality[SHARE] for view in inspection.views if SHARE in view.quality]
    if not shares:
        return before
    if max(shares) <= told_above:
        return None
    text = f"Other light falls on the part: {max(shares):.1%} of the lights' level while all of them are off"
    action = "close the hood, shade the cell, see whether a light stays on"
    since = inspection.creation_time if before is None else before.since
    return LightWarning(ONE_OF_THEM, "ambient", text, action, since)


def _warning(trend: LightTrend, flag: LightFlag) -> LightWarning:
    if flag.kind is FlagKind.LEVEL:
        return _of_level(trend, flag)
    if flag.kind is FlagKind.STANDS_OUT:
        text = f"Light {trend.light} no longer fits the other lights"
        action = "see whether its holder was knocked or something stands before it; then have the lights measured again"
        return LightWarning(trend.light, flag.kind, text, action, flag.since)
    text = "One of the lights no longer fits the others"
    action = "see whether a holder was knocked or something stands before a light; then have the lights measured again"
    return LightWarning(ONE_OF_THEM, flag.kind, text, action, flag.since)


def _of_level(trend: LightTrend, flag: LightFlag) -> LightWarning:
    drift = trend.level_drift or 0.0
    if drift < 0:
        text = f"Light {trend.light} is {-drift:.0%} weaker than it was, against the other lights"
        action = "wipe its window; if that does not help, have it replaced and measured again"
    else:
        text = f"Light {trend.light} is {drift:.0%} brighter than it was, against the other lights"
        action = "see whether other light falls in or a lamp was changed; then have the lights measured again"
    return LightWarning(trend.light, flag.kind, text, action, flag.since)
