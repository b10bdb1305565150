"""The engine thins its archive between two parts and says how long the room lasts; no part is ever disturbed by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_bench import WAIT_S, Bench, in_time
from made_records import make_frames, make_inspection

from station.archive.ids import first_id_of
from station.archive.outlook import Mark
from station.archive.retention import FILE
from station.engine.events import RoomWatched
from station.engine.retention_watch import RetentionWatch
from station.inspection.result import Verdict


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / FILE).write_text("passes: {kept_days: 30, kept_latest: 0, then_one_in: 1000000}\n")
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()


def old_pass(bench: Bench) -> str:
    """Archived sixty days ago."""
    when = datetime.now(UTC) - timedelta(days=60)
    name = f"{first_id_of(when)[:10]}{0:016d}"
    bench.archive.record(
        make_inspection(inspection_id=name, verdict=Verdict.PASS, creation_time=when, views=()), make_frames()
    )
    return name


def rooms(bench: Bench) -> list[RoomWatched]:
    return [event for event in bench.events if isinstance(event, RoomWatched)]


def eventually(is_so: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if is_so():
            return
        waited.wait(0.02)
    raise AssertionError("it did not come about")


def test_raw_frames_go_after_a_part_and_never_while_one_is_inspected(bench: Bench) -> None:
    """Issue 12, point 7."""
    eventually(lambda: bool(rooms(bench)))
    name = old_pass(bench)
    seen: list[int] = []

    def look() -> None:
        bench.engine._retention._wake.set()  # noqa: SLF001 - a look that falls due while the part is judged
        threading.Event().wait(0.05)
        seen.append(len(list(bench.archive.folder(name).rglob("frame_*"))))

    bench.acts["judge.judge"] = look
    in_time(lambda: bench.engine.inspect("P-1"))
    assert seen == [2, 2], "both views were judged before a frame went"
    eventually(lambda: not list(bench.archive.folder(name).rglob("frame_*")))
    eventually(lambda: "were removed" in bench.archive.thinned_sentence(name))
    assert bench.results()[-1].inspection.verdict is Verdict.PASS
    assert bench.archive.verify(name) == []


def test_the_room_is_reported_after_a_part_and_to_a_listener_that_comes_late(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=150_000_000_000, total=10**12))
    monkeypatch.setattr("station.archive.outlook.shutil", disk)
    in_time(lambda: bench.engine.inspect("P-1"))
    eventually(lambda: bool(rooms(bench)) and rooms(bench)[-1].outlook.parts_a_day == 1)
    found = rooms(bench)[-1].outlook
    assert found.mark is Mark.WARN
    assert found.days_left == 999.0
    assert bench.engine.room_event() == rooms(bench)[-1]
    assert caplog.text.count("150.0 GB free (15 %)") == 1, "a watermark is logged once"
    in_time(lambda: bench.engine.inspect("P-2"))
    eventually(lambda: rooms(bench)[-1].outlook.parts_a_day == 2)
    assert caplog.text.count("150.0 GB free (15 %)") == 1


def test_a_look_that_fails_disturbs_no_part_and_the_next_one_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    eventually(lambda: bool(rooms(bench)))
    with monkeypatch.context() as patch:
        patch.setattr("station.archive.outlook.shutil", SimpleNamespace(disk_usage=_broken))
        bench.engine._retention.release()  # noqa: SLF001
        eventually(lambda: "cannot be looked after" in caplog.text)
    before = len(rooms(bench))
    in_time(lambda: bench.engine.inspect("P-1"))
    assert bench.results()[-1].is_stored
    eventually(lambda: len(rooms(bench)) > before)


def _broken(_: object) -> None:
    raise RuntimeError("a defect")


def test_it_ends_when_it_is_closed_and_begins_again(bench: Bench) -> None:
    heard: list[RoomWatched] = []
    watch = RetentionWatch(bench.archive, heard.append)
    watch.close()
    watch.start()
    watch.start()
    eventually(lambda: len(heard) == 1)
    in_time(watch.close)
    assert "retention" not in {t.name for t in threading.enumerate() if t is watch._thread}  # noqa: SLF001
    watch.start()
    eventually(lambda: len(heard) == 2)
    in_time(watch.close)
