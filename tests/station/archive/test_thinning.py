"""Raw frames of old PASS go by rule; nothing else does, and a thinned part is never taken for a broken one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_records import make_frames, make_inspection
from sqlalchemy import create_engine, text

from station.archive import Archive, ArchiveError
from station.archive.errors import FramesThinned, InspectionNotFound
from station.archive.gate import Gate, Held
from station.archive.ids import first_id_of
from station.archive.pins import pin, pin_as_named
from station.archive.retention import FILE, Retention
from station.archive.store import DATABASE
from station.archive.words import give_word
from station.documents.errors import DocumentError
from station.inspection.result import Verdict
from station.inspection.words import Word

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
EVERY_OLD_PASS = "passes: {kept_days: 30, kept_latest: 0, then_one_in: 1000000}\nwatermarks: {thin_below_percent: 0}\n"
numbers = iter(range(10**6))

KILLED = """
import os, signal, sys
from pathlib import Path
from station.archive import Archive
from station.archive import thinning
from station.archive.gate import Gate

def thin_until_killed(folder, where, count):
    def dying(*given, real=getattr(thinning, where)):
        nonlocal count
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        count -= 1
        real(*given)
    setattr(thinning, where, dying)
    with Archive.open(folder) as archive:
        archive.housekeeping.thin(is_disk_full=lambda: False)

for case in sys.argv[2:]:
    if (pid := os.fork()) == 0:
        where, count = case.split(":")
        thin_until_killed(Path(sys.argv[1]) / case.replace(":", "-"), where, int(count))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
KILLS = {"write_atomic:0": 4, "_remove:0": 4, "_remove:1": 3, "sync_folder:0": 2, "_remove:3": 1}  # frames left of 4


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_SPOOL", str(tmp_path / "spool"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / FILE).write_text(EVERY_OLD_PASS)
    return folder


@pytest.fixture
def archive(root: Path) -> Iterator[Archive]:
    with Archive.open(root) as opened:
        yield opened


def stored(archive: Archive, verdict: Verdict = Verdict.PASS, days_old: float = 60.0) -> str:
    """One record of two raw frames and the maps of one view; returns its id."""
    when = datetime.now(UTC) - timedelta(days=days_old)
    name = f"{first_id_of(when)[:10]}{next(numbers):016d}"
    archive.record(make_inspection(inspection_id=name, verdict=verdict, creation_time=when), make_frames())
    return name


def thin(archive: Archive, *, is_disk_full: Callable[[], bool] = lambda: False, gate: Gate | None = None) -> list[str]:
    """Thin what is due; returns the inspections that are thinned now, by their marks."""
    report = archive.housekeeping.thin(gate, is_disk_full=is_disk_full)
    assert report.problems == []
    return [row.inspection_id for row in archive.history(1000) if archive.thinned_sentence(row.inspection_id)]


def raw_files(archive: Archive, name: str) -> list[str]:
    return sorted(path.name for path in archive.folder(name).rglob("frame_*"))


def test_only_raw_frames_of_old_passes_without_a_word_or_a_pin_go(archive: Archive, root: Path) -> None:
    """Issue 12, point 7."""
    old, young = stored(archive), stored(archive, days_old=2)
    failed, undecided = stored(archive, Verdict.FAIL), stored(archive, Verdict.UNDECIDED)
    said, pinned = stored(archive), stored(archive)
    give_word(root / DATABASE, said, Word.CONFIRMED, "Ada", "looked at it")
    assert pin(root / DATABASE, [pinned], "reference set of connector") == []
    maps = sorted(p.name for p in archive.folder(old).rglob("*.tif") if not p.name.startswith("frame_"))
    assert thin(archive) == [old]
    assert raw_files(archive, old) == []
    assert sorted(p.name for p in archive.folder(old).rglob("*.tif")) == maps
    for kept in (young, failed, undecided, said, pinned):
        assert raw_files(archive, kept) == ["frame_L0.tif", "frame_L1.tif"]
        assert len(archive.load_frames(kept)) == 2
    assert thin(archive) == [old], "a second run finds nothing more"


