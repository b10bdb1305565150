"""How a camera is set up: from its own defaults, linear, one frame per trigger, and what it lacks for that.

Names are those of the SFNC, then those of older cameras; the first that exists is used, and every value
is read back (`Features.written`).
"""

from __future__ import annotations

from dataclasses import replace

from drivers.errors import FeatureMissing
from drivers.genicam.features import Features
from drivers.genicam.pixels import compile_unpacking, format_named
from drivers.protocols import CameraSettings

BLACK_LEVEL_SHARE = 1 / 64  # of full scale: keeps the noise of darkness off zero
EXPOSURE = ("ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw")
CHUNKS = ("Timestamp", "FrameID", "ExposureTime", "Gain")
NEEDED = (
    ("PixelFormat",),
    ("Width",),
    ("Height",),
    ("TriggerMode",),
    ("TriggerSource",),
    ("TriggerSoftware",),
    EXPOSURE,
    ("Gain", "GainRaw"),
    ("TimestampLatch",),  # for `time_ns`; GevTimestampControlLatch is no substitute: it counts ticks, not nanoseconds
    ("TimestampLatchValue",),
)
RANGES = ("Width", "Height", "BinningHorizontal", *EXPOSURE, "Gain", "GainRaw", "BlackLevel")
SELECTORS = (("GainSelector", ("All", "AnalogAll")), ("BlackLevelSelector", ("All",)))
LINEAR = (
    ("ExposureMode", "Timed"),
    ("ExposureAuto", "Off"),
    ("GainAuto", "Off"),
    ("BlackLevelAuto", "Off"),
    ("BalanceWhiteAuto", "Off"),
    ("GammaEnable", False),
    ("Gamma", 1.0),
    ("LUTEnable", False),
    ("ColorTransformationEnable", False),
    ("SharpeningEnable", False),
    ("SaturationEnable", False),
    ("AcquisitionFrameRateEnable", False),
    ("ReverseX", False),
    ("ReverseY", False),
)


def apply(features: Features, settings: CameraSettings, trigger_source: str | None) -> tuple[CameraSettings, float]:
    """From the camera's own defaults, so that nothing is left over from another program.

    `trigger_source` None lets it run freely. Returns what the camera really does, and its black level
    in DN. Raises FeatureMissing, naming the feature and its range.
    """
    if features.name_of("UserSetLoad") and "Default" in features.symbolics("UserSetSelector"):
        features.write("Default", "UserSetSelector")
        features.execute("UserSetLoad")
    for selector, values in SELECTORS:
        features.choose(selector, values)
    for name, value in LINEAR:
        features.force(value, name)
    pixel_format = format_named(settings.pixel_format, features.device)
    if pixel_format.is_packed:
        compile_unpacking()
    features.write(pixel_format.name, "PixelFormat")
    actual = _apply_geometry(features, settings)
    _apply_trigger(features, trigger_source)
    _apply_chunks(features)
    black_level_dn = 0.0
    if features.name_of("BlackLevel"):
        black_level_dn = float(features.write(2**pixel_format.significant_bits * BLACK_LEVEL_SHARE, "BlackLevel"))
    return replace(actual, pixel_format=str(features.read("PixelFormat"))), black_level_dn


def describe(features: Features) -> dict[str, object]:
    """Formats, ranges, trigger sources and lines as the camera tells them now; it is changed in nothing."""
    ranges = {name: features.limits(name) for name in RANGES if features.is_readable(name)}
    told = {name: features.read(name) for name in ("DeviceTemperature",) if features.is_readable(name)}
    return {
        "pixel formats": features.symbolics("PixelFormat"),
        **{name: f"{low:g} .. {high:g}" for name, (low, high) in ranges.items()},
        "trigger sources": features.symbolics("TriggerSource"),
        "lines": features.symbolics("LineSelector"),
        "line sources": features.symbolics("LineSource"),
        "chunks": features.symbolics("ChunkSelector"),
        **{name: round(float(value), 2) for name, value in told.items()},
        "missing": features.missing(NEEDED),
    }


def write_gain(features: Features, gain_db: float) -> float:
    """The gain that the camera then has. GainRaw has no unit: only its least value, 0 dB, can be asked."""
    if features.name_of("Gain") is not None:
        return float(features.write(gain_db, "Gain"))
    if gain_db != 0.0:
        raise FeatureMissing(features.device, f"has GainRaw, which has no unit: gain can be 0 dB, asked {gain_db:g} dB")
    features.write(features.limits("GainRaw")[0], "GainRaw")
    return 0.0


def apply_strobe(features: Features, line: str, source: str) -> str:
    """Give `source` out on `line`; returns the source that the camera took. Raises FeatureMissing.

    Cameras without ExposureActive may have ExposureStartActive with a StrobeEnable of its own.
    """
    for name, value in (("LineSelector", line), ("LineSource", source)):
        if features.name_of(name) is None:
            raise FeatureMissing(features.device, f"gives out no strobe: it has no {name} (for {value})")
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
    """Let a counter count the ends of exposures, where there is one; returns whether `CounterValue` tells."""
    if "ExposureEnd" not in features.symbolics("CounterEventSource") or not features.is_readable("CounterValue"):
        return False
    features.choose("CounterSelector", ("Counter0", "Counter1"))
    features.choose("CounterEventSource", ("ExposureEnd",))
    return features.is_readable("CounterValue") and bool(features.read("CounterEventSource") == "ExposureEnd")


def _apply_geometry(features: Features, settings: CameraSettings) -> CameraSettings:
    if settings.binning != 1 or features.name_of("BinningHorizontal"):
        for name in ("BinningHorizontal", "BinningVertical"):
            if features.write(settings.binning, name) != settings.binning:
                raise FeatureMissing(features.device, f"{name} cannot be {settings.binning}")
    for name in ("OffsetX", "OffsetY"):
        if features.is_writable(name):
            features.write(0, name)
    width = settings.width if settings.width is not None else _full(features, "Width")
    height = settings.height if settings.height is not None else _full(features, "Height")
    actual_width, actual_height = features.write(width, "Width"), features.write(height, "Height")
    if settings.offset_x or settings.offset_y:
        features.write(settings.offset_x, "OffsetX")
        features.write(settings.offset_y, "OffsetY")
    return replace(settings, width=int(actual_width), height=int(actual_height))


def _full(features: Features, side: str) -> int:
    names = (f"{side}Max", f"Sensor{side}")
    has_name = any(features.is_readable(name) for name in names)
    return int(features.read(*names)) if has_name else int(features.limits(side)[1])


def _apply_trigger(features: Features, source: str | None) -> None:
    features.choose("AcquisitionMode", ("Continuous",))
    features.choose("TriggerSelector", ("FrameStart",))
    if source is None:
        if features.name_of("TriggerMode"):
            features.write("Off", "TriggerMode")
        return
    features.write("On", "TriggerMode")
    features.write(source, "TriggerSource")
    if source != "Software":
        features.choose("TriggerActivation", ("RisingEdge",))


def _apply_chunks(features: Features) -> None:
    """What a frame says of itself is better evidence than what a register says now."""
    if not features.is_writable("ChunkModeActive"):
        return
    offered = features.symbolics("ChunkSelector")
    wanted = [name for name in CHUNKS if name in offered]
    if not wanted:
        return
    features.write(True, "ChunkModeActive")
    for name in wanted:
        features.write(name, "ChunkSelector")
        if features.is_writable("ChunkEnable"):
            features.write(True, "ChunkEnable")
