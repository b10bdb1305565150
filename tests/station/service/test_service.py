"""Windows and programs on one service: they agree, one commands, and none can harm the part in the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from engine_bench import WAIT_S, in_time
from served_bench import Gate, ServedBench, names, until

from station.engine.events import Event, Fault, JobStarted, PresentFollows, ResultReady, State, StateChanged, ViewJudged
from station.errors import StationFault
from station.inspection.result import Verdict
from station.service.link import LinkLost, RefusedByService
from station.service.operator_place import NotTheOperator
from station.service.protocol import MAXIMUM_REQUEST_BYTES, NotTheProtocol
from station.service.server import MOST_CLIENTS

WINDOW = """
import sys, time
from station.engine.events import StepDone
from station.service.client import ServiceClient
client = ServiceClient(lambda: sys.argv[1], "a window that is killed", takes_over=True)
client.subscribe(lambda event: print(type(event).__name__, flush=True) if isinstance(event, StepDone) else None)
client.start_single_job("P-1")
time.sleep(60)
"""


def results(events: list[Event]) -> list[tuple[str, Verdict]]:
    return [(e.inspection.part_id, e.inspection.verdict) for e in events if isinstance(e, ResultReady)]


def test_two_windows_hear_the_same_in_the_same_order(served: ServedBench) -> None:
    heard: tuple[list[Event], list[Event]] = ([], [])
    windows = [served.client(f"window {number}") for number in (1, 2)]
    for window, events in zip(windows, heard, strict=True):
        window.subscribe(events.append)
    windows[0].start_single_job("P-1")
    until(lambda: names(heard[0])[-1] == names(heard[1])[-1] == "LightsWatched" and results(heard[1]))
    assert names(heard[0]) == names(heard[1])
    assert results(heard[0]) == results(heard[1]) == [("P-1", Verdict.PASS)]
    views = [event.result for event in heard[1] if isinstance(event, ViewJudged)]
    assert [view.anomaly_map.scores.shape for view in views if view.anomaly_map] == [(2, 3), (2, 3)]


def test_a_window_killed_in_mid_cycle_changes_nothing_and_the_next_one_sees_the_part_from_its_beginning(
    served: ServedBench,
) -> None:
    """The acceptance line of issue 12."""
    gate = Gate()
    served.bench.acts["judge.judge"] = gate
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, served.address], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert window.stdout is not None
    with window.stdout:
        assert window.stdout.readline() == "StepDone\n"
        assert gate.reached.wait(WAIT_S)
        window.kill()
        window.wait(WAIT_S)
    reopened = served.client()
    events: list[Event] = []
    reopened.subscribe(events.append)
    assert isinstance(events[0], PresentFollows)
    assert "JobStarted" in names(events)
    assert "StepDone" in names(events)
    assert not results(events)
    gate.may_go.set()
    until(lambda: results(events))
    assert results(events) == [("P-1", Verdict.PASS)]
    until(lambda: served.engine.state is State.READY)
    reopened.start_single_job("P-2")  # the killed window's place was free
    until(lambda: len(results(events)) == 2)


def test_a_window_commands_only_from_the_operators_place(served: ServedBench) -> None:
    first, second = served.client("window A"), served.client("window B")
    for window in (first, second):
        window.subscribe(lambda _event: None)
    first.stop()
    with pytest.raises(NotTheOperator, match=r"taken by window A .* take it over"):
        second.start_single_job("P-1")
    second.take_place(is_takeover=True)
    until(lambda: first.operator == "window B")
    with pytest.raises(NotTheOperator, match="window B"):
        first.abort()
    second.release_place()
    until(lambda: first.operator is None)
    first.stop()


def test_who_only_looks_on_is_refused_with_a_sentence(served: ServedBench) -> None:
    with pytest.raises(NotTheOperator, match="only looks on"):
        served.client(only_looks_on=True).reset()
    with served.raw() as wire:
        wire.greet()
        answer = wire.ask(request="do", verb="start", arguments={"part_id": "P-1"})
    assert answer["error"]["kind"] == "not the operator"
    assert "nobody has taken that place" in answer["error"]["text"]
    assert not served.bench.results()


def test_a_stop_overtakes_the_verb_that_runs(served: ServedBench) -> None:
    window = served.client()
    gate = Gate()
    served.engine.abort()
    served.bench.told.clear()
    served.bench.acts["arm.home"] = gate
    refusals: list[str] = []

    def reset() -> None:
        try:
            window.reset()
        except StationFault as refused:
            refusals.append(str(refused))

    homing = threading.Thread(target=reset)
    homing.start()
    assert gate.reached.wait(WAIT_S)
    aborting = threading.Thread(target=window.abort)
    aborting.start()
    until(lambda: "arm.stop" in served.bench.told)
    gate.may_go.set()
    for thread in (homing, aborting):
        thread.join(WAIT_S)
    assert "broken off" in refusals[0]
    assert served.engine.state is State.HALTED


def test_what_the_engine_refuses_comes_back_as_its_own_words(served: ServedBench) -> None:
    window = served.client()
    with pytest.raises(RefusedByService, match="part id"):
        window.start_single_job("")
    served.engine.abort()
    with pytest.raises(StationFault, match="reset first"):
        window.start_single_job("P-1")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"request": "do", "verb": "fly"}, "there is no verb 'fly'; there are start"),
        ({"request": "do", "verb": "start"}, "'part_id' is missing; its usage is: start PART_ID"),
        ({"request": "do", "verb": "start", "arguments": {"part_id": 3}}, "must be a text"),
        ({"request": "do", "verb": "stop", "arguments": {"now": "yes"}}, "has no argument 'now'"),
        ({"request": "do", "verb": "stop", "arguments": [1]}, "must be an object"),
        ({"request": "dance"}, "there is no request 'dance'; there are hello"),
        ({"request": ["x"]}, "there is no request"),
    ],
)
def test_a_wrong_request_is_refused_and_the_connection_stays(
    served: ServedBench, request_: dict[str, object], words: str
) -> None:
    with served.raw() as wire:
        wire.greet()
        wire.ask(request="take")
        assert words in wire.ask(**request_)["error"]["text"]
        assert wire.ask(request="status")["result"]["state"] == "Ready"


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * (MAXIMUM_REQUEST_BYTES + 10), b"{}\n", b'{"id":[]}\n']
)
def test_who_does_not_speak_the_protocol_is_refused(served: ServedBench, raw: bytes) -> None:
    with served.raw() as wire:
        wire.connection.sendall(raw)
        assert wire.hear()["error"]["kind"] == "protocol"
    in_time(lambda: served.engine.inspect("P-1"))


def test_another_version_of_the_protocol_is_refused_by_name(served: ServedBench) -> None:
    with served.raw() as wire:
        answer = wire.ask(request="hello", protocol=99)
    assert "speaks protocol 1, the client 99" in answer["error"]["text"]


def test_a_wrong_token_is_refused_with_a_sentence(served_over_tcp: ServedBench) -> None:
    served = served_over_tcp
    head, _, token = served.address.rpartition(":")
    assert head.startswith("tcp:127.0.0.1:")
    assert served.client().status()["state"] == "Ready"
    with served.raw(f"{head}:{'0' * len(token)}") as wire:
        assert "token is missing or wrong" in wire.hear()["error"]["text"]
        assert wire.hear() == {"closed": True}


@pytest.mark.skipif(os.name == "nt", reason="no Unix sockets there")
def test_socket_and_address_are_for_this_user_alone(served: ServedBench) -> None:
    path = Path(served.address.removeprefix("unix:"))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert (served.folder / "bench.address").stat().st_mode & 0o777 == 0o600
    served.service.close()
    assert not path.exists()
    assert not (served.folder / "bench.address").exists()


def test_one_client_too_many_is_turned_away(served: ServedBench) -> None:
    wires = [served.raw() for _ in range(MOST_CLIENTS)]
    until(lambda: wires[-1].greet()["ok"])
    with served.raw() as wire:
        assert f"{MOST_CLIENTS} clients are connected" in wire.hear()["error"]["text"]
    for wire in wires:
        wire.__exit__()


def test_a_program_that_never_reads_delays_no_part(served: ServedBench) -> None:
    """Bounded sending: its socket fills, and the engine goes on."""
    with served.raw() as wire:
        wire.greet()
        wire.send(id=2, request="subscribe")
        for number in range(5):
            in_time(lambda number=number: served.engine.inspect(f"P-{number}"))  # type: ignore[misc]
    assert [r.inspection.verdict for r in served.bench.results()] == [Verdict.PASS] * 5


def test_a_window_reports_a_lost_service_and_shows_the_present_when_it_is_back(
    served: ServedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("station.service.client.RECONNECT_EVERY_S", 0.02)
    window = served.client()
    events: list[Event] = []
    window.subscribe(events.append)
    served.service.close()
    until(lambda: any(isinstance(event, Fault) and "LOST" in event.text for event in events))
    lost = next(event for event in events if isinstance(event, StateChanged) and "LOST" in event.reason)
    assert lost.state is State.ERROR
    with pytest.raises(LinkLost):
        window.start_single_job("P-1")
    in_time(lambda: served.engine.inspect("P-2"))  # the part that was in the machine meanwhile
    count = len(events)
    served.listen()
    until(lambda: len(events) > count)
    until(lambda: window.status()["state"] == "Ready")
    assert isinstance(events[count], PresentFollows)
    window.start_single_job("P-3")
    until(lambda: ("P-3", Verdict.PASS) in results(events))


def test_old_parts_are_read_from_the_archive_and_not_from_the_service(served: ServedBench) -> None:
    in_time(lambda: served.engine.inspect("P-1"))
    window = served.client()
    rows = window.history(10)
    assert [row.part_id for row in rows] == ["P-1"]
    assert window.load(rows[0].inspection_id).verdict is Verdict.PASS


def test_a_newcomer_after_a_part_gets_its_verdict_and_its_pictures(served: ServedBench) -> None:
    in_time(lambda: served.engine.inspect("P-1"))
    events: list[Event] = []
    served.client().subscribe(events.append)
    assert results(events) == [("P-1", Verdict.PASS)]
    views = [event.result for event in events if isinstance(event, ViewJudged)]
    assert {view.anomaly_map.scores.shape for view in views if view.anomaly_map} == {(2, 3)}


def test_no_verb_is_taken_while_the_service_ends(served: ServedBench) -> None:
    window = served.client()
    events: list[Event] = []
    window.subscribe(events.append)
    served.service.begin_to_end("asked to")
    with pytest.raises(StationFault, match="the service is ending"):
        window.start_single_job("P-1")
    assert not any(isinstance(event, JobStarted) for event in events)


def test_a_listener_has_heard_of_its_part_when_start_returns(served: ServedBench) -> None:
    events: list[Event] = []
    window = served.client()
    window.subscribe(events.append)
    gate = Gate()
    served.bench.acts["judge.judge"] = gate
    inspection_id = window.start_single_job("P-1")
    started = next(event for event in events if isinstance(event, JobStarted))
    assert started.inspection_id == inspection_id
    gate.may_go.set()
    until(lambda: results(events))


def test_a_second_listener_is_refused(served: ServedBench) -> None:
    window = served.client()
    leave = window.subscribe(lambda _: None)
    with pytest.raises(StationFault, match="has a listener already"):
        window.subscribe(lambda _: None)
    leave()
    window.subscribe(lambda _: None)


def test_what_is_no_service_is_refused_by_name(tmp_path: Path) -> None:
    from station.service.address import AddressRefused, NoService, address_of
    from station.service.link import Link

    with pytest.raises(NoService, match="start one with `station run`"):
        Link(f"unix:{tmp_path}/nothing", "x", lambda _: None)
    with pytest.raises(AddressRefused, match="expected unix:PATH"):
        Link("tcp:here", "x", lambda _: None)
    with pytest.raises(NoService, match=r"no\.address"):
        address_of(str(tmp_path / "no.address"))
    (tmp_path / "bad.address").write_text("hello")
    with pytest.raises(AddressRefused, match="holds no address"):
        address_of(str(tmp_path / "bad.address"))


def test_the_one_service_of_this_user_is_found_and_of_two_one_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from station.service.address import AddressRefused, NoService, address_of

    monkeypatch.setenv("FACET_RUN", str(tmp_path))
    with pytest.raises(NoService, match="no service of this user"):
        address_of(None)
    (tmp_path / "a.address").write_text("unix:/a\n")
    assert address_of(None) == "unix:/a"
    (tmp_path / "b.address").write_text("unix:/b\n")
    with pytest.raises(AddressRefused, match=r"name one of .*a\.address, .*b\.address"):
        address_of(None)


def test_garbage_from_a_service_ends_the_link_and_says_so() -> None:
    import socket

    from station.service.link import Link

    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                time.sleep(0.1)

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises((LinkLost, NotTheProtocol), match="no JSON"):
            Link(f"tcp:127.0.0.1:{server.getsockname()[1]}:x", "x", lambda _: None)
        thread.join()
