"""A client that does not read is dropped with a reason, and whoever queues for it never waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from engine_bench import in_time
from served_bench import Wire, until

from station.service.outbox import Outbox

SMALL = {"most_lines": 50, "most_bytes": 1_000_000, "send_timeout_s": 0.2}


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_what_is_queued_arrives_in_order_and_close_waits_for_it(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox(ends[0], lambda _: None)
    for number in range(100):
        outbox.put(b'{"n":%d}\n' % number)
    outbox.start()
    in_time(outbox.close)
    with Wire(ends[1]) as wire:
        assert [wire.hear()["n"] for _ in range(100)] == list(range(100))
        assert wire.hear() == {"closed": True}


def test_a_silent_line_gets_signs_of_life(ends: tuple[socket.socket, socket.socket]) -> None:
    outbox = Outbox(ends[0], lambda _: None)
    outbox.start()
    ends[1].settimeout(10.0)
    assert b"Alive" in ends[1].recv(1000)
    in_time(outbox.close)


@pytest.mark.parametrize(("lines", "size"), [(200_000, 10), (40, 400_000)], ids=["many lines", "large ones"])
def test_a_client_that_does_not_read_is_dropped_and_nobody_waits_for_it(
    ends: tuple[socket.socket, socket.socket], lines: int, size: int
) -> None:
    reasons: list[str] = []
    outbox = Outbox(ends[0], reasons.append, **SMALL)
    outbox.start()
    line = b"x" * size + b"\n"
    in_time(lambda: [outbox.put(line) for _ in range(lines)])
    until(lambda: reasons)
    assert "read" in reasons[0]
    outbox.put(b"never sent\n")
    in_time(outbox.close)


def test_a_client_that_reads_again_learns_why_it_was_dropped(ends: tuple[socket.socket, socket.socket]) -> None:
    dropped = threading.Event()
    ours, theirs = ends
    outbox = Outbox(ours, lambda _: dropped.set(), **SMALL)
    for _ in range(60):
        outbox.put(b"{}\n")
    outbox.start()
    assert dropped.wait(10.0)
    with Wire(theirs) as wire:
        heard = wire.hear()
    assert heard["event"] == "Dropped"
    assert "too slowly" in heard["data"]["reason"]
    in_time(outbox.close)
