"""Training in two stages: the latent with its decoder (A3, A4), then the U-Net with its conditioner (A1, A2, A5, A6).

The slopes head has one stage of its own.

Every step draws its patches and its noise from the seed and its own number, so a run that was killed goes on as if it
had not been: the state on disk is networks, optimisers and the number of the next step.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from models.depth_views import DepthDataError, DepthIndex, DepthItem, read_index
from models.generative.calibrate import calibrate
from models.generative.config import FORMS, DepthConfig, Form
from models.generative.depth_model import DepthNetwork, TrainedDepth, network_of, networks_of, read_torch
from models.generative.patches import PatchSource, Units, measure_units
from models.generative.slope_stage import SlopeStage
from models.generative.slopes import SlopeModel
from models.generative.spread import Spread
from models.generative.stages import AutoencoderStage, DiffusionStage, Stage
from models.generative.state import TrainingState, clear_state, read_state, state_file

Report = Callable[[str], None]
REPORT_EVERY_S = 10.0
SAVE_EVERY_S = 60.0
UNIT_PATCHES = 128
FEWEST_HELD_OUT = 2
UNITS_DRAW, CALIBRATION_DRAW = 1_000, 1_001  # numbers of draws beside those of the stages


def train_depth(
    data: Path,
    out: Path,
    form: str,
    seed: int,
    steps: int,
    resume: bool,
    report: Report,
    config: DepthConfig | None = None,
    threads: int = 1,
) -> TrainedDepth:
    """Train one form on the folder `data` and write `out`; a cut run leaves `.OUT.training` beside it.

    With `resume`, such a run goes on; without, it is begun anew. The same folder, seed, steps, number of threads and
    library versions give the same weights, cut or not. `config` replaces all other settings but form, seed and steps.
    Sets torch's number of threads for the whole process. Raises DepthDataError for data or a state that cannot be used.
    """
    config = settings(form, seed, steps, config)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)  # of the weights at the start
    index = read_index(data)
    training, held_out = split(index)
    source = PatchSource(index, training, config.patch_px)
    units = measure_units(source.draw((seed, UNITS_DRAW), UNIT_PATCHES, turned=False), config)
    model = network_of(config)
    state = TrainingState(fingerprint(data, config))
    if resume and state_file(out).is_file():
        state = read_state(out, state.fingerprint)
        report(f"going on after step {state.step} of {config.steps}")
    elif resume:
        report("nothing to go on with: starting at step 0")
    losses = _run(model, source, units, state, out, report)
    spread = _calibrated(model, units, index, held_out, report)
    facts = {
        "data": index.generator,
        "data_sha256": state.fingerprint["data"],
        "n_train_files": len(training),
        "n_held_out_files": len(held_out),
        "losses": losses,
        "seconds": round(state.seconds, 1),
        "torch": str(torch.__version__),
    }
    trained = TrainedDepth(model.eval(), units, spread, facts)
    trained.save(out)
    clear_state(out)
    report(f"wrote {out} after {state.seconds:.0f} s of training")
    return trained


def calibrate_again(model: Path, data: Path, out: Path, report: Report) -> TrainedDepth:
    """Calibrate a finished model on the held-out parts of `data` and write `out`, which may be `model` itself.

    The held-out parts must not be among those that it was trained on. Raises DepthDataError.
    """
    network, units, facts = networks_of(model, read_torch(model))
    index = read_index(data)
    held_out = _held_out(index)
    facts |= {"calibration_data": index.generator, "n_held_out_files": len(held_out)}
    trained = TrainedDepth(network, units, _calibrated(network, units, index, held_out, report), facts)
    trained.save(out)
    report(f"wrote {out}")
    return trained


def _calibrated(
    model: DepthNetwork, units: Units, index: DepthIndex, held_out: tuple[DepthItem, ...], report: Report
) -> Spread:
    report("calibrating the uncertainty on held-out parts")
    config = model.config
    spread = calibrate(model, units, PatchSource(index, held_out, config.calibrate_px), (config.seed, CALIBRATION_DRAW))
    report(spread.sentence())
    return spread


def settings(form: str, seed: int, steps: int, config: DepthConfig | None) -> DepthConfig:
    """The configuration of a run. Raises DepthDataError for an unknown form or a step count below 2."""
    known: dict[str, Form] = {name: name for name in FORMS}
    if form not in known:
        raise DepthDataError(f"form {form!r} is unknown: choose {' or '.join(FORMS)}")
    if steps < 2:
        raise DepthDataError(f"steps: found {steps}, and each of the two stages needs one at least: give 2 or more")
    raw = (config or DepthConfig()).to_dict()
    if raw["head"] == "slopes" and form != "residual":
        raise DepthDataError("the slopes head gives what integration misses: use the form residual")
    return DepthConfig.from_dict({**raw, "form": known[form], "seed": seed, "steps": steps})


def split(index: DepthIndex) -> tuple[tuple[DepthItem, ...], tuple[DepthItem, ...]]:
    """Files to train on and held-out ones. Raises DepthDataError where a split is missing."""
    training = index.of("train")
    if not training:
        raise DepthDataError(f"{index.folder}: has no `train` files: make the folder larger")
    return training, _held_out(index)


def _held_out(index: DepthIndex) -> tuple[DepthItem, ...]:
    held_out = index.of("calibrate")
    parts = len({item.part for item in held_out})
    if parts < FEWEST_HELD_OUT:
        raise DepthDataError(
            f"{index.folder}: the split `calibrate` holds {parts}, and {FEWEST_HELD_OUT} parts are needed at least: "
            "make the folder larger"
        )
    return held_out


def fingerprint(data: Path, config: DepthConfig) -> dict[str, str]:
    """What a resumed run must share with its beginning: the folder's index and every setting."""
    digest = hashlib.sha256((data / "dataset.json").read_bytes()).hexdigest()
    return {"data": digest, "config": repr(config)}


