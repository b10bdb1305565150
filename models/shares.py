"""How many of how many, and what that says about the rate behind it."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of n, with the exact (Clopper-Pearson) interval of its rate."""

    count: int
    of: int
    low: float
    high: float

    def as_text(self) -> str:
        """As `3 of 53 (1.2 to 15.7 %)`."""
        return f"{self.count} of {self.of} ({100 * self.low:.1f} to {100 * self.high:.1f} %)"


def share(count: int, of: int, confidence: float = 0.95) -> Share:
    """The share with its two-sided interval, 0 to 1 without any trial. ValueError unless 0 <= count <= of."""
    if not 0 <= count <= of:
        raise ValueError(f"count: {count} of {of} is no share; give a count between 0 and the number of trials")
    tail = (1.0 - confidence) / 2.0
    low = float(stats.beta.ppf(tail, count, of - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1.0 - tail, count + 1, of - count)) if count < of else 1.0
    return Share(count, of, low, high)
