"""The mirror sphere at several places: where each light stands, from its highlights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.lights.mirror_sphere import MirrorSighting, sight_light
from calibration.lights.near import NearLight, locate_light
from station.calibrate.bench.target_bench import Progress, find_exposure_us, light_of, span_dn
from station.calibrate.lights.settings import pinhole
from station.calibrate.lights.setup import Setup

PLACES_MM = ((0.0, 0.0), (17.0, 8.0), (-17.0, 8.0), (17.0, -8.0), (-17.0, -8.0))


@dataclass(frozen=True)
class MirrorResult:
    """The lights' positions, in the order in which the lights were asked for."""

    near: tuple[NearLight, ...]
    outline_rms_px: float  # of the sphere's outline, mean over the places
    flags: tuple[tuple[str, ...], ...]  # per light


def measure_mirror(setup: Setup, progress: Progress) -> MirrorResult:
    """Photographs the mirror sphere at all of PLACES_MM under every light.

    Raises LightCalibrationError, ValueError where a sphere, a highlight or an exposure is not found.
    """
    bench, settings, lights = setup.bench, setup.settings, setup.lights
    rays = pinhole(setup.reference, settings.binning)
    sightings: list[list[MirrorSighting]] = [[] for _ in lights]
    exposures: list[float] = []
    outline_us, outline_rms = 0.0, []
    for number, at in enumerate(PLACES_MM, 1):
        progress(f"mirror sphere, place {number} of {len(PLACES_MM)}: x {at[0]:+g}, y {at[1]:+g} mm")
        bench.place("sphere_mirror", *at)
        if not exposures:
            outline_us = setup.outline_exposure_us()
            exposures = [
                settings.mirror_exposure_us or find_exposure_us(bench, light.channel, settings.binning, 100.0, 1.0)
                for light in lights
            ]
        sphere = setup.find_sphere(at, outline_us)
        outline_rms.append(sphere.outline_rms_px)
        for k, light in enumerate(lights):
            frame = bench.photograph(light.channel, exposures[k], settings.binning)
            what = f"light {light.name} in the mirror sphere at place {number}"
            sightings[k].append(sight_light(light_of(frame), sphere, rays, span_dn(frame), what))
    near = tuple(_located(seen) for seen in sightings)
    return MirrorResult(near, float(np.mean(outline_rms)), tuple(_once(seen) for seen in sightings))


def _located(seen: Sequence[MirrorSighting]) -> NearLight:
    return locate_light(
        np.array([s.point for s in seen]), np.array([s.direction for s in seen]), np.array([s.spread_deg for s in seen])
    )


def _once(seen: Sequence[MirrorSighting]) -> tuple[str, ...]:
    """A flag that several places raise is given once, with the number of places."""
    kinds: dict[str, list[str]] = {}
    for sighting in seen:
        for flag in sighting.flags:
            kinds.setdefault(flag.partition(":")[0].partition(" (")[0], []).append(flag)
    return tuple(f"{own[0]} (at {len(own)} of {len(seen)} places)" for own in kinds.values())
