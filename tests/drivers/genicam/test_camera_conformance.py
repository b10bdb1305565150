"""Every camera that can be had without hardware keeps the promises of `tests/conformance/camera.py`.

`simcam` behind a rig process, and `simcam` on its own with its built-in pattern; cameras without a trigger
must refuse by name what they cannot do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.camera import CameraPromises

from drivers.errors import DeviceNotFound, FeatureMissing
from drivers.genicam.camera import GenicamCamera
from drivers.genicam.producers import Producer
from drivers.protocols import Camera, CameraSettings
from drivers.simulated import simcam
from drivers.simulated.simcam import ENDPOINTS_VARIABLE

BUILT = Path(simcam.__file__).with_name("simcam.cti")
pytestmark = pytest.mark.skipif(not BUILT.is_file(), reason="simcam.cti was not built: no C compiler")


class TestSimulatedCamera(CameraPromises):
    @pytest.fixture(params=["simcam with a rig", "simcam alone"])
    def camera(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Camera]:
        opened: GenicamCamera
        if request.param == "simcam with a rig":
            rig: Any = request.getfixturevalue("camera_rig")
            opened = GenicamCamera.open("simcam", rig.serial_number, {ENDPOINTS_VARIABLE: str(rig.folder)}, 10.0)
        else:
            monkeypatch.delenv(ENDPOINTS_VARIABLE, raising=False)
            opened = GenicamCamera(
                Producer(Path(shutil.copy(BUILT, tmp_path / "alone.cti"))), None, frame_timeout_s=10.0
            )
        yield opened
        opened.close()


def test_a_camera_without_trigger_refuses_by_name() -> None:
    try:
        stranger = GenicamCamera.open("viky", None)
    except DeviceNotFound as error:
        pytest.skip(str(error))
    with stranger, pytest.raises(FeatureMissing, match="no TriggerMode, no TriggerSource, no TriggerSoftware"):
        stranger.configure(CameraSettings("Mono8"))
