"""When each stage of an inspection began and ended, and which of them the verdict waited for."""

from __future__ import annotations

from dataclasses import dataclass

ACQUIRE, JUDGE, MOVE = "acquire", "judge", "move"  # the threads that a verdict can wait for
WAIT_FOR_JUDGE = "wait_for_judge"  # the capture waits because the judge is behind
OTHER = "other"  # between stages
OTHERS = (ACQUIRE, MOVE)


@dataclass(frozen=True, slots=True)
class Span:
    """One stage's work, in milliseconds since the start of the part."""

    lane: str  # the thread that did it
    stage: str
    view: str  # empty where it belongs to no view
    begin_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """All spans of one part, in the order of their ends. Spans of different lanes overlap."""

    spans: tuple[Span, ...] = ()
    exposed_ms: float | None = None  # when the last exposure was over; None where none was
    judged_ms: float | None = None  # when the part's verdict was made

    @property
    def verdict_after_exposure_ms(self) -> float | None:
        """From the end of the last exposure to the verdict; None where either is missing."""
        if self.exposed_ms is None or self.judged_ms is None:
            return None
        return self.judged_ms - self.exposed_ms

    def critical_path(self) -> tuple[Span, ...]:
        """The stages that the verdict waited for, from the start on: they follow each other without gap or overlap.

        The walk goes back from the verdict. The judge's work counts until the judge had nothing to do, because its
        frames had not come; before that the capture's, or that of the arm on which the capture waited; and the judge's
        again where the capture waited because the judge was behind.
        """
        if self.judged_ms is None:
            return ()
        path: list[Span] = []
        at_ms = self.judged_ms
        lanes: tuple[str, ...] = (JUDGE,)
        while at_ms > 0:
            found = self._at(at_ms, lanes)
            waits = found is not None and (found.lane, found.stage) == (ACQUIRE, WAIT_FOR_JUDGE)
            if waits and self._at(at_ms, (JUDGE,)) is not None:
                lanes = (JUDGE,)
                continue
            if found is None and lanes == (JUDGE,) and self._latest(at_ms, OTHERS) > self._latest(at_ms, (JUDGE,)):
                lanes = OTHERS
                continue
            piece = Span(lanes[0], OTHER, "", self._latest(at_ms, lanes), at_ms)
            if found is not None:
                piece = Span(found.lane, found.stage, found.view, self._inside_until(found, at_ms), at_ms)
            path.append(piece)
            at_ms = piece.begin_ms
        return tuple(reversed(path))

    def _at(self, at_ms: float, lanes: tuple[str, ...]) -> Span | None:
        """The span that was under way just before, of the first of the lanes that has one; the one that began last."""
        for lane in lanes:
            running = [s for s in self.spans if s.lane == lane and s.begin_ms < at_ms <= s.end_ms]
            if running:
                return max(running, key=lambda span: span.begin_ms)
        return None

    def _latest(self, at_ms: float, lanes: tuple[str, ...]) -> float:
        """The last moment before at which any of the lanes was at work: `at_ms` itself, or 0 where none was."""
        ends = (s.end_ms for s in self.spans if s.lane in lanes and s.begin_ms < at_ms)
        return max((min(end_ms, at_ms) for end_ms in ends), default=0.0)

    def _inside_until(self, found: Span, at_ms: float) -> float:
        """When the last stage inside `found` ended before; where there is none, when `found` began."""
        inside = [
            s.end_ms for s in self.spans if s.lane == found.lane and found.begin_ms < s.begin_ms and s.end_ms < at_ms
        ]
        return max([found.begin_ms, *inside])


def by_stage(path: tuple[Span, ...]) -> dict[str, float]:
    """Stage -> milliseconds on the path, the longest first."""
    sums: dict[str, float] = {}
    for span in path:
        sums[span.stage] = sums.get(span.stage, 0.0) + span.end_ms - span.begin_ms
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
