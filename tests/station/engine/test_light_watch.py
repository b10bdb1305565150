"""The lights are compared after each part without a look into the archive, and as if there had been one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from station.archive import Archive, new_inspection_id
from station.engine import light_watch
from station.engine.light_watch import LightWatch
from station.inspection.result import Inspection
from station.lights.series import LEAST_INSPECTIONS
from station.lights.surface import DIFFUSE_SHARE

LIGHTS = ("L0", "L90", "L180", "L270")


def loaded(recipe_id: str = "r1", calibration: str = "c1") -> Any:
    limits = SimpleNamespace(ambient_told_above=0.01)
    recipe = SimpleNamespace(recipe_id=recipe_id, light_level_limits=limits)
    return cast(Any, SimpleNamespace(recipe=recipe, sha256s={"calibration": calibration}))


def part(good: Inspection, number: int, recipe_id: str = "r1") -> Inspection:
    """An inspection whose light L90 grows weaker from part to part; one figure was not finite."""
    levels = {light: 0.2 * (1 - 0.01 * number * (light == "L90")) for light in LIGHTS}
    residuals = {light: float("nan") if light == "L0" and number == 3 else 0.02 + 0.001 * number for light in LIGHTS}
    views = tuple(
        replace(v, image=None, normal_map=None, anomaly_map=None, light_levels=levels, left_out_residuals=residuals)
        for v in good.views[:2]
    )
    about = {"calibration": "c1"}
    return replace(good, inspection_id=new_inspection_id(), recipe_id=recipe_id, views=views, provenance=about)


def test_after_a_part_the_archive_is_not_read_and_the_finding_is_the_same(
    tmp_path: Path, good_inspection: Inspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 11: at 10,000 archived parts the look cost 0.3 CPU-s a part (benchmarks/archive_costs.py)."""
    monkeypatch.setattr(light_watch, "WATCHED", 6)
    with Archive.open(tmp_path) as archive:
        for number in range(4):
            archive.record(part(good_inspection, number), [])
        watch = LightWatch(archive)
        watch.with_recipe(loaded())
        monkeypatch.setattr(archive, "light_readings", lambda *_, **__: pytest.fail("the archive was read"))
        for number in range(4, 10 + LEAST_INSPECTIONS):
            inspection = part(good_inspection, number)
            archive.record(inspection, [])
            found = watch.after_part(loaded(), inspection)
            monkeypatch.undo()
            monkeypatch.setattr(light_watch, "WATCHED", 6)
            fresh = LightWatch(archive).with_recipe(loaded())
            assert (found.warnings, found.histories) == (fresh.warnings, fresh.histories)
            monkeypatch.setattr(archive, "light_readings", lambda *_, **__: pytest.fail("the archive was read"))
        assert [warning.light for warning in found.warnings] == ["L90"]


def test_another_recipe_or_calibration_is_read_anew(tmp_path: Path, good_inspection: Inspection) -> None:
    with Archive.open(tmp_path) as archive:
        first, second = part(good_inspection, 0), part(good_inspection, 1, "r2")
        archive.record(first, [])
        archive.record(second, [])
        watch = LightWatch(archive)
        assert len(watch.with_recipe(loaded()).histories[0].times) == 1
        third = part(good_inspection, 2, "r2")
        archive.record(third, [])
        assert len(watch.after_part(loaded("r2"), third).histories[0].times) == 2
        assert watch.with_recipe(loaded("r2", "c2")).histories == ()


def test_a_warning_of_a_surface_ends_with_its_recipe(tmp_path: Path, good_inspection: Inspection) -> None:
    """A recipe of four lights records no share by which the warning could end."""
    shiny = part(good_inspection, 0)
    shiny = replace(shiny, views=tuple(replace(v, quality={**v.quality, DIFFUSE_SHARE: 0.3}) for v in shiny.views))
    with Archive.open(tmp_path) as archive:
        archive.record(shiny, [])
        watch = LightWatch(archive)
        watch.with_recipe(loaded())
        assert [w.kind for w in watch.after_part(loaded(), shiny).warnings] == ["surface"]
        assert [w.kind for w in watch.with_recipe(loaded()).warnings] == ["surface"]
        assert watch.with_recipe(loaded("r2")).warnings == ()
