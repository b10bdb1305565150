"""What `/metrics` shows, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from station.engine.events import Event, Fault, ResultReady, State, StateChanged
from station.inspection.result import Verdict

SECONDS = (0.5, 1, 2, 3, 5, 8, 12, 20, 30, 60, 120, 300)


class Metrics:
    """A registry of its own, fed by the engine's events. May be used from any thread."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._state = Enum(
            "facet_engine_state", "State of OPC 40100-1.", states=[state.value for state in State], registry=registry
        )
        self._inspections = Counter("facet_inspections", "Parts inspected, by verdict.", ["verdict"], registry=registry)
        for verdict in Verdict:
            self._inspections.labels(verdict.value)
        self._faults = Counter("facet_faults", "Faults that needed a person.", registry=registry)
        self._cycle = Histogram(
            "facet_inspection_seconds", "From start to verdict.", buckets=SECONDS, registry=registry
        )
        self._latency = Histogram(
            "facet_verdict_latency_seconds", "From the last frame to the verdict.", buckets=SECONDS, registry=registry
        )
        self._last = Gauge("facet_last_verdict_timestamp_seconds", "When the last verdict came.", registry=registry)
        self._stages = Gauge(
            "facet_stage_seconds", "Time by stage of the last part; stages overlap.", ["stage"], registry=registry
        )
        self._dropped = Counter("facet_clients_dropped", "Clients that read too slowly.", registry=registry)

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """A gauge that is read whenever somebody asks."""
        Gauge(name, about, registry=self.registry).set_function(read)

    def about(self, **labels: str) -> None:
        """What does not change: version, rig, recipe."""
        Gauge("facet_service_info", "The service.", list(labels), registry=self.registry).labels(**labels).set(1)

    def client_dropped(self) -> None:
        """One more."""
        self._dropped.inc()

    def take(self, event: Event) -> None:
        """Enter one event. A verdict counts once it is stored."""
        if isinstance(event, StateChanged):
            self._state.state(event.state.value)
        elif isinstance(event, Fault):
            self._faults.inc()
        elif isinstance(event, ResultReady):
            self._judge(event)

    def text(self) -> bytes:
        """The page."""
        return generate_latest(self.registry)

    def _judge(self, event: ResultReady) -> None:
        inspection = event.inspection
        if not event.is_stored:
            return  # it comes again once it is stored
        self._inspections.labels(inspection.verdict.value).inc()
        self._last.set_to_current_time()
        times_s = {stage: ms / 1e3 for stage, ms in inspection.processing_times_ms.items()}
        for stage, seconds in times_s.items():
            self._stages.labels(stage).set(seconds)
        if "total" in times_s:
            self._cycle.observe(times_s["total"])
        if "verdict_after_last_frame" in times_s:
            self._latency.observe(times_s["verdict_after_last_frame"])
