"""A whole station on a simulated rig, to which a fault comes in a chosen phase; the rig's truth judges the verdict.

The recipe has two views of the demo product, so that a row takes a few seconds. Model, judge, archive, drivers and
wires are the station's own. The recipe's files are read once, and its model is warmed once, for all resets of a bench.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import yaml
from faults.station_rows import STORAGE, StationRow

from drivers.errors import DeviceError
from drivers.simulated.config import Imperfections, SimulatedPart, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.acquire.plan import CaptureStep, make_plan
from station.archive import Archive, ArchivedFrame
from station.documents import atomic
from station.engine import preparation
from station.engine.engine import Engine
from station.engine.events import AcquisitionDone, Event, Fault, ResultReady, State, StepDone, ViewJudged
from station.errors import StationFault as Refused
from station.inspection.result import Inspection, Verdict
from station.judge.detector import AnomalyDetector
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.rig.file import load_rig, make_rig, save_rig
from station.rig.simulated import write_rig_file

VIEWS = ("top", "left")
GOOD_SEED = 601
CLOCK_SPEED = 20.0
REPLY_TIMEOUT_S, FRAME_TIMEOUT_S = 1.0, 4.0
PATIENT_FRAME_TIMEOUT_S = 120.0
SAID_WITHIN_S = 10.0  # of waiting; the table holds how long it took
HANGS_AFTER_S = 180.0
STILL_TIMEOUT_S = 20.0
STRUCK_FRAME = 3  # of the first view: dark, then channels 2 and 4
# A frame is what its step asked for within these. Beyond them a PASS contradicts the rig's truth.
LEVEL_SHARE, STRAY_LEVEL, PLACE_MM, PLACE_DEG = 0.25, 0.04, 0.7, 0.3


class HookedArchive(Archive):
    """Calls `before_record` first, on the thread that stores."""

    before_record: Callable[[], None] = staticmethod(lambda: None)

    def record(self, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> Path:
        self.before_record()
        return super().record(inspection, frames)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one row came to. `problems` are the promises that were not kept."""

    row: StationRow
    verdict: str
    state: str
    said: str
    after_s: float | None
    then: str
    problems: tuple[str, ...]


