"""A verdict that is not durable is not given as PASS, nothing of it is lost, and the station goes on once it can."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engine_bench import PLAN, WAIT_S, Bench, in_time, refusal

from station.archive import Archive, ArchiveError
from station.documents import atomic
from station.engine.events import Event, Fault, ResultReady, State
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict

Trouble = Callable[[Bench, pytest.MonkeyPatch], Callable[[], None]]  # begins it; what it returns ends it


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("station.archive.database.BUSY_TIMEOUT_MS", 20)
    monkeypatch.setattr("station.archive.room.PROBE_TIMEOUT_MS", 20)
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()


def locked_data_base(bench: Bench, _: pytest.MonkeyPatch) -> Callable[[], None]:
    connection = sqlite3.connect(bench.root / "archive.sqlite", check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection.close


def full_disk(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    return _refused_writes(patch, lambda path: path.is_relative_to(bench.root))


def every_disk_full(_: Bench, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    return _refused_writes(patch, lambda _: True)


def no_room_for_frames(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    return _refused_writes(patch, lambda p: p.is_relative_to(bench.root) or p.name.startswith("frame_"))


def _refused_writes(patch: pytest.MonkeyPatch, which: Callable[[Path], bool]) -> Callable[[], None]:
    def opened(path: Path, mode: str) -> Any:
        if which(Path(path)):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return open(path, mode)

    patch.setattr(atomic, "open", opened, raising=False)
    return lambda: patch.delattr(atomic, "open", raising=False)


def a_file_in_the_way(bench: Bench, _: pytest.MonkeyPatch) -> Callable[[], None]:
    """What root respects too: the folder of the day cannot be made."""
    (day,) = bench.root.glob("20*-*-*")
    for path in day.iterdir():
        raise AssertionError(f"{path} is there already")
    day.rmdir()
    day.write_text("in the way")
    return day.unlink


def a_rename_that_is_not_synced(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The whole record is there, and the disk did not confirm its name: no later attempt may find it in its way."""

    def refused(folder: Path) -> None:
        if folder.parent == bench.root:
            raise OSError(errno.EIO, "Input/output error", str(folder))

    places = ("station.archive.folder.sync_folder", "station.archive.store.sync_folder")
    for place in places:
        patch.setattr(place, refused)

    def end() -> None:
        for place in places:
            patch.setattr(place, atomic.sync_folder)

    return end


TROUBLES = (locked_data_base, full_disk, every_disk_full, a_file_in_the_way)


