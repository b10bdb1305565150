"""One owner a rig: the second is refused by name, and a dead one leaves nothing locked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from station.rig.owner import RigInUse, lock_file, owned_rig

HOLDER = """
import sys, time
from pathlib import Path
from station.rig.owner import owned_rig
with owned_rig(Path(sys.argv[1]), "station run"):
    print("owned", flush=True)
    time.sleep(60)
"""


def test_a_second_owner_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(rig)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "owned\n"
        with (
            pytest.raises(RigInUse, match=rf"process {holder.pid} \(station run\) owns this rig; .*--attach"),
            owned_rig(rig, "a console"),
        ):
            pytest.fail("two owners")
        holder.kill()
        holder.wait(30.0)
    with owned_rig(rig, "a console"):
        assert "a console" in lock_file(rig).read_text()


def test_the_same_rig_by_another_path_is_the_same_rig(tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text("name: x\n")
    other = tmp_path / "other.yaml"
    other.symlink_to(rig)
    with owned_rig(rig, "one"), pytest.raises(RigInUse), owned_rig(other, "two"):
        pytest.fail("two owners")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_rig_file_in_a_folder_that_cannot_be_written_is_locked_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    folder.chmod(0o500)
    assert lock_file(folder / "rig.yaml").parent != folder
