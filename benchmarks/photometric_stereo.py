"""What normals cost: our solvers beside plain Python ways of doing the same, and beside a copy of the same bytes.

    python benchmarks/photometric_stereo.py [--lights 4 8 16] [--rounds 9] [--threads 2]
                                            [--width 5472 --height 3648] [--json]

CPU-ms are of all threads together and repeat better than wall time on a busy machine. Every method solves the
same frames, in turns. Medians over the rounds are printed, of the times and of the ratios to the copy and to our
`ls` in the same round, which a machine that slows down for a while does not move. Ours deliver normals, albedo, lit
count, residual, observable and saturated, and all of these count in the payload that the copy moves; of the peers,
those "with quality" deliver the same, the others normals and albedo alone. The copy runs on as many threads as our
solvers. What ends in "16-bit out" writes packed maps, 13 bytes per pixel instead of 23, and is compared with a copy
of that payload. A method whose first run takes over 2 CPU-s is run once.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.engine import default_threads
from station.photometric_stereo.settings import METHODS, SolverSettings
from station.photometric_stereo.solve import DirectionalLights, PhotometricStereo, warm_up

OUTPUT_BYTES = 23  # per pixel: normals 12, albedo 4, residual 4, lit count, observable, saturated 1 each
PACKED_BYTES = 13  # the same with normals 6, albedo 2, residual 2
LSTSQ_SHARE = 16  # lstsq is run on this fraction of the rows, and its time scaled up
TILE_PX = 16_384
SHADOW, SATURATED_DN = np.float32(0.08), 250  # what the peers call in shadow, and saturated
SLOW_S = 2.0
COPY, LS, PACKED = "plain copy of the payload", "ours, ls", ", 16-bit out"
Planes = NDArray[np.uint8] | NDArray[np.uint16]
Run = Callable[[], None]


def ring(count: int, slant_deg: float = 45.0) -> DirectionalLights:
    azimuth, slant = 2 * np.pi * np.arange(count) / count, np.deg2rad(slant_deg)
    rows = [np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(count, np.cos(slant))]
    return DirectionalLights(tuple(f"light {k}" for k in range(count)), np.stack(rows, axis=1), np.ones(count))


def photographed(
    lights: DirectionalLights, shape: tuple[int, int], seed: int = 0, dtype: type[np.uint8] | type[np.uint16] = np.uint8
) -> Planes:
    """(K, H, W): rows of domes with flat land between, with shadow at their feet, and noise; 8 bits, or 12 in 16."""
    full = 255 if dtype is np.uint8 else 4095
    rng = np.random.default_rng(seed)
    pitch = max(shape[0] // 6, 8)
    y, x = (((np.arange(size, dtype=np.float32) % pitch) / pitch - 0.5) * 2.4 for size in shape)
    square = x[None, :] ** 2 + y[:, None] ** 2
    inside = square < 0.9
    nz = np.where(inside, np.sqrt(np.maximum(1 - square, 0)), 1).astype(np.float32)
    nx, ny = np.where(inside, x[None, :], 0), np.where(inside, -y[:, None], 0)
    out: Any = np.empty((len(lights.names), *shape), dtype)
    for plane, d in zip(out, lights.directions.astype(np.float32), strict=True):
        light = 180 * np.maximum(d[0] * nx + d[1] * ny + d[2] * nz, 0)
        plane[:] = np.clip((light + rng.normal(4, 1, shape).astype(np.float32)) * (full / 255), 0, full)
    found: Planes = out
    return found


@njit(nogil=True)
def _copied(raw, scratch, out, first, last):  # type: ignore[no-untyped-def]
    """Reads every raw byte and writes as many bytes as the solver does, row by row and so with ordinary stores."""
    width = raw.shape[2]
    for y in range(first, last):
        for k in range(raw.shape[0]):
            row = raw[k, y]
            for i in range(row.shape[0]):
                scratch[i] = row[i]
        for j in range(out.shape[1]):
            row = out[y, j]
            for i in range(row.shape[0]):
                row[i] = scratch[i]
    return width


def plain_copy(raw: Planes, pool: ThreadPoolExecutor, threads: int, output_bytes: int = OUTPUT_BYTES) -> Run:
    """Of the payload, by each thread a share of the rows."""
    plain = raw.view(np.uint8)
    out = np.zeros((raw.shape[1], output_bytes, raw.shape[2]), np.uint8)
    edges = np.linspace(0, raw.shape[1], threads + 1).astype(int)

    def share(part: int) -> None:
        scratch = np.zeros(plain.shape[2], np.uint8)
        _copied(plain, scratch, out, edges[part], edges[part + 1])

    def run() -> None:
        list(pool.map(share, range(threads)))

    return run


def library_copy(raw: Planes) -> Run:
    """memcpy of as many bytes, half of them read and half written: past the cache, as the C library does it."""
    half = (raw.nbytes + OUTPUT_BYTES * raw[0].size) // 2
    source, target = np.ones(half, np.uint8), np.ones(half, np.uint8)
    return lambda: np.copyto(target, source)


def whole_frames(raw: Planes, lights: DirectionalLights, *, quality: bool) -> Run:
    """As a script would write it: one picture-sized expression after the other."""
    inverse, directions = _matrices(lights)

    def run() -> None:
        g = np.zeros((3, *raw.shape[1:]), np.float32)
        for k, plane in enumerate(raw):
            value = plane.astype(np.float32)
            for c in range(3):
                g[c] += inverse[c, k] * value
        albedo = np.sqrt((g * g).sum(axis=0))
        if quality:
            squares, lit = np.zeros_like(albedo), np.zeros(albedo.shape, np.uint8)
            saturated, least = np.zeros(albedo.shape, np.bool_), SHADOW * albedo
            for plane, (x, y, z) in zip(raw, directions, strict=True):
                value, clipped = plane.astype(np.float32), plane >= SATURATED_DN
                squares += (value - (x * g[0] + y * g[1] + z * g[2])) ** 2
                saturated |= clipped
                lit += (value > least) & ~clipped
            np.sqrt(squares / len(raw))
            np.logical_and(lit >= 3, g[2] > 0)
        g /= np.maximum(albedo, 1e-6)

    return run


def tiled(raw: Planes, lights: DirectionalLights, *, quality: bool) -> Run:
    """Tiles that stay in the cache, buffers reused: the best that plain numpy can do."""
    inverse, directions = _matrices(lights)
    flat = raw.reshape(len(raw), -1)
    pixels = flat.shape[1]
    normals, albedo, residual = np.zeros((3, pixels), np.float32), *np.zeros((2, pixels), np.float32)
    lit, (seen, saturated) = np.zeros(pixels, np.uint8), np.zeros((2, pixels), np.bool_)
    value, predicted = np.empty((2, len(raw), TILE_PX), np.float32)
    clipped, counts = np.empty((2, len(raw), TILE_PX), np.bool_)

    def grade(at: slice, n: int) -> None:
        np.greater_equal(flat[:, at], SATURATED_DN, out=clipped[:, :n])
        np.any(clipped[:, :n], axis=0, out=saturated[at])
        np.greater(value[:, :n], SHADOW * albedo[at], out=counts[:, :n])
        np.greater(counts[:, :n], clipped[:, :n], out=counts[:, :n])
        np.sum(counts[:, :n], axis=0, dtype=np.uint8, out=lit[at])
        np.matmul(directions, normals[:, at], out=predicted[:, :n])
        np.subtract(value[:, :n], predicted[:, :n], out=predicted[:, :n])
        np.einsum("kn,kn->n", predicted[:, :n], predicted[:, :n], out=residual[at])
        residual[at] /= len(raw)
        np.sqrt(residual[at], out=residual[at])
        np.logical_and(lit[at] >= 3, normals[2, at] > 0, out=seen[at])

    def run() -> None:
        for start in range(0, pixels, TILE_PX):
            n = min(TILE_PX, pixels - start)
            at = slice(start, start + n)
            value[:, :n] = flat[:, at]
            np.matmul(inverse, value[:, :n], out=normals[:, at])
            np.einsum("cn,cn->n", normals[:, at], normals[:, at], out=albedo[at])
            np.sqrt(albedo[at], out=albedo[at])
            if quality:
                grade(at, n)
            normals[:, at] /= np.maximum(albedo[at], 1e-6)

    return run


def _matrices(lights: DirectionalLights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pseudo-inverse (3, K) and light vectors (K, 3)."""
    return np.linalg.pinv(lights.directions).astype(np.float32), lights.directions.astype(np.float32)


