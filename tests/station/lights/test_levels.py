"""A light that does not do what was commanded is named, from the pictures alone."""

from __future__ import annotations

import numpy as np

from drivers.protocols import Frame
from station.inspection.reasons import ReasonKind
from station.lights.levels import check_clipped, check_light_levels, mean_level

REFERENCES = {"L45": 0.30, "L135": 0.28, "L225": 0.22, "L315": 0.20, "diffuse": 0.40}
LIMITS = {"dead_below": 0.15, "weak_below": 0.6, "strong_above": 1.6}


def test_good_levels_give_no_reason() -> None:
    assert check_light_levels(REFERENCES, REFERENCES, **LIMITS) == ()


def test_a_darker_part_is_no_light_fault() -> None:
    darker = {name: 0.7 * level for name, level in REFERENCES.items()}
    assert check_light_levels(darker, REFERENCES, **LIMITS) == ()


def test_a_dead_light_is_named() -> None:
    (reason,) = check_light_levels({**REFERENCES, "L135": 0.001}, REFERENCES, **LIMITS)
    assert reason.text.startswith("light 'L135' is dead")
    assert (reason.kind, reason.light) == (ReasonKind.LIGHT_DEAD, "L135")


def test_a_weak_light_and_a_bright_one_are_told_apart() -> None:
    weak, bright = check_light_levels({**REFERENCES, "L45": 0.12, "L315": 0.40}, REFERENCES, **LIMITS)
    assert "'L45' is weak" in weak.text
    assert "'L315' is too bright" in bright.text
    assert (weak.light, bright.light) == ("L45", "L315")


def test_all_lights_off_is_a_reason_of_its_own() -> None:
    (reason,) = check_light_levels(dict.fromkeys(REFERENCES, 0.0), REFERENCES, **LIMITS)
    assert "no light reaches its reference level" in reason.text


def test_a_level_that_is_not_a_number_never_passes() -> None:
    assert check_light_levels({**REFERENCES, "L45": float("nan")}, REFERENCES, **LIMITS) != ()


def test_without_references_a_dead_light_still_shows() -> None:
    (reason,) = check_light_levels({**REFERENCES, "L225": 0.0}, None, **LIMITS)
    assert "'L225' is dead" in reason.text


def test_mean_level_is_the_share_of_full_scale_over_black() -> None:
    pixels = np.full((8, 6), 64 + (4095 - 64) // 2, np.uint16)
    frame = Frame(pixels, "BayerRG12", 12, 64.0, 1000.0, 0.0, 0, 0)
    assert abs(mean_level(frame) - 0.5) < 1e-3


def test_light_that_adds_to_every_frame_is_told() -> None:
    references = {"north": 0.2, "south": 0.2, "east": 0.1, "diffuse": 0.3}
    brighter = {name: level * 1.3 for name, level in references.items()}
    (reason,) = check_light_levels(brighter, references, 0.15, 0.8, 1.25)
    assert "every light is above its reference level" in reason.text
    assert "ambient light or a light that stays on" in reason.remedy
    usual = {name: level * 1.2 for name, level in references.items()}
    assert check_light_levels(usual, references, 0.15, 0.8, 1.25) == ()


def test_a_view_in_the_dark_is_told_without_references_too() -> None:
    reasons = check_light_levels({"L0": 0.0, "L1": 0.0005, "diffuse": 0.001}, None, 0.15, 0.8, 1.25)
    assert len(reasons) == 1
    assert "every picture is dark" in reasons[0].text


def test_a_picture_that_saturates_is_told_and_a_few_highlights_are_not() -> None:
    pixels = np.full((100, 100), 3000, np.uint16)
    pixels[0, :50] = 4095
    frame = Frame(pixels, "Mono12", 12, 64.0, 1000.0, 0.0, 0, 0)
    assert check_clipped("diffuse", frame, 0.005) == ()
    pixels[1, 0] = 4040
    assert "light 'diffuse' saturates 0.5% of the pixels" in check_clipped("diffuse", frame, 0.005)[0].text
