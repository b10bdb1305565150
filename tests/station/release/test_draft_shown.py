"""Whoever reads a result learns whether a release judged it, wherever it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engine_bench import Bench

from station.console.banner import DRAFT_LINE, banner_of
from station.console.situation import Situation
from station.engine.events import RecipeRead, ResultReady, State, StateChanged
from station.inspection.result import Inspection
from station.report.contact_sheet import draw_contact_sheet
from station.report.inspection_text import inspection_document, inspection_lines

DRAFT = "draft: tile.yaml was never released"


def judged_by(release: str, inspection: Inspection) -> Inspection:
    return replace(inspection, provenance={"release": release})


def test_the_text_and_the_document_name_the_release_or_say_draft(good_inspection: Inspection) -> None:
    """Issue 11, point 7."""
    first, second, *_ = inspection_lines(judged_by(DRAFT, good_inspection))
    assert first == "P-0001: PASS DRAFT (simulated)"
    assert second.strip() == "DRAFT, no release judged: tile.yaml was never released"
    first, second, *_ = inspection_lines(judged_by("3", good_inspection))
    assert "DRAFT" not in first
    assert second.strip() == "release 3 of housing r1"
    assert not any("release" in line or "DRAFT" in line for line in inspection_lines(good_inspection)), "of before"
    document = inspection_document(judged_by(DRAFT, good_inspection))
    assert (document["release"], document["is_draft"]) == (DRAFT, True)
    document = inspection_document(good_inspection)
    assert (document["release"], document["is_draft"]) == (None, False)


def test_the_contact_sheet_has_a_band_of_its_own_for_a_draft(good_inspection: Inspection) -> None:
    plain, draft = (draw_contact_sheet(judged_by(release, good_inspection)) for release in ("3", DRAFT))
    assert draft.height - plain.height == 44
    assert draft.getpixel((20, 65)) != plain.getpixel((20, 65))


def test_the_banner_says_draft_with_the_verdict_and_before_the_part_and_never_of_a_release(
    good_inspection: Inspection,
) -> None:
    for release in (DRAFT, "3"):
        is_draft = release == DRAFT
        situation = Situation()
        situation.take(RecipeRead("tile", "tile", ("top",), (1.0,), "m", is_simulated=True, release=release))
        situation.take(StateChanged(State.INITIALIZED))
        situation.take(StateChanged(State.READY))
        assert (DRAFT_LINE in banner_of(situation).lines) == is_draft
        situation.take(ResultReady(judged_by(release, good_inspection), "folder"))
        assert (banner_of(situation).lines[0] == DRAFT_LINE) == is_draft


def test_the_engine_writes_it_into_the_provenance_of_every_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    try:
        inspection = bench.engine.inspect("A-1")
        assert inspection.is_draft
        assert bench.archive.load_figures(inspection.inspection_id).provenance["release"] == "draft: of a test"
        assert bench.archive.history()[0].is_draft
    finally:
        bench.close()
