"""A quick station that lives as long as a test file asks for the same arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from quick_station import QuickStation

from drivers.simulated import simcam
from drivers.simulated.config import ArmKind


@pytest.fixture(scope="module")
def station_with(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[ArmKind], QuickStation]]:
    """The station with that arm, Ready, with nothing reported yet."""
    if not Path(simcam.__file__).with_name("simcam.cti").is_file():
        pytest.skip("simcam.cti was not built: no C compiler")
    running: list[QuickStation] = []

    def get(kind: ArmKind) -> QuickStation:
        if running and running[0].arm_kind != kind:  # one camera a process: the other is closed first
            running.pop().close()
        if not running:
            running.append(QuickStation(tmp_path_factory.mktemp("station"), kind, patch))
        running[0].ready()
        return running[0]

    with pytest.MonkeyPatch.context() as patch:
        yield get
        for station in running:
            station.close()