def _run(
    model: DepthNetwork, source: PatchSource, units: Units, state: TrainingState, out: Path, report: Report
) -> dict[str, float]:
    """All stages from the state's step to the end; the last loss of each kind."""
    clock = _Clock(model.config.steps, state, report)
    for number, (make, begin, end) in enumerate(_stages(model)):
        if state.step >= end:
            continue
        stage = make(source, units, end - begin)
        if state.stage == number and state.content:
            stage.load(state.content)
        elif state.content:
            model.load_state_dict(state.content["model"])
        if state.step == begin:
            stage.begin()
        model.train()
        while state.step < end:
            state.losses.update(stage.step(state.step - begin))
            state.step, state.stage = state.step + 1, number
            clock.tick(stage.name)
            if clock.is_time_to_save() and state.step < end:
                state.save(out, stage.content())
        stage.finish()
        state.content = stage.content()
        state.save(out, state.content)
    if state.content:
        model.load_state_dict(state.content["model"])
    return dict(state.losses)


def _stages(model: DepthNetwork) -> list[tuple[Callable[[PatchSource, Units, int], Stage], int, int]]:
    """How each stage is made, its first step and the one after its last."""
    last = model.config.steps
    if isinstance(model, SlopeModel):
        return [(partial(SlopeStage, model), 0, last)]
    first = model.config.autoencoder_steps
    return [(partial(AutoencoderStage, model), 0, first), (partial(DiffusionStage, model), first, last)]


class _Clock:
    """Seconds of training over all its pieces, reports with the time left, and when to save."""

    def __init__(self, steps: int, state: TrainingState, report: Report) -> None:
        self._steps, self._state, self._report = steps, state, report
        self._first_step, self._before_s = state.step, state.seconds
        self._started = self._reported = self._saved = time.monotonic()

    def tick(self, stage: str) -> None:
        now, state = time.monotonic(), self._state
        state.seconds = self._before_s + now - self._started
        if now - self._reported < REPORT_EVERY_S and state.step < self._steps:
            return
        self._reported = now
        left = (now - self._started) / (state.step - self._first_step) * (self._steps - state.step)
        losses = ", ".join(f"{name} {value:.3g}" for name, value in state.losses.items())
        self._report(f"step {state.step} of {self._steps}, {stage}: {losses}; about {left:.0f} s left")

    def is_time_to_save(self) -> bool:
        if time.monotonic() - self._saved < SAVE_EVERY_S:
            return False
        self._saved = time.monotonic()
        return True
