"""`/health`, `/ready` and `/metrics` over HTTP, on this machine's loopback alone."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from station.errors import BadInput

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
DEFAULT_PORT = 9463
TIMEOUT_S = 5.0
TEXT, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"
Page = tuple[HTTPStatus, str, bytes]  # status, content type, body


class PortTaken(BadInput):
    """The port is used by another program; the text says what to do."""


class Pages:
    """Serves each page by calling its function, on a thread of its own per request."""

    def __init__(self, pages: Mapping[str, Callable[[], Page]], port: int) -> None:
        """Raises PortTaken. `port` 0 lets the system choose."""

        class Handler(_Handler):
            served = pages

        try:
            self._server = _Server((HOST, port), Handler)
        except OSError as error:
            raise PortTaken(f"--http {port}: cannot listen on {HOST}:{port}: {error.strerror}; name another") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="pages", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def json_page(status: HTTPStatus, content: Mapping[str, object]) -> Page:
    """A page of one JSON document."""
    return status, JSON, json.dumps(content, default=str).encode() + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature of socketserver
        log.info("a request from %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[Mapping[str, Callable[[], Page]]] = {}
    timeout = TIMEOUT_S

    def do_GET(self) -> None:
        """Answer one request."""
        page = self.served.get(self.path.partition("?")[0])
        if page is None:
            status, kind, body = json_page(HTTPStatus.NOT_FOUND, {"error": f"there are {', '.join(self.served)}"})
        else:
            status, kind, body = page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
