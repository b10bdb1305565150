"""Configures a camera from its own defaults: linear, one frame per software trigger; names what it lacks for that.

Names are those of the SFNC, then those of older cameras; the first that exists is used, and every value is read
back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivers.errors import FeatureMissing
from drivers.genicam.features import Features
from drivers.genicam.lines import apply_strobe, count_exposure_ends
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


@dataclass(frozen=True, slots=True)
class Configured:
    """What the camera really does after `configure`."""

    settings: CameraSettings  # as read back: width and height are never None
    shape: tuple[int, int]  # (height, width) of a frame in pixels, after binning
    black_level_dn: float
    counts_exposure_ends: bool  # its counter shows when an exposure is over


def configure(features: Features, settings: CameraSettings, strobe: tuple[str, str] | None) -> Configured:
    """From the camera's own defaults, so that nothing is left over from another program; one frame per software
    trigger.

    `strobe` is the output line and its source, if any. Raises FeatureMissing, naming the feature and its range.
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
    _apply_trigger(features)
    _apply_chunks(features)
    black_level_dn = 0.0
    if features.name_of("BlackLevel"):
        black_level_dn = float(features.write(2**pixel_format.significant_bits * BLACK_LEVEL_SHARE, "BlackLevel"))
    actual = replace(actual, pixel_format=str(features.read("PixelFormat")))
    if strobe is not None:
        apply_strobe(features, *strobe)
    shape = (actual.height or 0, actual.width or 0)
    return Configured(actual, shape, black_level_dn, count_exposure_ends(features))


def describe(features: Features) -> dict[str, object]:
    """Formats, ranges, trigger sources and lines as the camera reports them now; nothing is written.

    `missing` names the features that the station needs and the camera lacks.
    """
    ranges = {name: features.limits(name) for name in RANGES if features.is_readable(name)}
    readings = {name: features.read(name) for name in ("DeviceTemperature",) if features.is_readable(name)}
    return {
        "pixel formats": features.symbolics("PixelFormat"),
        **{name: f"{low:g} .. {high:g}" for name, (low, high) in ranges.items()},
        "trigger sources": features.symbolics("TriggerSource"),
        "lines": features.symbolics("LineSelector"),
        "line sources": features.symbolics("LineSource"),
        "chunks": features.symbolics("ChunkSelector"),
        **{name: round(float(value), 2) for name, value in readings.items()},
        "missing": features.missing(NEEDED),
    }


def write_exposure(features: Features, exposure_us: float) -> float:
    """Returns the exposure time that the camera then has, in microseconds. Raises FeatureMissing out of its range."""
    return float(features.write(exposure_us, *EXPOSURE))


def write_gain(features: Features, gain_db: float) -> float:
    """Returns the gain that the camera then has, in dB. Raises FeatureMissing out of its range.

    GainRaw has no unit: only its least value, 0 dB, can be asked.
    """
    if features.name_of("Gain") is not None:
        return float(features.write(gain_db, "Gain"))
    if gain_db != 0.0:
        raise FeatureMissing(
            features.device, f"has GainRaw, which has no unit: gain can be 0 dB only, asked {gain_db:g} dB"
        )
    features.write(features.limits("GainRaw")[0], "GainRaw")
    return 0.0


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


def _apply_trigger(features: Features) -> None:
    features.choose("AcquisitionMode", ("Continuous",))
    features.choose("TriggerSelector", ("FrameStart",))
    features.write("On", "TriggerMode")
    features.write("Software", "TriggerSource")


def _apply_chunks(features: Features) -> None:
    """What a frame carries about itself is better evidence than what a register holds now."""
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
