"""Pages, metrics, watchdog: they say what is so, and the watchdog is fed only while the engine's threads answer."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from engine_bench import in_time
from prometheus_client.parser import text_string_to_metric_families
from served_bench import ServedBench, until

from station.commands.run.command import DEFAULT_PORT
from station.engine.events import State, StateChanged, StepDone
from station.service import pages
from station.service.pages import Pages, PortTaken
from station.service.pulse import WATCH_SILENT_S, Pulse
from station.service.systemd import SystemdNotifier

has_unix_sockets = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


def page(served: ServedBench, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.service.http_port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_and_readiness_are_two_things(served: ServedBench) -> None:
    assert page(served, "/ready")[0] == page(served, "/health")[0] == 200
    served.engine.abort()
    status, text = page(served, "/ready")
    assert status == 503
    assert json.loads(text)["state"] == "Halted"
    assert page(served, "/health")[0] == 200  # a new start of the service would not help
    assert page(served, "/secret")[0] == 404


def test_an_engine_that_does_not_answer_is_not_healthy(served: ServedBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.pulse, "_watch_silent_s", lambda: WATCH_SILENT_S + 5)
    status, text = page(served, "/health")
    assert status == 503
    assert "watch of the devices" in json.loads(text)["not_alive"]


def test_metrics_are_what_prometheus_reads(served: ServedBench) -> None:
    for number in range(2):
        in_time(lambda number=number: served.engine.inspect(f"P-{number}"))  # type: ignore[misc]
    served.client()
    families = {family.name: family for family in text_string_to_metric_families(page(served, "/metrics")[1])}
    verdicts = {s.labels["verdict"]: s.value for s in families["facet_inspections"].samples if s.name.endswith("total")}
    assert verdicts == {"PASS": 2, "FAIL": 0, "UNDECIDED": 0}
    states = {s.labels["facet_engine_state"]: s.value for s in families["facet_engine_state"].samples}
    assert [state for state, value in states.items() if value] == ["Ready"]
    assert families["facet_clients"].samples[0].value == 1
    assert families["facet_alive"].samples[0].value == 1
    counted = [s.value for s in families["facet_inspection_seconds"].samples if s.name.endswith("_count")]
    assert counted == [2]
    assert families["facet_service_info"].samples[0].labels["rig"] == "bench"


def test_a_port_that_is_taken_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortTaken, match=r"--http .* name another"):
        Pages({}, other.getsockname()[1])
    assert pages.DEFAULT_PORT == DEFAULT_PORT


@has_unix_sockets
def test_systemd_hears_ready_then_signs_of_life_then_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30.0)
        served = ServedBench(tmp_path, monkeypatch, notifier=SystemdNotifier(str(tmp_path / "notify"), "60000"))
        try:
            assert systemd.recv(1000).startswith(b"READY=1")
            until(lambda: systemd.recv(1000) == b"WATCHDOG=1")
            monkeypatch.setattr(served.pulse, "_stall_s", -1.0)
            with served.pulse.verb("reset"):
                until(lambda: b"nothing was reported" in systemd.recv(1000))
                systemd.settimeout(0.2)  # ten signs of life were due
                with pytest.raises(TimeoutError):
                    systemd.recv(1000)
                systemd.settimeout(30.0)
            until(lambda: systemd.recv(1000) == b"WATCHDOG=1")
            served.service.begin_to_end("asked to")
            until(lambda: systemd.recv(1000) == b"STOPPING=1")
        finally:
            served.close()


def test_a_pulse_stops_where_something_at_work_reports_nothing() -> None:
    now = [0.0]
    watch: list[float | None] = [None]
    pulse = Pulse(lambda: watch[0], stall_s=10.0, clock=lambda: now[0])
    now[0] = 1e6
    assert pulse.why_dead() == ""  # nothing is at work: silence means nothing
    pulse.take(StateChanged(State.SINGLE_EXECUTION))
    now[0] += 9.0
    pulse.take(StepDone("01M", 1, 6, "top", "north"))
    now[0] += 9.0
    assert pulse.why_dead() == ""
    now[0] += 2.0
    assert pulse.why_dead() == "the running part: nothing was reported for 11 s"
    pulse.take(StateChanged(State.READY))
    with pulse.verb("reset"):
        now[0] += 20.0
        assert pulse.why_dead().startswith("reset: nothing")
    assert pulse.why_dead() == ""
    watch[0] = WATCH_SILENT_S + 1
    assert "has taken no turn" in pulse.why_dead()
