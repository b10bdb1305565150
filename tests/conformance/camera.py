"""What every Camera must do, on every implementation. A subclass gives the fixture `camera`."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from drivers.errors import CommandRefused, DeviceLost, FeatureMissing
from drivers.genicam.pixels import BY_NAME
from drivers.protocols import Camera, CameraSettings

BAD_WISHES = {
    "format": CameraSettings("Mono14"),
    "width": CameraSettings("Mono8", width=17),
    "binning": CameraSettings("Mono8", binning=3),
}


class CameraPromises:
    small = CameraSettings("Mono8", binning=8, width=64, height=48)
    longest_us = 9_000_000.0

    def test_it_reports_who_it_is(self, camera: Camera) -> None:
        identity = camera.identity
        assert all((identity.vendor, identity.model, identity.serial_number, identity.firmware))
        assert camera.frame_timeout_s > 0

    def test_nothing_is_exposed_before_it_is_configured(self, camera: Camera) -> None:
        with pytest.raises(CommandRefused, match="configure"):
            camera.expose(100.0)

    def test_configure_returns_what_is_set_and_can_be_repeated(self, camera: Camera) -> None:
        assert camera.configure(self.small) == self.small
        full = camera.configure(CameraSettings(self.small.pixel_format, binning=self.small.binning))
        assert full.width is not None
        assert full.height is not None
        assert camera.configure(full) == full
        assert camera.expose(100.0).pixels.shape == (full.height, full.width)

    @pytest.mark.parametrize("name", list(BY_NAME))
    def test_every_format_has_its_shape_and_range(self, camera: Camera, name: str) -> None:
        self.skip_unless_offered(camera, name)
        settings = CameraSettings(name, self.small.binning, self.small.width, self.small.height)
        camera.configure(settings)
        frame = camera.expose(100.0)
        bits = BY_NAME[name].significant_bits
        size = (settings.height, settings.width)
        assert frame.pixels.shape == ((*size, 3) if name == "RGB8" else size)
        assert frame.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert int(frame.pixels.max()) < 2**bits
        assert (frame.pixel_format, frame.significant_bits) == (name, bits)
        assert 0 <= frame.black_level_dn < 2**bits

    def skip_unless_offered(self, camera: Any, name: str) -> None:
        """The simulated camera must have them all; a real one has what it has."""

    def test_frames_count_by_one_on_the_cameras_clock(self, camera: Camera) -> None:
        camera.configure(self.small)
        before_ns = camera.time_ns()
        frames = [camera.expose(100.0 + 10.0 * n, float(n)) for n in range(4)]
        after_ns = camera.time_ns()
        assert [f.frame_id - frames[0].frame_id for f in frames] == [0, 1, 2, 3]
        assert before_ns <= frames[0].timestamp_ns
        assert all(a.timestamp_ns + 100_000 <= b.timestamp_ns for a, b in pairwise(frames))
        assert frames[-1].timestamp_ns <= after_ns
        assert [f.exposure_us for f in frames] == pytest.approx([100.0 + 10.0 * n for n in range(4)], rel=0.05)
        assert [f.gain_db for f in frames] == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.2)

    def test_a_frame_is_not_changed_by_those_after_it(self, camera: Camera) -> None:
        camera.configure(self.small)
        first = camera.expose(100.0)
        kept = first.pixels.copy()
        for _ in range(6):
            camera.expose(5000.0)
        np.testing.assert_array_equal(first.pixels, kept)

    def test_it_can_be_checked_at_rest_between_exposures(self, camera: Any) -> None:
        """Issue 15, point 3."""
        camera.check_at_rest()
        camera.configure(self.small)
        before = camera.expose(100.0)
        camera.check_at_rest()
        assert camera.expose(100.0).frame_id == before.frame_id + 1
        camera.close()
        with pytest.raises(DeviceLost):
            camera.check_at_rest()

    @pytest.mark.parametrize("wish", list(BAD_WISHES))
    def test_what_it_cannot_do_is_refused(self, camera: Camera, wish: str) -> None:
        with pytest.raises(FeatureMissing):
            camera.configure(BAD_WISHES[wish])
        camera.configure(self.small)
        assert camera.expose(100.0).pixels.shape == (self.small.height, self.small.width)

    def test_values_out_of_range_are_refused_and_leave_it_usable(self, camera: Camera) -> None:
        camera.configure(self.small)
        with pytest.raises(FeatureMissing):
            camera.expose(1e12)
        with pytest.raises(FeatureMissing):
            camera.expose(100.0, 1000.0)
        assert camera.expose(100.0).pixels.shape == (self.small.height, self.small.width)

    def test_closing_ends_a_wait_and_twice_is_once(self, camera: Camera) -> None:
        camera.configure(self.small)
        caught: list[BaseException] = []

        def wait() -> None:
            try:
                camera.expose(self.longest_us)
            except DeviceLost as error:
                caught.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)
        assert waiting.is_alive()
        camera.close()
        waiting.join(timeout=self.longest_us / 1e6 - 1.0)
        assert not waiting.is_alive()
        assert len(caught) == 1
        camera.close()
        with pytest.raises(DeviceLost):
            camera.expose(100.0)
