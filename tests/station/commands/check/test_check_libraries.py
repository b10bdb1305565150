"""`station check` reads what every installed wheel asks for, before it imports anything that needs it."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
from lonely_library import NOWHERE, build_lonely_module

from drivers.system_libraries import libpython_name
from station.commands.check.elf import needed_libraries
from station.commands.check.libraries import Binary, check_libraries, finding_of
from station.commands.check.machine import NEEDED, check_machine

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ELF binaries are Linux's")


@linux_only
def test_the_names_are_read_from_the_binary_itself(tmp_path: Path) -> None:
    module = build_lonely_module(tmp_path)
    assert NOWHERE in needed_libraries(module)
    binding = Path(str(importlib.metadata.distribution("genicam").locate_file("genicam/_gentl.so")))
    assert libpython_name() in needed_libraries(binding)


@linux_only
def test_a_damaged_or_other_file_asks_for_nothing(tmp_path: Path) -> None:
    whole = build_lonely_module(tmp_path).read_bytes()
    for length in (0, 3, 20, 70, 500):
        (tmp_path / "cut.so").write_bytes(whole[:length])
        assert needed_libraries(tmp_path / "cut.so") == ()
    (tmp_path / "text.so").write_text("INPUT(libm.so)\n" * 20)
    assert needed_libraries(tmp_path / "text.so") == ()


@pytest.fixture
def lonely_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only wheel that is installed has one module, which asks for a library that is not there."""
    build_lonely_module(tmp_path)
    about = tmp_path / "lonely-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lonely\nVersion: 1.0\n")
    (about / "RECORD").write_text('lonely.so,,\n"lonely-1.0.dist-info/METADATA",,\ngone.so,,\n')
    found = list(importlib.metadata.distributions(path=[str(tmp_path)]))
    monkeypatch.setattr("importlib.metadata.distributions", lambda: found)


@linux_only
@pytest.mark.usefixtures("lonely_wheel")
def test_a_library_that_an_installed_wheel_misses_is_found_without_loading_it() -> None:
    """Issue 15, point 1."""
    finding = check_libraries()
    assert not finding.ok
    assert finding.details == {NOWHERE: "lonely needs it (lonely.so)"}
    assert NOWHERE in finding.action


@linux_only
@pytest.mark.usefixtures("lonely_wheel")
def test_the_check_looks_for_libraries_first_and_survives_what_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Issue 15, point 1."""
    monkeypatch.setitem(sys.modules, "drivers.genicam.producers", None)  # as if the binding could not be imported
    monkeypatch.setattr("station.recipe.demo.DEMO_RECIPES", Path("nowhere"))
    findings = check_machine()
    assert [finding.what for finding in findings[:2]] == ["Python", "shared libraries"]
    camera = next(finding for finding in findings if finding.what == "simulated camera")
    assert not camera.ok
    assert "not looked at" in camera.found
    assert len(findings) > len(NEEDED) + 4, "the rest was looked at"


def binary(wheel: str, name: str, *needed: str) -> Binary:
    return Binary(wheel, Path("/site-packages") / name, needed)


BINARIES = [
    binary("genicam", "genicam/_genapi.so", "libpython3.13.so.1.0"),
    binary("PyQt6", "PyQt6/QtWidgets.abi3.so", "libQt6Widgets.so.6"),
    binary("PyQt6-Qt6", "PyQt6/Qt6/lib/libQt6Widgets.so.6", "libGL.so.1"),
    binary("PyQt6-Qt6", "PyQt6/Qt6/plugins/sqldrivers/libqsqlpsql.so", "libpq.so.5"),
    binary("numba", "numba/np/ufunc/tbbpool.so", "libtbb.so.12"),
]


def test_all_that_is_missing_is_in_one_line_to_type() -> None:
    finding = finding_of(BINARIES, {"libpython3.13.so.1.0", "libGL.so.1", "libpq.so.5", "libtbb.so.12"})
    assert not finding.ok
    assert finding.action == "type: sudo apt-get install libgl1 libpython3.13"
    assert set(finding.details) == {"libpython3.13.so.1.0", "libGL.so.1"}, "reached through a wheel's own library too"


def test_a_library_for_files_that_are_never_loaded_is_no_fault() -> None:
    finding = finding_of(BINARIES, {"libpq.so.5", "libtbb.so.12"})
    assert finding.ok
    assert "3 binaries of 3 packages" in finding.found
    assert "2 names" in finding.found