def test_a_thinned_part_keeps_its_verdict_and_says_when_and_by_which_rule(archive: Archive) -> None:
    name = stored(archive)
    before = archive.load(name)
    thin(archive)
    assert archive.verify(name) == []
    after = archive.load(name)
    assert (after.verdict, after.reasons, after.views[0].limit) == (Verdict.PASS, before.reasons, 1.0)
    assert after.views[0].normal_map is not None
    with pytest.raises(FramesThinned, match=r"2 raw frames .* were removed on .*PASS older than 30 days; one in 10"):
        archive.load_frames(name)
    assert archive.history(1)[0].is_thinned


def test_what_is_missing_beside_the_thinned_frames_is_found(archive: Archive) -> None:
    """Issue 12, point 7: a mark excuses raw frames alone, and only where data base and manifest agree with it."""
    name = stored(archive)
    frame = archive.folder(name) / "top/frame_L0.tif"
    kept = frame.read_bytes()
    thin(archive)
    frame.write_bytes(kept)
    assert archive.verify(name) == [], "a frame that turns up again is proven by its hash"
    frame.write_bytes(kept[:-1])
    assert "differ from what was archived" in archive.verify(name)[0]
    frame.unlink()
    (archive.folder(name) / "top/normals.tif").unlink()
    assert [problem.split(":")[0] for problem in archive.verify(name)] == ["top/normals.tif"]


def test_frames_that_were_deleted_by_hand_are_no_thinned_ones(archive: Archive) -> None:
    name, other = stored(archive), stored(archive, days_old=1)
    thin(archive)
    for path in archive.folder(other).rglob("frame_*"):
        path.unlink()
    assert len(archive.verify(other)) == 2, "no mark excuses them"
    shutil.copy(archive.folder(name) / "thinned.json", archive.folder(other))
    problems = archive.verify(other)
    assert "thinned.json: belongs to another record than this one" in problems
    assert "thinned.json: the data base knows of no thinning" in problems
    assert len(problems) == 4
    mark = archive.folder(name) / "thinned.json"
    mark.write_text(mark.read_text().replace("top/frame_L0.tif", "top/normals.tif"))
    assert len(archive.verify(name)) == 4, "a mark that names a map excuses nothing"


