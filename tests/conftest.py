# SPDX-License-Identifier: GPL-2.0-only
"""For every test: no network, a home and a cache of its own, none of the caller's settings."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# A busy machine makes any example slow once in a while; that is no failure.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

_CALLERS = (
    "KERNEL_GIT", "KERNEL_GIT_MISSING", "KERNEL_KEYRING", "DEBIAN_MIRROR", "RESULTS",
    "SANDBOX_READ", "MAKEFLAGS", "MAKELEVEL", "MFLAGS",
)  # fmt: skip


def _is_here(connection: socket.socket, address: Any) -> bool:
    if connection.family == socket.AF_UNIX:
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return str(address[0]) == "localhost"


# Asks only for what is made once for all tests: hypothesis, too, runs under this one.
@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(connection: socket.socket, address: Any) -> None:
        if not _is_here(connection, address):
            raise AssertionError(f"a test must not use the network: {address}")

    def checked(connection: socket.socket, address: Any) -> None:
        refuse(connection, address)
        connect(connection, address)

    def checked_ex(connection: socket.socket, address: Any) -> int:
        refuse(connection, address)
        return connect_ex(connection, address)

    place = tmp_path_factory.mktemp("user")
    (place / "home").mkdir()
    on_term = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked)
        patch.setattr(socket.socket, "connect_ex", checked_ex)
        patch.setenv("HOME", str(place / "home"))
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        for name in _CALLERS:
            patch.delenv(name, raising=False)
        yield
    signal.signal(signal.SIGTERM, on_term)
