"""What a second judgement may not forget: that an inspection was ended before its verdict, and what was never kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from station.archive import Archive, ArchiveError
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection
from station.inspection.rule import judge_part, without_reason
from station.judge.rejudge import recipe_of, what_ended


def test_what_ended_an_inspection_is_what_no_view_gave_as_a_reason(undecided_inspection: Inspection) -> None:
    of_views = judge_part(undecided_inspection.views, undecided_inspection.expected_views)[1]
    assert of_views
    whole = replace(undecided_inspection, reasons=of_views)
    assert what_ended(whole) == ()
    alarm = Reason(ReasonKind.DEVICE_FAULT, "gantry: alarm 1")
    assert what_ended(replace(whole, reasons=(alarm, *of_views))) == (alarm,)
    stated_by_the_rule = without_reason(whole.expected_views)
    assert what_ended(replace(whole, reasons=(stated_by_the_rule,))) == ()


def test_an_inspection_of_which_the_archive_kept_no_recipe_is_not_judged_again(
    good_inspection: Inspection, tmp_path: Path
) -> None:
    with Archive.open(tmp_path) as archive:
        silent = replace(good_inspection, provenance={})
        with pytest.raises(ArchiveError, match="names no recipe: it cannot be judged again"):
            recipe_of(archive, silent)
        named = replace(good_inspection, provenance=dict.fromkeys(("recipe", "calibration", "model"), "0" * 64))
        with pytest.raises(ArchiveError, match=r"0000\.yaml: not archived: earlier versions"):
            recipe_of(archive, named)
