"""Nobody but the user who started the rig reaches its back door or its camera."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int32, c_uint64, c_void_p
from pathlib import Path

import pytest

from drivers import private_socket
from drivers.errors import CommandRefused, DeviceNotFound
from drivers.private_socket import connect
from drivers.simulated import simcam
from drivers.simulated.camera.wire import CameraWire
from drivers.simulated.control import ControlServer, RigControl

BUILT = Path(simcam.__file__).with_name("simcam.cti")
NOBODY = 65534
has_unix_sockets = pytest.mark.skipif(not private_socket.HAS_UNIX_SOCKETS, reason="no Unix sockets here")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user")

STRANGER = """
import os, socket, sys
from pathlib import Path
from drivers.errors import DeviceNotFound
from drivers.simulated.control import RigControl
folder = Path(sys.argv[1])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print((folder / "public").read_text())
try:
    print(RigControl(folder).call("inject"))
except DeviceNotFound as error:
    print(type(error.__cause__).__name__)
for path in sys.argv[2:]:
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(path)
            print("connected to", path)
        except OSError as error:
            print(type(error).__name__)
"""


class Rig:
    """The back door and the camera of a rig, in a folder that everybody may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoint = folder / "cameras" / "S-1.endpoint"
        self.control = ControlServer(folder, {"inject": lambda _request: {"injected": "a fault"}})
        self.camera = CameraWire(lambda _request: None, lambda: 5, folder / "cameras", "S-1", None)

    def start(self) -> None:
        self.control.start()
        self.camera.start()

    def close(self) -> None:
        self.camera.close()
        self.control.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "public").write_text("everybody reads this")
        rig = Rig(folder)
        yield rig
        rig.close()


@pytest.fixture
def with_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(private_socket, "HAS_UNIX_SOCKETS", False)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@has_unix_sockets
def test_the_sockets_lie_where_only_their_owner_can_go(rig: Rig) -> None:
    """Issue 15, point 10."""
    private = rig.folder / "private"
    private.mkdir(mode=0o755)
    rig.start()
    assert RigControl(rig.folder).call("inject") == {"injected": "a fault"}
    assert mode(private) == mode(rig.folder / "cameras" / "private") == 0o700
    assert mode(rig.folder / "control") == mode(rig.endpoint) == 0o600
    assert (private / "control").is_socket()
    rig.close()
    assert not private.exists()


@has_unix_sockets
@as_root
def test_another_user_of_the_machine_injects_nothing(rig: Rig) -> None:
    """Issue 15, point 10."""
    rig.start()
    sockets = [str(rig.folder / "private" / "control"), str(rig.folder / "cameras" / "private" / "S-1.socket")]
    ran = subprocess.run(
        [sys.executable, "-c", STRANGER, str(rig.folder), *sockets], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n") == [
        "everybody reads this",
        "PermissionError",
        "PermissionError",
        "PermissionError",
        "",
    ]


@has_unix_sockets
def test_a_folder_whose_name_is_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    rig = Rig(tmp_path / ("far-" * 25) / "rig")
    rig.folder.mkdir(parents=True)
    rig.start()
    assert RigControl(rig.folder).call("inject") == {"injected": "a fault"}
    place = Path((rig.folder / "control").read_text().strip().removeprefix("unix:")).parent
    assert mode(place) == 0o700
    rig.close()
    assert not place.exists()


@has_unix_sockets
def test_a_rig_that_was_killed_leaves_no_obstacle(rig: Rig) -> None:
    (rig.folder / "private").mkdir()
    (rig.folder / "private" / "control").write_text("left behind")
    rig.start()
    assert RigControl(rig.folder).call("inject") == {"injected": "a fault"}


@pytest.mark.usefixtures("with_token")
def test_where_there_are_no_unix_sockets_the_token_of_a_private_file_is_asked_for(rig: Rig) -> None:
    """Issue 15, point 10."""
    rig.start()
    assert RigControl(rig.folder).call("inject") == {"injected": "a fault"}
    with pytest.raises(CommandRefused, match="one verb of inject"):
        RigControl(rig.folder).call("quake")
    assert mode(rig.folder / "control") == 0o600
    scheme, host, port, token = (rig.folder / "control").read_text().strip().split(":")
    assert (scheme, len(token)) == ("tcp", private_socket.TOKEN_BYTES)
    with connect(f"tcp:{host}:{port}:{'0' * len(token)}", timeout_s=10.0) as stranger:
        assert stranger.recv(1) == b"", "it was not turned away"


@pytest.mark.usefixtures("with_token")
@pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")
def test_the_camera_is_opened_with_the_token_and_not_without(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 15, point 10."""
    rig.start()
    monkeypatch.setenv(simcam.ENDPOINTS_VARIABLE, str(rig.folder / "cameras"))
    serial_number, address = rig.endpoint.read_text().split()
    assert opened(rig.folder / "holder.cti") == 0
    rig.endpoint.write_text(f"{serial_number}\n{address[:-4]}0000\n")
    assert opened(rig.folder / "stranger.cti") == -1010  # GC_ERR_IO


def opened(library_path: Path) -> int:
    """What opening the camera answers to a program with this copy of the producer."""
    library = ctypes.CDLL(str(shutil.copy(BUILT, library_path)))
    system, interface, device = c_void_p(), c_void_p(), c_void_p()
    library.GCInitLib()
    library.TLOpen(byref(system))
    library.TLOpenInterface(system, c_char_p(b"simcam-0"), byref(interface))
    library.IFUpdateDeviceList(interface, None, c_uint64(0))
    result = int(library.IFOpenDevice(interface, c_char_p(b"S-1"), c_int32(4), byref(device)))
    library.GCCloseLib()
    return result


@pytest.mark.parametrize("text", ["127.0.0.1 4711", "", "unix:", "tcp:here"])
def test_an_address_of_another_version_is_no_rig(tmp_path: Path, text: str) -> None:
    (tmp_path / "control").write_text(text)
    with pytest.raises(DeviceNotFound, match="no rig runs in"):
        RigControl(tmp_path).call("inject")
