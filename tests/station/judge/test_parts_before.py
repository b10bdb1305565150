"""The parts taken before as a witness, on made-up tiles: what is no capture of such a part shows at once."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from made_collection import SHAPE, TILE, made_frames

from drivers.protocols import Frame
from station.inspection.reasons import ReasonKind
from station.judge.fixture_picture import FixturePicture, fixture_picture
from station.judge.parts_before import PartsBefore
from station.recipe.fields import ProofTolerances

CELL_MM = 1.0
Frames = dict[str, Frame]


def pictures(frames: Frames) -> dict[str, FixturePicture]:
    return {name: fixture_picture(frame, 4) for name, frame in frames.items()}


def top(seed: int) -> Frames:
    return dict(made_frames(seed)["top"])


@pytest.fixture
def before() -> PartsBefore:
    found = PartsBefore("diffuse", CELL_MM, ProofTolerances())
    for seed in (1, 2):
        found.add({"top": pictures(top(seed))})
    return found


def kinds(before: PartsBefore, frames: Frames, *, of_lamps: bool = True, of_part: bool = True) -> set[ReasonKind]:
    reasons = before.reasons("top", pictures(frames), of_lamps=of_lamps, of_part=of_part)
    assert all(reason.remedy for reason in reasons)
    return {reason.kind for reason in reasons}


def changed(frames: Frames, change: object) -> Frames:
    return {
        name: replace(frame, pixels=np.ascontiguousarray(change(frame.pixels)))  # type: ignore[operator]
        for name, frame in frames.items()
    }


def shifted(pixels: np.ndarray, dx: int) -> np.ndarray:
    """The tile elsewhere on its plate, whose place it leaves bare."""
    found = pixels.copy()
    bare = pixels[TILE[0], 2 : TILE[1].start - 2]
    found[TILE] = np.resize(bare, (TILE[0].stop - TILE[0].start, TILE[1].stop - TILE[1].start))
    found[TILE[0], TILE[1].start + dx : TILE[1].stop + dx] = pixels[TILE]
    return found


def test_another_good_part_is_not_spoken_against_nor_a_scratched_one(before: PartsBefore) -> None:
    assert kinds(before, top(3)) == set()
    assert kinds(before, dict(made_frames(4, scratched=True)["top"])) == set()


def test_the_first_part_has_no_witness() -> None:
    assert kinds(PartsBefore("diffuse", CELL_MM, ProofTolerances()), top(1)) == set()


def test_exchanged_lamps_are_named(before: PartsBefore) -> None:
    frames = top(3)
    frames["L45"], frames["L135"] = frames["L135"], frames["L45"]
    reasons = before.reasons("top", pictures(frames), of_lamps=True, of_part=True)
    assert [(r.kind, r.light) for r in reasons] == [
        (ReasonKind.LIGHT_STUCK_ON, "L135"), (ReasonKind.LIGHT_STUCK_ON, "L45"),
    ]  # fmt: skip
    assert kinds(before, frames, of_lamps=False) == set()


def test_a_blurred_picture_is_named(before: PartsBefore) -> None:
    blurred = changed(top(3), lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2.5))
    assert ReasonKind.BLURRED in kinds(before, blurred)


def test_an_empty_fixture_is_no_part(before: PartsBefore) -> None:
    rng = np.random.default_rng(9)
    bare = changed(top(3), lambda _: np.clip(814 + 4 * rng.standard_normal(SHAPE), 0, 4095).astype(np.uint16))
    assert kinds(before, bare, of_lamps=False) == {ReasonKind.PART_NOT_FOUND}


def test_a_part_far_off_its_seat_is_named_and_one_within_the_tolerance_is_not(before: PartsBefore) -> None:
    far = changed(top(3), lambda pixels: shifted(pixels, 24))  # 6 mm
    near = changed(top(3), lambda pixels: shifted(pixels, 8))  # 2 mm
    assert kinds(before, far, of_lamps=False) == {ReasonKind.PART_MOVED}
    assert kinds(before, near, of_lamps=False) == set()
