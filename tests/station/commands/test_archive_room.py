"""`station archive`: what a person sees of its room, of what would go, of whole records, and of pins."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_records import make_frames, make_inspection

from station.archive import Archive
from station.archive.ids import first_id_of
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.inspection.result import Verdict

RULE = "passes: {kept_days: 30, kept_latest: 0, then_one_in: 1000000}\nwatermarks: {warn_below_percent: 0, "
RULE += "thin_below_percent: 0}\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", "archive", *map(str, arguments)])
    return run_guarded(app)


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, list[str]]:
    """Three PASS of sixty days ago, and their ids."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "retention.yaml").write_text(RULE)
    when = datetime.now(UTC) - timedelta(days=60)
    names = [f"{first_id_of(when)[:10]}{n:016d}" for n in range(3)]
    with Archive.open(folder) as store:
        for name in names:
            made = make_inspection(inspection_id=name, verdict=Verdict.PASS, creation_time=when, views=())
            store.record(made, make_frames())
    return folder, names


def test_a_person_sees_what_would_go_then_lets_it_go_and_every_record_is_whole(
    archive: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 12, point 7."""
    folder, names = archive
    assert run(monkeypatch, "pin", "--archive", folder, names[1], "--by", "Ada") == ExitCode.DONE
    assert run(monkeypatch, "thin", "--archive", folder, "--dry-run", "--json") == ExitCode.DONE
    said = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert said["inspections"] == [names[0], names[2]]
    frames = [path for path in folder.rglob("frame_*") if path.parts[-3] in (names[0], names[2])]
    assert said["bytes"] == sum(path.stat().st_size for path in frames)
    assert len(list(folder.rglob("frame_*"))) == 6, "a dry run removes nothing"
    assert run(monkeypatch, "thin", "--archive", folder) == ExitCode.DONE
    assert "raw frames of 2 PASS removed" in capsys.readouterr().out
    assert run(monkeypatch, "verify", "--archive", folder) == ExitCode.DONE
    text = capsys.readouterr().out
    assert text.count("whole; its 2 raw frames") == 2
    assert "3 of 3 records are whole" in text
    (next(folder.rglob(f"{names[1]}/top/frame_L0.tif"))).unlink()
    assert run(monkeypatch, "verify", "--archive", folder, names[1]) == ExitCode.FOUND
    assert "frame_L0.tif" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["station", "history", "--archive", str(folder)])
    run_guarded(app)
    assert capsys.readouterr().out.count("  thinned") == 2


def test_the_room_is_shown_with_rate_and_days(
    archive: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = archive
    assert run(monkeypatch, "room", "--archive", folder) == ExitCode.DONE
    assert "no part was archived in the last days" in capsys.readouterr().out
    with Archive.open(folder) as store:
        store.record(make_inspection(creation_time=datetime.now(UTC)), make_frames())
    assert run(monkeypatch, "room", "--archive", folder, "--json") == ExitCode.DONE
    said = json.loads(capsys.readouterr().out)
    assert said["parts_a_day"] == pytest.approx(1 / said["days_measured"]), "the archive is older than the days counted"
    assert (said["mark"], said["days_left"]) == ("well", 999.0)
    (folder / "retention.yaml").write_text("watermarks: {warn_below_percent: 100}\n")
    assert run(monkeypatch, "room", "--archive", folder) == ExitCode.FOUND
    assert "what to do: move" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["pin", "nobody", "--by", "Ada"], "no inspection 'nobody'"),
        (["pin", "nobody"], "--by is empty"),
        (["pin"], "no part is named"),
        (["pin", "--named-by", "nowhere"], "nowhere: no such folder"),
        (["verify", "nobody"], "no inspection 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_bad_input(
    arguments: list[str],
    found: str,
    archive: tuple[Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments, "--archive", archive[0]) == ExitCode.BAD_INPUT
    assert found in capsys.readouterr().err


def test_thinning_is_refused_while_a_station_writes(
    archive: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Archive.open(archive[0], purpose="an inspection"):
        assert run(monkeypatch, "thin", "--archive", archive[0]) == ExitCode.FAULT
        assert "an inspection) writes to this archive" in capsys.readouterr().err
        assert run(monkeypatch, "thin", "--archive", archive[0], "--dry-run") == ExitCode.DONE
