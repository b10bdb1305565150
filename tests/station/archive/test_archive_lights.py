"""What an inspection recorded of its lights is read back; data bases and records of before still open."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from station.archive import Archive, new_inspection_id
from station.archive.records import ViewRecord
from station.commands.app import app
from station.inspection.result import Inspection

LIGHTS = tuple(f"L{45 * k}" for k in range(8))


def with_lights(inspection: Inspection, bad: str = "") -> Inspection:
    left_out = {name: 0.09 if name == bad else 0.02 + 0.001 * k for k, name in enumerate(LIGHTS)}
    view = replace(
        inspection.views[0],
        image=None,
        normal_map=None,
        left_out_residuals=left_out,
        light_levels={**dict.fromkeys(LIGHTS, 0.3), "diffuse": 0.4},
        quality={"uncertainty_median_deg": 0.4},
        solvers={"detector": "masked", "map": "robust"},
        white_balance=(1.2, 1.0, 1.3),
    )
    return replace(inspection, inspection_id=new_inspection_id(), views=(view,))


def test_the_lights_of_an_inspection_are_listed(tmp_path: Path, good_inspection: Inspection) -> None:
    inspection = with_lights(good_inspection)
    with Archive.open(tmp_path) as archive:
        archive.record(inspection, [])
        readings = archive.light_readings()
        loaded = archive.load(inspection.inspection_id).views[0]
        assert archive.light_readings(recipe_id="another") == []
    assert {r.light: r.left_out_residual for r in readings} == {
        **inspection.views[0].left_out_residuals,
        "diffuse": None,
    }
    assert loaded.left_out_residuals == inspection.views[0].left_out_residuals
    assert loaded.light_levels == inspection.views[0].light_levels
    assert (loaded.quality, loaded.solvers) == (inspection.views[0].quality, inspection.views[0].solvers)
    assert loaded.white_balance == (1.2, 1.0, 1.3), "an old part is drawn as it was"


def test_the_first_under_a_calibration_stay_with_the_latest(tmp_path: Path, good_inspection: Inspection) -> None:
    with Archive.open(tmp_path) as archive:
        made = []
        for k in range(9):
            sha256 = "old" if k < 2 else "new"
            made.append(replace(with_lights(good_inspection), provenance={"calibration": sha256}))
            archive.record(made[-1], [])
        recipe_id, ids = made[0].recipe_id, [inspection.inspection_id for inspection in made]

        def listed(**more: object) -> list[str]:
            readings = archive.light_readings(2, recipe_id, **more)  # type: ignore[arg-type]
            assert [r.inspection_id for r in readings] == sorted(r.inspection_id for r in readings)
            return sorted({r.inspection_id for r in readings})

        assert listed() == ids[-2:]
        assert listed(calibration="new", with_first=3) == [*ids[2:5], *ids[-2:]]
        assert listed(calibration="old", with_first=5) == ids[:2], "none twice"
        assert listed(calibration="never used", with_first=5) == []


def test_a_data_base_from_before_gets_the_table(tmp_path: Path, good_inspection: Inspection) -> None:
    old = replace(good_inspection, inspection_id=new_inspection_id())
    with Archive.open(tmp_path) as archive:
        archive.record(old, [])
    engine = create_engine(f"sqlite:///{tmp_path / 'archive.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE light"))
    engine.dispose()
    with Archive.open(tmp_path) as archive:
        assert archive.light_readings() == []
        archive.record(with_lights(old), [])
        assert len(archive.light_readings()) == 9
        assert [row.inspection_id for row in archive.history()][-1] == old.inspection_id


def test_a_record_from_before_is_read() -> None:
    older = {"view": "top", "verdict": "PASS", "limit": 1.0, "pred_score": 0.5, "reasons": [], "files": {}}
    record = ViewRecord.model_validate_json(json.dumps({**older, "light_residuals": {"L45": 0.01}}))
    assert (record.left_out_residuals, record.quality) == ({}, {})


@pytest.mark.parametrize(("bad", "code"), [("", 0), ("L90", 1)])
def test_the_command_names_a_light_that_stands_out(
    tmp_path: Path, good_inspection: Inspection, bad: str, code: int
) -> None:
    with Archive.open(tmp_path) as archive:
        for _ in range(6):
            archive.record(with_lights(good_inspection, bad), [])
    result = CliRunner().invoke(app, ["lights-trend", "--archive", str(tmp_path), "--json"])
    assert result.exit_code == code
    flagged = [light["light"] for light in json.loads(result.stdout)["lights"] if light["flags"]]
    assert flagged == ([bad] if bad else [])
