# SPDX-License-Identifier: GPL-2.0-only
"""Servers of tests: listeners on loopback that nobody else can be taken for.

None sets SO_REUSEADDR: not every kernel that a container offers keeps two listeners with it from
being given the same free port, and a request then reaches the wrong one.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def listener() -> socket.socket:
    """A socket that listens on a free port of 127.0.0.1."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


class _Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = False


class _Plain(socketserver.ThreadingTCPServer):
    allow_reuse_address = False
    daemon_threads = True


@contextmanager
def serving(
    handler: Callable[..., http.server.BaseHTTPRequestHandler],
    *,
    context: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """An HTTP server with this handler, or with a ``context`` an HTTPS server; its port."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        yield from _served(server)


@contextmanager
def connecting(handler: Callable[..., socketserver.BaseRequestHandler]) -> Iterator[int]:
    """A server that gives each connection to this handler; its port."""
    with _Plain(("127.0.0.1", 0), handler) as server:
        yield from _served(server)


def _served(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
