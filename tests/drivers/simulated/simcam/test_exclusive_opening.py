"""One process at a time has the simulated camera, and a frame that was written over is no frame."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from ctypes import byref, c_char_p, c_int32, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.errors import DeviceNotFound, FrameIncomplete
from drivers.protocols import CameraSettings
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

BUILT = Path(simcam.__file__).with_name("simcam.cti")
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")

OK, IN_USE, ACCESS_DENIED = 0, -1004, -1005
READ_ONLY, CONTROL, EXCLUSIVE = 2, 3, 4  # DEVICE_ACCESS_FLAGS of GenTL
READWRITE, BUSY, OPEN_READWRITE, OPEN_READONLY = 1, 4, 5, 6  # DEVICE_ACCESS_STATUS
ACCESS_STATUS = 5  # DEVICE_INFO_CMD
SETTINGS = CameraSettings("Mono8", binning=8, width=64, height=48, offset_x=0, offset_y=0)
HOLD = """
import sys
from drivers.genicam.camera import GenicamCamera
with GenicamCamera.open("simcam", "LINES-1"):
    print("open", flush=True)
    sys.stdin.read()
"""


class Program:
    """A consumer with a library of its own, as another process has it."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        assert self.result("GCInitLib") == OK
        system, self._interface = c_void_p(), c_void_p()
        assert self.result("TLOpen", byref(system)) == OK
        assert self.result("TLOpenInterface", system, c_char_p(b"simcam-0"), byref(self._interface)) == OK
        assert self.result("IFUpdateDeviceList", self._interface, None, c_uint64(0)) == OK
        self._device = c_void_p()

    def result(self, name: str, *arguments: Any) -> int:
        function = getattr(self._library, name)
        function.restype = c_int32
        return int(function(*arguments))

    def open(self, access: int) -> int:
        where = (self._interface, c_char_p(b"LINES-1"), c_int32(access))
        return self.result("IFOpenDevice", *where, byref(self._device))

    def close(self) -> None:
        assert self.result("DevClose", self._device) == OK

    def status(self) -> int:
        status, kind, size = c_int32(), c_int32(), c_size_t(4)
        asked = (self._interface, c_char_p(b"LINES-1"), c_int32(ACCESS_STATUS))
        assert self.result("IFGetDeviceInfo", *asked, byref(kind), byref(status), byref(size)) == OK
        return status.value

    def write_register(self) -> int:
        port, value, size = c_void_p(), c_uint64(1), c_size_t(8)
        assert self.result("DevGetPort", self._device, byref(port)) == OK
        return self.result("GCWritePort", port, c_uint64(0), byref(value), byref(size))


@pytest.fixture
def programs(tmp_path: Path, camera_rig: Any) -> Iterator[tuple[Program, Program]]:  # noqa: ARG001 - it must run
    pair = tuple(Program(Path(shutil.copy(BUILT, tmp_path / f"{name}.cti"))) for name in ("station", "viewer"))
    yield pair[0], pair[1]
    for program in pair:
        assert program.result("GCCloseLib") == OK


@pytest.mark.parametrize("access", [READ_ONLY, CONTROL, EXCLUSIVE])
def test_a_second_program_is_refused_whatever_access_it_wants(programs: tuple[Program, Program], access: int) -> None:
    """Issue 15, point 9."""
    station, viewer = programs
    assert viewer.status() == READWRITE
    assert station.open(EXCLUSIVE) == OK
    assert (station.status(), viewer.status()) == (OPEN_READWRITE, BUSY)
    assert viewer.open(access) == IN_USE
    station.close()
    assert viewer.status() == READWRITE
    assert viewer.open(access) == OK
    assert station.open(EXCLUSIVE) == IN_USE
    viewer.close()
    assert station.open(EXCLUSIVE) == OK


def test_who_opens_it_read_only_writes_nothing(programs: tuple[Program, Program]) -> None:
    _, viewer = programs
    assert viewer.open(READ_ONLY) == OK
    assert viewer.status() == OPEN_READONLY
    assert viewer.write_register() == ACCESS_DENIED


def test_the_driver_says_that_another_program_has_it_and_a_killed_one_has_it_no_longer(camera_rig: Any) -> None:
    """Issue 15, point 9."""
    environment = {**os.environ, ENDPOINTS_VARIABLE: str(camera_rig.folder)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(DeviceNotFound, match=r"camera 'LINES-1' is in use by another program .*: close that"):
            camera_rig.open()
        holder.kill()
        holder.wait()
    for _ in range(3):  # opened again at once: nothing of the last holder is left
        with camera_rig.open() as camera:
            camera.configure(SETTINGS)
            assert camera.expose(1000.0).pixels.shape == (48, 64)


@pytest.mark.parametrize("what", ["overwritten", "unfinished"])
def test_a_frame_that_another_was_written_over_is_incomplete(make_camera_rig: Callable[..., Any], what: str) -> None:
    """Issue 15, point 9."""
    rig = make_camera_rig("map")
    with rig.open() as camera:
        camera.configure(SETTINGS)
        right = camera.expose(1000.0).pixels
        rig.say(what)
        with pytest.raises(FrameIncomplete):
            camera.expose(1000.0)
        rig.say("whole")
        assert np.array_equal(camera.expose(1000.0).pixels, right)
