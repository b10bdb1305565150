"""The real engine, job and archive over stand-in devices and a stand-in judge: a part takes milliseconds.

Where something goes wrong is up to the test: `Bench.acts` holds what happens at a device's or the judge's verb.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep
from station.archive import Archive
from station.engine.engine import Engine, NotNow
from station.engine.events import Event, Fault, ResultReady, StateChanged
from station.engine.preparation import Prepared
from station.inspection.reasons import Reason
from station.inspection.result import AnomalyMap, Verdict, ViewResult
from station.rig.devices import Rig

WAIT_S = 30.0
VIEWS, LIGHTS = ("top", "left"), ("north", "east", "diffuse")
PLAN = tuple(
    CaptureStep(
        len(LIGHTS) * v + k,
        view,
        Pose(float(v), 0.0, 258.0, 0.0, -90.0),
        light,
        k + 1,
        "diffuse" if light == "diffuse" else "directional",
        1.0,
        900.0,
        0.0,
    )
    for v, view in enumerate(VIEWS)
    for k, light in enumerate(LIGHTS)
)
Acts = dict[str, Callable[[], object]]


class StandIn:
    """Notes every verb in a common list and does what `acts` holds for it."""

    identity = SimpleNamespace(vendor="Acme", model="M", serial_number="1", firmware="1")

    def __init__(self, name: str, told: list[str], acts: Acts) -> None:
        self._name, self._told, self._acts = name, told, acts

    def _do(self, verb: str) -> None:
        what = f"{self._name}.{verb}"
        self._told.append(what)
        self._acts.get(what, lambda: None)()

    def __getattr__(self, verb: str) -> Callable[..., None]:
        return lambda *_, **__: self._do(verb)


class StandInCamera(StandIn):
    """Each frame holds its own number, so that a lost or swapped one shows."""

    frames = 0

    def time_ns(self) -> int:
        return 1000 * self.frames

    def expose(self, exposure_us: float, gain_db: float) -> Frame:
        self._do("expose")
        self.frames += 1
        self._do("transfer")
        pixels = np.full((8, 12), self.frames, np.uint8)
        return Frame(pixels, "Mono8", 8, 0.0, exposure_us, gain_db, 1000 * self.frames, self.frames)


class StandInArm(StandIn):
    """Arrives at once."""

    def move_to(self, pose: Pose) -> Pose:
        self._do("move_to")
        return pose


class StandInJudge(StandIn):
    """Gives every view the same score."""

    score = 0.5

    def take(self, _: CapturedFrame) -> None:
        self._do("take")

    def judge(self, view: CapturedView) -> ViewResult:
        self._do("judge")
        verdict = Verdict.PASS if self.score <= 1 else Verdict.FAIL
        found = AnomalyMap(np.full((2, 3), self.score, np.float32), self.score)
        return ViewResult(view.name, verdict, 1.0, anomaly_map=found, light_levels={"north": 0.5})

    def refine(self, _: CapturedView, result: ViewResult) -> ViewResult:
        self._do("refine")
        return result

    def reasons_of_part(self, _: Sequence[ViewResult]) -> tuple[Reason, ...]:
        return ()

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        self._do("undecided")
        return ViewResult(view, Verdict.UNDECIDED, 1.0, reasons=(reason.of_view(view),))


ROOMY_DISK = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=9 * 10**11, total=10**12))


class Bench:
    """An engine in Ready over an archive of its own. Nothing is tried in the background unless a test says so."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("FACET_SPOOL", str(folder / "spool"))
        patch.setattr("station.archive.outlook.shutil", ROOMY_DISK)  # this machine's may be nearly full
        self.recipe = _recipe()  # of the next part too, where a test changes it
        patch.setattr("station.engine.engine.read_recipe_files", lambda path, _inference: _files(path, self.recipe))
        patch.setattr("station.engine.engine.prepare", lambda files, _rig: Prepared(files, cast(Any, self.judge), 1000))
        self.root = folder / "archive"
        self.spool = folder / "spool"
        self.told: list[str] = []
        self.acts: Acts = {}
        self.judge: StandInJudge = StandInJudge("judge", self.told, self.acts)
        self.events: list[Event] = []
        self.archive = Archive.open(self.root)
        self.engine = Engine(folder / "rig.yaml", self.archive, opener=cast(Any, self._open))
        self.try_in_background_after(1e6)
        self.engine.subscribe(self.events.append)
        self.engine.initialize()
        self.engine.prepare_recipe(folder / "recipe.yaml")

    def try_in_background_after(self, seconds: float) -> None:
        self.engine._storing._first_wait_s = seconds  # noqa: SLF001

    def _open(self, _path: Path) -> Rig:
        arm, lights, camera = (
            kind(name, self.told, self.acts)
            for kind, name in ((StandInArm, "arm"), (StandIn, "lights"), (StandInCamera, "camera"))
        )
        return Rig("bench", True, cast(Any, camera), cast(Any, arm), cast(Any, lights))

    def results(self) -> list[ResultReady]:
        return [event for event in self.events if isinstance(event, ResultReady)]

    def faults(self) -> list[Fault]:
        return [event for event in self.events if isinstance(event, Fault)]

    def states(self) -> list[str]:
        return [event.state.value for event in self.events if isinstance(event, StateChanged)]

    def close(self) -> None:
        self.acts.clear()
        self.engine.close()
        self.archive.close()


def in_time(verb: Callable[[], object]) -> None:
    """Call it in a thread of its own: a verb that hangs fails the test instead of holding it up."""
    failures: list[BaseException] = []

    def call() -> None:
        try:
            verb()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=call, name="in_time", daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the verb hangs"
    if failures:
        raise failures[0]


def refusal(verb: Callable[[], object]) -> str:
    """The text with which the engine refuses the verb."""
    with pytest.raises(NotNow) as refused:
        in_time(verb)
    return str(refused.value)


def _recipe() -> SimpleNamespace:
    return SimpleNamespace(
        recipe_id="r1",
        product="p",
        viewpoints=[SimpleNamespace(name=name, limit=1.0) for name in VIEWS],
        capture=SimpleNamespace(settle_s=0.0, retakes_per_view=1),
        light_level_limits=SimpleNamespace(ambient_told_above=0.01),
        model=SimpleNamespace(judges="both"),
        re_look=None,
    )


def _files(path: Path, recipe: SimpleNamespace) -> SimpleNamespace:
    loaded = SimpleNamespace(
        recipe=recipe,
        files=list,
        sha256s={"calibration": "0"},
        check_calibration=lambda: None,
        view_references=None,
        part_references=None,
    )
    return SimpleNamespace(
        path=path, loaded=loaded, plan=PLAN, detector=SimpleNamespace(model_id="m"), release="draft: of a test"
    )
