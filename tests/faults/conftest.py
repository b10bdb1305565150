"""One table for the whole run, and rigs that live as long as a test file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.table import DOCUMENT, ROOT, RigBench, Table

from drivers.simulated import simcam


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table()
    yield table
    folder = os.environ.get("FACET_FAULT_TABLES")
    if folder and not request.session.testsfailed:
        (ROOT / folder / DOCUMENT.name).write_text(table.as_text(), encoding="utf-8")


@pytest.fixture(scope="session")
def written_rows() -> str:
    """The document as it lies in the tree."""
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def make_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RigBench]]:
    if not Path(simcam.__file__).with_name("simcam.cti").is_file():
        pytest.skip("simcam.cti was not built: no C compiler")
    benches: dict[tuple[tuple[str, Any], ...], RigBench] = {}

    def make(**kinds: Any) -> RigBench:
        key = tuple(sorted(kinds.items()))
        if key not in benches:
            benches[key] = RigBench(tmp_path_factory.mktemp("rig"), **kinds)
        return benches[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone with the module
        yield make
        for bench in benches.values():
            bench.close()
