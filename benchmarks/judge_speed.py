"""What judging a part costs: five views, one after the other, under each runtime, precision and encoder size.

    python benchmarks/judge_speed.py [--model FILE] [--threads 2] [--rounds 5] [--no-vit] [--no-growth] [--json]

Each candidate runs in a process of its own, so that its peak memory is its own, and all take turns: every round asks
each for the five views. Only ratios between the lines of one run mean something; a busy machine slows all alike.
CPU-ms count all threads. `share` is the work (products and convolutions of the plain graph, a multiply-add is two)
over wall time, as a share of what this machine reaches in SGEMM of 2048 x 2048 with as many threads in the same run.
int8 is onnxruntime's dynamic quantisation of MatMul and Gemm, here for its speed alone: `station quantise` asks what it
does to verdicts. The ViT has the size of two DINOv2-S encoders at 392 px and a light decoder, with random weights.
Growth: the default network, untrained, and the ViT at three sizes. OpenVINO is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from drivers.process_memory import peak_memory_mb
from station.judge.inference import opened_graph
from station.recipe.demo import DEMO_RECIPES
from station.rig.inference import InferenceChoice, Provider

VIEWS = 5
GEMM = 2048
VIT_PX, VIT_SIZES_PX = 392, (280, 392, 518)
DEFAULT_SIZES = ((228, 342), (456, 684), (684, 1026))


@dataclass(frozen=True)
class Candidate:
    """A graph under a runtime."""

    name: str
    file: Path
    provider: Provider
    plain: Path  # the graph in single precision, whose work is counted


@dataclass(frozen=True)
class Line:
    """What was measured of a candidate, per view."""

    name: str
    wall_ms: tuple[float, float]  # p50, p95
    cpu_ms: tuple[float, float]
    gflop: float
    share: float  # of the machine's measured matrix rate
    peak_mb: float
    opened_s: float

    def text(self) -> str:
        wall, cpu = (f"{a:8.0f} {b:6.0f}" for a, b in (self.wall_ms, self.cpu_ms))
        return f"{self.name:<44}{wall} {cpu}{self.gflop:8.1f}{self.share:7.0%}{self.peak_mb:8.0f}{self.opened_s:7.1f}"


def inputs_of(file: Path) -> list[dict[str, np.ndarray]]:
    """One feed a view: random pictures of the size that the graph asks for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]).get_inputs()
    rng = np.random.default_rng(0)
    feeds = []
    for view in range(VIEWS):
        feed: dict[str, np.ndarray] = {}
        for given in wanted:
            shape = [1, *given.shape[1:]]
            feed[given.name] = rng.random(shape, np.float32)
            if given.name == "view_index":
                feed[given.name] = np.array([view], np.int64)
            elif given.name == "region":
                feed[given.name] = np.ones(shape, np.float32)
            elif given.name == "normals":
                feed[given.name] = np.broadcast_to(np.array([0, 0, 1], np.float32)[:, None, None], shape[1:])[
                    None
                ].copy()
        feeds.append(feed)
    return feeds


def serve(link: Connection, file: str, provider: Provider, threads: int) -> None:
    """In a process of its own: open the graph, then run a round of five views whenever asked."""
    started = time.perf_counter()
    runner = opened_graph(Path(file).read_bytes(), InferenceChoice(provider=provider, threads=threads)).runner
    feeds = link.recv()
    runner.run(("pred_score", "anomaly_map"), feeds[0])
    link.send(time.perf_counter() - started)
    while link.recv() == "round":
        found = []
        for feed in feeds:
            wall, cpu = time.perf_counter(), time.process_time()
            runner.run(("pred_score", "anomaly_map"), feed)
            found.append((time.perf_counter() - wall, time.process_time() - cpu))
        link.send(found)
    link.send(peak_memory_mb())


def matrix_rate(threads: int) -> float:
    """GFLOP/s of SGEMM, the best of five."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.rand(GEMM, GEMM), torch.rand(GEMM, GEMM)
    torch.mm(a, b)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * GEMM**3 / min(seconds) / 1e9


def profiled(file: Path, *, optimised: bool) -> list[dict[str, Any]]:
    """The nodes of one run of onnxruntime, with shapes and durations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(file.with_suffix(""))
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    session.run(None, inputs_of(file)[0])
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    return [e for e in events if e.get("cat") == "Node" and "output_type_shape" in e.get("args", {})]


def gflop_of(file: Path) -> float:
    """Work of one view, in products and convolutions."""
    import onnx

    graph = onnx.load(str(file)).graph  # the profile leaves out the shapes of weights
    dims = {weight.name: list(weight.dims) for weight in graph.initializer}
    kernels = {node.name: dims[node.input[1]] for node in graph.node if node.op_type == "Conv"}
    total = 0.0
    for node in profiled(file, optimised=False):
        args = node["args"]
        if args["op_name"] not in ("MatMul", "Gemm", "Conv"):
            continue
        out = float(np.prod([int(n) for n in next(iter(args["output_type_shape"][0].values()))]))
        if args["op_name"] == "Conv":
            depth = float(np.prod(kernels[node["name"].removesuffix("_kernel_time")][1:]))
        else:
            depth = float(next(iter(args["input_type_shape"][0].values()))[-1])
        total += 2 * out * depth
    return total / 1e9


