"""The producer as any GenTL consumer sees it: the C interface itself, and harvesters without our driver."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from drivers.genicam.producers import Harvester, off_main_thread
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

BUILT = Path(simcam.__file__).with_name("simcam.cti")
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")

OK, IN_USE, HANDLE, ID, TIMEOUT, ABORT = 0, -1004, -1006, -1007, -1011, -1012
TOO_SMALL, INDEX, BUSY = -1016, -1017, -1022
EXPORTS = """
GCInitLib GCCloseLib GCGetInfo GCGetLastError GCReadPort GCWritePort GCGetNumPortURLs GCGetPortURLInfo
GCGetPortInfo GCRegisterEvent GCUnregisterEvent GCGetPortURL GCReadPortStacked GCWritePortStacked EventGetData
EventGetDataInfo EventGetInfo EventFlush EventKill TLOpen TLClose TLGetInfo TLGetNumInterfaces TLGetInterfaceID
TLGetInterfaceInfo TLOpenInterface TLUpdateInterfaceList IFClose IFGetInfo IFGetNumDevices IFGetDeviceID
IFGetDeviceInfo IFUpdateDeviceList IFOpenDevice IFGetParentTL DevGetPort DevGetInfo DevGetNumDataStreams
DevGetDataStreamID DevOpenDataStream DevClose DevGetParentIF DSAnnounceBuffer DSAllocAndAnnounceBuffer DSQueueBuffer
DSFlushQueue DSRevokeBuffer DSStartAcquisition DSStopAcquisition DSGetInfo DSGetBufferInfo DSGetBufferChunkData
DSGetBufferID DSGetNumBufferParts DSGetBufferPartInfo DSGetParentDev DSClose
"""
NEW_BUFFER, ALL_DISCARD, FOREVER = 1, 4, 2**64 - 1


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of its own is a library of its own: state is not shared with the driver's producer."""
    monkeypatch.delenv(ENDPOINTS_VARIABLE, raising=False)
    return Path(shutil.copy(BUILT, tmp_path / "copy.cti"))


