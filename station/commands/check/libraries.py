"""Every shared library that an installed wheel asks for and this machine lacks.

The names are read from the wheels' files, so nothing is loaded here: a check that ended in the fault that it looks for
would be of no use. Whether the loader finds a library is asked of the loader, in a process of its own.
"""

from __future__ import annotations

import csv
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.system_libraries import cure_for, has_libpython, libpython_name
from station.commands.check.elf import needed_libraries
from station.commands.check.finding import Finding

# A file that the station never loads may lack a library. Of these wheels only the files named here are loaded ...
USED_FILES: Mapping[str, tuple[str, ...]] = {
    "PyQt6": ("/QtCore.", "/QtGui.", "/QtWidgets.", "/QtDBus."),
    "PyQt6-Qt6": ("/platforms/libqxcb.", "/platforms/libqoffscreen.", "/imageformats/libqjpeg."),
}
# ... and of these wheels all but those named here.
UNUSED_FILES: Mapping[str, tuple[str, ...]] = {
    "numba": ("/omppool.", "/tbbpool."),  # other schedulers of its threads; the station uses threads of its own
}
WHAT = "shared libraries"
ASK_LOADER = (
    "import ctypes, sys\nfor name in sys.argv[1:]:\n    try: ctypes.CDLL(name)\n    except OSError: print(name)\n"
)


@dataclass(frozen=True, slots=True)
class Binary:
    """A shared library or extension module of a wheel, and the names of the libraries that it asks for."""

    wheel: str
    path: Path
    needed: tuple[str, ...]

    @property
    def is_used(self) -> bool:
        """Whether the station may load it, by itself and not through another one."""
        place = self.path.as_posix()
        if self.wheel in USED_FILES:
            return any(part in place for part in USED_FILES[self.wheel])
        return not any(part in place for part in UNUSED_FILES.get(self.wheel, ()))


def check_libraries() -> Finding:
    """One finding that names each missing library with who needs it, and one line to type for all of them.

    Outside Linux wheels bring what they need; nothing is looked at there.
    """
    if not sys.platform.startswith("linux"):
        return Finding(WHAT, True, "wheels for this system bring what they need")
    binaries = list(installed_binaries())
    return finding_of(binaries, unknown_to_loader(asked_of_system(binaries)))


def finding_of(binaries: list[Binary], missing: set[str]) -> Finding:
    """What `missing`, names that the loader does not find, means for these binaries."""
    used = loaded_by_station(binaries)
    lacking = {name: [b for b in used if name in b.needed] for name in sorted(missing)}
    needed = {name: who for name, who in lacking.items() if who}
    if needed:
        details: dict[str, object] = {name: _needed_by(who) for name, who in needed.items()}
        return Finding(WHAT, False, f"{len(needed)} missing", cure_for(needed), details)
    spare = len(missing)
    found = f"{len(used)} binaries of {len({b.wheel for b in used})} packages have all they ask for"
    rest = f"; {spare} names are asked for only by files that the station never loads" if spare else ""
    return Finding(WHAT, True, found + rest)


def _needed_by(who: list[Binary]) -> str:
    wheels = ", ".join(sorted({binary.wheel for binary in who}))
    return f"{wheels} needs it ({who[0].path.name}{' and others' if len(who) > 1 else ''})"


def installed_binaries() -> Iterator[Binary]:
    """The ELF binaries of every installed wheel, from the wheels' own lists of files."""
    seen: set[Path] = set()
    for wheel in importlib.metadata.distributions():
        for name in _binaries_listed(wheel.read_text("RECORD") or ""):
            path = Path(str(wheel.locate_file(name)))
            if path not in seen and path.is_file():
                seen.add(path)
                yield Binary(wheel.metadata["Name"], path, needed_libraries(path))


def _binaries_listed(record: str) -> Iterator[str]:
    """The names in a wheel's RECORD that look like binaries, such as `x.so`, `x.so.6`, `x.cti`."""
    lines = (line for line in record.splitlines() if ".so" in line or ".cti" in line)
    for row in csv.reader(lines):
        name = row[0].rpartition("/")[2]
        if ".so" in name or name.endswith(".cti"):
            yield row[0]


def asked_of_system(binaries: Iterable[Binary]) -> set[str]:
    """The names that no installed wheel brings itself."""
    known = list(binaries)
    brought = {binary.path.name for binary in known}
    return {name for binary in known for name in binary.needed} - brought


def loaded_by_station(binaries: list[Binary]) -> list[Binary]:
    """The binaries that the station uses, with those of the wheels that these ask for in turn."""
    by_name = {binary.path.name: binary for binary in binaries}
    reached = {binary.path: binary for binary in binaries if binary.is_used}
    waiting = list(reached.values())
    while waiting:
        for name in waiting.pop().needed:
            found = by_name.get(name)
            if found is not None and found.path not in reached:
                reached[found.path] = found
                waiting.append(found)
    return list(reached.values())


def unknown_to_loader(names: Iterable[str]) -> set[str]:
    """Those of the names that the system's loader does not find, with what they need themselves."""
    own = libpython_name()  # drivers.genicam also looks for it where this Python keeps it
    ask = sorted(set(names) - {own})
    answer = subprocess.run([sys.executable, "-c", ASK_LOADER, *ask], capture_output=True, text=True, check=True)
    missing = set(answer.stdout.split())
    return missing | ({own} if own in names and not has_libpython() else set())
