"""`station timing` on an archive: words, document, chart, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from station.archive import Archive, new_inspection_id
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.inspection.result import Inspection
from station.inspection.timeline import ACQUIRE, JUDGE, MOVE, Span, Timeline
from station.report.gantt import draw_gantt

TIMELINE = Timeline(
    (
        Span(MOVE, "move", "top", 0, 900),
        Span(ACQUIRE, "expose", "top", 900, 1000),
        Span(ACQUIRE, "transfer", "top", 1000, 1100),
        Span(JUDGE, "detect", "top", 1100, 2100),
    ),
    exposed_ms=1000,
    judged_ms=2100,
)
Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["station", "timing", *map(str, arguments)])
        return run_guarded(app)

    return call


@pytest.fixture
def archived(tmp_path: Path, failed_inspection: Inspection) -> tuple[Path, str, str]:
    """An archive, an inspection with its times, and one without."""
    timed = replace(failed_inspection, inspection_id=new_inspection_id(), views=(), timeline=TIMELINE)
    bare = replace(timed, inspection_id=new_inspection_id(), timeline=Timeline())
    with Archive.open(tmp_path / "archive") as archive:
        archive.record(timed, [])
        archive.record(bare, [])
    return tmp_path / "archive", timed.inspection_id, bare.inspection_id


def test_it_says_what_the_verdict_waited_for(
    run: Run, archived: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, inspection_id, _ = archived
    assert run(inspection_id, "--archive", folder) == ExitCode.DONE
    text = capsys.readouterr().out
    assert "2.10 s from start to verdict" in text
    assert "verdict 1.100 s after the end of the last exposure" in text
    assert run(inspection_id, "--archive", folder, "--json") == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["critical_path_ms"] == {"detect": 1000, "move": 900, "expose": 100, "transfer": 100}
    assert len(document["spans"]) == 4


def test_the_chart_is_written_whole(run: Run, archived: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, inspection_id, _ = archived
    assert run(inspection_id, "--archive", folder, "--out", tmp_path / "chart.png") == ExitCode.DONE
    with Image.open(tmp_path / "chart.png") as chart:
        assert chart.size[0] > 1000


def test_a_record_without_times_and_a_place_that_cannot_be_written_are_bad_input(
    run: Run, archived: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, inspection_id, bare = archived
    assert run(bare, "--archive", folder) == ExitCode.BAD_INPUT
    assert "archived without its times" in capsys.readouterr().err
    assert run(inspection_id, "--archive", folder, "--out", tmp_path / "no/such/folder.png") == ExitCode.BAD_INPUT
    assert "cannot be written" in capsys.readouterr().err


def test_every_span_is_seen_in_the_chart_in_the_colour_of_its_view() -> None:
    second = Span(JUDGE, "detect", "left", 100, 900)
    chart = np.asarray(draw_gantt(Timeline((*TIMELINE.spans, second), 1000, 2100), "two views"))
    blue, orange = ((chart == colour).all(axis=2).sum() for colour in ((0, 114, 178), (230, 159, 0)))
    assert blue > orange > 1000


def test_nothing_is_drawn_of_nothing() -> None:
    with pytest.raises(ValueError, match="no spans"):
        draw_gantt(Timeline(), "empty")
