"""What goes over the wire, version 1: lines of JSON, and the engine's events in them. docs/service.md states it.

A client's line is a request with an `id`; the service's line is the reply with the same `id`, or an event. A reply
whose `binary` is N is followed by N bytes: the arrays that it lists, one after the other. All else is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from station.archive.records import InspectionRecord, ViewRecord
from station.engine.events import (
    AcquisitionDone,
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    PresentFollows,
    RecipePrepared,
    RecipeRead,
    ResultReady,
    RoomWatched,
    StateChanged,
    StepDone,
    ViewJudged,
    ViewLookedAgain,
    ViewRetaken,
)
from station.errors import StationFault
from station.inspection.result import AnomalyMap, Inspection, ViewResult

PROTOCOL = 1
MAXIMUM_REQUEST_BYTES = 64 * 1024
MAXIMUM_LINE_BYTES = 16 * 1024 * 1024  # of the service's lines: a verdict with its figures takes some 20 kB
ALIVE, OPERATOR, DROPPED, ENDING = "Alive", "OperatorChanged", "Dropped", "ServiceEnding"  # events of the service
ALIVE_EVERY_S = 0.5

_PLAIN: tuple[type[Any], ...] = (
    StateChanged, RecipeRead, RecipePrepared, JobStarted, StepDone, ViewRetaken, ViewLookedAgain, AcquisitionDone,
    Fault, LightsWatched, RoomWatched, PresentFollows,
)  # fmt: skip
_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in _PLAIN}


class NotTheProtocol(StationFault):
    """The other side sent what the protocol does not have; the text says what."""


def line_of(content: Mapping[str, Any]) -> bytes:
    """One line of the wire."""
    return json.dumps(content, separators=(",", ":"), default=str).encode() + b"\n"


def content_of(raw: bytes) -> dict[str, Any]:
    """Raises NotTheProtocol for a line that is no JSON object."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotTheProtocol(f"a line is no JSON: {raw[:60]!r}") from error
    if not isinstance(content, dict):
        raise NotTheProtocol(f"a line is no JSON object: {raw[:60]!r}")
    return content


def event_line(event: Event, seq: int) -> bytes:
    """The event as a line, without pictures and score maps: a client asks for those by `pictures`."""
    return b'{"event":"%s","seq":%d,"data":%s}\n' % (type(event).__name__.encode(), seq, _data(event))


def service_event(name: str, **data: Any) -> bytes:
    """An event of the service itself, which has no number."""
    return line_of({"event": name, "data": data})


def event_of(content: Mapping[str, Any]) -> Event | None:
    """The engine's event in this line; None for one that this version does not know. Raises NotTheProtocol."""
    name, data = content.get("event"), content.get("data")
    decode = _DECODERS.get(str(name))
    if decode is None:
        return None
    try:
        return decode(data)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise NotTheProtocol(f"event {name}: {str(error)[:200]}") from error


def _data(event: Event) -> bytes:
    if isinstance(event, ViewJudged):
        record = ViewRecord.of(event.result, {})
        return _object(inspection_id=json.dumps(event.inspection_id), result=record.model_dump_json())
    if isinstance(event, ResultReady):
        whole = InspectionRecord.of(event.inspection, tuple(ViewRecord.of(v, {}) for v in event.inspection.views))
        return _object(
            archive_folder=json.dumps(event.archive_folder),
            is_stored=json.dumps(event.is_stored),
            inspection=whole.model_dump_json(),
        )
    return _ADAPTERS[type(event).__name__].dump_json(event)


def _object(**members: str) -> bytes:
    """An object of members that are JSON already: only pydantic's own writer knows what to do with NaN."""
    return ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode()


def _plain(adapter: TypeAdapter[Any]) -> Callable[[Any], Event]:
    def decode(data: Any) -> Event:
        event: Event = adapter.validate_python(data, strict=False)
        return event

    return decode


def _view_judged(data: Any) -> ViewJudged:
    return ViewJudged(data["inspection_id"], _view(ViewRecord.model_validate(data["result"])))


def _result_ready(data: Any) -> ResultReady:
    record = InspectionRecord.model_validate(data["inspection"])
    inspection: Inspection = record.inspection(tuple(map(_view, record.views)))
    return ResultReady(inspection, str(data["archive_folder"]), bool(data["is_stored"]))


def _view(record: ViewRecord) -> ViewResult:
    """The view's figures. Its score stands on a map of one place until the real one is fetched."""
    score = record.pred_score
    found = None if score is None else AnomalyMap(np.full((1, 1), score, np.float32), score)
    names = {field.name for field in fields(ViewResult)} & set(ViewRecord.model_fields) - {"reasons"}
    return ViewResult(
        anomaly_map=found, reasons=record.stated_reasons(), **{name: getattr(record, name) for name in names}
    )


_DECODERS: Mapping[str, Callable[[Any], Event]] = {
    **{name: _plain(adapter) for name, adapter in _ADAPTERS.items()},
    ViewJudged.__name__: _view_judged,
    ResultReady.__name__: _result_ready,
}
