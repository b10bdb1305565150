"""`station run` as a process over a simulated rig: found, used, and ended by SIGTERM in the middle of a part."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drivers.simulated import simcam
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.process import RigProcess
from station.archive import Archive
from station.commands.app import app
from station.commands.run.service import RunOptions, run_service
from station.engine.events import Event, State, StateChanged, StepDone
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict
from station.recipe.demo import DEMO_RECIPES
from station.rig.owner import RigInUse
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, write_rig_file
from station.service.client import ServiceClient

RECIPE = DEMO_RECIPES / "connector.yaml"
PLAIN = Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0, light_bounces=0)  # quick to render
CONFIG = SimulatedRigConfig(
    clock_speed=5.0, serial_number="FACET-SIM-RUN", imperfections=PLAIN, prerendered=True
)  # fmt: skip
WAIT_S = 120.0

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="there the service is ended by Ctrl-C in its console"),
    pytest.mark.skipif(
        not Path(simcam.__file__).with_name("simcam.cti").is_file(), reason="simcam.cti was not built: no C compiler"
    ),
]


class RunningService:
    """The rig, `station run --home` on it, and a window's client that looks on."""

    def __init__(self, folder: Path) -> None:
        self.rig_file = write_rig_file(folder / "rig", CONFIG, PATIENT_FRAME_TIMEOUT_S)  # on a busy machine
        self.archive = folder / "archive"
        self.rig = RigProcess(folder / "rig", CONFIG).start()
        self.address_file = folder / "run" / f"{CONFIG.name}.address"
        arguments = ["--rig", str(self.rig_file), "--recipe", str(RECIPE), "--archive", str(self.archive)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "station", "run", *arguments, "--home", "--http", "0", "--run-dir", folder / "run"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self.can_be_reached = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.log.append(line)
                if "--attach" in line:
                    self.can_be_reached.set()

    def wait_for_its_end(self) -> int:
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait_for_its_end()
        self.rig.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningService]:
    service = RunningService(tmp_path)
    yield service
    service.close()


def test_sigterm_in_the_middle_of_a_part_ends_it_undecided_with_the_lights_off(running: RunningService) -> None:
    """Issue 12, point 6: graceful stop, single owner, structured log, the command line's own client."""
    assert running.can_be_reached.wait(WAIT_S), running.log
    address = running.address_file.read_text().strip()
    window = ServiceClient(lambda: address, only_looks_on=True)
    is_ready, has_frames = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, StateChanged) and event.state is State.READY:
            is_ready.set()
        elif isinstance(event, StepDone):
            has_frames.set()

    window.subscribe(listen)
    assert is_ready.wait(WAIT_S), running.log
    with pytest.raises(RigInUse, match=rf"process {running.process.pid} \(station run\) owns this rig"):
        run_service(RunOptions(running.rig_file, RECIPE, running.archive))
    ctl = ["--address", str(running.address_file)]
    started = CliRunner().invoke(app, ["ctl", "start", "P-TERM", "--json", *ctl])
    assert started.exit_code == 0, started.output
    inspection_id = json.loads(started.output)["answer"]
    assert has_frames.wait(WAIT_S), running.log
    running.process.send_signal(signal.SIGTERM)
    assert running.wait_for_its_end() == 0, running.log
    window.close()
    with Archive.open(running.archive, read_only=True) as archive:
        kept = archive.load_figures(inspection_id)
    assert kept.verdict is Verdict.UNDECIDED
    assert kept.stated_reasons()[0].kind is ReasonKind.STOPPED
    levels = running.rig.control.call("status")["light_levels"]
    assert not [channel for channel, level in levels.items() if level]
    assert not running.address_file.exists()
    lines = [json.loads(line) for line in running.log if line.startswith("{")]
    verdicts = [line for line in lines if line.get("event") == "ResultReady"]
    assert [(line["part_id"], line["inspection_id"]) for line in verdicts] == [("P-TERM", inspection_id)]
    gone = CliRunner().invoke(app, ["ctl", "status", *ctl])
    assert "no service's address can be read there" in str(gone.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ctl", "fly"], "there is no verb 'fly'"),
        (["ctl", "start"], "usage is: start PART_ID"),
        (["ctl", "stop", "now"], "takes 0 arguments"),
        (["console", "--takeover"], "belong to --attach"),
        (["console", "--attach", "--rig", "rig.yaml"], "leave --rig and --recipe out"),
    ],
)
def test_what_was_typed_wrong_is_refused_before_anybody_is_asked(words: list[str], said: str) -> None:
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code in (1, 2)
    assert said in answer.output + str(answer.exception)


def test_ctl_lists_the_verbs() -> None:
    answer = CliRunner().invoke(app, ["ctl", "verbs"])
    assert answer.exit_code == 0
    assert "start PART_ID" in answer.output
