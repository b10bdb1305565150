"""A product learned on a rig that was measured after its parts were taken: `python benchmarks/other_rig.py [--few]`.

The simulated rig's lamps are 20 % unequal (one sigma), its lights 1.5 degrees elsewhere per axis (3 and more at the
most), its camera 0.5 mm and 0.3 degrees askew with another lens. Parts are taken under the drawing. Then the record of
the rig as it was built is bound to recipe and collection; frames are solved anew, the model is trained and released,
unseen good parts are inspected. Ends with 1 where a good part does not PASS. `--few` takes 24 good parts for 50, and 10
unseen ones for 20, and trains 300 steps for 900; `--small` only shows that the way can be gone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from calibration.record import Calibration, Provenance
from drivers.simulated.control import RigControl
from station.calibrate.records.record_file import write_record
from station.calibrate.studies.compare import as_built
from station.documents.document import load_document

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
import whole_way
from whole_way_mesh import write_mesh

WRONG = {
    "light_intensity_percent": 20.0, "light_direction_deg": 1.5, "focal_length_percent": 0.5,
    "principal_point_px": 30.0, "camera_mount_mm": 0.5, "camera_mount_deg": 0.3,
}  # fmt: skip
RELEASED = Provenance(
    measured=("camera", "light directions", "light intensities"), released_by="benchmark",
    released="2026-11-24T12:00:00Z", expires="2099-11-24T12:00:00Z",
)  # fmt: skip


FEW = replace(
    whole_way.Size(), good=26, good_first=24, good_to_test=2, defective=2, unseen=10,
    train=("--steps", "300", "--disturbed", "0"),
)  # fmt: skip


def true_record(rig: Path, folder: Path) -> Path:
    """What a faultless calibration of the running rig would state."""
    truth = RigControl(rig).call("truth")
    built = as_built(load_document(whole_way.DRAWING, Calibration), truth)
    return write_record(folder, built.model_copy(update={"calibration_id": "as-built", "provenance": RELEASED}))


def go(way: whole_way.Way) -> Counter[str]:
    """Collect, bind, train, release, inspect; the verdicts of the unseen good parts."""
    whole_way.begin(way, whole_way.DRAWING)
    whole_way.collect(way)
    records = way.folder / "records"
    records.mkdir(exist_ok=True)
    record = next(records.glob("*.yaml"), None) or true_record(way.rig, records)
    bind = ("calibrate", "bind", record, way.recipe, "--collection", way.parts)
    way.step("bind", *bind, *whole_way.BY, "--why", "measured afterwards")
    if way.size.good_first:
        way.step("view reference under the record", "view-reference", way.recipe, "--collection", way.parts)
    way.step("train", "train", "--data", way.parts, "--recipe", way.recipe, *way.size.train)
    whole_way.release(way, "release", way.recipe, "under the record of the rig as it was built")
    releases = way.recipe.parent / "releases" / way.product
    for n in range(way.size.unseen):
        whole_way.inspect_one(way, releases, f"good-{n + 1}", whole_way.UNSEEN_GOOD_FROM + n)
    return Counter(way.steps[f"inspect good-{n + 1}"]["found"]["verdict"] for n in range(way.size.unseen))


def main() -> int:
    """Read the arguments, print the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", action="store_true", help="half of the parts, a third of the training steps")
    parser.add_argument("--small", action="store_true", help="few parts, one view, three training steps")
    parser.add_argument("--folder", type=Path, default=Path("out/other-rig"))
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(whole_way.ROOT), os.environ.get("PYTHONPATH"))))
    size = whole_way.SMALL if asked.small else FEW if asked.few else whole_way.Size()
    size = replace(size, imperfections={**size.imperfections, **WRONG})
    way = whole_way.Way(folder, write_mesh(folder / "mesh"), size)
    with whole_way.running_rig(way):
        verdicts = go(way)
    n = way.size.unseen
    print(
        f"unseen good parts: {verdicts['PASS']} of {n} PASS, {verdicts['FAIL']} FAIL, {verdicts['UNDECIDED']} UNDECIDED"
    )
    return 0 if verdicts["PASS"] == n else 1


if __name__ == "__main__":
    sys.exit(main())
