"""Sockets that only the user who opened them can reach, and how a client finds them.

The simulated rig and the headless service listen on them.

They are Unix sockets in a folder of mode 0700. Where there are none (Windows), they are TCP sockets of this machine,
and a client sends a random token first. The address stands in a file of mode 0600: `unix:PATH`, or
`tcp:HOST:PORT:TOKEN`.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX") and os.name != "nt"
HOST = "127.0.0.1"
FOLDER = "private"
LONGEST_PATH_BYTES = 103  # of a socket's name, with its final zero: 104 on macOS, 108 on Linux
TOKEN_BYTES = 64
TOKEN_TIMEOUT_S = 5.0
JOIN_TIMEOUT_S = 5.0
REFUSAL_TIMEOUT_S = 1.0


class PrivateServer:
    """Hands each connection to `serve`, on a thread of its own, and closes it afterwards.

    `over_tcp` asks for a TCP socket with a token also where there are Unix sockets. A connection without the token
    gets the bytes `refusal` before it is closed.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        serve: Callable[[socket.socket], None],
        *,
        over_tcp: bool = False,
        refusal: bytes = b"",
    ) -> None:
        self._folder = folder / FOLDER
        self._name = name
        self._serve = serve
        self._over_tcp = over_tcp
        self._refusal = refusal
        self._token = b""
        self._path: Path | None = None
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> str:
        """Listen; returns the address for `connect`, which may be used at once. Raises OSError."""
        is_by_path = HAS_UNIX_SOCKETS and not self._over_tcp
        listener, address = self._listen_on_path() if is_by_path else self._listen_on_port()
        self._listener = listener
        self._run(self._accept, listener)
        return address

    def close(self) -> None:
        """Drop every connection, whatever it does, and wait for its thread; `start` listens again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _shut(listener)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=JOIN_TIMEOUT_S)
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            _remove_if_empty(self._path.parent)
            self._path = None

    def _listen_on_path(self) -> tuple[socket.socket, str]:
        self._path = _private(self._folder, self._name) / self._name
        self._path.unlink(missing_ok=True)  # left by a rig that was killed
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        listener.listen()
        return listener, f"unix:{self._path}"

    def _listen_on_port(self) -> tuple[socket.socket, str]:
        token = secrets.token_hex(TOKEN_BYTES // 2)
        self._token = token.encode("ascii")
        listener = socket.create_server((HOST, 0))
        return listener, f"tcp:{HOST}:{listener.getsockname()[1]}:{token}"

    def _run(self, target: Callable[[socket.socket], None], connection: socket.socket) -> None:
        name = f"{self._name} {target.__name__}"
        thread = threading.Thread(target=target, args=(connection,), name=name, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        """A thread's work: one more thread for each connection, until the server is closed."""
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._listener is listener:
                    log.exception("%s stopped listening", self._name)
                return
            with self._lock:
                self._connections.add(connection)
            self._run(self._admit, connection)

    def _admit(self, connection: socket.socket) -> None:
        try:
            if self._knows_token(connection):
                self._serve(connection)
            else:
                log.warning("%s: a connection without the token was turned away", self._name)
                turn_away(connection, self._refusal)
        except OSError as error:  # a ConnectionError is one
            if self._listener is not None:
                log.info("%s: connection ended: %s", self._name, error)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _knows_token(self, connection: socket.socket) -> bool:
        if connection.family != socket.AF_INET:
            return True  # whoever opens the path may open the folder
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(TOKEN_TIMEOUT_S)
        shown = b""
        while len(shown) < len(self._token) and (part := connection.recv(len(self._token) - len(shown))):
            shown += part
        connection.settimeout(None)
        return hmac.compare_digest(shown, self._token)


def connect(address: str, timeout_s: float) -> socket.socket:
    """A connection to a server's `address`. Raises ValueError for what is none, OSError when nobody listens."""
    scheme, _, place = address.partition(":")
    if scheme == "unix" and HAS_UNIX_SOCKETS:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection
    host, port, token = place.split(":")
    connection = socket.create_connection((host, int(port)), timeout=timeout_s)
    connection.sendall(token.encode("ascii"))
    return connection


def turn_away(connection: socket.socket, words: bytes) -> None:
    """Send the words, then end the connection so that they arrive: closing over unread bytes would discard them."""
    if words:
        connection.settimeout(REFUSAL_TIMEOUT_S)
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            continue


def write_private(path: Path, text: str) -> None:
    """Replace the file at once by one that only this user can read. Raises OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _private(folder: Path, name: str) -> Path:
    """`folder` with mode 0700; where a socket's name would be too long, a new one among the temporary files."""
    folder = folder.resolve()
    if len(os.fsencode(folder / name)) > LONGEST_PATH_BYTES:
        return Path(tempfile.mkdtemp(prefix="facet-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # it may have been there; another user's cannot be changed, and raises
    return folder


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        shutil.rmtree(folder)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.debug("already disconnected: %s", error)
    connection.close()
