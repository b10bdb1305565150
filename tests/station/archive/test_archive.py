"""The archive keeps everything or nothing, and notices when it is touched."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from made_records import make_frames, make_inspection, make_view
from sqlalchemy import create_engine, text

from station.archive import Archive, ArchiveError, new_inspection_id
from station.archive import ahead as ahead_module
from station.archive import folder as folder_module
from station.documents import atomic
from station.inspection.result import Verdict
from station.photometric_stereo.normal_map import NormalMap


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "archive") as opened:
        yield opened


def only_the_database(archive_folder: Path) -> bool:
    own = ("archive.lock", "archive.sqlite", "archive.sqlite-shm", "archive.sqlite-wal")
    return not [path for path in archive_folder.rglob("*") if path.is_file() and path.name not in own]


def test_an_inspection_comes_back_with_its_arrays(archive: Archive) -> None:
    inspection = make_inspection()
    archive.record(inspection, make_frames())
    loaded = archive.load(inspection.inspection_id)
    assert replace(loaded, views=()) == replace(inspection, views=())
    assert loaded.views[1] == inspection.views[1]
    before, after = inspection.views[0], loaded.views[0]
    assert (after.view, after.verdict, after.pred_score) == (before.view, before.verdict, before.pred_score)
    assert after.light_residuals == before.light_residuals
    assert before.image is not None
    assert before.anomaly_map is not None
    np.testing.assert_allclose(after.image, before.image, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(after.anomaly_map.scores, before.anomaly_map.scores)  # type: ignore[union-attr]


def test_normals_come_back_within_a_thousandth_of_a_degree(archive: Archive) -> None:
    inspection = make_inspection()
    archive.record(inspection, [])
    before, after = inspection.views[0].normal_map, archive.load(inspection.inspection_id).views[0].normal_map
    assert before is not None
    assert after is not None
    sine = np.linalg.norm(np.cross(before.normals, after.normals, axis=0), axis=0)
    assert np.degrees(sine[before.observable].max()) < 0.003
    assert not after.normals[:, ~before.observable].any()
    for name in ("lit_count", "observable", "saturated"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_allclose(after.albedo, before.albedo, atol=2e-5)
    np.testing.assert_allclose(after.residual, before.residual, atol=2e-7)


def test_a_packed_map_is_written_as_it_is(archive: Archive) -> None:
    view = make_view("top", 1)
    assert view.normal_map is not None
    packed = view.normal_map.packed()
    folders = [
        archive.record(make_inspection(views=(replace(view, normal_map=found),)), [])
        for found in (view.normal_map, packed)
    ]
    for what in ("normals", "albedo", "residual", "quality"):
        pixels = [tifffile.imread(folder / "top" / f"{what}.tif") for folder in folders]
        np.testing.assert_array_equal(*pixels)
    np.testing.assert_array_equal(np.moveaxis(tifffile.imread(folders[1] / "top/normals.tif"), 2, 0), packed.normals)
    after = archive.load(folders[1].name).views[0].normal_map
    assert isinstance(after, NormalMap)
    for name in ("normals", "albedo", "lit_count", "residual", "observable", "saturated"):
        np.testing.assert_array_equal(getattr(after, name), getattr(packed.unpacked(), name))


def test_frames_come_back_bit_for_bit_in_order(archive: Archive) -> None:
    inspection, frames = make_inspection(), make_frames(3)
    frames.append(replace(frames[0], frame=replace(frames[0].frame, frame_id=99)))  # taken again
    archive.record(inspection, frames)
    for before, after in zip(frames, archive.load_frames(inspection.inspection_id), strict=True):
        np.testing.assert_array_equal(after.frame.pixels, before.frame.pixels)
        assert after.frame.pixels.dtype == np.uint16
        assert (after.view, after.light, after.pose) == (before.view, before.light, before.pose)
        assert replace(after.frame, pixels=before.frame.pixels) == before.frame


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 0.1 + 0.2])
def test_a_score_comes_back_as_it_was_even_if_it_is_no_number(archive: Archive, score: float) -> None:
    inspection = make_inspection(views=(make_view("top", 1, score),))
    archive.record(inspection, [])
    assert archive.load(inspection.inspection_id).views[0].pred_score == pytest.approx(score, rel=0, nan_ok=True)


def test_the_folder_is_the_day_and_the_id_and_every_file_says_simulated(archive: Archive) -> None:
    inspection = make_inspection()
    folder = archive.record(inspection, make_frames())
    assert (folder.parent.name, folder.name) == ("2026-11-24", inspection.inspection_id)
    for name in ("manifest.json", "verdict.json", "frames.json"):
        assert json.loads((folder / name).read_text())["is_simulated"] is True
    for path in folder.rglob("*.tif"):
        assert b'"is_simulated": true' in path.read_bytes()


def test_the_manifest_tells_the_hash_and_size_of_every_other_file(archive: Archive) -> None:
    folder = archive.record(make_inspection(), make_frames())
    files = json.loads((folder / "manifest.json").read_text())["files"]
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert present == {"manifest.json", *files}
    for name, stored in files.items():
        data = (folder / name).read_bytes()
        assert stored == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_a_record_of_later_software_is_refused_by_its_format(archive: Archive) -> None:
    inspection = make_inspection()
    folder = archive.record(inspection, make_frames())
    assert archive.load(inspection.inspection_id).reasons == inspection.reasons
    manifest = json.loads((folder / "manifest.json").read_text())
    later = json.dumps({"format_version": 3, "of_another": "shape"}).encode()
    (folder / "verdict.json").write_bytes(later)
    manifest["files"]["verdict.json"] = {"sha256": hashlib.sha256(later).hexdigest(), "bytes": len(later)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match=r"verdict\.json: has format 3, this software reads up to 2"):
        archive.load(inspection.inspection_id)


def test_other_software_reads_the_frames(archive: Archive) -> None:
    cv2 = pytest.importorskip("cv2")
    frames = make_frames(1)
    folder = archive.record(make_inspection(), frames)
    np.testing.assert_array_equal(cv2.imread(str(folder / "top/frame_L0.tif"), -1), frames[0].frame.pixels)


def test_an_untouched_record_verifies(archive: Archive) -> None:
    inspection = make_inspection()
    archive.record(inspection, make_frames())
    assert archive.verify(inspection.inspection_id) == []


def test_a_changed_a_missing_and_an_added_file_are_found(archive: Archive) -> None:
    inspection = make_inspection()
    folder = archive.record(inspection, make_frames())
    frame = folder / "top/frame_L0.tif"
    frame.write_bytes(frame.read_bytes()[:-1] + b"\x7f")
    (folder / "top/normals.tif").unlink()
    (folder / "top/frame_L9.tif").write_bytes(b"")
    problems = archive.verify(inspection.inspection_id)
    assert [text.split(":")[0] for text in problems] == ["top/frame_L0.tif", "top/normals.tif", "top/frame_L9.tif"]
    with pytest.raises(ArchiveError, match=r"normals\.tif"):
        archive.load(inspection.inspection_id)
    with pytest.raises(ArchiveError, match=r"frame_L0\.tif.*differ"):
        archive.load_frames(inspection.inspection_id)


def test_a_manifest_rewritten_to_match_is_found_by_the_data_base(archive: Archive) -> None:
    inspection = make_inspection()
    folder = archive.record(inspection, [])
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("true", "false"))
    assert "differs from the one in the data base" in archive.verify(inspection.inspection_id)[0]


def test_the_history_is_newest_first(archive: Archive) -> None:
    inspections = [make_inspection(part_id=f"part {n}") for n in range(3)]
    for inspection in inspections:
        archive.record(inspection, [])
    rows = archive.history(2)
    assert [row.part_id for row in rows] == ["part 2", "part 1"]
    assert rows[0].creation_time == inspections[2].creation_time
    assert (rows[0].verdict, rows[0].is_simulated, rows[0].deciding_view) == (Verdict.UNDECIDED, True, "top")


def test_the_same_inspection_is_not_written_twice(archive: Archive) -> None:
    inspection = make_inspection()
    archive.record(inspection, [])
    with pytest.raises(ArchiveError, match="never overwritten"):
        archive.record(inspection, [])
    assert archive.verify(inspection.inspection_id) == []


@pytest.mark.parametrize("good_writes", [0, 3, 8])
def test_a_full_disk_leaves_nothing_behind(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good_writes: int
) -> None:
    written: list[Path] = []

    def write(path: Path, data: Iterator[bytes]) -> None:
        if len(written) >= good_writes:
            path.write_bytes(b"II*\0\x08\0\0\0")  # what a full disk leaves
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        atomic.write_synced(path, data)

    for module in (folder_module, ahead_module):
        monkeypatch.setattr(module, "write_synced", write)
    with pytest.raises(ArchiveError, match="No space left"):
        archive.record(make_inspection(), make_frames())
    assert only_the_database(tmp_path / "archive")
    assert archive.history() == []
    assert archive.incomplete() == []
    monkeypatch.undo()
    archive.record(make_inspection(), make_frames())


def test_a_locked_data_base_keeps_the_whole_folder_and_the_same_call_enters_it_later(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 2."""
    archive._engine.dispose()  # noqa: SLF001 - the next connection waits no longer than this
    monkeypatch.setattr("station.archive.database.BUSY_TIMEOUT_MS", 10)
    inspection, frames = make_inspection(), make_frames()
    other = create_engine(f"sqlite:///{tmp_path / 'archive/archive.sqlite'}")
    with other.connect() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))
        with pytest.raises(ArchiveError, match="locked"):
            archive.record(inspection, frames)
        assert archive.history() == []
        assert archive.keep_aside(inspection, frames).name == inspection.inspection_id, "it is on the disk already"
    other.dispose()
    folder = archive.record(inspection, frames)
    assert archive.verify(inspection.inspection_id) == []
    assert (folder / "manifest.json").is_file()
    with pytest.raises(ArchiveError, match="never overwritten"):
        archive.record(inspection, frames)


