"""The promises of a camera, on the one of the rig file."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.camera import CameraPromises

from drivers.protocols import CameraSettings
from drivers.registry import Describes


@pytest.mark.hardware
class TestRealCamera(CameraPromises):
    @pytest.fixture(autouse=True)
    def settings_of_this_camera(self, usable: CameraSettings) -> None:
        self.small = usable

    def skip_unless_offered(self, camera: Any, name: str) -> None:
        offered = camera.describe().get("pixel formats", ()) if isinstance(camera, Describes) else (name,)
        if name not in offered:
            pytest.skip(f"this camera has no {name}; it has {', '.join(offered)}")
