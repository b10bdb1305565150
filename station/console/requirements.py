"""What the window needs of the machine, checked before Qt is loaded.

Where a library is missing, Qt ends the process with a message that names a plugin; the check names the package.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from drivers.system_libraries import PACKAGES, loads
from station.errors import StationFault

_ALWAYS = (
    "libGL.so.1",
    "libEGL.so.1",
    "libglib-2.0.so.0",
    "libdbus-1.so.3",
    "libfontconfig.so.1",
    "libxkbcommon.so.0",
)
_FOR_X11 = (
    "libxcb-cursor.so.0",
    "libxcb-icccm.so.4",
    "libxcb-keysyms.so.1",
    "libxcb-shape.so.0",
    "libxkbcommon-x11.so.0",
)
FONT_PACKAGE = "fonts-dejavu-core"


class ConsoleUnavailable(StationFault):
    """The window cannot open on this machine; the text says what to install."""


def has_display() -> bool:
    """Whether there is a screen for a window to open on; always so outside Linux."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def missing_packages(is_offscreen: bool) -> list[str]:
    """The Debian 12 packages whose libraries Qt would not find here.

    Those of X11 count only where a window is to open on such a screen. Outside Linux the list is empty.
    """
    if not sys.platform.startswith("linux"):
        return []
    is_x11 = not is_offscreen and not os.environ.get("WAYLAND_DISPLAY")
    wanted = _ALWAYS + _FOR_X11 if is_x11 else _ALWAYS
    return [PACKAGES[library] for library in wanted if not loads(library)]


def require_qt(is_offscreen: bool) -> None:
    """Raise ConsoleUnavailable, with what to install or to type instead, if Qt cannot run here.

    For an offscreen window it also sets QT_QPA_PLATFORM, unless the caller's environment has chosen a platform.
    """
    if importlib.util.find_spec("PyQt6") is None:
        raise ConsoleUnavailable("console: PyQt6 is not installed; install the extra: pip install -e '.[console]'")
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if not platform and not is_offscreen and not has_display():
        raise ConsoleUnavailable(
            "console: there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set); "
            "start it from a desktop session, or use --screenshot FILE to draw the window into a file"
        )
    if not platform and is_offscreen:
        os.environ["QT_QPA_PLATFORM"] = platform = "offscreen"
    missing = missing_packages(is_offscreen=platform == "offscreen")
    if missing:
        raise ConsoleUnavailable(
            "console: Qt needs system libraries that are missing here; on Debian 12 run: "
            f"apt-get install --no-install-recommends {' '.join(missing)} {FONT_PACKAGE}"
        )
