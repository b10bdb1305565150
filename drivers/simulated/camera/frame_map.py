"""The mapped file in which pixels travel to a producer on the same machine, and the encoded picture kept in it.

The map begins with a sequence number: odd while a picture is being written, and two more with each picture. The
consumer compares it after its copy with the one that the reply named, and takes no overwritten picture for its own.
A picture that never changes (a rig that serves one again and again) is encoded once and written into the map once.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import ExposureRequest
from drivers.simulated.camera.pixel_formats import encode

PIXELS_OFFSET = 64  # the sequence number, 4 bytes little-endian, and nothing else before the pixels
MAP_BYTES = PIXELS_OFFSET + 5472 * 3648 * 3  # the full sensor as RGB8
_SEQUENCE = struct.Struct("<I")
LAST_SEQUENCE = 2**32 - 2  # then it begins again, not with 0, which says that the pixels are not in the map


class FrameMap:
    """The file at `path`; None, and on Windows, there is no map and pixels travel on the socket."""

    def __init__(self, path: Path | None) -> None:
        self._path = None if os.name == "nt" else path
        self._map: mmap.mmap | None = None
        self._held: Pixels | None = None  # what the map holds, if it never changes
        self._sequence = 0

    @property
    def name(self) -> bytes:
        """The file's absolute path as the producer is given it; empty without a map."""
        return b"" if self._map is None or self._path is None else os.fsencode(self._path.resolve())

    def open(self) -> None:
        """Create the file, which only this user can read, and map it."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            file.truncate(MAP_BYTES)
            self._map = mmap.mmap(file.fileno(), MAP_BYTES)

    def close(self) -> None:
        """The file goes at once, the mapping with its last view."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._held = None
        self._map = None

    def put(self, pixels: Pixels, payload: memoryview, *, is_whole: bool) -> int:
        """Write `payload`, the bytes of `pixels` or their first part; returns the sequence number, 0 without a map."""
        if self._map is None:
            return 0
        if self._held is not pixels:
            _SEQUENCE.pack_into(self._map, 0, self._sequence + 1)
            self._map[PIXELS_OFFSET : PIXELS_OFFSET + len(payload)] = payload
            self._sequence = 2 if self._sequence == LAST_SEQUENCE else self._sequence + 2
            _SEQUENCE.pack_into(self._map, 0, self._sequence)
        self._held = pixels if is_whole and not pixels.flags.writeable else None
        return self._sequence


class Encoder:
    """Encodes in the camera's pixel format; pixels that are not writeable and come again are encoded once."""

    def __init__(self) -> None:
        self._last: tuple[Pixels, tuple[str, int, int], Pixels] | None = None

    def encode(self, pixels: Pixels, request: ExposureRequest) -> Pixels:
        """Contiguous bytes of `request`'s format; see `pixel_formats.encode`."""
        if pixels.flags.writeable:
            return encode(pixels, request)
        key = (request.pixel_format, request.width, request.height)
        last = self._last
        if last is not None and last[0] is pixels and last[1] == key:
            return last[2]
        encoded = encode(pixels, request)
        encoded.flags.writeable = False
        self._last = (pixels, key, encoded)
        return encoded
