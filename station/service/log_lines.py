"""The service's log: one JSON object a line, each with the part that was in the machine.

Records are written by a thread of their own. A reader of standard error that has stopped reading cannot hold up the
engine: what does not fit into the queue is counted and let go.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import Full, Queue
from typing import Any

from station.engine.events import (
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    RecipePrepared,
    RecipeRead,
    ResultReady,
    StateChanged,
    ViewJudged,
)

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
FILE_BYTES, FILES = 10_000_000, 5
Context = Callable[[], dict[str, str]]
_FIELDS = "fields"  # of a record: what `extra` brings


class LogQueue(QueueHandler):
    """Queues each record with the part and state of its moment; counts what does not fit."""

    def __init__(self, queue: Queue[Any], context: Context) -> None:
        super().__init__(queue)
        self._context = context
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as the line that will be written; made here, because its arguments may change later."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **self._context(),
            **getattr(record, _FIELDS, {}),
            "logger": record.name,
            "thread": record.threadName,
        }
        if record.exc_info:
            content["exception"] = logging.Formatter().formatException(record.exc_info)
        line = json.dumps(content, default=str, ensure_ascii=False)
        return logging.makeLogRecord({"msg": line, "levelno": record.levelno, "levelname": record.levelname})

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits."""
        try:
            self.queue.put_nowait(record)
        except Full:
            self.lost += 1


@contextmanager
def json_log(context: Context, file: Path | None, level: int) -> Iterator[LogQueue]:
    """Send every record to standard error and, where one is named, to a file that is rotated.

    Raises OSError where the file cannot be opened.
    """
    outputs: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        outputs.append(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8"))
    queue: Queue[Any] = Queue(MOST_WAITING)
    handler, listener = LogQueue(queue, context), QueueListener(queue, *outputs)
    root = logging.getLogger()
    before, level_before = list(root.handlers), root.level
    root.handlers[:] = [handler]
    root.setLevel(level)
    listener.start()
    try:
        yield handler
    finally:
        root.handlers[:] = before
        root.setLevel(level_before)
        listener.stop()
        for output in outputs:
            output.close()


def log_event(event: Event) -> None:
    """One line for what a person would look for in a log; frames are not among it."""
    if isinstance(event, StateChanged):
        _say(event, f"state {event.state.value}", state=event.state.value, reason=event.reason)
    elif isinstance(event, RecipeRead | RecipePrepared):
        _say(event, f"recipe {event.recipe_id}", recipe_id=event.recipe_id, release=event.release, model=event.model_id)
    elif isinstance(event, JobStarted):
        _say(event, f"part {event.part_id} started", steps=event.steps)
    elif isinstance(event, ViewJudged):
        found = event.result
        reasons = [str(reason) for reason in found.reasons]
        _say(event, f"view {found.view}: {found.verdict.value}", view=found.view, verdict=found.verdict.value,
             score=_json_number(found.pred_score), limit=found.limit, reasons=reasons)  # fmt: skip
    elif isinstance(event, ResultReady):
        _say_result(event)
    elif isinstance(event, Fault):
        log.error("fault: %s", event.text, extra={_FIELDS: {"event": "Fault", "action": event.action}})
    elif isinstance(event, LightsWatched):
        _say(event, "lights watched", warnings=[warning.text for warning in event.warnings])


def _say_result(event: ResultReady) -> None:
    found = event.inspection
    _say(
        event, f"part {found.part_id}: {found.verdict.value}", inspection_id=found.inspection_id,
        part_id=found.part_id, verdict=found.verdict.value, reasons=[str(reason) for reason in found.reasons],
        is_stored=event.is_stored, folder=event.archive_folder, times_ms=found.processing_times_ms,
        is_simulated=found.is_simulated,
    )  # fmt: skip


def _json_number(value: float | None) -> float | str | None:
    """JSON knows no NaN."""
    return value if value is None or math.isfinite(value) else str(value)


def _say(event: Event, text: str, **more: object) -> None:
    log.info("%s", text, extra={_FIELDS: {"event": type(event).__name__, **more}})
