"""What a verdict waited for, by timelines whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.inspection.timeline import ACQUIRE, JUDGE, MOVE, OTHER, WAIT_FOR_JUDGE, Span, Timeline, by_stage

TWO_VIEWS = Timeline(
    (
        Span(MOVE, "move", "top", 0, 100),
        Span(ACQUIRE, "expose", "top", 100, 110),
        Span(MOVE, "move", "left", 110, 210),  # while the frame is read out and the view is judged
        Span(ACQUIRE, "transfer", "top", 110, 130),
        Span(JUDGE, "solve", "top", 130, 190),
        Span(ACQUIRE, "expose", "left", 210, 220),
        Span(ACQUIRE, "transfer", "left", 220, 240),
        Span(JUDGE, "solve", "left", 240, 300),
    ),
    exposed_ms=220,
    judged_ms=300,
)


def test_the_path_names_each_moment_once_and_leaves_out_what_ran_beside() -> None:
    assert by_stage(TWO_VIEWS.critical_path()) == {"move": 200, "solve": 60, "transfer": 20, "expose": 20}
    assert TWO_VIEWS.verdict_after_exposure_ms == 80


def test_a_judge_that_is_behind_is_what_the_verdict_waits_for() -> None:
    slow = Timeline(
        (
            Span(ACQUIRE, "expose", "top", 0, 10),
            Span(JUDGE, "solve", "top", 10, 200),
            Span(ACQUIRE, WAIT_FOR_JUDGE, "left", 20, 200),
            Span(ACQUIRE, "expose", "left", 200, 210),
            Span(JUDGE, "solve", "left", 212, 300),
        ),
        exposed_ms=210,
        judged_ms=300,
    )
    assert by_stage(slow.critical_path()) == {"solve": 278, "expose": 20, OTHER: 2}


def test_what_the_judge_does_between_its_stages_is_not_taken_for_waiting() -> None:
    """The capture had gone on to another view, and was stopped there: the verdict waited for the judge."""
    stopped = Timeline(
        (
            Span(ACQUIRE, "expose", "top", 0, 100),
            Span(JUDGE, "judging", "top", 102, 300),
            Span(JUDGE, "solve", "top", 110, 150),
            Span(JUDGE, "detect", "top", 160, 290),
            Span(ACQUIRE, "expose", "left", 120, 280),
        ),
        exposed_ms=100,
        judged_ms=305,
    )
    assert by_stage(stopped.critical_path()) == {"detect": 130, "expose": 100, "solve": 40, "judging": 28, OTHER: 7}


def test_a_part_without_a_verdict_has_no_path() -> None:
    assert Timeline(TWO_VIEWS.spans).critical_path() == ()
    assert Timeline().verdict_after_exposure_ms is None


spans = st.builds(
    lambda lane, stage, begin, length: Span(lane, stage, "v", begin, begin + length),
    st.sampled_from([ACQUIRE, JUDGE, MOVE]),
    st.sampled_from(["a", "b", WAIT_FOR_JUDGE]),
    st.integers(0, 90).map(float),
    st.integers(0, 30).map(float),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=12), st.integers(1, 130).map(float))
def test_whatever_ran_the_path_covers_the_whole_time_without_gap_or_overlap(found: list[Span], judged: float) -> None:
    path = Timeline(tuple(found), None, judged).critical_path()
    assert path[0].begin_ms == 0
    assert path[-1].end_ms == judged
    assert all(a.end_ms == b.begin_ms for a, b in pairwise(path))
    assert sum(by_stage(path).values()) == pytest.approx(judged)
