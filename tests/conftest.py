# SPDX-License-Identifier: GPL-2.0-only
"""For every test: no network, a home and a cache of its own, none of the caller's settings."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml

SKIPS = Path(__file__).with_name("skips.yaml")
"""What may be skipped in CI, and why."""

# A busy machine makes any example slow once in a while; that is no failure.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

_CALLERS = (
    "KERNEL_GIT", "KERNEL_GIT_MISSING", "KERNEL_KEYRING", "DEBIAN_MIRROR", "MIRROR", "RESULTS",
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
        patch.setenv("KERNEL_MIRROR", "http://127.0.0.1:9")  # nobody listens there
        yield
    signal.signal(signal.SIGTERM, on_term)


# Skips


def _allowed() -> dict[str, str]:
    data = yaml.safe_load(SKIPS.read_text(encoding="utf-8"))
    return {test: item["skip"] for test, item in data.items()}


def _must_run(nodeid: str, said: object) -> str:
    """Why a skip is a failure; "" where it may be."""
    reason = str(said[2] if isinstance(said, tuple) else said).removeprefix("Skipped: ")
    for test, allowed in _allowed().items():
        if nodeid.startswith(test) and reason == allowed:
            return ""
    return f"skipped in CI and not listed in {SKIPS.name}: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a skip that is not listed is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        why = _must_run(item.nodeid, report.longrepr)
        if why:
            report.outcome, report.longrepr = "failed", why
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself as a whole."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        why = _must_run(collector.nodeid, report.longrepr)
        if why:
            report.outcome, report.longrepr = "failed", why
    return report


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the harness says during a test: `heard.text`."""
    caplog.set_level(logging.INFO, logger="harness")
    return caplog
