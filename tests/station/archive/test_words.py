"""People's words stand beside the machine's verdict: only ever added, in the data base and in the part's folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from station.archive import Archive, new_inspection_id
from station.archive.words import WORDS, read_words
from station.commands.app import app
from station.commands.exit_codes import ExitCode, run_guarded
from station.inspection.result import Inspection, Verdict
from station.inspection.words import Word


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["station", *map(str, arguments)])
    return run_guarded(app)


@pytest.fixture
def failed(tmp_path: Path, failed_inspection: Inspection) -> str:
    """A FAIL by a draft, in `tmp_path/archive`."""
    name = new_inspection_id()
    with Archive.open(tmp_path / "archive") as store:
        provenance = {"release": "draft: tile.yaml was never released"}
        store.record(replace(failed_inspection, inspection_id=name, views=(), provenance=provenance), [])
    return name


def say(monkeypatch: pytest.MonkeyPatch, archive: Path, name: str, word: str, reason: str = "reflection") -> int:
    return run(monkeypatch, "word", archive, name, word, "--by", "Anna", "--reason", reason)


def test_a_word_is_kept_in_both_places_and_changes_no_verdict(
    tmp_path: Path, failed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 11, point 8; a station may write to the archive meanwhile."""
    archive = tmp_path / "archive"
    with Archive.open(archive, purpose="a running station"):
        assert say(monkeypatch, archive, failed, "false-call") == ExitCode.DONE
        assert say(monkeypatch, archive, failed, "cannot-tell", "dirt on the lens?") == ExitCode.DONE
    assert "the machine's verdict stays as it is" in capsys.readouterr().out
    assert run(monkeypatch, "history", "--archive", archive, "--json") == ExitCode.DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["verdict"], row["is_draft"]) == ("FAIL", True)
    assert [(w["word"], w["by"], w["reason"]) for w in row["words"]] == [
        ("false-call", "Anna", "reflection"), ("cannot-tell", "Anna", "dirt on the lens?"),
    ]  # fmt: skip
    assert run(monkeypatch, "history", "--archive", archive) == ExitCode.DONE
    text = capsys.readouterr().out
    assert "DRAFT" in text
    assert "    false-call, says Anna (" in text
    with Archive.open(archive, read_only=True) as store:
        assert store.load_figures(failed).verdict is Verdict.FAIL
        assert store.verify(failed) == []
        assert [w.word for w in read_words(store.folder(failed))] == [Word.FALSE_CALL, Word.CANNOT_TELL]
        assert list(store.words()) == [failed]


def test_the_file_and_the_data_base_mend_each_other(
    tmp_path: Path, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    assert say(monkeypatch, archive, failed, "confirmed") == ExitCode.DONE
    with Archive.open(archive, read_only=True) as store:
        file = store.folder(failed) / WORDS
    whole = file.read_bytes()
    file.unlink()  # as a kill between row and file leaves it
    with Archive.open(archive) as store:
        assert "lacked a word" in store.notes[0]
    assert file.read_bytes() == whole
    for lost in archive.glob("archive.sqlite*"):
        lost.unlink()
    with Archive.open(archive) as store:
        assert [w.word for w in store.words()[failed]] == [Word.CONFIRMED]
    assert say(monkeypatch, archive, failed, "false-call") == ExitCode.DONE
    assert file.read_bytes().startswith(whole), "lines are only added"


@pytest.mark.parametrize(
    ("word", "reason", "told"),
    [
        ("missed", "x", "missed cannot be said of a part that is FAIL; of it can be said: confirmed, false-call"),
        ("confirmed", " ", "--reason is empty"),
        ("confirmed", "x" * 501, "--reason has 501 characters; at most 500"),
        ("perhaps", "x", "is not one of"),
    ],
)
def test_a_word_that_says_nothing_is_bad_input(
    word: str, reason: str, told: str, tmp_path: Path, failed: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert say(monkeypatch, tmp_path / "archive", failed, word, reason) == ExitCode.BAD_INPUT
    assert told in capsys.readouterr().err
    assert say(monkeypatch, tmp_path / "archive", new_inspection_id(), "confirmed") == ExitCode.BAD_INPUT
    assert say(monkeypatch, tmp_path, failed, "confirmed") == ExitCode.BAD_INPUT
    assert "holds no archive" in capsys.readouterr().err
    assert not (tmp_path / "archive.sqlite").exists()
