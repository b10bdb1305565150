"""The transport of a geometry, kept beside the compiled kernels: a rig process starts without gathering it anew.

A file is used only if it was made by this very code from this very geometry; any other, or a damaged one, is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
MOST_FILES = 8  # of some 20 MB: a part that lacks a feature is a geometry of its own
_HERE = Path(__file__).parent
_SOURCES = ("kernels.py", "surfels.py", "bounce.py", "meshes/exchange.py", "meshes/shape.py")


def load_arrays(key: str) -> Arrays | None:
    """What `keep_arrays` wrote under this key; None where there is nothing usable."""
    try:
        path = _file(key)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    with contextlib.suppress(OSError):  # of somebody else's: only the order in which files go suffers
        os.utime(path)
    return arrays


def keep_arrays(key: str, arrays: Arrays) -> None:
    """Write them whole or not at all. A folder that cannot be written to only costs time at the next start."""
    target = _file(key)
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.stem}-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            os.chmod(name, 0o644)  # as compiled kernels are: who installs is not who inspects
            os.replace(name, target)
        except OSError:
            os.unlink(name)
            raise
        _make_room(target.parent)


def _make_room(folder: Path) -> None:
    files = sorted(folder.glob("transport-*.npz"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST_FILES]:
        path.unlink()


def _file(key: str) -> Path:
    own = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(own) if own else _HERE / "__pycache__"
    return folder / f"transport-{_code()}-{key}.npz"


@lru_cache(maxsize=1)
def _code() -> str:
    found = hashlib.sha256()
    for name in _SOURCES:
        found.update((_HERE / name).read_bytes())
    return found.hexdigest()[:16]