class StationBench:
    """An engine in Ready on a rig of its own; `run` leaves it so again."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, arm: str) -> None:
        config: Any = SimulatedRigConfig.model_validate(
            {
                "name": "station-faults",
                "serial_number": f"STATION-{arm}",
                "clock_speed": CLOCK_SPEED,
                "arm_kind": arm,
                "part": SimulatedPart(seed=GOOD_SEED),
                "imperfections": Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0),
                "prerendered": True,
            }
        )
        self.is_sound = False  # from the start to a row that ends without a good part
        self.arm = arm
        self._patch = patch
        self._lock: sqlite3.Connection | None = None
        self._root = folder / "archive"
        patch.setenv(
            "FACET_SPOOL", str(folder / "spool")
        )  # what cannot be archived is kept here, not in the user's home
        self.rig = RigProcess(folder / "rig", config)
        self._recipe = _two_views(folder / "recipe.yaml")
        self.plan = make_plan(load_recipe(self._recipe).recipe)
        self.archive = cast(HookedArchive, HookedArchive.open(self._root))
        self._rig_file = write_rig_file(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S)
        self.engine = Engine(self._rig_file, self.archive)
        self.events: list[tuple[float, Event]] = []
        self._when: Callable[[Event], bool] = lambda _event: False
        self._act: Callable[[], object] = lambda: None
        self.engine.subscribe(self._listen)

    def start(self) -> StationBench:
        """Start the rig, and inspect a good part: its pictures are rendered then. Hurry only from then on."""
        self.rig.start()
        self.engine.initialize()
        self.engine.prepare_recipe(self._recipe)
        self._until_a_part_passes()
        _hurry(self._rig_file)
        self.engine.abort("the rig file has changed")
        self.engine.reset()
        self.is_sound = True
        return self

    def close(self) -> None:
        self.inject("archive.mended")
        self.engine.close()
        self.archive.close()
        self.rig.close()

    # -- one row ----------------------------------------------------------------------------

    def run(self, row: StationRow) -> Outcome:
        """Let the fault come in its phase, see what the station makes of it, take it away, inspect a good part."""
        self.is_sound = False
        assert self.engine.state is State.READY
        self.events.clear()
        since_ns = int(self._status()["time_s"] * 1e9)
        self._arrange(row)
        problems: list[str] = []
        is_lost_at_rest = row.phase == "idle" and row.fault.must_be_said and row.fault not in STORAGE
        if is_lost_at_rest and not self._comes_true(lambda: self.engine.state is State.ERROR):
            problems.append("a loss at rest was not reported before Start")
        inspection = self.inspect() if self.engine.state is State.READY else None
        if row.fault.must_be_said:
            self._comes_true(lambda: self._said() is not None)
        said, state = self._said(), self.engine.state
        injected_s = self._injected_s if self._injected_s is not None else self._status()["injected_s"]
        problems += [*self._problems(row, inspection, since_ns), *self._unrest(row)]
        if injected_s is None:
            problems.append("the phase did not come")
        then = self._recover(row, inspection)
        self.is_sound = True
        return Outcome(
            row,
            "-" if inspection is None else inspection.verdict.value,
            state.value,
            "" if said is None else said[1],
            None if said is None or injected_s is None else said[0] - injected_s,
            then,
            tuple(problems),
        )

    def inspect(self) -> Inspection | None:
        """The next part's inspection; None where Start is refused. Fails where the station hangs."""
        found: list[Inspection] = []

        def work() -> None:
            try:
                found.append(self.engine.inspect("PART"))
            except Refused as refusal:
                self.events.append((time.monotonic(), Fault(str(refusal), "")))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(HANGS_AFTER_S)
        assert not thread.is_alive(), "the inspection hangs"
        return found[0] if found else None

    # -- the phases -------------------------------------------------------------------------

    def _arrange(self, row: StationRow) -> None:
        words = row.fault.injected(row.phase)
        self._injected_s: float | None = None

        def now() -> None:
            self._injected_s = time.monotonic()
            self.inject(words)

        def at(moment: str, count: int) -> None:
            fault, *arguments = words.split()
            self.rig.control.inject_at(moment, count, fault, *arguments)

        match row.phase:
            case "idle":
                now()
            case "moving":  # to the second view
                last_of_first = sum(step.view == VIEWS[0] for step in self.plan)
                armed_at = last_of_first - 1  # the arm leaves before the last frame is there
                self._once(lambda e: isinstance(e, StepDone) and e.index == armed_at, lambda: at("moving", 1))
            case "exposing" | "transferring":
                at(row.phase, STRUCK_FRAME)
            case "last view":
                at("exposing", len(self.plan))
            case "judging":
                self._once(lambda e: isinstance(e, AcquisitionDone), now)
            case "storing":
                self.archive.before_record = self._only_once(now)

    def _once(self, when: Callable[[Event], bool], act: Callable[[], object]) -> None:
        self._when, self._act = when, act

    def _only_once(self, act: Callable[[], None]) -> Callable[[], None]:
        def first() -> None:
            self.archive.before_record = lambda: None
            act()

        return first

    def _listen(self, event: Event) -> None:
        self.events.append((time.monotonic(), event))
        if self._when(event):
            self._when = lambda _event: False
            self._act()

    def inject(self, words: str) -> None:
        fault, *arguments = words.split()
        if not fault.startswith("archive."):
            self.rig.control.inject(fault, *arguments)
        elif fault == "archive.locked":
            self._lock = sqlite3.connect(self._root / "archive.sqlite", check_same_thread=False)
            self._lock.execute("BEGIN IMMEDIATE")
        elif fault == "archive.mended":
            if self._lock is not None:
                self._lock.close()
            self._lock = None
            self._patch.setattr(atomic, "open", open, raising=False)
        else:
            number = errno.ENOSPC if fault == "archive.full" else errno.EACCES
            self._patch.setattr(atomic, "open", _refusing(self._root, number), raising=False)

    # -- what is promised -------------------------------------------------------------------

    def _problems(self, row: StationRow, inspection: Inspection | None, since_ns: int) -> Iterator[str]:
        if row.fault.must_be_said and self._said() is None:
            yield f"nothing was said within {SAID_WITHIN_S:g} s"
        if inspection is None:
            if self.engine.state is State.READY and row.fault not in STORAGE:
                yield "Ready, and Start was refused"
            return
        if inspection.verdict is Verdict.FAIL and not inspection.reasons:
            yield "a bare FAIL of a good part"
        if inspection.verdict is Verdict.UNDECIDED and not inspection.reasons:
            yield "UNDECIDED without a reason"
        if row.fault.is_harmless and inspection.verdict is not Verdict.PASS:
            yield "a harmless fault, and no PASS"
        if inspection.verdict is Verdict.PASS:
            step = self._missed_step(since_ns)
            if step is not None:
                yield f"PASS, and no true frame of view {step.view!r} under {step.light!r}"
            if self.archive.history(1)[0].inspection_id != inspection.inspection_id:
                yield "PASS, and not archived"
            elif self.archive.verify(inspection.inspection_id):
                yield "PASS, and the archive does not verify"

    def _missed_step(self, since_ns: int) -> CaptureStep | None:
        """The first step for which the rig exposed no frame as it was asked for, in the order of the plan."""
        frames = iter(self.rig.control.call("frames", since_ns=since_ns)["frames"])
        for step in self.plan:
            if not any(_is_true(frame, step) for frame in frames):
                return step
        return None

    def _unrest(self, row: StationRow) -> Iterator[str]:
        """Lights that are on, an arm that moves. Without its cable no lamp can be put out, and the message says so."""
        levels = self._status()["light_levels"]
        lit = [channel for channel, level in levels.items() if level > 0]
        if lit and not row.fault.cuts_lights and not row.fault.sticks:
            yield f"lights {', '.join(lit)} are on"
        deadline_s = time.monotonic() + STILL_TIMEOUT_S
        before = self._status()["axes"]
        time.sleep(0.05)
        while (now := self._status()["axes"]) != before:
            if time.monotonic() > deadline_s:
                yield "the arm moves"
                return
            before = now
            time.sleep(0.05)

    def _said(self) -> tuple[float, str] | None:
        """When a person first heard of it, and what."""
        for at_s, event in list(self.events):
            match event:
                case Fault(text=text):
                    return at_s, text
                case ViewJudged(result=found) if found.reasons:
                    return at_s, f"view {found.view}: {found.reasons[0].text}"
                case ResultReady(inspection=found) if found.reasons:
                    return at_s, found.reasons[0].text
        return None

    # -- back to work -----------------------------------------------------------------------

    def _recover(self, row: StationRow, inspection: Inspection | None) -> str:
        """Take the fault away; returns what a person did until a good part passed."""
        self._when = lambda _event: False
        self.archive.before_record = lambda: None
        self.rig.control.call("forget")
        if row.fault.cured(row.phase):
            self.inject(row.fault.cured(row.phase))
        is_sound = self.engine.state is State.READY and inspection is not None
        if row.fault.is_harmless and is_sound and inspection and inspection.verdict is Verdict.PASS:
            return "nothing is needed"
        return self._until_a_part_passes()

    def _until_a_part_passes(self) -> str:
        """Raises AssertionError when three attempts were not enough."""
        done: list[str] = []
        for _ in range(3):
            if self.engine.state is not State.READY and not self._reset(done):
                continue
            found = self.inspect()
            if found is not None and found.verdict is Verdict.PASS:
                lit = [c for c, level in self._status()["light_levels"].items() if level > 0]
                assert not lit, f"lights {lit} are on after a good part"
                return ", ".join([*done, "the next part passes"])
            done.append("one more part is not decided" if found is not None else "Start is refused")
            if self.engine.state is State.READY:
                self.engine.abort("the operator homes the arm")
        raise AssertionError(f"no good part passes any more: {done}, {self._said()}")

    def _reset(self, done: list[str]) -> bool:
        try:
            self.engine.reset()
        except (DeviceError, Refused) as error:
            done.append(f"a reset is refused ({type(error).__name__})")
            return False
        done.append("reset")
        return True

    def _status(self) -> dict[str, Any]:
        return self.rig.control.call("status")

    def _comes_true(self, condition: Callable[[], bool]) -> bool:
        deadline_s = time.monotonic() + SAID_WITHIN_S
        while not condition() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return condition()


