"""YAML means what it looks like, and every mistake is reported with its line."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from station.documents import atomic
from station.documents.document import (
    DocumentError,
    dump_document,
    load_document,
    parse_document,
    read_document,
    save_document,
)
from station.documents.errors import FieldError

SOMEWHERE = Path("somewhere.yaml")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    exposure_us: float = Field(gt=0, allow_inf_nan=False)
    method: Literal["ls", "masked"] = "ls"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    count: int = 1
    steps: tuple[Inner, ...] = ()
    choice: Inner | None = None
    on: bool = False


def data_of(text: str) -> Any:
    return parse_document(SOMEWHERE, text).data


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        parse_document(SOMEWHERE, text).validated(Outer)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("12", 12), ("-7", -7), ("1.5", 1.5), ("1e3", 1000.0), ("1e-3", 0.001), ("-.5", -0.5), ("2.", 2.0),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("True", "True"), ("NULL", "NULL"),
        ("010", "010"), ("00123", "00123"), ("0x1F", "0x1F"), ("0o17", "0o17"), ("1_000", "1_000"),
        ("12:30", "12:30"), ("12:30:45", "12:30:45"), ("2024-01-02", "2024-01-02"), ("1.2.3", "1.2.3"),
        ("'12'", "12"), ('"true"', "true"), ("9" * 100, "9" * 100),
    ],
)  # fmt: skip
def test_a_plain_word_means_what_it_looks_like(text: str, value: object) -> None:
    found = data_of(f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_and_infinity_are_refused_where_a_number_is_wanted() -> None:
    assert math.isnan(data_of("key: .nan")["key"])
    for word in (".nan", ".inf", "-.inf", "1e999"):
        (problem,) = problems_of(f"name: a\nchoice: {{exposure_us: {word}}}\n")
        assert "somewhere.yaml:2:10: choice.exposure_us: " in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:1: a: the key 'a' stands here again (first on line 1)"),
        ("a: !!python/object/apply:os.system [ls]\n", ":1:4: a: tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("a: !!str 5\n", "is not allowed"),
        ("a: !mine 5\n", "tag '!mine'"),
        ("? [1, 2]\n: 3\n", "a key must be plain text"),
        ("a: *nothing\n", "no value before this is marked &nothing"),
        ("a: &x [*x]\n", "no value before this is marked &x"),
        ("a: 1\n---\nb: 2\n", ":2:1: a second document begins here"),
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a:\n\tb: 1\n", "indent with spaces, not tabs"),
        ("a: \x07\n", "not valid YAML"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than 32 levels"),
        ("\n".join(f"k{n}: &a{n} 1" for n in range(101)), "more than 100 anchors"),
    ],
)
def test_what_does_not_belong_in_a_configuration_is_refused(text: str, expected: str) -> None:
    with pytest.raises(DocumentError) as caught:
        data_of(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("somewhere.yaml")


def test_aliases_may_save_typing_but_not_build_a_bomb() -> None:
    assert data_of("a: &x {b: [1, 2]}\nc: *x\n")["c"] == {"b": [1, 2]}
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(DocumentError, match="once aliases"):
        data_of(bomb)


def test_an_unknown_key_is_reported_with_its_line_and_the_nearest_name() -> None:
    (problem,) = problems_of("name: a\nsteps:\n  - exposure_us: 5\n    metod: ls\n")
    assert problem == (
        "somewhere.yaml:4:5: steps[0].metod: unknown key 'metod'; "
        "did you mean 'method'? (allowed here: exposure_us, method)"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nchoice:\n  exposure_us: 8 ms\n",
         ":3:3: choice.exposure_us: expected a number in microseconds, found '8 ms'; "
         "the unit is in the field's name, write the number alone, in microseconds"),
        ("name: a\nchoice: {exposure_us: '8'}\n", "found '8'; write it without quotes"),
        ("name: a\nchoice: {exposure_us: true}\n", "found true"),
        ("name: a\nchoice: {exposure_us: [8]}\n", "found a list of 1"),
        ("name: a\nchoice: {exposure_us: -1}\n", "found -1; expected greater than 0 (microseconds)"),
        ("name: a\nchoice: {}\n", ":2:1: choice.exposure_us: is missing (a number in microseconds)"),
        ("name: a\ncount: 1.5\n", ":2:1: count: expected a whole number"),
        ("name: 123\n", ":1:1: name: expected text, found 123; if it is a name, put it in quotes: '123'"),
        ("name: a\nchoice: {exposure_us: 1, method: maskd}\n", "did you mean 'masked'?"),
        ("name: a\non: yes\n", "on: found 'yes'; expected a valid boolean"),
        ("- 1\n", "somewhere.yaml"),
        ("count: 2\n", "name: is missing"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_what_was_found_and_wanted(text: str, expected: str) -> None:
    assert expected in "\n".join(problems_of(text))


def test_all_problems_come_at_once() -> None:
    assert len(problems_of("nam: a\ncount: x\n")) == 2


def test_a_models_own_check_can_name_the_field() -> None:
    class Checked(Outer):
        @model_validator(mode="after")
        def check(self) -> Checked:
            raise FieldError(("steps", 1, "exposure_us"), "is too much")

    text = "name: a\nsteps:\n  - exposure_us: 1\n  - method: ls\n    exposure_us: 2\n"
    with pytest.raises(DocumentError) as caught:
        parse_document(SOMEWHERE, text).validated(Checked)
    assert str(caught.value) == "somewhere.yaml:5:5: steps[1].exposure_us: is too much"


@pytest.mark.parametrize("make", [
    Path.exists,  # there is none
    Path.mkdir,
    lambda path: path.write_bytes(b"name: \xff\xfe\n"),
    lambda path: path.write_bytes(b"#" * 1_000_001),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "recipe.yaml"
    make(path)
    with pytest.raises(DocumentError, match=r"recipe\.yaml"):
        read_document(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\ncount: 2\r\n")
    assert load_document(path, Outer) == Outer(name="a", count=2)


def test_a_saved_document_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "saved.yaml"
    model = Outer(name="010", count=-3, steps=(Inner(exposure_us=1e-7), Inner(exposure_us=1e300, method="masked")))
    save_document(path, model, header="first\nsecond")
    assert path.read_text().startswith("# first\n# second\nname: '010'\n")
    assert load_document(path, Outer) == model


@given(st.text(max_size=40))
def test_every_text_survives_saving(name: str) -> None:
    text = dump_document({"name": name})
    assert parse_document(SOMEWHERE, text).data == {"name": name}


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!#?|>'\"%,. \n\t019e~"), max_size=60))
def test_arbitrary_text_is_read_or_refused_but_never_crashes(text: str) -> None:
    with contextlib.suppress(DocumentError):
        parse_document(SOMEWHERE, text)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.yaml"
    path.write_text("name: old\n")

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "write_synced", full)
    with pytest.raises(OSError, match="No space left"):
        save_document(path, Outer(name="new"))
    assert [p.name for p in tmp_path.iterdir()] == ["kept.yaml"]
    assert path.read_text() == "name: old\n"