# OpenCV takes numbers where its type stubs know arrays alone.
def opencv(raw: Planes, lights: DirectionalLights, *, quality: bool) -> Run:
    inverse, directions = _matrices(lights)

    def grade(g: list[Any], albedo: Any) -> None:
        squares, least = np.zeros_like(albedo), cv2.multiply(albedo, float(SHADOW))  # type: ignore[call-overload]
        lit, saturated = np.zeros((2, *albedo.shape), np.uint8)
        for plane, direction in zip(raw, directions, strict=True):
            value = rest = plane.astype(np.float32)
            for component, factor in zip(g, direction, strict=True):
                rest = cv2.scaleAdd(component, -float(factor), rest)
            cv2.accumulateSquare(rest, squares)
            clipped = cv2.compare(plane, SATURATED_DN, cv2.CMP_GE)  # type: ignore[call-overload]
            cv2.bitwise_or(saturated, clipped, saturated)
            counts = cv2.bitwise_and(cv2.compare(value, least, cv2.CMP_GT), cv2.bitwise_not(clipped))
            cv2.add(lit, cv2.bitwise_and(counts, 1), lit)  # type: ignore[call-overload]
        cv2.sqrt(cv2.multiply(squares, 1 / len(raw)))  # type: ignore[call-overload]
        cv2.bitwise_and(cv2.compare(lit, 3, cv2.CMP_GE), cv2.compare(g[2], 0, cv2.CMP_GT))  # type: ignore[call-overload]

    def run() -> None:
        planes: list[Any] = [np.zeros(raw.shape[1:], np.float32) for _ in range(3)]
        for k, plane in enumerate(raw):
            value = plane.astype(np.float32)
            for c in range(3):
                cv2.scaleAdd(value, float(inverse[c, k]), planes[c], planes[c])
        albedo = cv2.magnitude(cv2.magnitude(planes[0], planes[1]), planes[2])
        if quality:
            grade(planes, albedo)
        for plane in planes:
            cv2.divide(plane, albedo, plane)

    return run


