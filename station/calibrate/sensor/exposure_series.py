"""Pairs of frames of the white plane at rising exposure, and the sensor's figures by photon transfer from them."""

from __future__ import annotations

import numpy as np

from calibration.record import Calibration
from calibration.sensor.photon_transfer import FramePair, SensorCharacter, photon_transfer
from station.calibrate.bench.target_bench import Bench, Progress, find_exposure_us, light_of, span_dn
from station.calibrate.errors import CalibrationRefused
from station.calibrate.lights.settings import LightSettings

ROI_PX, LEVELS = 480, 12
SHARES = (0.04, 1.12)  # of the exposure that saturates


def measure_sensor(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress
) -> SensorCharacter:
    """Photon transfer (EMVA 1288) under the diffuse light, unbinned, in the middle of the picture.

    Raises CalibrationRefused.
    """
    progress("sensor: photon transfer on the white plane")
    side = ROI_PX
    roi = ((reference.image_width - side) // 2 // 8 * 8, (reference.image_height - side) // 2 // 8 * 8, side, side)
    bench.place("plane_white")
    channel = settings.diffuse_channel
    try:
        half_us = find_exposure_us(bench, channel, settings.binning, 4000.0, 0.5, 0.5)
        probe = bench.photograph(channel, half_us, 1, roi)
        full_us = half_us * span_dn(probe) / float(light_of(probe).mean())
        pairs = []
        for share in np.linspace(*SHARES, LEVELS):
            first, second = (bench.photograph(channel, float(share * full_us), 1, roi) for _ in range(2))
            pairs.append(FramePair(first.exposure_us, first.pixels, second.pixels))
        dark = [bench.photograph(None, float(SHARES[0] * full_us), 1, roi) for _ in range(2)]
        pair = FramePair(dark[0].exposure_us, dark[0].pixels, dark[1].pixels)
        return photon_transfer(pairs, pair, dark[0].significant_bits)
    except ValueError as error:
        raise CalibrationRefused(f"sensor: {error}") from error
