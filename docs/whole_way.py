"""From a mesh to a released recipe and back: `python docs/whole_way.py [--small] [--mesh FILE.stl] [--folder DIR]`.

Every step is a `station` command, printed as a user would type it, with its time. Nothing here knows the part, which is
a mesh file. What is done is kept in the folder's `steps.json`, so that the same line goes on after an interruption.
Ends with 0 when the whole way was gone, and with 1 where a step fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml
from whole_way_mesh import write_mesh

KINDS = ("scratch", "dent", "pit", "stain", "discolouration", "missing_feature")
STATION = (sys.executable, "-m", "station.commands.main")
GOOD_FROM, DEFECTIVE_FROM, UNSEEN_GOOD_FROM, UNSEEN_DEFECTIVE_FROM = 100, 300, 500, 700  # seeds: no part comes twice
BY = ("--by", "Anna")
ROOT = Path(__file__).resolve().parents[1]
DRAWING = ROOT / "station" / "demo_recipes" / "simulated_rig.calibration.yaml"


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    good: int = 50
    good_first: int = 24  # of these, before the view reference, which learns how parts sway the light; 0: none
    good_to_test: int = 6  # of these: the reference set of the first release
    defective: int = 12
    spread_mm: float = 1.5  # half of the good parts to learn from lie so far off their seat: heights and region follow
    unseen: int = 20  # good, and as many defective
    train: tuple[str, ...] = ()
    new: tuple[str, ...] = ()  # options of `product new`: none, so that it chooses the lamps
    views: tuple[str, ...] = ()  # none: all
    imperfections: Mapping[str, float] = field(default_factory=dict)  # of the simulated rig


SMALL = Size(
    good=11, good_first=0, good_to_test=1, defective=1, unseen=1, train=("--steps", "3", "--disturbed", "0"),
    new=("--channel", "2", "--channel", "4", "--channel", "6", "--channel", "9"), views=("top",), imperfections={
        "light_bounces": 1, "pose_repeatability_mm": 0.0, "pose_repeatability_deg": 0.0,
    },
)  # fmt: skip


class Way:
    """The folder, the rig that runs, and what was done with what outcome."""

    def __init__(self, folder: Path, mesh: Path, size: Size) -> None:
        self.folder, self.mesh, self.size = folder, mesh, size
        self.product = mesh.stem.lower()
        self.recipe = folder / f"{self.product}.yaml"
        self.parts, self.results = folder / f"{self.product}-parts", folder / "results"
        self.rig = folder / "rig"
        self._kept = folder / "steps.json"
        self.steps: dict[str, dict[str, Any]] = json.loads(self._kept.read_text()) if self._kept.is_file() else {}

    def step(self, name: str, *arguments: object, may_find: bool = False) -> Any:
        """Run a command unless it is done, and return its JSON document. Exit code 1 fails unless it `may_find`."""
        if name not in self.steps:
            started = time.monotonic()
            code, found = self.station(*arguments)
            seconds = round(time.monotonic() - started, 1)
            if code != 0 and not (may_find and code == 1):
                give_up(f"step {name!r} ended with exit code {code}")
            print(f"    {seconds} s", flush=True)
            self.steps[name] = {"seconds": seconds, "code": code, "found": found}
            self._kept.write_text(json.dumps(self.steps, indent=1))
        return self.steps[name]["found"]

    def station(self, *arguments: object) -> tuple[int, Any]:
        """Exit code and JSON document of one command."""
        words = [str(argument) for argument in arguments]
        print(f"$ station {' '.join(w if w and ' ' not in w else repr(w) for w in words)}", flush=True)
        ended = subprocess.run([*STATION, *words, "--json"], stdout=subprocess.PIPE, text=True, check=False)
        return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else None

    def load(self, seed: int, *defects: str) -> None:
        """Put a part into the fixture."""
        words = [word for kind in defects for word in ("--defect", kind)]
        code, _ = self.station("rig", "load", self.mesh, "--seed", seed, *words, "--folder", self.rig)
        if code:
            give_up(f"the rig takes no part from {self.mesh}")


def give_up(text: str) -> NoReturn:
    """One line, and exit code 1."""
    print(f"FAILED: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


@contextmanager
def running_rig(way: Way) -> Iterator[None]:
    """`station rig up` in a process of its own; its clock runs ahead, so that the arm takes no time of ours."""
    config = way.folder / "rig.config.yaml"
    settings = {"clock_speed": 20.0, "imperfections": dict(way.size.imperfections)}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    line = [*STATION, "rig", "up", "--config", str(config), "--folder", str(way.rig)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if not any("rig ready" in text for text in process.stdout):
            give_up("the simulated rig did not start")
        yield
    finally:
        process.terminate()
        process.wait(60)


def viewpoints(way: Way) -> tuple[object, ...]:
    """The file of the views that are used, as `calibrate teach` writes it; nothing where all are."""
    if not way.size.views:
        return ()
    poses = {"top": (0.0, 0.0, 258.0, 0.0, -90.0), "right": (176.777, 0.0, 184.777, 45.0, 0.0)}
    axes = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")
    views = [{"name": name, "pose": dict(zip(axes, poses[name], strict=True))} for name in way.size.views]
    path = way.folder / "taught.yaml"
    path.write_text(yaml.safe_dump({"schema_version": 1, "viewpoints": views}), encoding="utf-8")
    return "--viewpoints", path


def begin(way: Way, calibration: Path) -> None:
    """A part in the fixture, and the product's first recipe."""
    if "product new" not in way.steps:
        way.load(GOOD_FROM)
    way.step(
        "product new", "product", "new", way.product, "--rig", way.rig / "rig.yaml", "--calibration", calibration,
        "--recipe", way.recipe, *viewpoints(way), *way.size.new,
    )  # fmt: skip
    way.step("plan", "plan", "--recipe", way.recipe)


