"""The simulated parts of a data set: which there are, by split, seed and defect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.simulated.scene import DEFECT_KINDS

FIRST_SEED = {"train": 1000, "calibrate": 3000, "test": 7000}
SEED_STRIDE = 100_000  # another `seed` of the data set is another set of parts


@dataclass(frozen=True, slots=True)
class PartToMake:
    """One part of the set: its split, its seed, its defect if any."""

    split: Literal["train", "calibrate", "test"]
    seed: int
    kind: str  # good, or the defect's kind

    @property
    def name(self) -> str:
        """The part's name in the index and in file names, as `dent-7003`."""
        return f"{self.kind}-{self.seed}"


def parts_of_set(
    good: int, calibrate: int, defective: int, seed: int, test_good: int | None = None
) -> list[PartToMake]:
    """Parts to train, calibrate and test on, in this order, with disjoint seeds and the kinds of defect in turn.

    The test split holds `test_good` good parts, as many as defective ones unless given.
    """
    base = SEED_STRIDE * seed
    parts = [PartToMake("train", base + FIRST_SEED["train"] + n, "good") for n in range(good)]
    parts += [PartToMake("calibrate", base + FIRST_SEED["calibrate"] + n, "good") for n in range(calibrate)]
    count = defective if test_good is None else test_good
    first = base + FIRST_SEED["test"]
    parts += [PartToMake("test", first + n, "good") for n in range(count)]
    kinds = [DEFECT_KINDS[n % len(DEFECT_KINDS)] for n in range(defective)]
    return parts + [PartToMake("test", first + count + n, kind) for n, kind in enumerate(kinds)]
