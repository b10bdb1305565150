"""What a light's chart shows, without Qt: its level and its residual over the last inspections, with their limits."""

from __future__ import annotations

from dataclasses import dataclass

from station.lights.trend import LEVEL_DRIFT, LightHistory

_LEAST_LEVEL_SPAN = 2 * LEVEL_DRIFT
_ROOM_OVER_LIMIT = 1.25


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure over the inspections, in its own unit, with what is drawn around it."""

    values: tuple[float | None, ...]
    low: float
    high: float
    limits: tuple[float, ...]
    labels: tuple[tuple[float, str], ...]

    def is_beyond(self, value: float) -> bool:
        """Whether a value lies above the highest limit, or below the lowest of two."""
        return value > max(self.limits, default=value) or (len(self.limits) > 1 and value < min(self.limits))


def level_curve(history: LightHistory) -> Curve:
    """The level, 1 being what it was at first; limits lie LEVEL_DRIFT above and below."""
    known = [value for value in history.levels if value is not None]
    span = max([_LEAST_LEVEL_SPAN, *(abs(value - 1) * 1.1 for value in known)])
    limits = (1 - LEVEL_DRIFT, 1 + LEVEL_DRIFT)
    labels = tuple((value, f"{100 * value:.0f} %") for value in (limits[0], 1.0, limits[1]))
    return Curve(history.levels, 1 - span, 1 + span, limits, labels)


def residual_curve(history: LightHistory) -> Curve | None:
    """The residual in its history's own unit; None for a light that has none, such as the diffuse one."""
    limit = history.residual_limit
    if limit is None:
        return None
    known = [value for value in history.residuals if value is not None]
    high = max([limit * _ROOM_OVER_LIMIT, *(value * 1.1 for value in known)])
    return Curve(history.residuals, 0.0, high, (limit,), ((0.0, "0"), (1.0, "1 x"), (limit, f"{limit:g} x")))


def chart_text(history: LightHistory, *, is_flagged: bool) -> str:
    """The chart's latest values in words, for screen readers and the tool tip."""
    level = next((value for value in reversed(history.levels) if value is not None), None)
    residual = next((value for value in reversed(history.residuals) if value is not None), None)
    parts = [f"light {history.light}"]
    if level is not None:
        parts.append(f"level {level:.1%} of what it was")
    if residual is not None:
        parts.append(f"residual {residual:.2f}, limit {history.residual_limit:g}")
    return ", ".join([*parts, *(["stands out"] if is_flagged else [])])