def test_whole_folders_rebuild_a_lost_data_base(archive: Archive, tmp_path: Path) -> None:
    inspection = make_inspection()
    archive.record(inspection, make_frames())
    before = archive.history()
    archive.close()
    for path in (tmp_path / "archive").glob("archive.sqlite*"):
        path.unlink()
    with Archive.open(tmp_path / "archive") as again:
        assert again.history() == before
        assert again.verify(inspection.inspection_id) == []


def test_a_damaged_data_base_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_bytes(b"not a data base " * 100)
    with pytest.raises(ArchiveError, match=r"archive\.sqlite"):
        Archive.open(tmp_path)


def test_the_data_base_is_durable_and_keeps_its_references(archive: Archive) -> None:
    with archive._engine.connect() as connection:  # noqa: SLF001
        pragmas = {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in (
            "journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "con:", "x" * 70])
def test_a_view_that_cannot_be_a_file_name_is_refused(archive: Archive, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="file name"):
        archive.record(make_inspection(views=(make_view(name, 1),)), [])
    assert only_the_database(tmp_path / "archive")


def test_an_unknown_inspection_is_named(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="no inspection 'nonsense'"):
        archive.load("nonsense")


def test_ids_sort_in_the_order_in_which_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [new_inspection_id() for _ in range(1000)]
    monkeypatch.setattr("time.time_ns", lambda: 10**18)  # the clock is set back
    ids = first + [new_inspection_id() for _ in range(10)]
    assert sorted(set(ids)) == ids
    assert all(len(name) == 26 for name in ids)
