"""Views that the archive takes before the part's verdict: what counts, what is taken over, what a refusal leaves."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from made_records import make_frames, make_inspection

from station.archive import Ahead, Archive, ArchivedFrame, ArchiveError, ViewToWrite, file_jobs
from station.archive import ahead as ahead_module
from station.documents import atomic
from station.inspection.result import Inspection
from station.inspection.timeline import Span, Timeline


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("FACET_SPOOL", str(tmp_path / "spool"))
    with Archive.open(tmp_path / "archive") as opened:
        yield opened


class Part:
    """An inspection whose first view was written ahead; its frames and pictures are let go of where they are."""

    def __init__(self, archive: Archive, inspection: Inspection | None = None) -> None:
        self.inspection = inspection or make_inspection()
        first = replace(self.inspection.views[0], written_as="first#1")
        self.full = first
        self.frames = [frame for frame in make_frames() if frame.view == first.view]
        self.ahead = archive.write_ahead(self.inspection.inspection_id, is_simulated=self.inspection.is_simulated)
        self.gone: list[str] = []
        self.done = threading.Event()
        self.ahead.put(ViewToWrite(first, list(self.frames), self.gone.append, self.done.set))
        self.inspection = replace(self.inspection, views=(first, *self.inspection.views[1:]))

    def written(self) -> None:
        assert self.done.wait(30.0), "the view was not written"

    def let_go(self) -> tuple[Inspection, Sequence[ArchivedFrame]]:
        assert self.full.image is not None
        assert self.full.normal_map is not None
        small = replace(self.full, image=self.full.image[:, :1, :1], is_reduced=True)
        frames = [
            replace(frame, frame=replace(frame.frame, pixels=np.empty((0, 0), frame.frame.pixels.dtype)))
            for frame in self.frames
        ]
        return replace(self.inspection, views=(small, *self.inspection.views[1:])), frames


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.tif")
    }  # fmt: skip


def test_a_record_that_was_written_ahead_holds_the_same_pixels_as_one_that_was_not(archive: Archive) -> None:
    part = Part(archive)
    part.written()
    assert part.gone == [frame.light for frame in part.frames]
    inspection, frames = part.let_go()
    folder = archive.record(inspection, frames)
    assert not archive.verify(inspection.inspection_id)
    other = make_inspection()
    plain = archive.record(replace(other, views=(part.full, *other.views[1:])), part.frames)
    found, wanted = contents(folder), contents(plain)
    assert found.keys() == wanted.keys()
    for name in found:
        assert np.array_equal(tifffile.imread(folder / name), tifffile.imread(plain / name)), name
    loaded = archive.load(inspection.inspection_id).views[0]
    assert loaded.image is not None
    assert part.full.image is not None
    assert loaded.image.shape == part.full.image.shape


def test_before_the_verdict_nothing_counts_as_a_record(archive: Archive, tmp_path: Path) -> None:
    part = Part(archive)
    part.written()
    assert archive.history() == []
    (unfinished,) = (tmp_path / "archive").glob("*/.partial-*")
    assert unfinished.name.endswith(part.inspection.inspection_id)


def test_a_take_that_was_thrown_away_leaves_no_file_in_the_record(archive: Archive) -> None:
    part = Part(archive)
    part.written()
    again = replace(part.full, written_as="first#2", light_levels={"north": 0.7})
    lighter = [replace(f, frame=replace(f.frame, frame_id=f.frame.frame_id + 100)) for f in part.frames][:1]
    folder = archive.record(replace(part.inspection, views=(again, *part.inspection.views[1:])), lighter)
    names = [path.name for path in (folder / part.full.view).iterdir() if path.name.startswith("frame")]
    assert names == [f"frame_{lighter[0].light}.tif"]
    assert not archive.verify(part.inspection.inspection_id)
    assert [f.frame.frame_id for f in archive.load_frames(part.inspection.inspection_id)] == [lighter[0].frame.frame_id]


def fill_the_disk(patch: pytest.MonkeyPatch, good_writes: int) -> SimpleNamespace:
    disk = SimpleNamespace(written=0, is_full=True)

    def write(path: Path, data: Iterator[bytes]) -> None:
        if disk.is_full and disk.written >= good_writes:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        disk.written += 1
        atomic.write_synced(path, data)

    patch.setattr(ahead_module, "write_synced", write)
    return disk


def test_a_disk_that_fills_up_meanwhile_loses_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written stays written, the rest is in memory, and the record is whole once there is room."""
    disk = fill_the_disk(monkeypatch, 2)
    part = Part(archive)
    part.ahead.finish()
    assert part.gone == [frame.light for frame in part.frames][: len(part.gone)]
    gone = set(part.gone)
    _, released = part.let_go()
    frames = [small if small.light in gone else frame for small, frame in zip(released, part.frames, strict=True)]
    with pytest.raises(ArchiveError, match="No space left"):
        archive.record(part.inspection, frames)
    assert archive.history() == []
    aside = None
    disk.is_full = False
    aside = archive.keep_aside(part.inspection, frames)
    assert (aside / "manifest.json").is_file()
    archive.record(part.inspection, frames)
    assert not archive.verify(part.inspection.inspection_id)
    assert len(archive.load_frames(part.inspection.inspection_id)) == len(part.frames)


