"""Frames per second and copies per frame of the camera driver at 20 megapixels, beside the machine's copy rate.

`python benchmarks/camera.py [--seconds S] [--json FILE]`: a rig process that hands out one picture without
exposure or readout time, `simcam.cti`, harvesters and the driver, for Mono8, Mono12 and BayerRG12p, by software
trigger, frame by frame.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivers.genicam.camera import GenicamCamera
from drivers.genicam.pixels import BY_NAME
from drivers.protocols import CameraSettings, Frame
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

WIDTH, HEIGHT = 5472, 3648
FORMATS = ("Mono8", "Mono12", "BayerRG12p")
SERIAL_NUMBER = "BENCH-1"
RIG = """
import sys, time
from pathlib import Path
import numpy as np
from drivers.simulated.camera.exposure import Exposed
from drivers.simulated.camera.wire import CameraWire
pictures = {}
def expose(request):
    key = (request.pixel_format, request.height, request.width)
    if key not in pictures:
        dtype = np.uint8 if request.pixel_format.endswith("8") else np.uint16
        values = np.random.default_rng(1).integers(0, 256, (request.height, request.width), dtype=np.uint8)
        pictures[key] = values.astype(dtype)
        pictures[key].flags.writeable = False
    return Exposed(pictures[key], time.monotonic_ns())
folder = Path(sys.argv[1])
link = CameraWire(expose, time.monotonic_ns, folder, sys.argv[2], folder)
link.start()
print("ready", flush=True)
sys.stdin.read()
link.close()
"""


@dataclass(frozen=True, slots=True)
class Row:
    pixel_format: str
    megabytes: float  # on the wire
    triggered_fps: float
    driver_cpu_ms: float  # of the waiting thread, per triggered frame
    copies: int  # of the whole frame, from the rig's memory to an array of its own


def copy_rate_gb_s() -> float:
    """Bytes copied per second by one thread between two buffers of a frame's size, warm."""
    source, target = np.ones(WIDTH * HEIGHT * 2, np.uint8), np.empty(WIDTH * HEIGHT * 2, np.uint8)
    np.copyto(target, source)
    best_s = min(_timed(lambda: np.copyto(target, source)) for _ in range(7))
    return source.nbytes / best_s / 1e9


def _timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def measure(camera: GenicamCamera, pixel_format: str, seconds: float) -> Row:
    camera.configure(CameraSettings(pixel_format))
    camera.expose(10.0)  # the first one allocates and draws
    cpu_s = time.thread_time()
    frames, elapsed_s = _count(lambda: camera.expose(10.0), seconds)
    cpu_ms = (time.thread_time() - cpu_s) / frames * 1e3
    size_mb = BY_NAME[pixel_format].row_bytes(WIDTH) * HEIGHT / 1e6
    # into the announced buffer by the producer, into the caller's array by the driver (12p: while unpacking)
    return Row(pixel_format, size_mb, frames / elapsed_s, cpu_ms, copies=2)


def _count(shoot: Callable[[], Frame], seconds: float) -> tuple[int, float]:
    started_s, count = time.perf_counter(), 0
    while time.perf_counter() - started_s < seconds:
        frame = shoot()
        assert frame.pixels.shape == (HEIGHT, WIDTH)
        count += 1
    return count, time.perf_counter() - started_s


def run(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(__file__).parents[1])
        rig = subprocess.Popen(
            [sys.executable, "-c", RIG, folder, SERIAL_NUMBER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        try:
            assert rig.stdout is not None
            assert rig.stdout.readline().strip() == "ready"
            before = copy_rate_gb_s()
            with GenicamCamera.open("simcam", SERIAL_NUMBER, {ENDPOINTS_VARIABLE: folder}, 30.0) as camera:
                rows = [measure(camera, name, seconds) for name in FORMATS]
            after = copy_rate_gb_s()
        finally:
            rig.communicate("")
    return {
        "copy_gb_s": [round(before, 2), round(after, 2)],
        "load_average": round(os.getloadavg()[0], 1),
        "rows": [asdict(row) for row in rows],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="per format")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = run(arguments.seconds)
    rates = result["copy_gb_s"]
    print(f"memory copy by one thread before and after, GB/s: {rates}; load average {result['load_average']}")
    print("format        MB/frame  triggered fps  driver CPU ms  copies")
    for row in (Row(**r) for r in result["rows"]):
        print(
            f"{row.pixel_format:<12} {row.megabytes:>9.2f} {row.triggered_fps:>14.1f} "
            f"{row.driver_cpu_ms:>14.1f} {row.copies:>7}"
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
