"""A bench on the Scene itself, without wires: for studies of many calibrations."""

from __future__ import annotations

from dataclasses import replace

from drivers.protocols import Frame, Pose
from drivers.simulated.scene import LightHead, Placement, Scene, make_part, significant_bits
from drivers.simulated.scene.mounted import MountedCamera
from station.calibrate.bench.bench import PIXEL_FORMAT, Roi, Target

BLACK_LEVEL_DN = 64.0


class SceneBench:
    """The same pictures as over the wires, from the same Scene. `seed` draws sensor and noise."""

    def __init__(
        self, head: LightHead, pose: Pose, seed: int, threads: int = 2, camera: MountedCamera | None = None
    ) -> None:
        self._head, self._pose, self._seed, self._threads = head, pose, seed, threads
        self._camera = camera
        self._frames = 0
        self.place("empty")

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        part = replace(make_part(target, 0), placement=Placement(x_mm, y_mm, 0.0))
        self._scene = Scene(part, self._head, seed=self._seed, threads=self._threads, camera=self._camera)

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        self._frames += 1
        pixels = self._scene.photograph(
            self._pose, {} if channel is None else {channel: 1.0}, exposure_us=exposure_us, gain_db=0.0,
            pixel_format=PIXEL_FORMAT, binning=binning, roi=roi, frame_seed=self._seed * 100_003 + self._frames,
            black_level_dn=BLACK_LEVEL_DN,
        )  # fmt: skip
        bits = significant_bits(PIXEL_FORMAT)
        return Frame(pixels, PIXEL_FORMAT, bits, BLACK_LEVEL_DN, exposure_us, 0.0, self._frames, self._frames)
