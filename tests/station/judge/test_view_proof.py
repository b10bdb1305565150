"""Synthetic fixtures whose place, lamps and sharpness are known exactly."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind
from station.judge.fixture_lights import FixtureLights
from station.judge.fixture_picture import cell_edge_px, fixture_picture
from station.judge.fixture_place import FixtureTracker, moved
from station.judge.model_grid import brought_back
from station.judge.view_proof import Stray, ViewEvidence, check_evidence
from station.recipe.fields import ProofTolerances
from station.recipe.view_reference_file import (
    LightUse,
    ViewReference,
    ViewReferenceError,
    ViewReferences,
    misfits,
    read_references,
    references_bytes,
)

HEIGHT, WIDTH = 114, 171
TOLERANCES = ProofTolerances()
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
PART = ((X - 85) / 40) ** 2 + ((Y - 57) / 28) ** 2 < 1


def texture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A plate with blotches of 3 to 12 cells, at any place, of levels near 0.05."""
    rng = np.random.default_rng(4)
    out = np.ones(x.shape)
    for _ in range(60):
        fx, fy = rng.normal(0, 0.09, 2)
        out += 0.012 * np.cos(2 * np.pi * (fx * x + fy * y) + rng.uniform(0, 7))
    return 0.05 * out


def seen(
    dx: float = 0.0, dy: float = 0.0, scale: float = 1.0, part_at: float = 0.0, turn_deg: float = 0.0
) -> np.ndarray:
    """The plate with a bright part in the middle; what lies at x in the reference lies at scale * x + dx here.

    The plate is then turned about the picture's centre.
    """
    cx, cy = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    x, y = (X - cx - dx) / scale, (Y - cy - dy) / scale
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    levels = texture(cos * x + sin * y + cx, cos * y - sin * x + cy)
    levels[((X - 85 - part_at) / 38) ** 2 + ((Y - 57) / 26) ** 2 < 1] = 0.6
    noise = np.random.default_rng(1).normal(0, 2e-4, levels.shape)
    return (levels + noise).astype(np.float32)


@pytest.fixture(scope="module")
def tracker() -> FixtureTracker:
    return FixtureTracker(np.where(PART, 0, texture(X, Y)).astype(np.float32), ~PART)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.3, -0.2), (-1.5, 0.9), (6.2, -4.7)])
def test_the_fixture_s_shift_is_found_to_hundredths_of_a_cell(tracker: FixtureTracker, dx: float, dy: float) -> None:
    """Issue 15, point 6."""
    place = tracker.find(seen(dx, dy))
    assert place.likeness > 0.95
    assert np.hypot(place.dx_cells - dx, place.dy_cells - dy) < 0.03


def test_a_part_that_lies_elsewhere_or_a_brighter_exposure_moves_nothing(tracker: FixtureTracker) -> None:
    """Issue 15, point 6."""
    place = tracker.find((1.2 * seen(0.4, 0.1, part_at=1.0)).astype(np.float32))
    assert np.hypot(place.dx_cells - 0.4, place.dy_cells - 0.1) < 0.03


def test_a_camera_that_stands_nearer_is_told_from_one_that_stands_beside(tracker: FixtureTracker) -> None:
    """Issue 15, point 6."""
    place = tracker.find(seen(scale=1.004))
    assert place.scale == pytest.approx(1.004, abs=4e-4)
    assert place.shift_cells < 0.03


@pytest.mark.parametrize("turn_deg", [0.8, -1.5, 3.0])
def test_a_camera_turned_about_its_axis_is_told_though_it_stands_in_place(
    tracker: FixtureTracker, turn_deg: float
) -> None:
    """Issue 15, point 6."""
    (reason,) = check_evidence(evidence(place=tracker.find(seen(turn_deg=turn_deg))), TOLERANCES)
    assert reason.kind is ReasonKind.CAMERA_MOVED
    told = re.search(r"turned by (\d\.\d\d) degrees \(tolerance 0\.15 degrees\)", reason.text)
    assert told is not None
    assert float(told[1]) == pytest.approx(abs(turn_deg), abs=0.05)
    assert kinds(evidence(place=tracker.find(seen(turn_deg=0.1)))) == []


def test_another_fixture_is_not_recognised(tracker: FixtureTracker) -> None:
    """Issue 15, point 6."""
    other = texture(Y * 1.7 + 300, X * 0.8 - 200).astype(np.float32)
    reasons = check_evidence(evidence(place=tracker.find(other)), TOLERANCES)
    assert [reason.kind for reason in reasons] == [ReasonKind.CAMERA_MOVED]
    assert "not recognised" in reasons[0].text


def lamps() -> tuple[np.ndarray, np.ndarray]:
    """Four lamps of different slant, each with a shadow of its own, and where to look."""
    plate = texture(X, Y)
    planes = []
    for side in range(4):
        slope = [X / WIDTH, Y / HEIGHT, 1 - X / WIDTH, 1 - Y / HEIGHT][side]
        shadow = [X < 40, Y < 25, X > 130, Y > 90][side]
        planes.append(np.where(shadow, 0.0, plate * (0.7 + 0.6 * slope)))
    levels = np.stack(planes).astype(np.float32)
    return levels, np.broadcast_to(~PART, levels.shape)