def test_a_file_that_vanished_is_an_error_and_never_an_empty_picture(archive: Archive) -> None:
    part = Part(archive)
    part.written()
    inspection, frames = part.let_go()
    with pytest.raises(ArchiveError, match="not in memory any more"):
        archive.record(replace(inspection, views=(replace(inspection.views[0], written_as="other#1"),)), frames)


def test_whoever_brings_views_waits_where_the_disk_is_slow(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = threading.Event()

    def write(path: Path, data: Iterator[bytes]) -> None:
        assert may_write.wait(30.0)
        atomic.write_synced(path, data)

    monkeypatch.setattr(ahead_module, "write_synced", write)
    part = Part(archive)
    handed = [threading.Event() for _ in range(3)]

    def bring() -> None:
        for event in handed:
            part.ahead.wait_for_room(2)
            part.ahead.put(ViewToWrite(part.full, [], part.gone.append, lambda: None))
            event.set()

    bringing = threading.Thread(target=bring)
    bringing.start()
    assert handed[0].wait(30.0)
    assert not handed[2].wait(0.2), "more views wait than memory is planned for"
    may_write.set()
    bringing.join(30.0)
    assert handed[2].is_set()
    assert isinstance(part.ahead, Ahead)


def test_the_times_of_an_inspection_are_archived_and_come_back(archive: Archive) -> None:
    timeline = Timeline((Span("judge", "solve", "top", 1.5, 20.25),), 1.0, 21.0)
    inspection = replace(make_inspection(), timeline=timeline)
    archive.record(inspection, [])
    assert archive.load_timeline(inspection.inspection_id) == timeline
    assert archive.load(inspection.inspection_id).timeline == timeline
    bare = make_inspection()
    archive.record(bare, [])
    assert archive.load_timeline(bare.inspection_id) == Timeline()


def compressions(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob("*.tif"):
        with tifffile.TiffFile(path) as file:
            found.add(file.pages.first.compression.name)
    return found


@pytest.mark.parametrize("has_time", [True, False])
def test_files_are_compressed_only_where_nobody_waits_for_them(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, has_time: bool
) -> None:
    """Issue 12, point 2. The pixels are the same, and a record of either kind is read and verified."""
    monkeypatch.setattr(file_jobs, "MOST_COMPRESSED_BYTES", 10**9 if has_time else -1)
    part = Part(archive)
    part.written()
    folder = archive.record(*part.let_go())
    assert compressions(folder) == {"ADOBE_DEFLATE" if has_time else "NONE"}
    assert not archive.verify(part.inspection.inspection_id)
    loaded = archive.load(part.inspection.inspection_id).views[0]
    assert loaded.normal_map is not None
    assert part.full.normal_map is not None
    np.testing.assert_allclose(loaded.normal_map.normals, part.full.normal_map.normals, atol=1e-4)
    (frame, *_) = archive.load_frames(part.inspection.inspection_id)
    np.testing.assert_array_equal(frame.frame.pixels, part.frames[0].frame.pixels)
