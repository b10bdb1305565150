"""GenTL producers in this process: where their files are, and one Harvester for each.

Two facts about harvesters need this registry. GCInitLib answers "in use" the second time, so a second Harvester on the
same file would silently see no device. And Harvester.update() destroys every acquirer.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

with warnings.catch_warnings():  # harvesters changes the filters for the whole process
    from genicam import genapi, gentl
    from harvesters.core import Harvester

from drivers.errors import DeviceError, DeviceNotFound
from drivers.simulated.simcam import producer_path

Result = TypeVar("Result")
NO_ACCESS = int(gentl.DEVICE_ACCESS_STATUS_LIST.DEVICE_ACCESS_STATUS_NOACCESS)
VENDOR_ERRORS = (gentl.GenericException, genapi.GenericException)
IN_USE_ERRORS = (gentl.ResourceInUseException, gentl.AccessDeniedException, gentl.BusyException)  # producers differ


def find_producer(name: str | Path) -> Path:
    """The absolute path of a producer: "simcam" (ours), "viky" (in the genicam wheel), or a `.cti` file.

    Raises DeviceNotFound, saying what to do.
    """
    if str(name) == "simcam":
        return producer_path()
    if str(name) == "viky":
        return _viky_path()
    path = Path(name).expanduser().resolve()
    if path.is_file():
        return path
    raise DeviceNotFound(
        "GenTL producer", f"{path} does not exist; give the full path of the `.cti` file that the camera's maker ships"
    )


def _viky_path() -> Path:
    spec = importlib.util.find_spec("genicam")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    path = None if folder is None else folder / "viky.cti"
    if path is None or not path.is_file():
        raise DeviceNotFound("GenTL producer", "this platform's genicam package carries no viky.cti")
    return path


@contextmanager
def reported(device: str, doing: str, error: type[DeviceError]) -> Iterator[None]:
    """Both exception families of the binding, GenTL's and GenApi's, become one DeviceError."""
    try:
        yield
    except VENDOR_ERRORS as found:
        raise error(device, f"{doing}: {first_line(found)}") from found


def first_line(error: BaseException) -> str:
    """An exception's type and the first line of its message, for a message of ours."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def off_main_thread(work: Callable[[], Result]) -> Result:
    """Run where no acquirer installs a SIGINT handler: harvesters does so in the main thread, and never undoes it."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="genicam") as pool:
        return pool.submit(work).result()


class Producer:
    """One loaded `.cti` and the acquirers opened from it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._harvester = Harvester()
        self._acquirers: list[Any] = []
        self._lock = threading.RLock()
        self._has_exit_handler = False
        try:
            self._harvester.add_file(str(path), check_existence=True, check_validity=True)
        except (OSError, *VENDOR_ERRORS) as error:
            raise DeviceNotFound("GenTL producer", f"{path} cannot be loaded: {first_line(error)}") from error

    def acquire(self, serial_number: str | None, environment: Mapping[str, str] | None) -> Any:
        """A fresh image acquirer. The device list is read anew unless another camera is open here.

        Raises DeviceNotFound: no such serial number, or it is listed and does not answer, or another program has it.
        """
        with self._lock:
            os.environ.update(environment or {})
            self._forget_lost()
            if not self._acquirers:
                self._harvester.update()
            acquirer = self._create(self._choose(serial_number))
            self._acquirers.append(acquirer)
            if not self._has_exit_handler:  # after the first acquirer, so as to run before its own, which may raise
                atexit.register(self._release_all)
                self._has_exit_handler = True
            return acquirer

    def release(self, acquirer: Any) -> None:
        """Stop and destroy; a camera that is gone does not answer, and is destroyed all the same."""
        with self._lock:
            if acquirer in self._acquirers:
                self._acquirers.remove(acquirer)
            for _ in range(2):  # stop() raises on a lost camera, and after that destroy() works
                try:
                    acquirer.destroy()
                    return
                except VENDOR_ERRORS as error:
                    last = error
            raise DeviceError("camera", f"could not be released: {first_line(last)}") from last

    def _release_all(self) -> None:
        for acquirer in list(self._acquirers):
            self.release(acquirer)

    def _forget_lost(self) -> None:
        for acquirer in [a for a in self._acquirers if is_gone(a)]:
            self.release(acquirer)

    def _choose(self, serial_number: str | None) -> Any:
        listed = list(self._harvester.device_info_list)
        found = [info for info in listed if serial_number in (None, _serial_of(info))]
        if len(found) == 1 or (found and serial_number is None):
            return found[0]
        names = ", ".join(repr(_serial_of(info)) for info in listed) or "none"
        wanted = "any camera" if serial_number is None else f"a camera with serial number {serial_number!r}"
        raise DeviceNotFound(
            "camera", f"looked for {wanted} behind {self.path.name}, found {names}; check its cable, power and rig file"
        )

    def _create(self, info: Any) -> Any:
        name = f"camera {_serial_of(info)!r}"
        with reported("camera", f"{name} is listed and cannot be opened (perhaps its rig has ended)", DeviceNotFound):
            try:
                return off_main_thread(lambda: self._harvester.create(info))
            except IN_USE_ERRORS as error:
                raise DeviceNotFound(
                    "camera", f"{name} is in use by another program (or opened twice by this one): close that first"
                ) from error


def is_gone(acquirer: Any) -> bool:
    """The only sign of a lost camera: harvesters reports no event, and cached nodes still answer."""
    if not acquirer.is_valid():
        return True
    try:
        return int(acquirer.device.access_status) == NO_ACCESS
    except VENDOR_ERRORS:
        return True


def _serial_of(info: Any) -> str:
    try:
        return str(info.serial_number)
    except VENDOR_ERRORS:
        return str(info.id_)


_producers: dict[Path, Producer] = {}
_producers_lock = threading.Lock()


def load_producer(name: str | Path) -> Producer:
    """The one Producer of that file in this process."""
    path = find_producer(name)
    with _producers_lock:
        if path not in _producers:
            _producers[path] = Producer(path)
        return _producers[path]