def _is_true(frame: dict[str, Any], step: CaptureStep) -> bool:
    """Whether the rig exposed what the step asked for: its light alone, at its place, at rest, delivered whole."""
    levels = {int(channel): level for channel, level in frame["lights"].items()}
    wanted = levels.pop(step.channel, 0.0)
    off = np.abs(np.subtract(frame["pose"], step.pose.as_tuple()))
    return (
        abs(wanted - step.brightness) <= LEVEL_SHARE * step.brightness
        and all(level <= STRAY_LEVEL for level in levels.values())
        and bool((off[:3] <= PLACE_MM).all() and (off[3:] <= PLACE_DEG).all())
        and not frame["moving"]
        and frame["fault"] in (None, "late")
    )


def _two_views(path: Path) -> Path:
    """The demo recipe, with two of its views."""
    content = yaml.safe_load((DEMO_RECIPES / "connector.yaml").read_text(encoding="utf-8"))
    content["viewpoints"] = [view for view in content["viewpoints"] if view["name"] in VIEWS]
    content["reference_levels"] = {view: content["reference_levels"][view] for view in VIEWS}
    content["calibration"] = str(DEMO_RECIPES / content["calibration"])
    for part in ("model", "view_reference", "part_reference"):
        content[part]["file"] = str(DEMO_RECIPES / content[part]["file"])
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _hurry(rig_file: Path) -> None:
    """Short time-outs, so that silence is reported soon."""
    content = load_rig(rig_file).model_dump(mode="json", exclude_none=True)
    for section in ("arm", "lights"):
        content[section]["reply_timeout_s"] = REPLY_TIMEOUT_S
    content["camera"]["frame_timeout_s"] = FRAME_TIMEOUT_S
    save_rig(rig_file, make_rig(content))


def _refusing(root: Path, number: int) -> Callable[..., Any]:
    def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "r" not in mode and root in Path(path).parents:
            raise OSError(number, "the disk is full" if number == errno.ENOSPC else "no right to write", str(path))
        return open(path, mode, *arguments, **options)

    return opened


@contextmanager
def quick_resets() -> Iterator[pytest.MonkeyPatch]:
    """The recipe's files are read once and the model is warmed once, however often the station is reset."""
    with pytest.MonkeyPatch.context() as patch:
        read = lru_cache(maxsize=8)(preparation.read_recipe_files)
        patch.setattr("station.engine.engine.read_recipe_files", read)
        warmed = lru_cache(maxsize=8)(AnomalyDetector.warm_up)
        patch.setattr(AnomalyDetector, "warm_up", lambda detector: warmed(detector))
        patch.setattr("station.archive.database.BUSY_TIMEOUT_MS", 200)
        patch.setenv("FACET_SIMCAM_ENDPOINTS", "")  # what opening sets is undone
        yield patch
