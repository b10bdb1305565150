"""The simulated controller's `$n` settings, by number, as Grbl 1.1 documents them."""

from __future__ import annotations

from drivers.simulated.firmware.grbl.gantry import PULL_OFF, SimulatedAxis
from drivers.simulated.firmware.grbl.gcode import GcodeError

HOMING_NEEDED_FOR_SOFT_LIMITS = 10


def default_settings(axes: tuple[SimulatedAxis, ...], homing: int = 1) -> dict[int, float]:
    """As a commissioned gantry has them: homing ($22), soft and hard limits on; rates per minute."""
    settings = {0: 10.0, 1: 255.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0, 10: 1.0, 11: 0.01, 12: 0.002, 13: 0.0}
    settings |= {20: 1.0, 21: 1.0, 22: float(homing), 23: 0.0, 24: 1200.0, 25: 15000.0, 26: 25.0, 27: PULL_OFF}
    settings |= {30: 1000.0, 31: 0.0, 32: 0.0}
    for i, axis in enumerate(axes):
        settings |= {
            100 + i: 160.0,
            110 + i: axis.rate_per_s * 60.0,
            120 + i: axis.acceleration_per_s2,
            130 + i: axis.travel,
        }
    return settings


def write_setting(settings: dict[int, float], text: str) -> None:
    """`$n=value`. Raises GcodeError: 3 unknown, 2 bad number, 4 negative, 10 soft limits without homing."""
    name, separator, value = text.removeprefix("$").partition("=")
    if not separator or not name.isdigit() or int(name) not in settings:
        raise GcodeError(3)
    try:
        number = float(value)
    except ValueError:
        raise GcodeError(2) from None
    if number < 0:
        raise GcodeError(4)
    if int(name) == 20 and number and not settings[22]:
        raise GcodeError(HOMING_NEEDED_FOR_SOFT_LIMITS)
    settings[int(name)] = number
    if int(name) == 22 and not number:
        settings[20] = 0.0


def list_settings(settings: dict[int, float], garbled: tuple[int, str] | None = None) -> str:
    """The answer to `$$`; one line of it is spoiled where `garbled` names its number, and how (digit or line)."""
    lines = {n: f"${n}={_text(v)}\r\n" for n, v in sorted(settings.items())}
    if garbled is not None:
        number, how = garbled
        lines[number] = lines[number].replace("=", "=7" if how == "digit" else "\x1d")
    return "".join(lines.values())


def _text(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and value < 1000 else f"{value:.3f}"
