"""Opening an archive looks at what has changed, and at every page only where a power cut may have torn some."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from made_records import make_frames, make_inspection

from station.archive import Archive, ArchiveError, database, orphans
from station.archive.store import DATABASE
from station.documents import lock


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_SPOOL", str(tmp_path / "spool"))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days that an opening looks into."""
    days: list[str] = []
    real = orphans._put_day_in_order  # noqa: SLF001

    def noting(root: Path, engine: object, day: Path) -> list[str]:
        days.append(day.name)
        return real(root, engine, day)  # type: ignore[arg-type]

    monkeypatch.setattr(orphans, "_put_day_in_order", noting)
    return days


def test_a_day_is_looked_into_once_and_again_where_it_has_changed(tmp_path: Path, looked: list[str]) -> None:
    """Issue 12: at 100,000 parts a look at every folder took seconds at each opening."""
    root = tmp_path / "archive"
    first, second = make_inspection(), make_inspection()
    with Archive.open(root) as archive:
        archive.record(first, make_frames())
        whole = archive.record(second, make_frames())
    (day,) = root.glob("20*")
    shutil.move(whole, tmp_path / "away")
    _change_long_ago(day)
    for _ in range(2):
        Archive.open(root).close()
    assert looked == [day.name], "the second opening passes it by"
    shutil.move(tmp_path / "away", whole)
    for path in root.glob("archive.sqlite*"):
        path.unlink()
    _change_long_ago(day)
    with Archive.open(root) as archive:
        assert len(archive.notes) == 2, "a lost data base knows of no day"
    third = make_inspection()
    with Archive.open(tmp_path / "other") as other:
        shutil.copytree(other.record(third, make_frames()), day / third.inspection_id)
    looked.clear()
    with Archive.open(root) as archive:
        assert archive.history()[0].inspection_id == third.inspection_id
    assert looked == [day.name], "a folder that was put there changes the day's"


def _change_long_ago(day: Path) -> None:
    """As if the last change were an hour old: within the same tick of the clock another one could be missed."""
    status = day.stat()
    os.utime(day, ns=(status.st_atime_ns, status.st_mtime_ns - 3_600_000_000_000))


def test_a_data_base_is_checked_page_by_page_where_the_machine_went_down_with_its_writer(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        for _ in range(30):
            archive.record(make_inspection(views=()), make_frames())
    path = tmp_path / DATABASE
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18])
    for number in range(2, len(content) // page, 2):
        content[number * page : number * page + 200] = b"\xff" * 200
    path.write_bytes(content)
    (tmp_path / "archive.lock").write_text('{"pid": 1, "purpose": "a station that died"}')
    with pytest.raises(ArchiveError, match=r"damaged|malformed"):
        Archive.open(tmp_path)
    assert "in order" not in (tmp_path / "archive.lock").read_text(), "the next one looks too"


def test_a_writer_that_was_killed_alone_costs_no_look_at_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12: at 100,000 parts that look takes five seconds. It comes after the machine went down, and for a copy."""
    boot, root, looks = tmp_path / "boot_id", tmp_path / "archive", []
    boot.write_text("first\n")
    monkeypatch.setattr(lock, "BOOT_ID", boot)
    monkeypatch.setattr(database, "_check_sqlite", lambda _engine: looks.append(boot.read_text().strip()))
    with Archive.open(root):
        left = (root / "archive.lock").read_text()
    assert looks == ["first"], "a new archive is looked at"
    (root / "archive.lock").write_text(left)  # as a killed writer leaves it
    Archive.open(root).close()
    assert looks == ["first"]
    boot.write_text("second\n")
    (root / "archive.lock").write_text(left)
    Archive.open(root).close()
    assert looks == ["first", "second"], "the machine was started since"
    with Archive.open(root):
        shutil.copytree(root, tmp_path / "copy")
    Archive.open(tmp_path / "copy").close()
    assert looks == ["first", "second", "second"], "a copy may have been made in the middle of something"
