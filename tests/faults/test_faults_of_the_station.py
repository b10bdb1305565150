"""Every fault in every phase, met by the whole station: see `docs/faults-of-the-station.md`, which this run writes.

Issue 15, acceptance. With FACET_FAULT_TABLES every row is run, else a few of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.station_bench import StationBench, quick_resets
from faults.station_rows import NOT_HERE, ROWS, SECTIONS, SHORT, StationRow
from faults.station_table import DOCUMENT, StationTable

from drivers.simulated import simcam
from drivers.simulated.config import ArmKind, SimulatedRigConfig
from drivers.simulated.rig import SimulatedRig

FOLDER = os.environ.get("FACET_FAULT_TABLES")


@pytest.fixture(scope="module")
def station_table() -> Iterator[StationTable]:
    table = StationTable()
    yield table
    if FOLDER and table.is_whole:
        (DOCUMENT.parents[1] / FOLDER / DOCUMENT.name).write_text(table.as_text(), encoding="utf-8")


@pytest.fixture(scope="module")
def station_with(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], StationBench]]:
    """One station at a time: a process opens the cameras of one rig. One that did not come back to work is replaced."""
    if not Path(simcam.__file__).with_name("simcam.cti").is_file():
        pytest.skip("simcam.cti was not built: no C compiler")
    running: list[StationBench] = []
    with quick_resets() as patch:

        def get(arm: str) -> StationBench:
            if running and not (running[0].arm == arm and running[0].is_sound):
                running.pop().close()
            if not running:
                running.append(StationBench(tmp_path_factory.mktemp("station"), patch, arm))
                running[0].start()
            return running[0]

        yield get
        for bench in running:
            bench.close()


@pytest.mark.parametrize("row", ROWS if FOLDER else SHORT, ids=str)
def test_no_fault_in_any_phase_makes_a_wrong_verdict(
    row: StationRow, station_with: Callable[[str], StationBench], station_table: StationTable
) -> None:
    outcome = station_with(row.fault.arm).run(row)
    station_table.outcomes.append(outcome)
    assert not outcome.problems, outcome


@pytest.mark.parametrize("arm", ["grbl", "mycobot"])
def test_every_fault_of_the_rig_is_in_the_table_of_the_station(arm: ArmKind, tmp_path: Path) -> None:
    rig = SimulatedRig(SimulatedRigConfig(arm_kind=arm), tmp_path)
    listed = set(rig.verbs()["faults"]({})["faults"])
    rig.close()
    played = {fault.words.split()[0] for faults in SECTIONS.values() for fault in faults}
    assert sorted(listed - played - set(NOT_HERE)) == []


@pytest.mark.skipif(FOLDER is not None, reason="the document is being written by this run")
def test_the_document_holds_every_row_and_each_promise_was_kept() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [str(row) for row in ROWS if f"| `{row.fault.injected(row.phase)}`" not in text or "NOT KEPT" in text]
    assert missing == []


def test_the_short_run_has_its_rows() -> None:
    assert len(SHORT) == 4
