"""`station history`, and what the archive's readers say of a folder or an id that is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from station.archive import Archive, new_inspection_id
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.inspection.result import Inspection, Verdict
from station.recipe.demo import DEMO_RECIPES


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


def made(inspection: Inspection, part_id: str, verdict: Verdict, minute: int) -> Inspection:
    when = datetime(2026, 11, 24, 8, minute, tzinfo=UTC)
    return replace(
        inspection,
        inspection_id=new_inspection_id(),
        part_id=part_id,
        verdict=verdict,
        views=(),
        creation_time=when,
        is_simulated=minute != 2,
    )


@pytest.fixture
def archive(tmp_path: Path, failed_inspection: Inspection) -> Path:
    """A PASS of A-1, then its FAIL, then B-2 UNDECIDED: the last made is the latest."""
    folder = tmp_path / "archive"
    with Archive.open(folder) as store:
        store.record(made(failed_inspection, "A-1", Verdict.PASS, 1), [])
        store.record(made(failed_inspection, "A-1", Verdict.FAIL, 2), [])
        store.record(made(failed_inspection, "B-2", Verdict.UNDECIDED, 3), [])
    return folder


def test_the_latest_inspections_are_listed_first(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 15, point 20."""
    assert run(monkeypatch, "history", "--archive", archive, "--json") == ExitCode.DONE
    rows = json.loads(capsys.readouterr().out)
    assert [(row["part_id"], row["verdict"]) for row in rows] == [
        ("B-2", "UNDECIDED"),
        ("A-1", "FAIL"),
        ("A-1", "PASS"),
    ]
    assert [row["is_simulated"] for row in rows] == [True, False, True]
    assert rows[0]["deciding_view"] == "right"
    assert rows[0]["creation_time"] == "2026-11-24T08:03:00+00:00"
    assert Path(rows[0]["folder"]).name == rows[0]["inspection_id"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "1"], ["B-2"]),
        (["--part", "A-1"], ["A-1", "A-1"]),
        (["--part", "A-1", "--verdict", "PASS"], ["A-1"]),
        (["--verdict", "UNDECIDED"], ["B-2"]),
        (["--part", "nobody"], []),
    ],
)
def test_only_what_was_asked_for_is_listed(
    archive: Path,
    options: list[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Issue 15, point 20."""
    assert run(monkeypatch, "history", "--archive", archive, "--json", *options) == ExitCode.DONE
    assert [row["part_id"] for row in json.loads(capsys.readouterr().out)] == expected


def test_the_table_has_a_line_for_each_and_shows_no_control_character_raw(
    archive: Path, failed_inspection: Inspection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 15, point 20: an old archive may hold such an id, and a terminal would obey it."""
    with Archive.open(archive) as store:
        store.record(made(failed_inspection, "C\x1b[2K\rPASS", Verdict.FAIL, 4), [])
    assert run(monkeypatch, "history", "--archive", archive) == ExitCode.DONE
    heading, latest, *others = capsys.readouterr().out.splitlines()
    assert heading.split() == ["time", "(UTC)", "verdict", "part", "deciding", "view", "inspection"]
    assert "C\\x1b[2K\\rPASS" in latest
    assert latest.startswith("2026-11-24 08:04:00  FAIL")
    assert len(others) == 3


READERS = {
    "history": [],
    "rejudge": ["01M8KV3MEV3DY8PAM8TDGD03MN"],
    "lights-trend": [],
    "gloss": ["01M8KV3MEV3DY8PAM8TDGD03MN", "--recipe", str(DEMO_RECIPES / "knob.yaml")],
}


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_wrong_folder_is_bad_input_and_no_data_base_is_made_in_it(
    command: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 15, point 20."""
    folder = tmp_path / "holidays"
    if is_there:
        folder.mkdir()
    assert run(monkeypatch, command, *READERS[command], "--archive", folder) == ExitCode.BAD_INPUT
    message = capsys.readouterr().err
    assert str(folder) in message
    assert "below the --out of `station inspect`" in message
    assert folder.is_dir() == is_there
    assert not is_there or list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["rejudge", "gloss"])
def test_an_unknown_inspection_is_bad_input(
    command: str, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 15, point 20."""
    assert run(monkeypatch, command, *READERS[command], "--archive", archive) == ExitCode.BAD_INPUT
    assert "`station history` lists what there is" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["history", "lights-trend"])
def test_a_limit_of_none_is_bad_input(command: str, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, command, "--archive", archive, "--limit", "0") == ExitCode.BAD_INPUT
