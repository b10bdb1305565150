"""Each line of the service's log is one JSON object that names the part; a full queue holds nobody up."""

from __future__ import annotations

import json
import logging
import sys
from io import StringIO
from pathlib import Path
from queue import Queue

import pytest
from engine_bench import in_time

from station.engine.events import Fault, JobStarted, State, StateChanged
from station.service.log_lines import LogQueue, json_log, log_event

CONTEXT = {"state": "SingleExecution", "part_id": "P-1", "inspection_id": "01M"}


def test_a_line_names_part_inspection_and_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with json_log(lambda: CONTEXT, tmp_path / "log" / "station.log", logging.INFO):
        logging.getLogger("drivers.arm").warning("a reply\ncame late: %s", "ok")
        log_event(JobStarted("01M", "P-1", 12))
        log_event(Fault("arm: lost", "look at the cell"))
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("x").exception("it broke")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (tmp_path / "log" / "station.log").read_text() == stream.getvalue()
    assert [line["level"] for line in lines] == ["warning", "info", "error", "error"]
    assert all({key: line[key] for key in CONTEXT} == CONTEXT for line in lines)
    assert lines[0]["message"] == "a reply\ncame late: ok"
    assert (lines[1]["event"], lines[1]["steps"]) == ("JobStarted", 12)
    assert lines[2]["action"] == "look at the cell"
    assert "ValueError: broken" in lines[3]["exception"]


def test_lines_that_nobody_writes_are_counted_and_let_go() -> None:
    handler = LogQueue(Queue(3), lambda: {})
    record = logging.makeLogRecord({"msg": "x"})
    in_time(lambda: [handler.handle(record) for _ in range(10)])
    assert handler.lost == 7


def test_the_logs_before_come_back(caplog: pytest.LogCaptureFixture) -> None:
    before = list(logging.getLogger().handlers)
    with json_log(lambda: {}, None, logging.INFO):
        log_event(StateChanged(State.READY))
    assert logging.getLogger().handlers == before
    del caplog
