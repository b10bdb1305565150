"""Pause and retake on the simulated rig: real drivers and wires, and the rig's own truth about its lights."""

from __future__ import annotations

import threading
from collections.abc import Callable

from quick_station import FIRST_VIEW_STEPS, LAST_STEP, QuickStation, step

from drivers.simulated.config import ArmKind
from station.engine.events import Event, State, StateChanged
from station.inspection.result import Inspection, Verdict
from station.inspection.retakes import RetakeKind

Stations = Callable[[ArmKind], QuickStation]


def is_paused(event: Event) -> bool:
    return isinstance(event, StateChanged) and event.state is State.PAUSED


def test_paused_in_mid_view_the_rig_is_dark_and_the_view_is_taken_again_whole(station_with: Stations) -> None:
    station = station_with("grbl")
    found: list[Inspection] = []
    leave = station.engine.subscribe(lambda event: station.engine.pause(now=True) if step(2)(event) else None)
    inspecting = threading.Thread(target=lambda: found.append(station.engine.inspect("PART-1")))
    inspecting.start()
    station.wait_for(is_paused)
    leave()
    assert station.lit() == []
    station.engine.resume()
    inspecting.join()
    (part,) = found
    assert part.verdict is Verdict.PASS
    assert [(retake.kind, len(retake.frame_ids)) for retake in part.retakes] == [(RetakeKind.PAUSED, 2)]
    frames = station.archive.load_frames(part.inspection_id)
    assert [frame.proof.take for frame in frames if frame.proof] == [2] * FIRST_VIEW_STEPS + [1] * (
        LAST_STEP - FIRST_VIEW_STEPS
    )
    ids = [frame.frame.frame_id for frame in frames]
    assert ids == list(range(ids[0], ids[0] + LAST_STEP))
    assert min(ids) > max(part.retakes[0].frame_ids)


def test_a_stale_frame_rejects_its_view_which_is_taken_again(station_with: Stations) -> None:
    station = station_with("grbl")
    station.allow_retakes(1)
    part = station.inspect_with("camera.stale", step(FIRST_VIEW_STEPS + 1))
    station.allow_retakes(0)
    assert part.verdict is Verdict.PASS, part.reasons
    (retake,) = part.retakes
    assert retake.kind is RetakeKind.FRAME_PROOF
    assert "stale" in retake.text
    assert station.engine.state is State.READY
    frames = station.archive.load_frames(part.inspection_id)
    assert len({(frame.view, frame.proof.take) for frame in frames if frame.proof}) == 2
