"""A collection loses no part: not by a kill, not by taking a part again, not by its age."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drivers.protocols import Frame
from station.collection.folder import About, Collection, LightTaken

LIGHTS = ("north", "east", "diffuse")
ADD = """
import os, signal, sys
from pathlib import Path
from station.collection import folder
sys.path.insert(0, {tests!r})
from test_folder import about, frames
left = [{pictures}]
written = folder._write_png
def write(*what):
    if not left[0]:
        Path(what[0]).write_bytes(b"half of a picture")
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return written(*what)
folder._write_png = write
folder.Collection.create(Path({where!r}), about()).add("P-1", "good", "train", frames(2))
"""


def about() -> About:
    lights = {name: LightTaken(n + 1, "directional", 100.0, 1.0, 0.0) for n, name in enumerate(LIGHTS)}
    return About("tile", ("top", "left"), lights, "Mono8", "0" * 64, is_simulated=True)


def frames(seed: int) -> dict[str, dict[str, Frame]]:
    rng = np.random.default_rng(seed)
    return {
        view: {
            light: Frame(rng.integers(0, 255, (8, 12), np.uint8), "Mono8", 8, 0.0, 100.0, 0.0, 0, 0) for light in LIGHTS
        }
        for view in ("top", "left")
    }


def killed_while_adding(folder: Path, pictures: int) -> None:
    """Another process takes P-1 and is killed by SIGKILL after so many pictures, in the middle of the next."""
    code = ADD.format(tests=str(Path(__file__).parent), where=str(folder), pictures=pictures)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr


def pixels_of(collection: Collection, view: str = "left") -> np.ndarray:
    return collection.frames(collection.part("P-1"), view)["east"].pixels


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_half_written_part_does_not_count_and_can_be_taken_again(tmp_path: Path) -> None:
    killed_while_adding(tmp_path / "parts", 4)
    collection = Collection.open(tmp_path / "parts")
    assert not collection.holds("P-1")
    assert list(collection.parts()) == []
    collection.add("P-1", "good", "train", frames(3))
    np.testing.assert_array_equal(pixels_of(collection), frames(3)["left"]["east"].pixels)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_kill_while_a_part_is_taken_again_leaves_the_first_take_whole(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "parts", about())
    collection.add("P-1", "good", "train", frames(1))
    before = collection.part("P-1")
    killed_while_adding(tmp_path / "parts", 5)
    assert collection.part("P-1") == before
    np.testing.assert_array_equal(pixels_of(collection), frames(1)["left"]["east"].pixels)
    collection.add("P-1", "good", "train", frames(3))
    np.testing.assert_array_equal(pixels_of(collection), frames(3)["left"]["east"].pixels)


def test_a_part_taken_again_leaves_no_files_of_its_first_take_and_has_another_fingerprint(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path, about())
    mask = np.ones((8, 12), bool)
    collection.add("P-1", "dent", "test", frames(1), {"top": mask}, {"by": "ann"}, {"top": (1.0, 2.0, 3.0, 4.0, 5.0)})
    first = collection.part("P-1")
    assert first.poses == {"top": [1.0, 2.0, 3.0, 4.0, 5.0]}
    collection.add("P-1", "dent", "test", frames(1))
    again = collection.part("P-1")
    assert (again.take, again.masks) == (2, {})
    assert again.fingerprint != first.fingerprint
    assert sorted(path.name for path in (tmp_path / "parts" / "P-1").glob("*.png")) == sorted(
        f"{view}_{light}.2.png" for view in ("top", "left") for light in LIGHTS
    )


def test_a_collection_from_before_poses_were_kept_still_loads(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path, about())
    collection.add("P-1", "good", "train", frames(1))
    path = tmp_path / "parts" / "P-1" / "part.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in record.items() if name not in ("poses", "take")}))
    part = Collection.open(tmp_path).part("P-1")
    assert (part.poses, part.take) == ({}, 1)
    assert collection.frames(part, "top")
