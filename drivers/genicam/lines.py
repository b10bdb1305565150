"""The camera's lines and counters: the exposure given out as a strobe, and its end counted."""

from __future__ import annotations

from drivers.errors import FeatureMissing
from drivers.genicam.features import Features


def apply_strobe(features: Features, line: str, source: str) -> str:
    """Give `source` out on the output `line`; returns the source that the camera took. Raises FeatureMissing.

    Cameras without ExposureActive may have ExposureStartActive with a StrobeEnable of its own.
    """
    for name, value in (("LineSelector", line), ("LineSource", source)):
        if features.name_of(name) is None:
            raise FeatureMissing(
                features.device,
                f"gives out no strobe: it has no {name} (for {value}); choose `stepping: software` in the rig file",
            )
    features.write(line, "LineSelector")
    if features.is_writable("LineMode"):
        features.write("Output", "LineMode")
    offered = features.symbolics("LineSource")
    candidates = (source, "ExposureStartActive") if source == "ExposureActive" else (source,)
    taken = next((name for name in candidates if name in offered), None)
    if taken is None:
        raise FeatureMissing(features.device, f"{line} can give out {', '.join(offered)}, asked {source}")
    features.write(taken, "LineSource")
    if taken == "ExposureStartActive" and features.is_writable("StrobeEnable"):
        features.write(True, "StrobeEnable")
    return taken


def count_exposure_ends(features: Features) -> bool:
    """Let a counter count the ends of exposures (SFNC CounterEventSource = ExposureEnd).

    Returns False where the camera has no such counter: then `CounterValue` says nothing about exposures.
    """
    if "ExposureEnd" not in features.symbolics("CounterEventSource") or not features.is_readable("CounterValue"):
        return False
    features.choose("CounterSelector", ("Counter0", "Counter1"))
    features.choose("CounterEventSource", ("ExposureEnd",))
    return features.is_readable("CounterValue") and bool(features.read("CounterEventSource") == "ExposureEnd")
