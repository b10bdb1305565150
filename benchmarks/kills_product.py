"""`train` and `release` killed over and over: `python benchmarks/kills_product.py [--kills N] [--seed S]`.

A made-up collection, a process of its own for each run, SIGKILL after a random time within what a whole run takes.
After every kill the recipe and the active release must load, and every part must be whole; in the end the next run must
finish. Ends with 1 where it does not. Not for Windows, which has no fork.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from killed_runs import command, context, ended, run, train_tiles
from made_collection import made_collection, made_recipe

from station.collection.folder import Collection
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import load_recipe
from station.recipe.releases import changed_files, home_of, read_active, read_manifest


def is_sound(recipe: Path, tiles: Path) -> bool:
    """Recipe, active release and collection can be used."""
    load_recipe(recipe, need_model=False)
    home = home_of(recipe, "tile")
    active = read_active(home)
    collection = Collection.open(tiles)
    for part in collection.parts():
        for view in part.frames:
            collection.frames(part, view)
    return active is None or not changed_files(home, read_manifest(home, active.number))


def _is_past(at_s: float) -> bool:
    return time.monotonic() >= at_s


def main() -> int:
    """Kill, look, and go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng, bad = random.Random(asked.seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = made_recipe(folder / "recipe")
        made_collection(loaded, folder / "tiles")
        recipe, tiles, log = loaded.path, folder / "tiles", str(folder / "log")
        forks = context("station.teach.training", "models.train", "made_collection")
        training = (train_tiles, str(tiles), str(recipe), 60, log)
        words = ("release", str(recipe), "--why", "w", "--collection", str(tiles), "--accept", "scratch-11")
        for target, *arguments in (training, (command, words, log)):
            started = time.monotonic()
            if target is command:
                update_recipe_values(recipe, limits={"top": 2.5, "left": 2.5})
            whole_s = 20.0
            for n in range(asked.kills // 2):
                at_s = time.monotonic() + rng.uniform(0, whole_s)
                killed = run(forks, target, *arguments, kill_when=partial(_is_past, at_s))
                whole_s = whole_s if killed else time.monotonic() - started
                if not is_sound(recipe, tiles):
                    bad += 1
                    print(f"{target.__name__}, kill {n + 1}: not sound", flush=True)
                started = time.monotonic()
            code = ended(forks, target, *arguments)
            print(f"{target.__name__}: {asked.kills // 2} kills, then exit code {code}", flush=True)
            bad += code != 0 or not is_sound(recipe, tiles)
    print(f"{bad} of {asked.kills} kills left something that cannot be used")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
