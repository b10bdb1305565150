"""What windows cost: the cycle of `station run` on a simulated rig, with and without windows attached.

    python benchmarks/attached_windows.py --parts 10 --windows 2

Each round inspects one part without and one part with windows, in turn, so that a machine that slows down slows both
alike. A window is `station console --attach` in a process of its own, drawn offscreen. The table gives the cycle (from
start to verdict, the engine's own clock), the time from the last frame to the verdict, and the difference of each pair
with its 95 % interval (Student's t). `--kill` kills one window in the middle of each part and opens it again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from scipy import stats

from drivers.simulated.config import Imperfections, SimulatedRigConfig
from station.recipe.demo import DEMO_RECIPES
from station.rig.simulated import PATIENT_FRAME_TIMEOUT_S, running_rig
from station.service.address import address_of
from station.service.link import Link

WAIT_S = 300.0
STAGES = {"total": "cycle", "verdict_after_last_frame": "verdict after the last frame"}


def main() -> None:
    """Measure and print."""
    options = _options()
    config = SimulatedRigConfig(
        clock_speed=options.speed, prerendered=True,
        imperfections=Imperfections(pose_repeatability_mm=0.0, pose_repeatability_deg=0.0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="facet-windows-") as name:
        folder = Path(name)
        with running_rig(folder / "rig", config, PATIENT_FRAME_TIMEOUT_S) as (_, rig_file):
            service = _service(folder, rig_file, options.recipe)
            try:
                _report(_measured(folder, options), options)
            finally:
                service.send_signal(signal.SIGTERM)
                service.wait(WAIT_S)


def _measured(folder: Path, options: argparse.Namespace) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Pairs of stage times (ms): without windows, with windows."""
    events: SimpleQueue[dict[str, Any]] = SimpleQueue()
    link = Link(_address(folder), "benchmarks/attached_windows.py", events.put)
    link.ask("subscribe")
    link.ask("take")
    _do(link, "reset", {})
    _inspected(link, events, "WARM-UP")
    pairs = []
    for number in range(options.parts):
        alone = _inspected(link, events, f"ALONE-{number}")
        windows = [_window(folder) for _ in range(options.windows)]
        _wait_for_clients(link, options.windows + 1)
        killed = windows[0] if options.kill else None
        together = _inspected(link, events, f"WITH-{number}", killed)
        if killed is not None:
            windows.append(_window(folder))
            _wait_for_clients(link, options.windows + 1)
        for window in windows:
            window.terminate()
            window.wait(WAIT_S)
        _wait_for_clients(link, 1)
        pairs.append((alone, together))
        print(f"part {number + 1}: {alone['total']:.0f} ms alone, {together['total']:.0f} ms with", file=sys.stderr)
    link.close()
    return pairs


def _inspected(
    link: Link, events: SimpleQueue[dict[str, Any]], part_id: str, killed: subprocess.Popen[bytes] | None = None
) -> dict[str, float]:
    """The stage times of one part (ms). `killed` is killed when its second view begins."""
    inspection_id = _do(link, "start", {"part_id": part_id})
    while (event := events.get(timeout=WAIT_S))["event"] != "ResultReady":
        if event["event"] == "ViewJudged" and killed is not None and killed.poll() is None:
            killed.kill()
            killed.wait(WAIT_S)
    inspection = event["data"]["inspection"]
    assert inspection["inspection_id"] == inspection_id
    assert inspection["verdict"] == "PASS", json.dumps(inspection["reasons"])
    while link.ask("status").result["state"] != "Ready":
        time.sleep(0.01)
    return dict(inspection["processing_times_ms"])


def _do(link: Link, verb: str, arguments: dict[str, str]) -> object:
    return link.ask("do", None, verb=verb, arguments=arguments).result["answer"]


def _service(folder: Path, rig_file: Path, recipe: Path) -> subprocess.Popen[bytes]:
    arguments = ["--rig", rig_file, "--recipe", recipe, "--archive", folder / "archive", "--no-http"]
    with (folder / "service.log").open("wb") as log:
        command = [sys.executable, "-m", "station", "run", *map(str, arguments), "--run-dir", str(folder / "run")]
        process = subprocess.Popen(command, stderr=log)
    ending = time.monotonic() + WAIT_S
    while not list((folder / "run").glob("*.address")):
        if process.poll() is not None or time.monotonic() > ending:
            sys.exit(f"the service did not start:\n{(folder / 'service.log').read_text()}")
        time.sleep(0.1)
    return process


def _window(folder: Path) -> subprocess.Popen[bytes]:
    file = str(next((folder / "run").glob("*.address")))
    command = [sys.executable, "-m", "station", "console", "--attach", "--look-on", "--address", file]
    return subprocess.Popen(command, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, stderr=subprocess.DEVNULL)


def _address(folder: Path) -> str:
    return address_of(str(next((folder / "run").glob("*.address"))))


def _wait_for_clients(link: Link, count: int) -> None:
    ending = time.monotonic() + WAIT_S
    while link.ask("status").result["clients"] != count:
        if time.monotonic() > ending:
            sys.exit(f"there are not {count} clients after {WAIT_S:.0f} s")
        time.sleep(0.05)


def _report(pairs: list[tuple[dict[str, float], dict[str, float]]], options: argparse.Namespace) -> None:
    print(f"simulated rig at {options.speed:g} x real time, {options.windows} windows, n = {len(pairs)} pairs of parts")
    for stage, name in STAGES.items():
        alone, together = (np.array([pair[side][stage] for pair in pairs]) for side in (0, 1))
        difference = together - alone
        text = (
            f"{name}: {alone.mean():.0f} ms alone (sd {alone.std(ddof=1):.0f}), {together.mean():.0f} ms with windows"
        )
        half = stats.t.ppf(0.975, len(pairs) - 1) * difference.std(ddof=1) / np.sqrt(len(pairs))
        print(f"{text} (sd {together.std(ddof=1):.0f}); difference {difference.mean():+.1f} +- {half:.1f} ms (95 %)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=10, help="pairs of parts; at least 2")
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--speed", type=float, default=1.0, help="of the rig's clock; 1 is the hardware's own time")
    parser.add_argument("--recipe", type=Path, default=DEMO_RECIPES / "connector.yaml")
    parser.add_argument("--kill", action="store_true", help="kill one window in mid-cycle, and open it again")
    options = parser.parse_args()
    if options.parts < 2:
        parser.error("--parts must be at least 2")
    return options


if __name__ == "__main__":
    main()
