"""Shared libraries that pip does not bring: their Debian packages, and Python's own one, which GenICam's binding needs.

`python -m drivers.system_libraries` says what this interpreter lacks for that binding, and ends with 1 if it lacks
something. It needs the standard library only, so `scripts/setup.sh` runs it before anything is installed.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

# shared library -> its package in Debian 12; later Debian and Ubuntu answer to the same names
PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libgcc_s.so.1": "libgcc-s1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libstdc++.so.6": "libstdc++6",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
}
_LIBPYTHON = re.compile(r"libpython(\d+\.\d+)\.so\.1\.0")
_NOT_FOUND = re.compile(r"(\S+): cannot open shared object file")


def package_of(library: str) -> str | None:
    """The Debian package with that shared library; None where it is not known here."""
    python = _LIBPYTHON.fullmatch(library)
    return f"libpython{python[1]}" if python else PACKAGES.get(library)


def missing_library(error: BaseException) -> str | None:
    """The shared library that the dynamic loader did not find, as an import's error says it; None for other errors."""
    found = _NOT_FOUND.search(str(error)) if isinstance(error, ImportError | OSError) else None
    return None if found is None else found[1]


def cure_for(libraries: Iterable[str]) -> str:
    """What a person types to get these shared libraries: one line for Debian and its kin."""
    wanted = list(libraries)
    packages = sorted({package for library in wanted if (package := package_of(library)) is not None})
    unknown = [library for library in wanted if package_of(library) is None]
    lines = [f"type: sudo apt-get install {' '.join(packages)}"] if packages else []
    lines += [f"install the package of your system that has {', '.join(unknown)}"] if unknown else []
    return "; ".join(lines)


def libpython_name() -> str:
    """The shared library of this interpreter's version, as the GenICam binding asks for it."""
    return f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"


def load_libpython() -> None:
    """Make this interpreter's shared library known to the loader, so that a binding linked to it can be imported.

    A Python that is not the system's may keep it in its own `lib`, where the loader does not look; a library that
    was loaded from there serves by its name. Does nothing where none is found: the import then says what is missing.
    """
    if not sys.platform.startswith("linux") or loads(libpython_name()):
        return
    for place in _own_folders():
        if loads(str(place / libpython_name())):
            return


def has_libpython() -> bool:
    """Whether the GenICam binding finds this interpreter's shared library; outside Linux its wheels need none."""
    if not sys.platform.startswith("linux"):
        return True
    load_libpython()
    return loads(libpython_name())


def libpython_cure(version: str, is_packaged: bool) -> str:
    """What to do about a missing libpython of `version` ("3.12").

    `is_packaged`: the system's package sources have it. A Python from elsewhere was then built without its library.
    """
    if is_packaged:
        return cure_for([f"libpython{version}.so.1.0"])
    return (
        f"this system's package sources have no libpython{version}: run make PYTHON=/usr/bin/python3 with the system's "
        f"own Python (3.11 to 3.13), or use a Python {version} with its shared library (pyenv: "
        f"PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version})"
    )


def _own_folders() -> list[Path]:
    configured = sysconfig.get_config_var("LIBDIR")
    return [Path(place) for place in dict.fromkeys((configured, f"{sys.base_prefix}/lib")) if place]


def loads(library: str) -> bool:
    """Whether the system's loader finds the shared library and all that it needs."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _is_packaged(package: str) -> bool:
    """Whether the system has the package: surely for the system's own Python, otherwise if apt knows it."""
    apt_cache = shutil.which("apt-cache")
    if sys.base_prefix == "/usr" or apt_cache is None:
        return True
    asked = subprocess.run([apt_cache, "show", package], capture_output=True, check=False)
    return asked.returncode == 0


def main(arguments: list[str]) -> int:
    """Say on standard error what is missing and the cure; 0 if nothing is.

    With `--package` print the Debian package to install, or nothing where none is needed or none exists.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    is_there = has_libpython()
    if arguments == ["--package"]:
        if not is_there and _is_packaged(f"libpython{version}"):
            print(f"libpython{version}")
        return 0
    if not is_there:
        cure = libpython_cure(version, _is_packaged(f"libpython{version}"))
        print(f"{libpython_name()} is missing: the cameras' binding (genicam) needs it; {cure}", file=sys.stderr)
    return 0 if is_there else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
