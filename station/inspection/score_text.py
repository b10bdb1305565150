"""A score or a limit as people read it: a limit set by few parts may be 1088, and `1.09e+03` fits no label."""

from __future__ import annotations


def score_text(value: float) -> str:
    """Three significant digits, without an exponent where the number is large."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