class Consumer:
    """The calls of GenTL, down to an open stream of the pattern camera."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.call("GCInitLib")
        self.system = self.handle("TLOpen")
        self.call("TLUpdateInterfaceList", self.system, None, c_uint64(0))
        self.interface = self.handle("TLOpenInterface", self.system, c_char_p(b"simcam-0"))
        self.call("IFUpdateDeviceList", self.interface, None, c_uint64(0))
        self.device = self.handle("IFOpenDevice", self.interface, c_char_p(b"PATTERN-1"), c_int32(4))
        self.port = self.handle("DevGetPort", self.device)
        self.stream = self.handle("DevOpenDataStream", self.device, c_char_p(b"stream-0"))
        self.event = self.handle("GCRegisterEvent", self.stream, c_int32(NEW_BUFFER))

    def result(self, name: str, *arguments: Any) -> int:
        function = getattr(self.library, name)
        function.restype = c_int32
        return int(function(*arguments))

    def call(self, name: str, *arguments: Any) -> None:
        assert self.result(name, *arguments) == OK, name

    def handle(self, name: str, *arguments: Any) -> c_void_p:
        out = c_void_p()
        self.call(name, *arguments, byref(out))
        return out

    def wait(self, timeout_ms: int) -> int:
        data, size = (c_void_p * 2)(), c_size_t(16)
        self.found = data
        return self.result("EventGetData", self.event, data, byref(size), c_uint64(timeout_ms))

    def read(self, address: int, size: int) -> bytes:
        data, length = ctypes.create_string_buffer(size), c_size_t(size)
        self.call("GCReadPort", self.port, c_uint64(address), data, byref(length))
        return data.raw

    def write(self, address: int, value: int) -> int:
        data, length = c_uint64(value), c_size_t(8)
        return self.result("GCWritePort", self.port, c_uint64(address), byref(data), byref(length))

    def registers(self) -> dict[str, int]:
        """Address of every feature's register, from the camera's own description."""
        url, size, kind = ctypes.create_string_buffer(256), c_size_t(256), c_int32()
        self.call("GCGetPortURLInfo", self.port, c_uint32(0), c_int32(0), byref(kind), url, byref(size))
        _, address, length = url.value.decode().split("?")[0].split(";")
        root = ElementTree.fromstring(self.read(int(address, 16), int(length, 16)))
        found = {}
        for node in root.iter():
            address_node = node.find("{*}Address")
            if address_node is not None and address_node.text and str(node.get("Name")).endswith("Register"):
                found[str(node.get("Name")).removesuffix("Register")] = int(address_node.text, 16)
        return found


@pytest.fixture
def consumer(copy: Path) -> Iterator[Consumer]:
    consumer = Consumer(copy)
    yield consumer
    consumer.call("GCCloseLib")


def test_all_calls_of_the_standard_are_exported(copy: Path) -> None:
    library = ctypes.CDLL(str(copy))
    assert [name for name in EXPORTS.split() if not hasattr(library, name)] == []


def test_sizes_are_told_and_short_buffers_refused(consumer: Consumer) -> None:
    size, kind = c_size_t(), c_int32()
    arguments = (consumer.interface, c_char_p(b"PATTERN-1"), c_int32(7), byref(kind))
    consumer.call("IFGetDeviceInfo", *arguments, None, byref(size))
    assert (size.value, kind.value) == (len(b"PATTERN-1") + 1, 1)
    text = ctypes.create_string_buffer(4)
    short = c_size_t(4)
    assert consumer.result("IFGetDeviceInfo", *arguments, text, byref(short)) == TOO_SMALL


def test_what_is_wrong_is_refused(consumer: Consumer) -> None:
    out = c_void_p()
    nobody = c_void_p(id(consumer))
    assert consumer.result("GCInitLib") == IN_USE
    assert consumer.result("TLOpen", byref(out)) == IN_USE
    assert consumer.result("IFOpenDevice", consumer.interface, c_char_p(b"PATTERN-1"), c_int32(4), byref(out)) == IN_USE
    assert consumer.result("IFOpenDevice", consumer.interface, c_char_p(b"NONE"), c_int32(4), byref(out)) == ID
    assert consumer.result("DevGetPort", nobody, byref(out)) == HANDLE
    assert consumer.result("DSClose", nobody) == HANDLE
    size = c_size_t(64)
    text = ctypes.create_string_buffer(64)
    assert consumer.result("IFGetDeviceID", consumer.interface, c_uint32(1), text, byref(size)) == INDEX
    code = c_int32()
    size = c_size_t(64)
    consumer.call("GCGetLastError", byref(code), text, byref(size))
    assert (code.value, text.value) == (INDEX, b"there are fewer devices")


def test_buffers_pass_through_their_states(consumer: Consumer) -> None:
    registers = consumer.registers()
    for direction in ("BinningHorizontal", "BinningVertical"):
        assert consumer.write(registers[direction], 8) == OK
    payload = int.from_bytes(consumer.read(registers["PayloadSize"], 8), "little")
    assert payload == 684 * 456
    buffer = consumer.handle("DSAllocAndAnnounceBuffer", consumer.stream, c_size_t(payload), None)
    consumer.call("DSQueueBuffer", consumer.stream, buffer)
    assert consumer.result("DSQueueBuffer", consumer.stream, buffer) == IN_USE
    assert consumer.result("DSRevokeBuffer", consumer.stream, buffer, None, None) == BUSY
    assert consumer.wait(0) == TIMEOUT
    consumer.call("DSStartAcquisition", consumer.stream, c_int32(0), c_uint64(FOREVER))
    assert consumer.write(registers["AcquisitionStart"], 1) == OK
    assert consumer.wait(10_000) == OK
    assert consumer.found[0] == buffer.value
    consumer.call("DSStopAcquisition", consumer.stream, c_int32(0))
    consumer.call("DSFlushQueue", consumer.stream, c_int32(ALL_DISCARD))
    consumer.call("DSRevokeBuffer", consumer.stream, buffer, None, None)
    assert consumer.result("DSQueueBuffer", consumer.stream, buffer) == -1013


def test_a_killed_wait_ends(consumer: Consumer) -> None:
    consumer.call("EventKill", consumer.event)
    assert consumer.wait(10_000) == ABORT


def test_locked_and_wrong_values_are_refused(consumer: Consumer) -> None:
    registers = consumer.registers()
    assert consumer.write(registers["BinningHorizontal"], 3) == -1019
    assert consumer.write(registers["Width"], 5476) == -1019
    assert consumer.write(registers["PayloadSize"], 1) == -1005
    assert consumer.write(0x20, 1) == -1015
    assert consumer.write(registers["TLParamsLocked"], 1) == OK
    assert consumer.write(registers["Width"], 64) == -1005


def test_any_consumer_gets_a_living_picture(copy: Path) -> None:
    """Without a rig: harvesters, free running, chunks on; the ramp moves on by one per frame and is lit by exposure."""
    harvester = Harvester()
    harvester.add_file(str(copy), check_existence=True, check_validity=True)
    harvester.update()
    acquirer = off_main_thread(lambda: harvester.create(0))
    nodes = acquirer.remote_device.node_map
    nodes.BinningHorizontal.value = nodes.BinningVertical.value = 8
    nodes.PixelFormat.value = "Mono12"
    nodes.ExposureTime.value = 2000.0
    nodes.BlackLevel.value = 64.0
    nodes.ChunkModeActive.value = True
    for name in nodes.ChunkSelector.symbolics:
        nodes.ChunkSelector.value = name
        nodes.ChunkEnable.value = True
    acquirer.start()
    pictures = []
    for number in (1, 2):
        with acquirer.fetch(timeout=10.0) as buffer:
            picture = buffer.payload.components[0]
            pictures.append(picture.data.reshape(picture.height, picture.width).copy())
            assert nodes.ChunkFrameID.value == buffer.module.frame_id == number
            assert nodes.ChunkTimestamp.value == buffer.timestamp_ns > 0
            assert nodes.ChunkExposureTime.value == 2000.0
    acquirer.stop()
    acquirer.destroy()
    harvester.reset()
    assert pictures[0].shape == (456, 684)
    assert pictures[0].min() == 64
    np.testing.assert_array_equal(pictures[0][:, 1:], pictures[1][:, :-1])


def test_selectors_lines_and_user_set(copy: Path) -> None:
    harvester = Harvester()
    harvester.add_file(str(copy), check_existence=True, check_validity=True)
    harvester.update()
    acquirer = off_main_thread(lambda: harvester.create(0))
    nodes = acquirer.remote_device.node_map
    nodes.LineSelector.value = "Line1"
    assert (nodes.LineMode.value, nodes.LineSource.value, nodes.LineStatus.value) == ("Output", "ExposureActive", False)
    nodes.LineSelector.value = "Line0"
    assert (nodes.LineMode.value, nodes.LineSource.value) == ("Input", "Off")
    nodes.Gain.value = 7.5
    nodes.BinningVertical.value = 2
    assert (nodes.Width.value, nodes.Height.value, nodes.BinningHorizontal.value) == (5472, 1824, 1)
    nodes.UserSetSelector.value = "Default"
    nodes.UserSetLoad.execute()
    assert (nodes.Gain.value, nodes.Width.value, nodes.Height.value) == (0.0, 5472, 3648)
    assert 20.0 < nodes.DeviceTemperature.value < 60.0
    acquirer.destroy()
    harvester.reset()