def test_every_lamp_s_share_is_found_in_a_frame_of_several() -> None:
    """Issue 15, point 6."""
    levels, steady = lamps()
    found = FixtureLights("ABCD", levels, steady)
    picture = 0.9 * levels[0] + 0.03 * levels[2]
    picture = (picture + np.random.default_rng(2).normal(0, 2e-4, picture.shape)).astype(np.float32)
    picture[20:26, 50:60] = 0.3  # something bright lies there
    shares = found.shares("A", picture, dict.fromkeys("ABCD", 1.0))
    assert shares is not None
    assert [shares[name] for name in "ABCD"] == pytest.approx([0.9, 0, 0.03, 0], abs=2e-3)


def test_a_longer_exposure_than_the_reference_s_is_no_stronger_lamp() -> None:
    """Issue 15, point 6."""
    levels, steady = lamps()
    shares = FixtureLights("ABCD", levels, steady).shares("B", 2 * levels[1], dict.fromkeys("ABCD", 2.0))
    assert shares is not None
    assert shares["B"] == pytest.approx(1.0, abs=1e-3)


def test_a_lamp_whose_steady_fixture_lies_in_the_shadow_cannot_be_told() -> None:
    """Issue 17: a lamp that grazes the fixture had been called weak, at 0.2 % of its reference."""
    levels, steady = lamps()
    in_shadow = np.array(steady)
    in_shadow[1] = steady[1] & (levels[1] == 0)
    found = FixtureLights("ABCD", levels, in_shadow)
    assert found.shares("B", levels[1], ONE) is None
    assert found.shares("A", levels[0], ONE) is not None


def test_cells_beyond_the_picture_s_border_are_left_out(tracker: FixtureTracker) -> None:
    """Issue 15, point 6."""
    levels, steady = lamps()
    shifted = np.roll(levels[0], 3, axis=1)
    place = replace(tracker.find(seen()), onto_reference=np.array([[1, 0, 3.4], [0, 1, 0]], np.float32))
    shares = FixtureLights("ABCD", levels, steady).shares("A", moved(shifted, place.onto_reference), ONE)
    assert shares is not None
    assert shares["A"] == pytest.approx(1.0, abs=0.01)


ONE = dict.fromkeys("ABCD", 1.0)


def frame(pixels: np.ndarray) -> Frame:
    return Frame(np.round(pixels).astype(np.uint16), "Mono12", 12, 64.0, 8000.0, 0.0, 0, 0)


def test_blur_lowers_the_sharpness_and_a_darker_picture_does_not() -> None:
    """Issue 15, point 6."""
    rng = np.random.default_rng(3)
    sharp = cv2.resize((rng.random((40, 60)) > 0.5).astype(np.float32), (684, 456), interpolation=cv2.INTER_NEAREST)
    cell_px = cell_edge_px(684)
    plain = fixture_picture(frame(64 + 2000 * sharp), cell_px)
    darker = fixture_picture(frame(64 + 1400 * sharp), cell_px)
    blurred = fixture_picture(frame(64 + 2000 * cv2.GaussianBlur(sharp, (0, 0), 1.5)), cell_px)
    assert plain.levels.shape == (114, 171)
    assert darker.sharpness == pytest.approx(plain.sharpness, rel=0.01)
    assert blurred.sharpness < 0.75 * plain.sharpness