def torch_matmul(raw: Planes, lights: DirectionalLights, *, quality: bool) -> Run | None:
    if importlib.util.find_spec("torch") is None:
        return None
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(2)
    inverse, directions = (torch.from_numpy(matrix) for matrix in _matrices(lights))
    counts = torch.from_numpy(raw.reshape(len(raw), -1))

    def run() -> None:
        value = counts.float()
        g = inverse @ value
        albedo = g.norm(dim=0)
        if quality:
            ((value - directions @ g) ** 2).mean(dim=0).sqrt()
            clipped = counts >= SATURATED_DN
            lit = ((value > float(SHADOW) * albedo) & ~clipped).sum(dim=0, dtype=torch.uint8)
            clipped.any(dim=0)
            torch.logical_and(lit >= 3, g[2] > 0)
        g /= albedo.clamp_min(1e-6)

    return run


def lstsq(raw: Planes, directions: NDArray[np.float64]) -> Run:
    part = raw[:, : max(1, raw.shape[1] // LSTSQ_SHARE)].reshape(len(raw), -1)

    def run() -> None:
        g = np.linalg.lstsq(directions, part.astype(np.float64), rcond=None)[0]
        g /= np.maximum(np.linalg.norm(g, axis=0), 1e-6)

    return run


def frame(plane: Any, k: int) -> Frame:
    bits = 8 if plane.dtype == np.uint8 else 12
    return Frame(plane, f"Mono{bits}", bits, 4.0 * (1 if bits == 8 else 16), 1000.0, 0.0, k, k)


def ours(raw: Planes, lights: DirectionalLights, method: Any, threads: int, *, packed: bool = False) -> Run:
    solver = PhotometricStereo(lights, raw.shape[1:], SolverSettings(method=method), threads=threads)
    for k, plane in enumerate(raw):
        solver.add(k, frame(plane, k))

    def run() -> None:
        solver.recycle(solver.solve_packed() if packed else solver.solve())

    return run


def methods(raw: Planes, lights: DirectionalLights, pool: ThreadPoolExecutor, threads: int) -> dict[str, Run]:
    """Ours beside the copies, name by name."""
    unequal = replace(lights, intensities=np.linspace(0.8, 1.2, len(lights.names)))
    found = {COPY: plain_copy(raw, pool, threads)}
    found |= {f"ours, {m}": ours(raw, lights, m, threads) for m in METHODS}
    found["ours, ls, lights of unequal strength"] = ours(raw, unequal, "ls", threads)
    found[COPY + PACKED] = plain_copy(raw, pool, threads, PACKED_BYTES)
    found |= {f"ours, {m}{PACKED}": ours(raw, lights, m, threads, packed=True) for m in METHODS}
    found["memcpy of as many bytes"] = library_copy(raw)
    return found


def peers(raw: Planes, lights: DirectionalLights) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for quality, more in ((False, ""), (True, ", with quality")):
        found["numpy tiled" + more] = tiled(raw, lights, quality=quality)
        found["numpy whole frames" + more] = whole_frames(raw, lights, quality=quality)
        found["OpenCV scaleAdd" + more] = opencv(raw, lights, quality=quality)
        torch = torch_matmul(raw, lights, quality=quality)
        if torch is not None:
            found["torch matmul, CPU" + more] = torch
    found[f"numpy lstsq, float64 (x {LSTSQ_SHARE})"] = lstsq(raw, lights.directions)
    return found


def measured(runs: dict[str, Run], rounds: int) -> dict[str, dict[str, float]]:
    """Each name's CPU-ms and wall ms, and CPU time over that of the copy and of our ls in the same round: medians."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for turn in range(rounds + 1):  # the first touches the memory
        for name, run in runs.items():
            if times[name] and times[name][0][0] > SLOW_S:
                continue
            factor = LSTSQ_SHARE if "lstsq" in name else 1
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn > 0 or cpu > SLOW_S:
                times[name].append((cpu * factor, wall * factor))
    copies = {name: COPY + PACKED if name.endswith(PACKED) else COPY for name in times}
    return {name: _medians(ts, times[copies[name]], times[LS]) for name, ts in times.items()}


def _medians(
    times: list[tuple[float, float]], copy: list[tuple[float, float]], ls: list[tuple[float, float]]
) -> dict[str, float]:
    return {
        "cpu_ms": 1e3 * statistics.median(t[0] for t in times),
        "wall_ms": 1e3 * statistics.median(t[1] for t in times),
        "least_cpu_ms": 1e3 * min(t[0] for t in times),
        "of_copy": statistics.median(a[0] / b[0] for a, b in zip(times, copy, strict=False)),
        "of_ls": statistics.median(a[0] / b[0] for a, b in zip(times, ls, strict=False)),
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


def latency(raw: Planes, lights: DirectionalLights, method: Any, threads: int) -> dict[str, float]:
    """Wall time of each frame's arrival, and of the solution after the last one; memory that the solver adds."""
    before = _resident_mb(reset_peak=True)
    solver = PhotometricStereo(lights, raw.shape[1:], SolverSettings(method=method), threads=threads)
    arrivals, solutions = [], []
    for _ in range(3):
        solver.begin()
        for k, plane in enumerate(raw):
            start = time.perf_counter()
            solver.add(k, frame(plane, k))
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
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--width", type=int, default=5472)
    parser.add_argument("--height", type=int, default=3648)
    parser.add_argument("--no-peers", action="store_true", help="only ours and the copies")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "numpy": np.__version__}
    found |= {"threads": options.threads, "width": options.width, "height": options.height}
    for count in options.lights:
        found[f"K={count}"] = _one_count(count, options)
        if not options.json:
            _print(count, (options.height, options.width), found[f"K={count}"])
    if options.json:
        print(json.dumps(found, indent=2))


def _one_count(count: int, options: argparse.Namespace) -> dict[str, Any]:
    lights, shape, threads = ring(count), (options.height, options.width), options.threads
    start = time.perf_counter()
    warm_up(lights)
    warm_up(lights, packed=True)
    warm_up_s = time.perf_counter() - start
    small = photographed(lights, (options.height // 2, options.width // 2))
    quarter = {m: latency(small, lights, m, threads) for m in METHODS}
    raw = photographed(lights, shape)
    whole = {m: latency(raw, lights, m, threads) for m in METHODS}
    with ThreadPoolExecutor(threads) as pool:
        runs = methods(raw, lights, pool, threads)
        table = measured(runs if options.no_peers else runs | peers(raw, lights), options.rounds)
        del runs
        raw = photographed(lights, shape, dtype=np.uint16)
        deep = measured(methods(raw, lights, pool, threads), options.rounds)
    return {
        "warm_up_s": warm_up_s,
        "8 bit": table,
        "12 bit": deep,
        "latency": whole,
        "latency at a quarter of the pixels": quarter,
    }


def _print(count: int, shape: tuple[int, int], found: dict[str, Any]) -> None:
    for bits, size in (("8 bit", 1), ("12 bit", 2)):
        payload_mb = shape[0] * shape[1] * (count * size + OUTPUT_BYTES) / 1e6
        print(f"\nK = {count}, {shape[1]} x {shape[0]}, {bits} in, payload {payload_mb:.0f} MB")
        print(f"  {'':36s} {'CPU-ms':>8s} {'least':>7s} {'wall ms':>8s} {'x copy':>8s} {'x our ls':>8s}")
        for name, row in found[bits].items():
            print(
                f"  {name:36s} {row['cpu_ms']:8.0f} {row['least_cpu_ms']:7.0f} {row['wall_ms']:8.0f} "
                f"{row['of_copy']:8.2f} {row['of_ls']:8.2f}"
            )
    for title in ("latency", "latency at a quarter of the pixels"):
        for method, row in found[title].items():
            print(
                f"  {title}, {method}: {row['per_frame_ms']:.1f} ms per frame, {row['after_last_frame_ms']:.0f} ms "
                f"after the last; ring and maps {row['ring_and_maps_mb']:.0f} MB, peak +{row['peak_growth_mb']:.0f} MB"
            )
    print(f"  first use of the kernels (compiled, or from the cache): {found['warm_up_s']:.1f} s")


if __name__ == "__main__":
    main()
