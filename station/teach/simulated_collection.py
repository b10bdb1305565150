"""Collections of simulated parts: raw frames as the rig would take them, of parts that do not all lie in their seat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from drivers.simulated.scene import DEFECT_KINDS, Placement, make_part, random_defect
from drivers.simulated.scene.mounted import MountedCamera
from station.collection.folder import Collection
from station.recipe.loaded import LoadedRecipe
from station.teach.fit_for_recipe import about_of
from station.teach.parts import FIRST_SEED, SEED_STRIDE
from station.teach.photographer import FORMAT, Color, Photographer

MOST_OFF = 2.0  # mm, and degrees
DEFECTIVE_FROM = 500  # of a test part's seed
SEATED_SHARE = 0.5  # of the parts lie in their seat, with its play alone
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class SimulatedPart:
    """A part to take: its seed, its defects by kind (none: good), and how far from its seat it lies."""

    seed: int
    split: Literal["train", "calibrate", "test"]
    kinds: tuple[str, ...] = ()
    off: Placement | None = None

    @property
    def kind(self) -> str:
        """`good`, or the defects' kinds."""
        return "+".join(self.kinds) if self.kinds else "good"

    @property
    def name(self) -> str:
        """As `dent-7003`."""
        return f"{self.kind}-{self.seed}"


def somewhere(seed: int, most: float = MOST_OFF) -> Placement | None:
    """How far from its seat the part of that seed lies: half of the parts not at all, the rest up to `most` mm and as
    many degrees."""
    rng = np.random.default_rng([seed, 41])
    if most == 0 or rng.uniform() < SEATED_SHARE:
        return None
    radius, angle = most * rng.uniform(), rng.uniform(0, 2 * np.pi)
    turn = most * rng.uniform(-1, 1)
    return Placement(float(radius * np.cos(angle)), float(radius * np.sin(angle)), float(turn))


def parts_to_learn_from(good: int, calibrate: int, seed: int = 0) -> list[SimulatedPart]:
    """Good parts to train on and to calibrate on, in turn, some of them off their seat; `seed` gives others."""
    base = SEED_STRIDE * seed
    found = []
    for n in range(max(good, calibrate)):
        if n < good:
            found.append(_good(base + FIRST_SEED["train"] + n, "train"))
        if n < calibrate:
            found.append(_good(base + FIRST_SEED["calibrate"] + n, "calibrate"))
    return found


def parts_to_test(defective: int, seed: int = 0) -> list[SimulatedPart]:
    """Defective parts, the kinds in turn, and as many good ones, all in their seats."""
    first = SEED_STRIDE * seed + FIRST_SEED["test"]
    found = []
    for n in range(defective):
        found.append(SimulatedPart(first + DEFECTIVE_FROM + n, "test", (DEFECT_KINDS[n % len(DEFECT_KINDS)],)))
        found.append(SimulatedPart(first + n, "test"))
    return found


def _good(seed: int, split: Literal["train", "calibrate"]) -> SimulatedPart:
    return SimulatedPart(seed, split, (), somewhere(seed))


def collect_simulated(
    loaded: LoadedRecipe, folder: Path, parts: Sequence[SimulatedPart], progress: Progress,
    color: Color = "rgb", threads: int = 2, camera: MountedCamera | None = None,
) -> Collection:  # fmt: skip
    """Take those of `parts` that the collection does not hold yet; the same parts give the same frames.

    Raises CollectionError where the folder holds a collection that was taken otherwise.
    """
    photographer = Photographer(loaded, color, threads)
    collection = Collection.create(folder, about_of(loaded, FORMAT[color], is_simulated=True))
    for n, part in enumerate(parts):
        if not collection.holds(part.name):
            _take(photographer, collection, loaded.recipe.product, part, camera)
        progress(f"{part.split} {part.name}", (n + 1) / len(parts))
    return collection


def _take(
    photographer: Photographer, collection: Collection, product: str, part: SimulatedPart, camera: MountedCamera | None
) -> None:
    defects = tuple(random_defect(product, kind, part.seed + n) for n, kind in enumerate(part.kinds))
    frames, masks = {}, {}
    for view, of_view, mask in photographer.photographed(
        make_part(product, part.seed, defects, part.off), part.seed, camera
    ):
        frames[view], masks[view] = of_view, mask
    facts = {"seed": part.seed, "off": None if part.off is None else asdict(part.off)}
    collection.add(part.name, part.kind, part.split, frames, masks, facts)