def test_a_damaged_record_is_not_thinned(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    name = stored(archive)
    (archive.folder(name) / "top/frame_L1.tif").unlink()
    assert thin(archive) == []
    assert "is damaged and is not thinned" in caplog.text
    assert archive.verify(name) != []


def test_one_in_n_and_the_latest_stay_and_a_full_disk_takes_the_oldest_first(root: Path) -> None:
    (root / FILE).write_text("passes: {kept_days: 30, kept_latest: 2, then_one_in: 2}\n")
    with Archive.open(root) as archive:
        names = [stored(archive, days_old=20 - n) for n in range(10)]
        assert thin(archive) == [], "none is older than 30 days"
        due = [found.inspection_id for found in archive.housekeeping.would_thin(is_disk_full=True)]
        assert due == [n for n in names[:-2] if not archive.housekeeping.retention.is_spared(n)], (
            "in the order of their age"
        )
        assert due
        room = iter([True, True, True, False, False])  # asked before the pass and before each part
        assert thin(archive, is_disk_full=lambda: next(room)) == due[:2][::-1]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("passes: {kept_dayz: 3}\n", r"retention.yaml:1:10: passes.kept_dayz"),
        ("watermarks: {thin_below_percent: 30}\n", r"retention.yaml:1:14: watermarks.thin_below_percent.*warned first"),
        ("passes: {then_one_in: 0}\n", r"retention.yaml:1:10: passes.then_one_in"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_the_opening_with_their_line(
    root: Path, content: str, found: str
) -> None:
    (root / FILE).write_text(content)
    with pytest.raises(DocumentError, match=found):
        Archive.open(root)
    (root / FILE).unlink()
    with Archive.open(root) as archive:
        assert archive.housekeeping.retention == Retention()


def test_nothing_is_touched_while_the_gate_is_held_and_it_is_carried_on_afterwards(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12, point 7: never while a part is being judged."""
    name, gate = stored(archive), Gate()
    unlink, removing, go_on = Path.unlink, threading.Event(), threading.Event()

    def slow(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("frame_L0"):
            removing.set()
            go_on.wait(20)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", slow)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            thin(archive, gate=gate)
        except Held as held:
            ended.append(held)

    thinner = threading.Thread(target=work)
    thinner.start()
    assert removing.wait(20)
    holder = threading.Thread(target=gate.hold)
    holder.start()
    go_on.set()
    holder.join(20)
    thinner.join(20)
    assert len(ended) == 1
    assert raw_files(archive, name) == ["frame_L1.tif"], "hold waits for the file that is being removed, and no other"
    assert archive.verify(name) == [], "half thinned is no damage"
    with pytest.raises(FramesThinned):
        archive.load_frames(name)
    with pytest.raises(Held):
        thin(archive, gate=gate)
    gate.release()
    assert thin(archive, gate=gate) == [name]
    assert raw_files(archive, name) == []


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX's")
def test_a_kill_in_the_middle_loses_no_verdict_and_the_next_one_carries_it_on(root: Path, tmp_path: Path) -> None:
    """Issue 12, point 7: real kills, before the mark is written, between two frames, and before the end."""
    with Archive.open(root) as archive:
        names = [stored(archive), stored(archive)]
    for case in KILLS:
        shutil.copytree(root, tmp_path / case.replace(":", "-"))
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), *KILLS]
    killed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert killed.stdout.split() == [str(-signal.SIGKILL)] * len(KILLS), killed.stderr
    for case, left in KILLS.items():
        _check_killed(tmp_path / case.replace(":", "-"), names, left)


def _check_killed(root: Path, names: list[str], left: int) -> None:
    assert len(list(root.rglob("frame_*"))) == left
    with Archive.open(root) as archive:
        assert archive.notes == ()
        assert [row.verdict for row in archive.history()] == [Verdict.PASS] * 2
        assert [archive.verify(name) for name in names] == [[], []]
        assert len(archive.load(names[0]).views) == 2
        assert thin(archive) == names[::-1]
        assert [archive.verify(name) for name in names] == [[], []]
        assert list(root.rglob("frame_*")) == []


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_lost_data_base_gets_thinnings_pins_and_words_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, is_finished: bool
) -> None:
    with Archive.open(root) as archive:
        name, pinned = stored(archive), stored(archive)
        archive.pin([pinned], "collection knobs")
        if is_finished:
            thin(archive)
        else:
            with monkeypatch.context() as patch:
                patch.setattr("station.archive.thinning._remove", _refuse)
                assert archive.housekeeping.thin(is_disk_full=lambda: False).problems == ["no right"]
    for path in root.glob("archive.sqlite*"):
        path.unlink()
    with Archive.open(root) as archive:
        assert [archive.verify(each) for each in (name, pinned)] == [[], []]
        assert thin(archive) == [name]
        assert len(archive.load_frames(pinned)) == 2
        assert archive.verify(name) == []


def _refuse(*_: object) -> None:
    raise ArchiveError("no right")


def test_a_data_base_that_is_older_than_the_folders_learns_of_their_thinning(root: Path) -> None:
    with Archive.open(root) as archive:
        name = stored(archive)
    shutil.copy(root / DATABASE, root.parent / "backup")
    with Archive.open(root) as archive:
        thin(archive)
    for path in root.glob("archive.sqlite*"):
        path.unlink()
    shutil.copy(root.parent / "backup", root / DATABASE)
    with Archive.open(root) as archive:
        assert archive.verify(name) == ["thinned.json: the data base knows of no thinning"]
        assert thin(archive) == [name]
        assert archive.verify(name) == []


def test_an_archive_of_an_earlier_version_is_thinned_by_the_same_rule(root: Path) -> None:
    with Archive.open(root) as archive:
        name = stored(archive)
        stored(archive, Verdict.FAIL)
    engine = create_engine(f"sqlite:///{root / DATABASE}")
    with engine.begin() as connection:
        for table in ("pass_frames", "thinning", "pin", "day"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP INDEX ix_inspection_verdict_latest"))
    engine.dispose()
    with Archive.open(root, read_only=True) as reader:
        assert not reader.history(1)[0].is_thinned
    with Archive.open(root) as archive:
        assert thin(archive) == [name]


def test_a_pin_that_comes_too_late_says_so_and_one_that_cannot_be_kept_is_reported(
    archive: Archive, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = stored(archive)
    thin(archive)
    assert pin(root / DATABASE, [name], "Ada") == [name]
    with pytest.raises(InspectionNotFound):
        pin(root / DATABASE, ["nobody"], "Ada")
    assert pin_as_named(root / "elsewhere.sqlite", [name], "collection knobs") == []
    assert "the raw frames that collection knobs needs may be thinned later" in caplog.text
