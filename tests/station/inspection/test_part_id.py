"""Part ids: what is refused, with a text that says what to do; and what is text like any other."""

from __future__ import annotations

import pytest

from station.errors import BadInput
from station.inspection.part_id import MAXIMUM_LENGTH, PartIdRefused, check_part_id, visible


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" \t ", "is empty"),
        ("P\x1b[2KPASS", r"U\+001B\) at place 2"),
        ("nul\x00", r"U\+0000"),
        ("two\nlines", r"U\+000A"),
        ("gs1\x1d", r"U\+001D"),
        ("half\ud800", "half of a character"),
        ("left\u202etfel", "invisible character"),
        ("zero\u200bwidth", "invisible character"),
        ("line\u2028end", "line separator"),
        (" P", "begins or ends with a blank"),
        ("P\u00a0", "begins or ends with a blank"),
        ("x" * 300, "300 characters, at most 80"),
    ],
)
def test_what_a_screen_a_file_or_a_data_base_would_act_on_is_refused(text: str, says: str) -> None:
    """Issue 15, point 11."""
    with pytest.raises(PartIdRefused, match=says) as refused:
        check_part_id(text)
    assert isinstance(refused.value, BadInput), "exit code 2"
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "text", ["P-1", "a b", "<b>PASS</b>", "../up", "漢字-7", "=1+1", "Müller & Söhne", "x" * MAXIMUM_LENGTH]
)
def test_everything_else_is_taken_as_it_is(text: str) -> None:
    assert check_part_id(text) == text


def test_a_text_of_unknown_origin_is_shown_and_not_obeyed() -> None:
    assert visible("P\x1b[1A\rPASS\n") == r"P\x1b[1A\rPASS\n"
    assert visible("a\nb\tc", keep="\n") == "a\nb\\tc"