def stages_of(file: Path) -> str:
    """Shares of one view's time by kind of node, as onnxruntime runs it."""
    spent: Counter[str] = Counter()
    for node in profiled(file, optimised=True):
        spent[node["args"]["op_name"]] += int(node["dur"])
    whole = sum(spent.values())
    return ", ".join(f"{name} {us / whole:.0%}" for name, us in spent.most_common(7))


def int8_of(file: Path, folder: Path) -> Path:
    """The same graph with MatMul and Gemm in dynamic int8."""
    from models.quantise import write_int8

    out = folder / f"{file.stem}_int8.onnx"
    write_int8(file, out)
    return out


def default_network(folder: Path, size: tuple[int, int]) -> Path:
    """The default network of that size, untrained."""
    import torch

    from models.config import TrainConfig
    from models.export import INPUTS
    from models.network import AnomalyNetwork

    out = folder / f"default_{size[0]}.onnx"
    network = AnomalyNetwork(TrainConfig(), size, VIEWS).eval()
    pictures = torch.rand(1, 3, *size)
    arguments = (pictures, pictures, torch.zeros(1, dtype=torch.int64), torch.ones(1, *size))[: len(INPUTS)]
    names = ["pred_score", "anomaly_map", "target_maps"][: len(network(*arguments))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, arguments, str(out), input_names=list(INPUTS), output_names=names, opset_version=17, dynamo=False
        )
    return out


def measured(candidates: Sequence[Candidate], threads: int, rounds: int) -> list[Line]:
    """All candidates take turns, `rounds` times five views each."""
    context = multiprocessing.get_context("spawn")
    links, processes = [], []
    for candidate in candidates:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, str(candidate.file), candidate.provider, threads))
        process.start()
        links.append(ours)
        processes.append(process)
    for candidate, link in zip(candidates, links, strict=True):
        link.send(inputs_of(candidate.file))
    opened = [link.recv() for link in links]
    found: list[list[tuple[float, float]]] = [[] for _ in candidates]
    rates = []
    for _ in range(rounds):
        rates.append(matrix_rate(threads))
        for times, link in zip(found, links, strict=True):
            link.send("round")
            times.extend(link.recv())
    peaks = []
    for link, process in zip(links, processes, strict=True):
        link.send("end")
        peaks.append(link.recv())
        process.join()
    rate = float(np.median(rates))
    print(f"SGEMM {GEMM}^2, {threads} threads: {rate:.0f} GFLOP/s (median of {rounds} rounds)", file=sys.stderr)
    work = {plain: gflop_of(plain) for plain in {candidate.plain for candidate in candidates}}
    lines = []
    for candidate, times, peak, seconds in zip(candidates, found, peaks, opened, strict=True):
        wall, cpu = 1e3 * np.array(times).T
        gflop = work[candidate.plain]
        share = gflop / (float(np.median(wall)) / 1e3) / rate
        lines.append(Line(candidate.name, _p50_p95(wall), _p50_p95(cpu), gflop, share, peak, seconds))
    return lines


def _p50_p95(values: np.ndarray) -> tuple[float, float]:
    return float(np.median(values)), float(np.quantile(values, 0.95))


def candidates_of(chosen: argparse.Namespace, folder: Path) -> list[Candidate]:
    """Every line of the table."""
    graphs: list[tuple[str, Path]] = [("default model", folder / "model.onnx")]
    (folder / "model.onnx").write_bytes(chosen.model.read_bytes())
    if not chosen.no_vit:
        from vit_graph import write_vit

        graphs.append((f"two ViT-S/14, {VIT_PX} px", write_vit(folder / f"vit_{VIT_PX}.onnx", VIT_PX)))
    providers: list[Provider] = ["cpu", "openvino"] if importlib.util.find_spec("openvino") else ["cpu"]
    found = []
    for name, file in graphs:
        found += [Candidate(f"{name}, fp32, {p}", file, p, file) for p in providers]
        found += [Candidate(f"{name}, int8, {p}", int8_of(file, folder), p, file) for p in providers]
    if not chosen.no_growth:
        for size in DEFAULT_SIZES:
            file = default_network(folder, size)
            found.append(Candidate(f"default network, untrained, {size[1]} x {size[0]} px", file, "cpu", file))
        for size_px in () if chosen.no_vit else VIT_SIZES_PX:
            file = write_vit(folder / f"vit_growth_{size_px}.onnx", size_px)
            found.append(Candidate(f"two ViT-S/14, {size_px} px, fp32, cpu", file, "cpu", file))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEMO_RECIPES / "models" / "connector.onnx")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-vit", action="store_true")
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        candidates = candidates_of(chosen, Path(name))
        lines = measured(candidates, chosen.threads, chosen.rounds)
        stages = {c.name: stages_of(c.file) for c in candidates if c.provider == "cpu"}
    if chosen.json:
        print(json.dumps({"lines": [vars(line) for line in lines], "stages": stages}))
        return 0
    head = f"{'wall ms, p50 p95':>15} {'CPU ms, p50 p95':>15}{'GFLOP':>8}{'share':>7}{'peak MB':>8}{'open s':>7}"
    print(f"{'per view':<44}{head}")
    for line in lines:
        print(line.text())
    for what, text in stages.items():
        print(f"{what}: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
