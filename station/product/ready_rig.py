"""A rig that is ready to capture for a recipe that need not have a model yet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal
from station.acquire.plan import make_plan
from station.acquire.stage_times import StageTimes
from station.archive import new_inspection_id
from station.engine.events import Event
from station.engine.job import Job, provenance, run_job
from station.inspection.reasons import Reason
from station.inspection.result import Verdict
from station.judge.part_judge import PartJudge
from station.recipe.loaded import LoadedRecipe
from station.recipe.releases import release_of
from station.rig.devices import Rig, open_rig
from station.rig.file import RigFile
from station.rig.owner import owned_rig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Capture:
    """One part, captured whole: every frame with its step and where the arm stood, and why it must not be used."""

    part_id: str
    frames: tuple[CapturedFrame, ...]
    reasons: tuple[Reason, ...]  # empty: the capture is sound
    provenance: dict[str, str]


@contextmanager
def ready_rig(path: Path, rig: RigFile, loaded: LoadedRecipe, purpose: str) -> Iterator[Rig]:
    """The rig of the file at `path`: owned, open, homed, its camera configured; closed again whatever happens.

    What the recipe asks is held against the rig before anything moves. `purpose` is what others read of its owner.
    Raises RigInUse before a device is opened, DocumentError with the field that the rig cannot do, DeviceError.
    """
    with owned_rig(path, purpose), open_rig(rig) as opened:
        loaded.check_calibration(camera=opened.camera.identity.serial_number, is_simulated_rig=opened.is_simulated)
        for viewpoint in loaded.recipe.viewpoints:
            with loaded.naming(f"viewpoints.{viewpoint.name}"):
                opened.arm.check_reachable(viewpoint.as_pose())
        opened.arm.home()
        with loaded.naming("capture"):
            opened.camera.configure(loaded.recipe.camera_settings())
        yield opened


def captured(rig: Rig, loaded: LoadedRecipe, judge: PartJudge, part_id: str) -> Capture:
    """Walk the recipe's plan over the part in the fixture, as an inspection does: same steps, same proofs.

    Every device is asked once more after the last frame. Raises DeviceError where one of them failed; the arm is then
    held and the lights are off.
    """
    made_under = provenance(rig, loaded, release_of(loaded))
    job = Job(new_inspection_id(), part_id, loaded, make_plan(loaded.recipe), made_under)
    result = run_job(job, rig, judge, JobSignal(), StageTimes(), _logged)
    if result.fault is not None:
        raise result.fault
    is_sound = result.inspection.verdict is Verdict.PASS
    return Capture(part_id, result.frames, () if is_sound else result.inspection.reasons, made_under)


def _logged(event: Event) -> None:
    log.debug("%s", event)
