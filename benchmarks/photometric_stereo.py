"""What normals cost: our solvers beside plain Python ways of doing the same, and beside a copy of the same bytes.

    python benchmarks/photometric_stereo.py [--lights 4 8 16] [--rounds 5] [--width 5472 --height 3648] [--json]

CPU-ms are of all threads together and repeat better than wall time on a busy machine. Every method solves the
same frames, in turns; the median of the rounds is printed. The peers deliver normals and albedo; ours deliver
lit count, residual, observable and saturated as well. A method whose first run takes over 5 s is not repeated.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.settings import METHODS, SolverSettings
from station.photometric_stereo.solve import DirectionalLights, PhotometricStereo, warm_up

OUTPUT_BYTES = 23  # per pixel: normals 12, albedo 4, residual 4, lit count, observable, saturated 1 each
LSTSQ_SHARE = 16  # lstsq is run on this fraction of the rows, and its time scaled up
TILE_PX = 16_384
Planes = NDArray[np.uint8]


def ring(count: int, slant_deg: float = 45.0) -> DirectionalLights:
    azimuth, slant = 2 * np.pi * np.arange(count) / count, np.deg2rad(slant_deg)
    rows = [np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(count, np.cos(slant))]
    return DirectionalLights(tuple(f"light {k}" for k in range(count)), np.stack(rows, axis=1), np.ones(count))


def photographed(lights: DirectionalLights, shape: tuple[int, int], seed: int = 0) -> Planes:
    """(K, H, W): rows of domes with flat land between, with shadow at their feet, and noise."""
    rng = np.random.default_rng(seed)
    pitch = max(shape[0] // 6, 8)
    y, x = (((np.arange(size, dtype=np.float32) % pitch) / pitch - 0.5) * 2.4 for size in shape)
    square = x[None, :] ** 2 + y[:, None] ** 2
    inside = square < 0.9
    nz = np.where(inside, np.sqrt(np.maximum(1 - square, 0)), 1).astype(np.float32)
    nx, ny = np.where(inside, x[None, :], 0), np.where(inside, -y[:, None], 0)
    out = np.empty((len(lights.names), *shape), np.uint8)
    for plane, d in zip(out, lights.directions.astype(np.float32), strict=True):
        light = 180 * np.maximum(d[0] * nx + d[1] * ny + d[2] * nz, 0)
        plane[:] = np.clip(light + rng.normal(4, 1, shape).astype(np.float32), 0, 255)
    return out


@njit(nogil=True)
def _copied(raw, scratch, out):  # type: ignore[no-untyped-def]
    """Reads every raw byte and writes as many bytes as the solver does, row by row and so with ordinary stores."""
    width = raw.shape[2]
    for y in range(raw.shape[1]):
        for k in range(raw.shape[0]):
            row = raw[k, y]
            for i in range(width):
                scratch[i] = row[i]
        for j in range(out.shape[1]):
            row = out[y, j]
            for i in range(width):
                row[i] = scratch[i]


def plain_copy(raw: Planes) -> Callable[[], None]:
    out = np.zeros((raw.shape[1], OUTPUT_BYTES, raw.shape[2]), np.uint8)
    scratch = np.zeros(raw.shape[2], np.uint8)
    return lambda: _copied(raw, scratch, out)


def whole_frames(raw: Planes, inverse: NDArray[np.float32]) -> Callable[[], None]:
    def run() -> None:
        g = np.zeros((3, *raw.shape[1:]), np.float32)
        for k, plane in enumerate(raw):
            value = plane.astype(np.float32)
            for c in range(3):
                g[c] += inverse[c, k] * value
        albedo = np.sqrt((g * g).sum(axis=0))
        g /= np.maximum(albedo, 1e-6)

    return run


def tiled(raw: Planes, inverse: NDArray[np.float32]) -> Callable[[], None]:
    flat = raw.reshape(len(raw), -1)
    pixels = flat.shape[1]
    normals, albedo = np.zeros((3, pixels), np.float32), np.zeros(pixels, np.float32)
    value, square = np.empty((len(raw), TILE_PX), np.float32), np.empty(TILE_PX, np.float32)

    def run() -> None:
        for start in range(0, pixels, TILE_PX):
            n = min(TILE_PX, pixels - start)
            value[:, :n] = flat[:, start : start + n]
            g = normals[:, start : start + n]
            np.matmul(inverse, value[:, :n], out=g)
            np.einsum("cn,cn->n", g, g, out=square[:n])
            rho = albedo[start : start + n]
            np.sqrt(square[:n], out=rho)
            g /= np.maximum(rho, 1e-6)

    return run


def opencv(raw: Planes, inverse: NDArray[np.float32]) -> Callable[[], None]:
    def run() -> None:
        planes = [np.zeros(raw.shape[1:], np.float32) for _ in range(3)]
        for k, plane in enumerate(raw):
            value = plane.astype(np.float32)
            for c in range(3):
                cv2.scaleAdd(value, float(inverse[c, k]), planes[c], planes[c])
        albedo = cv2.magnitude(cv2.magnitude(planes[0], planes[1]), planes[2])
        for plane in planes:
            cv2.divide(plane, albedo, plane)

    return run


def torch_matmul(raw: Planes, inverse: NDArray[np.float32]) -> Callable[[], None] | None:
    if importlib.util.find_spec("torch") is None:
        return None
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(2)

    def run() -> None:
        g = torch.from_numpy(inverse) @ torch.from_numpy(raw.reshape(len(raw), -1)).float()
        albedo = g.norm(dim=0)
        g /= albedo.clamp_min(1e-6)

    return run


def lstsq(raw: Planes, directions: NDArray[np.float64]) -> Callable[[], None]:
    part = raw[:, : max(1, raw.shape[1] // LSTSQ_SHARE)].reshape(len(raw), -1)

    def run() -> None:
        g = np.linalg.lstsq(directions, part.astype(np.float64), rcond=None)[0]
        g /= np.maximum(np.linalg.norm(g, axis=0), 1e-6)

    return run


def ours(raw: Planes, lights: DirectionalLights, method: Any) -> Callable[[], None]:
    solver = PhotometricStereo(lights, raw.shape[1:], SolverSettings(method=method))
    for k, plane in enumerate(raw):
        solver.add(k, Frame(plane, "Mono8", 8, 4.0, 1000.0, 0.0, k, k))

    def run() -> None:
        solver.recycle(solver.solve())

    return run


def methods(raw: Planes, lights: DirectionalLights) -> dict[str, tuple[Callable[[], None], float]]:
    """Name -> what to run, and the factor by which its time is scaled."""
    inverse = np.linalg.pinv(lights.directions).astype(np.float32)
    found = {"plain copy of the payload": (plain_copy(raw), 1.0)}
    found |= {f"ours, {m}": (ours(raw, lights, m), 1.0) for m in METHODS}
    found |= {
        "numpy tiled, float32": (tiled(raw, inverse), 1.0),
        "numpy whole frames": (whole_frames(raw, inverse), 1.0),
    }
    found["OpenCV scaleAdd"] = (opencv(raw, inverse), 1.0)
    torch = torch_matmul(raw, inverse)
    if torch is not None:
        found["torch matmul, CPU"] = (torch, 1.0)
    found["numpy lstsq, float64 (scaled)"] = (lstsq(raw, lights.directions), float(LSTSQ_SHARE))
    return found


def measured(runs: dict[str, tuple[Callable[[], None], float]], rounds: int) -> dict[str, dict[str, float]]:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, (run, factor) in runs.items():
            if turn > 1 and times[name][0][1] > 5:
                continue
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn > 0 or wall > 5:
                times[name].append((cpu * factor, wall * factor))
    return {
        name: {
            "cpu_ms": 1e3 * statistics.median(t[0] for t in ts),
            "wall_ms": 1e3 * statistics.median(t[1] for t in ts),
        }
        for name, ts in times.items()
    }


def _resident_mb(*, reset_peak: bool = False) -> float:
    """Peak memory of this process since the last reset; NaN where the system does not say (Linux does)."""
    try:
        if reset_peak:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def latency(raw: Planes, lights: DirectionalLights, method: Any) -> dict[str, float]:
    """Wall time of each frame's arrival, and of the solution after the last one; memory that the solver adds."""
    before = _resident_mb(reset_peak=True)
    solver = PhotometricStereo(lights, raw.shape[1:], SolverSettings(method=method))
    arrivals, solutions = [], []
    for _ in range(3):
        solver.begin()
        for k, plane in enumerate(raw):
            start = time.perf_counter()
            solver.add(k, Frame(plane, "Mono8", 8, 4.0, 1000.0, 0.0, k, k))
            arrivals.append(time.perf_counter() - start)
        start = time.perf_counter()
        solver.recycle(solver.solve())
        solutions.append(time.perf_counter() - start)
    grown = _resident_mb() - before
    return {
        "per_frame_ms": 1e3 * statistics.median(arrivals),
        "after_last_frame_ms": 1e3 * statistics.median(solutions),
        "ring_and_maps_mb": raw.nbytes / 1e6 + OUTPUT_BYTES * raw[0].size / 1e6,
        "peak_growth_mb": grown,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lights", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=5472)
    parser.add_argument("--height", type=int, default=3648)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    start = time.perf_counter()
    warm_up()
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "numpy": np.__version__}
    found["warm_up_s"] = time.perf_counter() - start
    shape = (options.height, options.width)
    quarter = (options.height // 2, options.width // 2)
    for count in options.lights:
        lights = ring(count)
        small = photographed(lights, quarter)
        growth = {m: latency(small, lights, m) for m in METHODS}
        raw = photographed(lights, shape)
        found[f"K={count}"] = {
            "methods": measured(methods(raw, lights), options.rounds),
            "latency": {m: latency(raw, lights, m) for m in METHODS},
            "latency at a quarter of the pixels": growth,
        }
        if not options.json:
            _print(count, shape, found[f"K={count}"])
    if options.json:
        print(json.dumps(found, indent=2))


def _print(count: int, shape: tuple[int, int], found: dict[str, Any]) -> None:
    payload_mb = shape[0] * shape[1] * (count + OUTPUT_BYTES) / 1e6
    print(f"\nK = {count}, {shape[1]} x {shape[0]}, 8 bit in, float32 out, payload {payload_mb:.0f} MB")
    print(f"  {'':32s} {'CPU-ms':>9s} {'wall ms':>9s} {'x copy':>8s} {'x ours ls':>9s}")
    copy, ls = (found["methods"][name]["cpu_ms"] for name in ("plain copy of the payload", "ours, ls"))
    for name, times in found["methods"].items():
        cpu = times["cpu_ms"]
        print(f"  {name:32s} {cpu:9.0f} {times['wall_ms']:9.0f} {cpu / copy:8.1f} {cpu / ls:9.1f}")
    for title in ("latency", "latency at a quarter of the pixels"):
        for method, row in found[title].items():
            print(
                f"  {title}, {method}: {row['per_frame_ms']:.1f} ms per frame, {row['after_last_frame_ms']:.0f} ms "
                f"after the last; ring and maps {row['ring_and_maps_mb']:.0f} MB, peak +{row['peak_growth_mb']:.0f} MB"
            )


if __name__ == "__main__":
    main()
