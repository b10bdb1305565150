"""The connection to the rig's back door, both ends: it is not a wire that hardware has, and no driver uses it.

One JSON object per line over a socket that only the rig's user can reach (`private_socket.py`); the rig writes its
address to `<rig folder>/control`.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from drivers.errors import CommandRefused, DeviceLost, DeviceNotFound
from drivers.private_socket import PrivateServer, connect, write_private

log = logging.getLogger(__name__)

ADDRESS_FILE = "control"
MAXIMUM_LINE_BYTES = 65536
Verb = Callable[[dict[str, Any]], dict[str, Any]]


class ControlServer:
    """Answers verbs by name; an unknown or a refused verb is answered with `error`, and the connection stays open."""

    def __init__(self, folder: Path, verbs: Mapping[str, Verb]) -> None:
        self._file = folder / ADDRESS_FILE
        self._verbs = dict(verbs)
        self._server = PrivateServer(folder, "control", self._serve)

    def start(self) -> None:
        """Listen, and publish the address. Raises OSError."""
        write_private(self._file, f"{self._server.start()}\n")

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while raw := lines.readline(MAXIMUM_LINE_BYTES):
                connection.sendall(json.dumps(self.answer(raw)).encode() + b"\n")

    def answer(self, raw: bytes) -> dict[str, Any]:
        """One request's answer; errors come back as text for the person who asked."""
        try:
            request = json.loads(raw)
            verb = self._verbs[request.pop("verb")]
        except (ValueError, KeyError, AttributeError, TypeError):
            return {"error": f"expected a JSON object with one verb of {', '.join(sorted(self._verbs))}"}
        try:
            return verb(request)
        except (ValueError, KeyError, TypeError, CommandRefused) as error:
            log.info("refused %s: %s", request, error)
            return {"error": str(error)}

    def close(self) -> None:
        """Withdraw the address and end the server."""
        self._file.unlink(missing_ok=True)
        self._server.close()


class RigControl:
    """The client's side; one connection per call, so that a restarted rig is simply found again."""

    def __init__(self, folder: Path, timeout_s: float = 60.0) -> None:
        self._folder = folder
        self._timeout_s = timeout_s

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The verb's answer. Raises DeviceNotFound when no rig runs in the folder, CommandRefused when it refuses,
        DeviceLost when it ends meanwhile."""
        file = self._folder / ADDRESS_FILE
        try:
            with connect(file.read_text(encoding="utf-8").strip(), self._timeout_s) as line:
                line.sendall(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
                raw = line.makefile("rb").readline()
        except PermissionError as error:
            raise DeviceNotFound(
                "simulated rig", f"the rig in {self._folder} can be reached only by the user who started it ({error})"
            ) from error
        except (OSError, ValueError) as error:
            raise DeviceNotFound(
                "simulated rig", f"no rig runs in {self._folder} ({error}); start one with `station rig up`"
            ) from error
        if not raw:
            raise DeviceLost("simulated rig", f"the rig in {self._folder} ended while answering {verb!r}")
        answer: dict[str, Any] = json.loads(raw)
        if "error" in answer:
            raise CommandRefused("simulated rig", str(answer["error"]))
        return answer

    def load(
        self, product: str, seed: int, defects: tuple[tuple[str, int], ...] = (),
        x_mm: float = 0.0, y_mm: float = 0.0, turn_deg: float = 0.0,
    ) -> dict[str, Any]:  # fmt: skip
        """Put a part into the fixture, so far off its seat."""
        return self.call(
            "load", product=product, seed=seed, defects=[{"kind": kind, "seed": s} for kind, s in defects],
            x_mm=x_mm, y_mm=y_mm, turn_deg=turn_deg,
        )  # fmt: skip

    def place(self, target: str, x_mm: float, y_mm: float) -> dict[str, Any]:
        """Put a calibration target into the fixture, its middle at x, y of the station frame."""
        return self.call("load", product=target, seed=0, x_mm=x_mm, y_mm=y_mm, defects=[])

    def place_board(self, x_mm: float, y_mm: float, **lies: float) -> dict[str, Any]:
        """Put the calibration board into the fixture; `lies`: fields of SimulatedBoard."""
        return self.call("load", product="charuco", seed=0, x_mm=x_mm, y_mm=y_mm, board=lies, defects=[])

    def inject(self, fault: str, *arguments: str) -> dict[str, Any]:
        """Cause a fault: `camera.dropped`, `lights.light_weak` with "4", "0.6" ...; see docs/faults.md."""
        return self.call("inject", fault=fault, arguments=list(arguments))

    def inject_at(self, moment: str, count: int, fault: str, *arguments: str) -> dict[str, Any]:
        """The same in the middle of the `count`-th moment from now: `moving`, `exposing` or `transferring`."""
        return self.call("inject", fault=fault, arguments=list(arguments), moment=moment, count=count)