def collect(way: Way) -> None:
    """Good parts, with a view reference after the first of them, and defective ones."""
    size = way.size
    line = ("collect", way.recipe, way.parts, "--rig", way.rig / "rig.yaml", "--load", way.mesh, *BY)
    spread = ("--spread", size.spread_mm)
    if size.good_first:
        way.step("collect first good", *line, *spread, "--seed", GOOD_FROM, "--count", size.good_first)
        way.step("view reference", "view-reference", way.recipe, "--collection", way.parts)
    to_learn = size.good - size.good_to_test
    way.step("collect good", *line, *spread, "--seed", GOOD_FROM, "--count", to_learn)
    way.step(
        "collect good to test", *line, "--seed", GOOD_FROM + to_learn, "--count", size.good_to_test, "--split", "test"
    )
    for n, kind in enumerate(KINDS):
        count = size.defective // len(KINDS) + (n < size.defective % len(KINDS))
        if count:
            seed = DEFECTIVE_FROM + 10 * n
            way.step(f"collect {kind}", *line, "--seed", seed, "--count", count, "--defect", kind)


def release(way: Way, name: str, recipe: Path, why: str) -> int:
    """Release, and where the gate fails look at what it names and accept that: what a person decides part by part."""
    asked = ("release", recipe, "--why", why, "--collection", way.parts, *BY)
    found = way.step(name, *asked, may_find=True)
    if way.steps[name]["code"] == 1:
        failed = [part["name"] for part in (*found["gate"]["defective"], *found["gate"]["reference"]) if is_wrong(part)]
        print("  the gate fails:", *found["failures"], sep="\n    ")
        accepted = [word for part in dict.fromkeys(failed) for word in ("--accept", part)]
        found = way.step(f"{name}, accepting", *asked, *accepted)
    return int(found["active"])


def is_wrong(part: dict[str, Any]) -> bool:
    """Whether its verdict is not as expected; a defective part must not PASS."""
    return bool(part["found"] == "PASS" if part["expected"] is None else part["found"] != part["expected"])


def inspect(way: Way, releases: Path) -> None:
    """Unseen parts through the engine, under the active release."""
    for n in range(way.size.unseen):
        inspect_one(way, releases, f"good-{n + 1}", UNSEEN_GOOD_FROM + n)
    for n in range(way.size.unseen):
        inspect_one(way, releases, f"defective-{n + 1}", UNSEEN_DEFECTIVE_FROM + n, KINDS[n % len(KINDS)])


