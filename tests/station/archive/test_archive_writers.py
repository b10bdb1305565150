"""One writer an archive, readers that change nothing, and what a writer that died leaves to the next one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_records import make_frames, make_inspection

from station.archive import Archive, ArchiveError, ArchiveInUse, ArchiveNotFound, new_inspection_id
from station.commands.exit_codes import ExitCode, run_guarded
from station.errors import BadInput

KILLED = """
import os, sys
from pathlib import Path
from station.archive import Archive
Archive.open(Path(sys.argv[1]), purpose="a station that dies")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACET_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@contextlib.contextmanager
def another_process(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the archive open for writing."""
    command = [sys.executable, "-c", KILLED, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_by_name_until_the_first_one_ends_however_it_ends(tmp_path: Path) -> None:
    """Issue 15, point 4."""
    with another_process(tmp_path) as process:
        with pytest.raises(ArchiveInUse, match=rf"process {process.pid} \(a station that dies\)"):
            Archive.open(tmp_path)
        with Archive.open(tmp_path, read_only=True) as reader:
            assert reader.history() == []
    with Archive.open(tmp_path) as archive, pytest.raises(ArchiveInUse, match=str(os.getpid())):
        Archive.open(tmp_path)
    archive.close()  # a second time: nothing happens
    Archive.open(tmp_path).close()


def test_a_second_writer_ends_with_the_code_of_a_fault() -> None:
    def app() -> None:
        raise ArchiveInUse("process 7 writes to this archive")

    assert run_guarded(app) is ExitCode.FAULT  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: folder.mkdir()])
def test_a_reader_of_a_folder_without_an_archive_is_refused_and_makes_none(tmp_path: Path, make: object) -> None:
    """Issue 15, points 4 and 20."""
    folder = tmp_path / "wrong"
    make(folder)  # type: ignore[operator]
    with pytest.raises(ArchiveNotFound, match="holds no archive") as refused:
        Archive.open(folder, read_only=True)
    assert isinstance(refused.value, BadInput), "exit code 2"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_reader_of_a_data_base_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "archive.sqlite").close()
    with pytest.raises(ArchiveNotFound, match="not one of an archive"):
        Archive.open(tmp_path, read_only=True)


def test_a_reader_can_store_nothing(tmp_path: Path) -> None:
    Archive.open(tmp_path).close()
    document = tmp_path / "document.yaml"
    document.write_text("a: 1\n")
    with Archive.open(tmp_path, read_only=True) as reader:
        for verb in (
            lambda: reader.record(make_inspection(), []),
            lambda: reader.keep_document(document, "0" * 64),
            lambda: reader.check_room(0),
        ):
            with pytest.raises(ArchiveError, match="opened for reading"):
                verb()


def test_a_reader_changes_no_file_and_enters_no_record_that_is_being_written(tmp_path: Path) -> None:
    """Issue 15, point 4: the reader took the folder before its row for an orphan."""
    with Archive.open(tmp_path) as archive:
        folder = archive.record(make_inspection(), make_frames())
        between = folder.with_name(new_inspection_id())
        shutil.copytree(folder, between)  # renamed, and its row is about to be entered
        writing = folder.with_name(f".partial-{new_inspection_id()}")
        shutil.copytree(folder, writing)
        with Archive.open(tmp_path, read_only=True) as reader:
            assert [row.inspection_id for row in reader.history()] == [folder.name]
            assert reader.verify(folder.name) == []
            assert reader.incomplete() == [writing]
        assert writing.is_dir()
        assert [row.inspection_id for row in archive.history()] == [folder.name]


def test_a_reader_needs_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy on read-only media has no log beside the data base and lets none be made."""
    with Archive.open(tmp_path) as archive:
        folder = archive.record(make_inspection(), [])
    connect = sqlite3.connect

    def refusing(name: str, **more: object) -> sqlite3.Connection:
        if "immutable" not in name:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(name, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("station.archive.database.sqlite3.connect", refusing)
    with Archive.open(tmp_path, read_only=True) as reader:
        assert [row.inspection_id for row in reader.history()] == [folder.name]


def test_an_old_data_base_without_a_table_of_lights_is_read_without_getting_one(tmp_path: Path) -> None:
    Archive.open(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "archive.sqlite")) as connection:
        connection.execute("DROP TABLE light")
        connection.commit()
    with Archive.open(tmp_path, read_only=True) as reader:
        assert reader.light_readings() == []
    with contextlib.closing(sqlite3.connect(tmp_path / "archive.sqlite")) as connection:
        assert not list(connection.execute("SELECT name FROM sqlite_master WHERE name = 'light'"))


def test_an_interrupted_record_is_set_aside_whole_and_reported_with_its_size(tmp_path: Path) -> None:
    """Issue 15, point 11."""
    with Archive.open(tmp_path) as archive:
        folder = archive.record(make_inspection(), make_frames())
    killed = folder.with_name(f".partial-{new_inspection_id()}")
    shutil.copytree(folder, killed)
    (killed / "manifest.json").unlink()
    frames = {path.name: path.read_bytes() for path in killed.rglob("frame_*")}
    assert frames
    with Archive.open(tmp_path) as again:
        aside = tmp_path / "interrupted" / folder.parent.name / killed.name.removeprefix(".partial-")
        assert again.interrupted() == [aside]
        assert {path.name: path.read_bytes() for path in aside.rglob("frame_*")} == frames
        assert [row.inspection_id for row in again.history()] == [folder.name]
        assert again.incomplete() == []
        (note,) = again.notes
        assert str(aside) in note
        assert "MB" in note
        assert "inspect it again" in note
    assert Archive.open(tmp_path).notes == ()


def test_a_record_that_lacks_only_its_name_gets_it_and_is_entered(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        inspection = make_inspection()
        folder = archive.record(inspection, make_frames())
    folder.rename(folder.with_name(f".partial-{folder.name}"))
    for path in tmp_path.glob("archive.sqlite*"):
        path.unlink()
    with Archive.open(tmp_path) as again:
        assert again.verify(inspection.inspection_id) == []
        assert again.interrupted() == []


def test_what_was_kept_aside_is_brought_home_by_the_next_writer(tmp_path: Path, spool: Path) -> None:
    """Issue 15, point 2: a process that dies loses no verdict that any disk could take."""
    inspection, frames = make_inspection(), make_frames()
    with Archive.open(tmp_path / "archive") as archive:
        kept = archive.keep_aside(inspection, frames)
        assert kept.is_relative_to(spool)
        assert archive.keep_aside(inspection, frames) == kept, "a second attempt replaces the first"
    with Archive.open(tmp_path / "other") as other:
        assert other.history() == [], "a spool belongs to one archive"
    with Archive.open(tmp_path / "archive") as again:
        assert again.verify(inspection.inspection_id) == []
        assert len(again.load_frames(inspection.inspection_id)) == len(frames)
        assert not kept.exists()
        assert "brought home" in again.notes[0]


def test_readers_beside_a_busy_writer_see_whole_records_only_and_disturb_nothing(tmp_path: Path) -> None:
    """Issue 15, point 4: 2 of 15 records were lost this way. `benchmarks/archive_costs.py` does it for longer."""
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with Archive.open(tmp_path, read_only=True) as reader:
                for row in reader.history():
                    problems.extend(reader.verify(row.inspection_id))
                reader.light_readings()

    with Archive.open(tmp_path) as archive:
        reader = threading.Thread(target=read)
        reader.start()
        try:
            inspections = [make_inspection(views=()) for _ in range(12)]
            for inspection in inspections:
                archive.record(inspection, make_frames(1))
        finally:
            done.set()
            reader.join()
        assert problems == []
        assert len(archive.history()) == len(inspections)
        assert archive.incomplete() == []
        assert all(archive.verify(inspection.inspection_id) == [] for inspection in inspections)


def test_the_lock_file_names_its_holder(tmp_path: Path) -> None:
    with Archive.open(tmp_path, purpose="an inspection"):
        holder = json.loads((tmp_path / "archive.lock").read_text())
    assert (holder["pid"], holder["purpose"]) == (os.getpid(), "an inspection")
