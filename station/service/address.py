"""Where a service listens, and how a client on the same machine finds it.

The service writes its address into `NAME.address`, mode 0600, in a folder of mode 0700. The address is `unix:PATH`, or
`tcp:HOST:PORT:TOKEN` where there are no Unix sockets. NAME is the rig's.
"""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

from station.errors import BadInput, StationFault

SUFFIX = ".address"
HEADS = ("unix:", "tcp:")


class NoService(StationFault):
    """No service can be reached; the text says where it was looked for, and how to start one."""


class AddressRefused(BadInput):
    """The address is none, or several services run and none was named."""


def default_folder() -> Path:
    """systemd's RuntimeDirectory, else the user's own run-time folder, else one among the temporary files."""
    for name in ("FACET_RUN", "RUNTIME_DIRECTORY"):
        if place := os.environ.get(name):
            return Path(place.split(":")[0])
    if place := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(place) / "facet"
    return Path(tempfile.gettempdir()) / f"facet-{getpass.getuser()}"


def made_folder(folder: Path) -> Path:
    """The folder, made with mode 0700. Raises StationFault for one that another user owns or may enter."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "geteuid") and folder.stat().st_uid != os.geteuid():
            raise StationFault(f"{folder}: belongs to another user; name another folder with --run-dir")
        folder.chmod(0o700)
    except OSError as error:
        text = f"{folder}: cannot be made for this user alone: {error.strerror or error}"
        raise StationFault(f"{text}; name another folder with --run-dir") from error
    return folder


def address_file(folder: Path, name: str) -> Path:
    """The file in which the service of the rig `name` writes its address."""
    return folder / f"{name}{SUFFIX}"


def address_of(text: str | None) -> str:
    """The address that was named: itself, or what stands in a file; None: of the one service of this user.

    Raises AddressRefused, NoService.
    """
    if text and text.startswith(HEADS):
        return text
    return _read(Path(text) if text else _only_file(default_folder()))


def _only_file(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not found:
        raise NoService(f"no service of this user runs here (looked in {folder}): start one with `station run`")
    if len(found) > 1:
        raise AddressRefused(f"several services run here: name one of {', '.join(map(str, found))}")
    return found[0]


def _read(file: Path) -> str:
    try:
        found = file.read_text(encoding="utf-8").strip()
    except PermissionError as error:
        raise NoService(f"{file}: only the user who started the service may read its address") from error
    except OSError as error:
        text = f"{file}: no service's address can be read there: {error.strerror or error}"
        raise NoService(f"{text}; start one with `station run`") from error
    if not found.startswith(HEADS):
        raise AddressRefused(f"{file}: holds no address (`unix:PATH` or `tcp:HOST:PORT:TOKEN`)")
    return found