def inspect_one(way: Way, releases: Path, part: str, seed: int, *defects: str) -> None:
    """Load a part and inspect it."""
    if f"inspect {part}" not in way.steps:
        way.load(seed, *defects)
    found = way.step(
        f"inspect {part}", "inspect", "--rig", way.rig / "rig.yaml", "--recipe", releases, "--part", part, "--out",
        way.results, may_find=True,
    )  # fmt: skip
    print(f"  {part} {' '.join(defects)}: {found['verdict']}")


def say_words(way: Way) -> None:
    """A person looks at two parts: at one that was judged wrongly, if there is one, of either kind."""
    for kind, right, wrong in (("good", "PASS", "false-call"), ("defective", "FAIL", "missed")):
        parts = [way.steps[f"inspect {kind}-{n + 1}"]["found"] for n in range(way.size.unseen)]
        amiss = [p for p in parts if p["verdict"] != right]
        chosen = (amiss or parts)[0]
        word = wrong if amiss else "confirmed"
        way.step(
            f"word on a {kind} part", "word", way.results / "archive", chosen["inspection_id"], word, *BY,
            "--reason", f"looked at under the lens: it is {kind}",
        )  # fmt: skip


def confusion_table(way: Way) -> str:
    """Truth against verdict, and the kinds that PASSed."""
    lines = [f"{'':<12}{'PASS':>7}{'FAIL':>7}{'UNDECIDED':>11}"]
    for kind in ("good", "defective"):
        verdicts = Counter(way.steps[f"inspect {kind}-{n + 1}"]["found"]["verdict"] for n in range(way.size.unseen))
        lines.append(f"{kind:<12}{verdicts['PASS']:>7}{verdicts['FAIL']:>7}{verdicts['UNDECIDED']:>11}")
    missed = Counter(
        KINDS[n % len(KINDS)] for n in range(way.size.unseen)
        if way.steps[f"inspect defective-{n + 1}"]["found"]["verdict"] == "PASS"
    )  # fmt: skip
    if missed:
        lines.append("missed: " + ", ".join(f"{count} {kind}" for kind, count in missed.items()))
    return "\n".join(lines)


def go(way: Way, calibration: Path) -> None:
    """The whole way."""
    begin(way, calibration)
    collect(way)
    way.step("train", "train", "--data", way.parts, "--recipe", way.recipe, *way.size.train)
    way.step("limits", "limits", way.recipe, "--write", "--why", "limits of the first training")
    first = release(way, "release", way.recipe, "the first release")
    releases = way.recipe.parent / "releases" / way.product
    inspect(way, releases)
    say_words(way)
    retrained = way.step(
        "retrain", "retrain", way.recipe, "--collection", way.parts, "--archive", way.results / "archive",
        *way.size.train,
    )  # fmt: skip
    second = release(way, "release again", Path(retrained["draft"]), "with what people said")
    way.step("diff", "diff", f"{way.recipe}@{first}", f"{way.recipe}@{second}")
    way.step("rollback", "rollback", way.recipe, first, "--why", "as an exercise", *BY)
    way.step("models", "models", way.recipe)


def report(way: Way) -> str:
    """Time of every step, those of one kind together, and the confusion table."""
    seconds: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for name, step in way.steps.items():
        group = name if name.startswith("collect good") else name.split(" ")[0]
        seconds[group] += step["seconds"]
        count[group] += 1
    lines = [f"{name:<24}{seconds[name]:>8.0f} s  {count[name]:>3} command(s)" for name in seconds]
    return "\n".join([*lines, f"{'together':<24}{sum(seconds.values()):>8.0f} s", "", confusion_table(way)])


def main() -> int:
    """Read the arguments, go the way, print times and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="few parts, two views, few training steps")
    parser.add_argument("--mesh", type=Path, help="STL, OBJ or PLY; default: a bracket that is drawn now")
    parser.add_argument("--folder", type=Path, default=Path("out/whole-way"))
    parser.add_argument("--calibration", type=Path, help="default: the drawing of the simulated rig")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    mesh = asked.mesh.resolve() if asked.mesh else write_mesh(folder / "mesh")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    way = Way(folder, mesh, SMALL if asked.small else Size())
    with running_rig(way):
        go(way, (asked.calibration or DRAWING).resolve())
    print(report(way))
    return 0


if __name__ == "__main__":
    sys.exit(main())