def evidence(**changes: object) -> ViewEvidence:
    at_home = FixtureTracker(np.where(PART, 0, texture(X, Y)).astype(np.float32), ~PART).find(seen())
    plain = ViewEvidence(at_home, 4, 0.33, 250.0, dict.fromkeys("ABCD", 1.0), {}, 1.0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def kinds(found: ViewEvidence, known: tuple[Reason, ...] = ()) -> list[tuple[ReasonKind, str | None]]:
    return [(reason.kind, reason.light) for reason in check_evidence(found, TOLERANCES, known)]


def test_an_undisturbed_view_gives_no_reason() -> None:
    """Issue 15, point 6."""
    assert kinds(evidence()) == []


def test_each_cause_is_named_once_and_alone() -> None:
    """Issue 15, point 6."""
    assert kinds(evidence(lights={"A": 1.2, "B": 1.2, "C": 1.21, "D": 1.2})) == [(ReasonKind.EXPOSURE_WRONG, None)]
    weak = evidence(lights={"A": 1.0, "B": 0.7, "C": 1.0, "D": 1.0})
    assert kinds(weak) == [(ReasonKind.LIGHT_WEAK, "B")]
    dead = Reason(ReasonKind.LIGHT_DEAD, "light 'B' is dead", light="B")
    assert kinds(weak, (dead,)) == [], "what is dead is not also weak"
    strays = {"L90": Stray(0.03, "A", 0.028), "B": Stray(0.002, "A", 0.001)}
    stray = evidence(strays=strays, lights=dict.fromkeys("ABCD", 0.99))
    assert kinds(stray) == [(ReasonKind.LIGHT_STUCK_ON, "L90")]
    beside_one = evidence(strays={"C": Stray(0.03, "A", 0.001)})
    assert kinds(beside_one) == [(ReasonKind.LIGHT_MOVED, "A")], "a lamp that stayed on would shine beside all others"
    instead = evidence(strays={"C": Stray(0.9, "A", 0.001)})
    assert kinds(instead) == [(ReasonKind.LIGHT_STUCK_ON, "C")], "lamps were exchanged"
    assert kinds(evidence(sharpness=0.5)) == [(ReasonKind.BLURRED, None)]


def test_a_moved_fixture_is_told_in_px_and_mm_and_its_light_is_not_doubted(tracker: FixtureTracker) -> None:
    """Issue 15, point 6."""
    found = evidence(place=tracker.find(seen(1.5, 0.0)), lights={"A": 1.0, "B": 0.9, "C": 1.0, "D": 1.0})
    (reason,) = check_evidence(found, TOLERANCES)
    assert reason.kind is ReasonKind.CAMERA_MOVED
    assert re.search(r"stands (5\.9|6\.0) px \((0\.49|0\.50) mm: (0\.49|0\.50) to the right", reason.text)


def test_a_fixture_too_dark_to_be_found_is_a_wrong_exposure_unless_a_cause_is_known() -> None:
    """Issue 15, point 6."""
    dark = evidence(place=None, lights={}, sharpness=1.0)
    (reason,) = check_evidence(dark, TOLERANCES)
    assert reason.kind is ReasonKind.EXPOSURE_WRONG
    assert "less than 20% of its reference brightness" in reason.text
    assert kinds(dark, (Reason(ReasonKind.LIGHT_DEAD, "light 'DIFFUSE' is dead", light="DIFFUSE"),)) == []


def test_a_light_whose_strength_cannot_be_told_is_never_taken_for_sound() -> None:
    """Issue 15, point 6."""
    found = evidence(lights={"A": 1.0, "B": 1.0}, untold=("C", "D"))
    assert kinds(found) == [(ReasonKind.NO_REFERENCE, "C"), (ReasonKind.NO_REFERENCE, "D")]


def test_a_figure_that_is_not_finite_never_passes() -> None:
    """Issue 15, point 6."""
    nan = float("nan")
    assert kinds(evidence(lights=dict.fromkeys("ABCD", nan)))
    assert kinds(evidence(sharpness=nan)) == [(ReasonKind.BLURRED, None)]


def test_a_shifted_picture_is_brought_back_by_whole_pixels() -> None:
    """Issue 15, point 6."""
    planes = np.random.default_rng(6).random((3, 8, 9)).astype(np.float32)
    there = np.roll(planes, (2, -1), axis=(1, 2))  # 2 px down, 1 px left
    assert np.array_equal(brought_back(there, -1, 2)[:, :6, 1:], planes[:, :6, 1:])


def references() -> ViewReferences:
    levels, steady = lamps()
    fixture = ~PART
    view = ViewReference(tuple("ABCD"), levels * fixture, fixture, np.array(steady), np.full(4, 0.4))
    uses = {name: LightUse(n, 8000.0, 1.0, 0.0) for n, name in enumerate("ABCD", start=1)}
    return ViewReferences({"top": view}, uses, "BayerRG12", "ab" * 32, 8)


def test_the_file_of_references_is_read_as_it_was_written_and_refused_when_changed(tmp_path: Path) -> None:
    """Issue 15, point 6."""
    content = references_bytes(references())
    assert content == references_bytes(references()), "the same references give the same bytes"
    file = tmp_path / "tile.npz"
    file.write_bytes(content)
    back = read_references(file, hashlib.sha256(content).hexdigest())
    assert np.allclose(back.views["top"].levels, references().views["top"].levels, atol=1e-4)
    assert np.array_equal(back.views["top"].steady, references().views["top"].steady)
    assert back.uses == references().uses
    with pytest.raises(ViewReferenceError, match=r"tile\.npz: SHA-256 .* restore the file"):
        read_references(file, "0" * 64)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(ViewReferenceError, match="holds no view references"):
        read_references(file, hashlib.sha256(b"nothing of the kind").hexdigest())


def test_references_of_another_calibration_light_or_view_do_not_hold() -> None:
    """Issue 15, point 6."""
    channels = {"A": 1, "B": 2}
    assert list(misfits(references(), ["top"], channels, "BayerRG8", "ab" * 32)) == []
    assert list(misfits(references(), ["top"], channels, "BayerRG8", "cd" * 32))
    assert list(misfits(references(), ["top", "left"], channels, "BayerRG8", "ab" * 32))
    assert list(misfits(references(), ["top"], {"A": 5}, "BayerRG8", "ab" * 32))
    assert list(misfits(references(), ["top"], channels, "Mono8", "ab" * 32))
