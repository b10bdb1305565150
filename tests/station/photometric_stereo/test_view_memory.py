"""Memory of a view's frames: lent again once nobody reads it, its planes apart as the processor's caches ask."""

from __future__ import annotations

import numpy as np

from station.photometric_stereo.recycled import RecycledMemory
from station.photometric_stereo.view_memory import ViewMemory

NAMES = tuple(f"light {k}" for k in range(8))


def view_in(memory: RecycledMemory) -> ViewMemory:
    return ViewMemory(NAMES, ("dome",), (21, 563), np.dtype(np.uint16), memory)


def test_memory_is_lent_again_only_when_no_array_refers_to_it() -> None:
    memory = RecycledMemory(1)
    view = view_in(memory)
    address = view.ring.ctypes.data
    last_rows = view.plane("dome")[-2:]
    del view
    assert memory.lent == 1
    other = view_in(memory)
    assert other.ring.ctypes.data != address
    assert memory.lent == 2
    del last_rows
    assert memory.lent == 1
    again = view_in(memory)
    assert again.ring.ctypes.data == address
    del other, again
    assert memory.lent == 0


def test_what_was_spare_for_pictures_of_another_size_is_given_up() -> None:
    memory = RecycledMemory(3)
    del_later = [view_in(memory) for _ in range(2)]
    del_later.clear()
    small = memory.lend(10)
    assert small.size == 10
    assert memory.lent == 1
    assert not memory._spare  # noqa: SLF001 - nothing else shows that it went back to the system


def test_planes_keep_the_distance_that_the_processors_caches_ask_for() -> None:
    view = ViewMemory(NAMES, ("dome",), (64, 5472), np.dtype(np.uint16), RecycledMemory(0))
    places = sorted(view.plane(name).ctypes.data % 4096 for name in (*NAMES, "dome"))
    assert min(np.diff(places)) >= 128
