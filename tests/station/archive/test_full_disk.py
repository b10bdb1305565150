"""A real file system that fills up: what was stored stays whole, nothing half-written counts, thinning makes room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
FILLED = """
import os, subprocess, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from made_records import make_frames, make_inspection
from station.archive import Archive, ArchiveError
from station.archive.ids import first_id_of
from station.inspection.result import Verdict

disk = Path(sys.argv[1])
root = disk / "archive"
root.mkdir()
(root / "retention.yaml").write_text("passes: {kept_days: 1, kept_latest: 0, then_one_in: 1000000}")
day = datetime.now(UTC) - timedelta(days=5)
made = [f"{first_id_of(day)[:10]}{n:016d}" for n in range(1000)]
stored = []

def store(archive, name):
    archive.record(
        make_inspection(inspection_id=name, verdict=Verdict.PASS, creation_time=day, views=()), make_frames(20)
    )
    stored.append(name)

def check(archive, when):
    assert sorted(row.inspection_id for row in archive.history(1000)) == stored, when
    assert [problem for name in stored for problem in archive.verify(name)] == [], when
    assert archive.incomplete() == [], when

with Archive.open(root) as archive:
    archive.housekeeping.keep_reserve()
    try:
        for name in made:
            store(archive, name)
    except ArchiveError as error:
        print("refused:", error)
    check(archive, "on the full disk")
    try:
        with open(disk / "of others", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    try:
        archive.check_room(1000)
    except ArchiveError as error:
        print("Start:", error)
    report = archive.housekeeping.thin()
    assert report.problems == [], report
    print("thinned:", report.parts == len(stored))
    check(archive, "thinned")
    store(archive, made[999])
    check(archive, "with room again")
with Archive.open(root) as archive:
    check(archive, "opened again")
subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
try:
    Archive.open(root)
except ArchiveError as error:
    print("read-only:", error)
with Archive.open(root, read_only=True) as archive:
    check(archive, "read from a disk that takes no writing")
print("done")
"""


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="this machine gives no small file system to this user (unshare, mount)")
def test_a_disk_that_is_really_full_loses_nothing_and_is_thinned(tmp_path: Path) -> None:
    """Issue 12, point 7."""
    script = f'mount -t tmpfs -o size=7m tmpfs {tmp_path} && exec "$0" -c "$1" {tmp_path}'
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "FACET_SPOOL": str(tmp_path / "spool")}
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, FILLED],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    refused, start, thinned, read_only, done = run.stdout.splitlines()
    assert "No space left on device" in refused or "disk is full" in refused
    assert "free the disk" in start
    assert "keep the archive on a disk that can be written" in read_only
    assert (thinned, done) == ("thinned: True", "done")
