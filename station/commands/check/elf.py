"""The shared libraries that a Linux binary asks for, read from its dynamic section.

Source: System V ABI, "Object Files" and "Dynamic Linking" (ELF64, either byte order).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x7fELF"
_ELF64 = 2
_BYTE_ORDERS = {1: "<", 2: ">"}
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 0, 1, 5, 10
_MAXIMUM_TABLE_BYTES = 1 << 26


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def needed_libraries(path: Path) -> tuple[str, ...]:
    """The names under NEEDED, in the file's order; () for a file that is no 64-bit ELF binary, or a damaged one."""
    try:
        with path.open("rb") as file:
            return _needed(file)
    except (struct.error, IndexError):  # the file ends too early or points outside itself
        return ()


def _needed(file: BinaryIO) -> tuple[str, ...]:
    header = file.read(64)
    if header[:4] != MAGIC or header[4] != _ELF64 or header[5] not in _BYTE_ORDERS:
        return ()
    order = _BYTE_ORDERS[header[5]]
    segments = _segments(file, order, header)
    dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return ()
    entries = _dynamic_entries(file, order, dynamic)
    tables = dict(entries)
    names = _string_table(file, segments, tables.get(_DT_STRTAB, 0), tables.get(_DT_STRSZ, 0))
    return tuple(names[value : names.index(b"\0", value)].decode() for tag, value in entries if tag == _DT_NEEDED)


def _segments(file: BinaryIO, order: str, header: bytes) -> list[_Segment]:
    (table,) = struct.unpack_from(f"{order}Q", header, 32)
    entry_bytes, count = struct.unpack_from(f"{order}HH", header, 54)
    file.seek(table)
    raw = file.read(entry_bytes * count)
    segments = []
    for start in range(0, entry_bytes * count, entry_bytes):
        kind, _, offset, address, _, size = struct.unpack_from(f"{order}IIQQQQ", raw, start)
        segments.append(_Segment(kind, offset, address, size))
    return segments


def _dynamic_entries(file: BinaryIO, order: str, dynamic: _Segment) -> list[tuple[int, int]]:
    file.seek(dynamic.offset)
    raw = file.read(min(dynamic.size, _MAXIMUM_TABLE_BYTES))
    entries = []
    for tag, value in struct.iter_unpack(f"{order}qQ", raw[: len(raw) // 16 * 16]):
        if tag == _DT_NULL:
            break
        entries.append((tag, value))
    return entries


def _string_table(file: BinaryIO, segments: list[_Segment], address: int, size: int) -> bytes:
    """The dynamic string table; its address is one in memory, and the loaded segments say where that is in the file."""
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            file.seek(address - segment.address + segment.offset)
            return file.read(min(size, _MAXIMUM_TABLE_BYTES))
    return b""
