"""A rig process with nothing but a camera: pictures by formula, faults by command. Run by the tests.

Arguments: folder, serial number, `map` or `socket`. Commands on stdin, one word a line, each answered by one JSON
line: `last` returns the last request; `ok incomplete dropped early repeat die freeze` choose what becomes of the next
frame; `constant` makes one picture serve for all; `hold` lets no exposure end until `release`; `keep` lets no frame be
read out until `deliver`; `line` is an edge on the trigger input. `overwritten` puts another picture over each one in
the map before it is announced, `unfinished` is in the middle of doing so, and `whole` ends both.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.frame_map import FrameMap
from drivers.simulated.camera.wire import CameraWire

TEMPERATURE_C = 41.5


def picture(request: ExposureRequest) -> Pixels:
    """Pixel (x, y) of the sensor holds (3 x + 5 y + exposure in us) modulo full scale; binning takes every n-th."""
    x = (np.arange(request.width) + request.offset_x) * request.binning
    y = (np.arange(request.height) + request.offset_y) * request.binning
    values = 3 * x[None, :] + 5 * y[:, None] + int(request.exposure_us)
    if request.pixel_format.endswith("8"):
        return (values % 256).astype(np.uint8)
    return (values % 4096).astype(np.uint16)


class FakeRig:
    def __init__(self) -> None:
        self.next = "ok"
        self.last: ExposureRequest | None = None
        self.constant: Pixels | None = None
        self.wire: CameraWire | None = None
        self.may_end, self.may_deliver = threading.Event(), threading.Event()
        self.may_end.set()
        self.may_deliver.set()

    def expose(self, request: ExposureRequest) -> Exposed | None:
        what, self.next, self.last = self.next, "ok", request
        started_ns = time.monotonic_ns()
        if what == "die":
            os._exit(9)
        if what == "freeze":
            time.sleep(3600)
        time.sleep(request.exposure_us / 1e6)
        self.may_end.wait()
        if self.wire is not None:
            self.wire.exposure_ended()
        self.may_deliver.wait()
        if what == "dropped":
            return None
        pixels = self.picture(request, keep=what == "constant")
        early_ns = 1_000_000_000 if what == "early" else 0
        frame_id = request.frame_id - 1 if what == "repeat" else None
        return Exposed(pixels, started_ns - early_ns, complete=what != "incomplete", frame_id=frame_id)

    def picture(self, request: ExposureRequest, *, keep: bool) -> Pixels:
        kept = self.constant
        if kept is not None and kept.shape == (request.height, request.width) and not keep:
            return kept
        pixels = picture(request)
        self.constant = pixels if keep else None
        return pixels


class RacingMap(FrameMap):
    """As if another exposure wrote into the map between this one and the camera's copy."""

    race = "whole"

    def put(self, pixels: Pixels, payload: memoryview, *, is_whole: bool) -> int:
        sequence = super().put(pixels, payload, is_whole=is_whole)
        if self.race == "overwritten":
            other = np.zeros_like(pixels)
            super().put(other, other.data.cast("B"), is_whole=is_whole)
        elif self.race == "unfinished" and self._map is not None:
            struct.pack_into("<I", self._map, 0, sequence + 1)
        return sequence


def main(folder: Path, serial_number: str, transport: str) -> None:
    rig = FakeRig()
    frame_folder = folder if transport == "map" else None
    wire = CameraWire(rig.expose, time.monotonic_ns, folder, serial_number, frame_folder, lambda: TEMPERATURE_C)
    rig.wire = wire
    if frame_folder is not None:
        wire._frame_map = RacingMap(frame_folder / f"{serial_number}.racing.pixels")  # noqa: SLF001 - to disturb it
    wire.start()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command = line.strip()
        if command == "last":
            print(json.dumps(asdict(rig.last) if rig.last else None), flush=True)
        elif command in ("hold", "release"):
            rig.may_end.clear() if command == "hold" else rig.may_end.set()
            print(json.dumps(command), flush=True)
        elif command in ("keep", "deliver"):
            rig.may_deliver.clear() if command == "keep" else rig.may_deliver.set()
            print(json.dumps(command), flush=True)
        elif command in ("overwritten", "unfinished", "whole"):
            RacingMap.race = command
            print(json.dumps(command), flush=True)
        elif command == "line":
            print(json.dumps(wire.fire_line()), flush=True)
        else:
            rig.next = command
            print(json.dumps(command), flush=True)
    wire.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
