"""Events over the wire: what arrives is what was reported, but for pictures, which come on request."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

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
    State,
    StateChanged,
    StepDone,
    ViewJudged,
    ViewLookedAgain,
)
from station.inspection.re_looks import ReLook
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Inspection, inspection_without_pictures
from station.lights.trend import LightHistory
from station.lights.warning import LightWarning
from station.service.previews import preview_of, with_preview
from station.service.protocol import NotTheProtocol, content_of, event_line, event_of

CLIPS = Reason(ReasonKind.SATURATED, "saturates", "shorten its exposure", "top", "dome")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PLAIN: tuple[Event, ...] = (
    PresentFollows(),
    StateChanged(State.ERROR, "the arm was lost"),
    RecipeRead("r", "p", ("top", "left"), (1.0, 2.5), "m", True, "3"),
    RecipePrepared("r", "p", ("top",), (1.0,), "m", False, "draft: edited"),
    JobStarted("01M", "P-1", 12, {"top": 6, "left": 6}),
    StepDone("01M", 3, 12, "top", "L45"),
    ViewLookedAgain("01M", ReLook("top", (CLIPS,), 1, 2, {"dome": (900.0, 450.0)}, first_score=0.5)),
    AcquisitionDone("01M"),
    Fault("arm: lost", "look at the cell"),
    LightsWatched(
        "r", "01M", (LightWarning("L45", "level", "weak", "wipe it", None),),
        (LightHistory("L45", (NOON, NOON), (1.0, None), (None, 0.5), "its own at first", 2.0),),
    ),
)  # fmt: skip


def over_the_wire(event: Event) -> Event | None:
    line = event_line(event, 7)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert content_of(line)["seq"] == 7
    return event_of(content_of(line))


@pytest.mark.parametrize("event", PLAIN, ids=lambda event: type(event).__name__)
def test_an_event_arrives_as_it_was_reported(event: Event) -> None:
    assert over_the_wire(event) == event


def test_a_verdict_arrives_with_all_its_figures_and_reasons(undecided_inspection: Inspection) -> None:
    arrived = over_the_wire(ResultReady(undecided_inspection, "archive/3", False))
    assert isinstance(arrived, ResultReady)
    assert not arrived.is_stored
    sent, got = (inspection_without_pictures(i) for i in (undecided_inspection, arrived.inspection))
    assert replace(got, views=()) == replace(sent, views=())
    for view, other in zip(sent.views, got.views, strict=True):
        assert replace(other, anomaly_map=None) == replace(view, anomaly_map=None)
        assert other.pred_score == view.pred_score


def test_a_score_that_is_no_number_arrives_as_that(good_inspection: Inspection) -> None:
    view = replace(good_inspection.views[0], anomaly_map=AnomalyMap(np.ones((2, 2), np.float32), float("nan")))
    line = event_line(ViewJudged("01M", view), 1)
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    arrived = event_of(content_of(line))
    assert isinstance(arrived, ViewJudged)
    assert np.isnan(arrived.result.pred_score)


def test_pictures_and_score_map_arrive_bit_for_bit_where_they_are_small(good_inspection: Inspection) -> None:
    view = good_inspection.views[0]
    preview = preview_of(view)
    assert preview is not None
    bare = event_of(content_of(event_line(ViewJudged("01M", view), 1)))
    assert isinstance(bare, ViewJudged)
    got = with_preview(bare.result, preview.head(), b"".join(preview.pieces()))
    assert view.image is not None
    assert view.normal_map is not None
    assert view.anomaly_map is not None
    assert got.image is not None
    assert got.normal_map is not None
    assert got.anomaly_map is not None
    np.testing.assert_array_equal(got.anomaly_map.scores, view.anomaly_map.scores)
    np.testing.assert_allclose(got.image, view.image, atol=float(view.image.max()) / 65535)
    np.testing.assert_array_equal(got.normal_map.packed().normals, view.normal_map.packed().normals)


def test_a_large_capture_is_thinned_and_its_score_map_is_not(good_inspection: Inspection) -> None:
    view = good_inspection.views[0]
    preview = preview_of(view, longest_px=100)
    assert preview is not None
    shapes = {name: array.shape[-2:] for name, array in preview.arrays.items()}
    assert shapes["image"] == shapes["normals"] == (60, 90)
    assert shapes["scores"] == (48, 72)


def test_an_event_of_a_later_version_is_passed_over() -> None:
    assert event_of({"event": "PartWeighed", "data": {"grams": 3}}) is None


@pytest.mark.parametrize("line", [b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused_with_a_sentence(line: bytes) -> None:
    with pytest.raises(NotTheProtocol, match="a line is no JSON"):
        content_of(line)


@pytest.mark.parametrize("data", [{}, {"state": "Asleep"}, None, {"state": "Ready", "reason": 3}])
def test_an_event_that_does_not_fit_is_refused(data: object) -> None:
    with pytest.raises(NotTheProtocol, match="StateChanged"):
        event_of({"event": "StateChanged", "data": data})


def test_pictures_that_do_not_fit_their_description_are_refused(
    good_inspection: Inspection, make_inspection: Callable[..., Inspection]
) -> None:
    del make_inspection
    preview = preview_of(good_inspection.views[0])
    assert preview is not None
    with pytest.raises(NotTheProtocol, match="do not fit"):
        with_preview(good_inspection.views[0], preview.head(), b"short")
