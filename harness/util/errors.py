# SPDX-License-Identifier: GPL-2.0-only
"""The one exception hierarchy: whose fault it is decides the exit status."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of every sub-command.

    1 is left to Python itself: a traceback there is a bug in the harness.
    """

    OK = 0
    USER = 2
    WORSE = 3
    UNDECIDED = 4
    KERNEL = 5
    INFRA = 6
    INTERRUPTED = 130


class HarnessError(Exception):
    """Something that ends a command with one sentence and a status."""

    status: Exit = Exit.INFRA


class UserError(HarnessError):
    """The input is wrong: the message names the file, key or symbol and the way out."""

    status = Exit.USER


class KernelFailure(HarnessError):
    """The kernel under test failed: it did not apply, build, boot or survive."""

    status = Exit.KERNEL


class InfraError(HarnessError):
    """The machine or a tool failed: no disk, no network, no QEMU."""

    status = Exit.INFRA
