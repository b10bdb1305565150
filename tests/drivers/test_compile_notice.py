"""The first use on a machine says that it compiles; every later one is quiet."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from drivers import compile_notice
from drivers.simulated.config import SimulatedRigConfig
from drivers.simulated.process import RigProcess

KERNEL = """
from numba import njit
from drivers.compile_notice import watch_compiles
watch_compiles("the kernels of this test", __name__)

@njit(cache=True)
def twice(x):
    return x + x
"""


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("drivers.compile_notice._reports", [])
    compile_notice.report_compiles(lines.append)
    return lines


def test_it_is_said_once_and_only_when_a_compile_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """Issue 15, point 1."""
    (tmp_path / "notice_kernel.py").write_text(KERNEL)
    monkeypatch.syspath_prepend(tmp_path)
    first = importlib.import_module("notice_kernel")
    assert (first.twice(2), first.twice(1.5)) == (4, 3.0)
    assert len(said) == 1, "two signatures were compiled, and one sentence is enough"
    assert "compiling the kernels of this test" in said[0]
    assert "only this once" in said[0]
    said.clear()
    del sys.modules["notice_kernel"]
    again = importlib.import_module("notice_kernel")
    assert again.twice(3) == 6
    assert said == [], "it came from the cache on disk"
    del sys.modules["notice_kernel"]


def test_what_the_rigs_process_says_while_it_starts_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """Issue 15, point 1."""
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\necho compiling the renderer\necho rig ready\ncat\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr("drivers.simulated.process.sys.executable", str(stand_in))
    with RigProcess(tmp_path, SimulatedRigConfig()):
        assert said == ["compiling the renderer"]