def inspect_into(trouble: Trouble, bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Inspect a part whose storing meets the trouble; returns what ends it."""
    ends: list[Callable[[], None]] = []
    bench.acts["judge.judge"] = lambda: ends or ends.append(trouble(bench, patch))  # before anything is written ahead
    in_time(lambda: bench.engine.inspect("P-1"))
    bench.acts.clear()
    return ends[0]


@pytest.mark.parametrize("trouble", [*TROUBLES, a_rename_that_is_not_synced])
def test_a_pass_that_is_not_stored_is_undecided_until_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    """Issue 15, point 2: PASS, all frames deleted, and Ready for the next part to be lost."""
    end = inspect_into(trouble, bench, monkeypatch)
    (first,) = bench.results()
    assert (first.inspection.verdict, first.is_stored, first.archive_folder) == (Verdict.UNDECIDED, False, "")
    assert [reason.kind for reason in first.inspection.reasons] == [ReasonKind.NOT_STORED]
    assert bench.engine.unstored_problem
    assert bench.engine.state is State.ERROR
    assert "free the disk" in bench.faults()[-1].action
    assert "free the disk" in refusal(lambda: bench.engine.start_single_job("P-2"))

    in_time(bench.engine.reset)  # on a disk that is as full as before
    assert bench.engine.state is State.ERROR, "a Ready would lose the next part"
    assert len(bench.results()) == 1
    assert "not stored" in refusal(lambda: bench.engine.start_single_job("P-2"))

    end()
    in_time(bench.engine.reset)
    _, second = bench.results()
    assert (second.inspection.verdict, second.is_stored) == (Verdict.PASS, True)
    assert bench.engine.state is State.READY
    assert_stored_whole(bench, second)
    in_time(lambda: bench.engine.inspect("P-2"))
    assert bench.results()[-1].inspection.verdict is Verdict.PASS
    assert not list(bench.spool.rglob("*.tif")), "the copy is no longer needed"


def assert_stored_whole(bench: Bench, result: ResultReady) -> None:
    inspection_id = result.inspection.inspection_id
    assert bench.archive.verify(inspection_id) == []
    assert Path(result.archive_folder) == bench.archive.folder(inspection_id)
    assert bench.archive.load(inspection_id).verdict is Verdict.PASS
    frames = bench.archive.load_frames(inspection_id)
    assert [(f.view, f.light) for f in frames] == [(s.view, s.light) for s in PLAN]
    for number, archived in enumerate(frames, start=1):
        np.testing.assert_array_equal(archived.frame.pixels, number)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_it_is_stored_by_itself_once_the_cause_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    """Issue 15, point 2."""
    stored, ready = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, ResultReady) and event.is_stored:
            stored.set()
        if getattr(event, "state", None) is State.READY:
            ready.set()

    bench.try_in_background_after(0.01)
    bench.engine.subscribe(listen)
    end = inspect_into(trouble, bench, monkeypatch)
    end()
    assert stored.wait(WAIT_S)
    assert ready.wait(WAIT_S)
    assert bench.told.count("arm.home") == 1, "nothing moved for it"
    assert_stored_whole(bench, bench.results()[-1])
    in_time(lambda: bench.engine.inspect("P-2"))


def test_a_fail_that_is_not_stored_stays_fail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.judge.score = 3.0
    end = inspect_into(full_disk, bench, monkeypatch)
    (first,) = bench.results()
    assert (first.inspection.verdict, first.is_stored) == (Verdict.FAIL, False)
    assert first.inspection.reasons[0].kind is ReasonKind.NOT_STORED
    end()
    in_time(bench.engine.reset)
    assert bench.results()[-1].inspection.reasons == ()


@pytest.mark.parametrize("trouble", [locked_data_base, full_disk])
def test_a_station_that_dies_meanwhile_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    """Issue 15, point 2: one more disk, or the archive's own where only the data base refused."""
    end = inspect_into(trouble, bench, monkeypatch)
    name = bench.results()[0].inspection.inspection_id
    bench.archive.close()  # what the operating system does for a process that is killed
    end()
    with Archive.open(bench.root) as again:
        assert again.verify(name) == []
        assert again.load(name).verdict is Verdict.PASS
        assert len(again.load_frames(name)) == len(PLAN)
    assert not list(bench.spool.rglob("*.tif"))
    bench.archive = Archive.open(bench.root)


def test_a_verdict_without_room_for_its_frames_is_brought_home_as_no_pass(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = inspect_into(no_room_for_frames, bench, monkeypatch)
    shown = bench.results()[0].inspection
    assert "its frames are in memory alone" in shown.reasons[0].text
    bench.archive.close()
    end()
    with Archive.open(bench.root) as again:
        kept = again.load(shown.inspection_id)
        assert kept.verdict is Verdict.UNDECIDED, "nothing can prove it any more"
        assert [reason.kind for reason in kept.reasons] == [ReasonKind.NOT_STORED]
        assert "its frames were lost" in kept.reasons[0].text
    bench.archive = Archive.open(bench.root)


def test_closing_tries_for_the_last_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    end = inspect_into(every_disk_full, bench, monkeypatch)
    end()
    in_time(bench.engine.close)
    assert_stored_whole(bench, bench.results()[-1])


@pytest.mark.parametrize("trouble", TROUBLES)
def test_start_is_refused_before_anything_moves_where_the_part_could_not_be_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    """Issue 15, point 2."""
    in_time(lambda: bench.archive.check_room(0))  # makes the folder of the day
    end = trouble(bench, monkeypatch)
    bench.told.clear()
    with pytest.raises(ArchiveError, match=r"free the disk|what else has it open|right to write"):
        in_time(lambda: bench.engine.start_single_job("P-1"))
    assert bench.told == []
    assert bench.engine.state is State.READY
    end()
    in_time(lambda: bench.engine.inspect("P-1"))
    assert bench.results()[-1].is_stored


def test_start_is_refused_where_the_disk_has_no_room_for_a_part_of_this_recipe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12, point 7: first for the record itself, then for what the watermark wants left after it."""
    free = 64_000_999  # of the 64 MB reserve and the bench's record of 1000 bytes
    disk = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=free, total=10**12))
    monkeypatch.setattr("station.archive.outlook.shutil", disk)
    with pytest.raises(ArchiveError, match=r"64 MB free, the next part may need 64 MB; free the disk"):
        in_time(lambda: bench.engine.start_single_job("P-1"))
    free = 1_000_000_999
    with pytest.raises(ArchiveError, match=r"1\.00 GB free, and 1 GB must be left .*refuse_below_gb in retention"):
        in_time(lambda: bench.engine.start_single_job("P-1"))
    assert bench.engine.state is State.READY
    free += 1
    in_time(lambda: bench.engine.inspect("P-1"))
    assert bench.results()[-1].is_stored


def test_a_device_fault_and_a_full_disk_are_both_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[Callable[[], None]] = []

    def alarm() -> None:
        ends.append(full_disk(bench, monkeypatch))
        raise OSError("alarm")

    bench.acts["arm.move_to"] = alarm
    in_time(lambda: bench.engine.inspect("P-1"))
    bench.acts.clear()
    kinds = {reason.kind for reason in bench.results()[0].inspection.reasons}
    assert {ReasonKind.NOT_STORED, ReasonKind.PROGRAM_FAULT} <= kinds
    assert ["alarm" in fault.text for fault in bench.faults()] == [True, False]
    ends[0]()
    in_time(lambda: bench.engine._storing.try_again())  # noqa: SLF001
    assert bench.engine.state is State.ERROR, "the arm's fault still stands"
    in_time(bench.engine.reset)
    assert bench.engine.state is State.READY


def test_a_disk_that_does_not_answer_is_reported_and_the_verdict_comes_once_it_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12, point 7: a slow disk. No other part can be started meanwhile, and nothing is lost."""
    bench.engine._storing._slow_after_s = 0.05  # noqa: SLF001
    answers, reported = threading.Event(), threading.Event()
    real = bench.archive.record

    def slow(*given: Any) -> Path:
        assert answers.wait(WAIT_S)
        return real(*given)

    monkeypatch.setattr(bench.archive, "record", slow)
    bench.engine.subscribe(lambda event: reported.set() if isinstance(event, Fault) else None)
    bench.engine.start_single_job("P-1")
    assert reported.wait(WAIT_S)
    assert "has taken 0.05 s" in bench.faults()[-1].text
    assert bench.results() == [], "no verdict before it is durable"
    assert "wait for its verdict" in refusal(lambda: bench.engine.start_single_job("P-2"))
    answers.set()
    in_time(lambda: bench.engine._job.join())  # noqa: SLF001
    assert bench.results()[-1].inspection.verdict is Verdict.PASS
    assert bench.engine.state is State.READY
    assert len(bench.faults()) == 1, "it is reported once"
    bench.engine._storing._slow_after_s = 1e6  # noqa: SLF001
    in_time(lambda: bench.engine.inspect("P-2"))
    assert len(bench.faults()) == 1, "a disk that answers is not reported"
