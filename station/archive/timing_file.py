"""timing.json: when each stage of the inspection began and ended. Software that does not know it reads the rest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from station.inspection.timeline import Span, Timeline

_SPAN = ("lane", "stage", "view", "begin_ms", "end_ms")


class SpanRecord(BaseModel):
    """One stage, in milliseconds since the start of the part."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    lane: str
    stage: str
    view: str
    begin_ms: float
    end_ms: float


class TimelineRecord(BaseModel):
    """A Timeline as it is written; fields that a later version adds are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format_version: int = 1
    exposed_ms: float | None
    judged_ms: float | None
    spans: tuple[SpanRecord, ...]

    @classmethod
    def of(cls, timeline: Timeline) -> TimelineRecord:
        spans = tuple(SpanRecord(**{name: getattr(span, name) for name in _SPAN}) for span in timeline.spans)
        return cls(exposed_ms=timeline.exposed_ms, judged_ms=timeline.judged_ms, spans=spans)

    def timeline(self) -> Timeline:
        spans = tuple(Span(**record.model_dump()) for record in self.spans)
        return Timeline(spans, self.exposed_ms, self.judged_ms)
