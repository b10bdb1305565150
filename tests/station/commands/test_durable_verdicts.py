"""`inspect` and `demo` end with 3 for what is not stored, and nothing printed acts on the terminal."""

from __future__ import annotations

import contextlib
import errno
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_bench import Bench
from made_records import make_frames, make_inspection
from typer.testing import CliRunner

from station.archive import Archive
from station.commands.app import app
from station.commands.demo.parts import PARTS
from station.commands.demo.run import DemoReport, Outcome
from station.commands.exit_codes import ExitCode, run_guarded
from station.commands.say import printable, say
from station.documents import atomic
from station.engine.engine import Engine
from station.errors import BadInput
from station.inspection.result import Inspection
from station.report.inspection_text import inspection_lines

SPOOFED = "P\x1b[2K\x1b[1APASS\r\nP-2: PASS\x00\ud800"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)

    @contextlib.contextmanager
    def ready(*_: object) -> Iterator[Engine]:
        yield made.engine

    monkeypatch.setattr("station.commands.inspect.part.ready_engine", ready)
    yield made
    monkeypatch.undo()
    made.close()


def test_inspect_ends_with_3_for_a_part_that_is_not_stored(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 15, point 2: PASS and exit code 0 for a part that nobody will find again.

    The contact sheet goes to the same full disk, and hides neither the verdict nor that it is not stored.
    """

    def full(path: Path, *_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    bench.acts["judge.refine"] = lambda: monkeypatch.setattr(atomic, "open", full, raising=False)
    command = ["inspect", "--rig", "r", "--recipe", "r", "--out", str(bench.root.parent), "--part", "P-1", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == ExitCode.FAULT
    said = json.loads(result.stdout)
    assert (said["verdict"], said["is_stored"]) == ("UNDECIDED", False)
    assert "No space left on device" in said["reasons"][0]
    assert said["reason_records"][0]["kind"] == "not stored"
    assert said["contact_sheet"] is None
    assert "No space left on device" in said["contact_sheet_problem"]


def test_a_contact_sheet_that_cannot_be_written_changes_neither_verdict_nor_exit_code(
    good_inspection: Inspection, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 2: the part is stored; only its picture for people is missing, and the report says so."""
    monkeypatch.setattr(bench.engine, "inspect", lambda *_: good_inspection)
    out = bench.root.parent / "out"
    (out / f"{good_inspection.inspection_id}.png").mkdir(parents=True)
    command = ["inspect", "--rig", "r", "--recipe", "r", "--out", str(out), "--part", "P-1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == ExitCode.DONE
    assert "PASS" in result.stdout.splitlines()[0]
    assert "contact sheet not written: " in result.stdout
    assert "contact sheet: " not in result.stdout


def test_the_demo_says_that_a_part_is_not_stored(good_inspection: Inspection, tmp_path: Path) -> None:
    """Issue 15, point 2."""
    outcome = Outcome(PARTS[0], good_inspection, tmp_path / "sheet.png", ())
    report = DemoReport((outcome, outcome), tmp_path, tmp_path, 0.0, 0.0)
    assert report.is_stored
    assert not replace(report, outcomes=(outcome, replace(outcome, unstored_problem="disk full"))).is_stored


def test_an_id_of_an_old_archive_cannot_make_a_terminal_show_a_verdict(
    capsys: pytest.CaptureFixture[str], good_inspection: Inspection
) -> None:
    """Issue 15, point 11."""
    lines = inspection_lines(replace(good_inspection, part_id=SPOOFED))
    say({}, False, "\n".join(lines))
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == r"P\x1b[2K\x1b[1APASS\r\nP-2: PASS\x00\ud800: PASS (simulated)"
    assert set(shown) & set("\x1b\r\x00") == set()

    def refuse() -> None:
        raise BadInput(f"bad id {SPOOFED}")

    run_guarded(refuse)  # type: ignore[arg-type]
    assert "\x1b" not in capsys.readouterr().err


def test_tabs_and_line_ends_and_other_languages_stay_as_they_are() -> None:
    assert printable("a\tb\nß 漢字 <b>&amp;</b>") == "a\tb\nß 漢字 <b>&amp;</b>"
    assert printable("\u202egnp.exe \u2066x\u2069 \u200b") == r"\u202egnp.exe \u2066x\u2069 \u200b"


@pytest.mark.parametrize("command", ["lights-trend", "rejudge", "gloss"])
def test_a_reader_works_while_a_station_writes_and_makes_no_archive(tmp_path: Path, command: str) -> None:
    """Issue 15, points 4 and 20."""
    empty = tmp_path / "empty"
    empty.mkdir()
    recipe = Path(__file__).parents[3] / "station/demo_recipes/connector.yaml"
    inspection = make_inspection()
    arguments = {
        "lights-trend": [],
        "rejudge": [inspection.inspection_id],
        "gloss": [inspection.inspection_id, "--recipe", str(recipe)],
    }[command]

    def call() -> None:
        app([command, *arguments, "--archive", str(empty)])

    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert run_guarded(call) == ExitCode.BAD_INPUT  # type: ignore[arg-type]
    assert "holds no archive" in said.getvalue()
    assert list(empty.iterdir()) == []
    with Archive.open(tmp_path / "archive") as writer:
        writer.record(inspection, make_frames())
        result = CliRunner().invoke(app, [command, *arguments, "--archive", str(tmp_path / "archive")])
        assert "writes to this archive" not in str(result.exception)
        assert writer.verify(inspection.inspection_id) == []
        if command == "lights-trend":
            assert result.exit_code == 0
