# SPDX-License-Identifier: GPL-2.0-only
"""Where things lie: the repository's own data folders and the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The harness's own code."""

CHECKOUT = (PACKAGE.parent / "workloads" / "Makefile").is_file()
"""Whether the harness runs from a checkout of its repository; else it was installed."""

REPO = PACKAGE.parent if CHECKOUT else PACKAGE / "data"
"""Where the folders kernels, workloads and vm-images lie."""

RESULTS = (PACKAGE.parent if CHECKOUT else Path.cwd()) / "results"
"""Where results go unless somebody says otherwise."""


def at_home(text: str) -> str:
    """A path or a URL with what '~' stands for; make and files hand it on as it is."""
    return os.path.expanduser(text)  # noqa: PTH111  a Path would spoil a URL


class _Below:
    """In a class that has a ``root``: a path below that."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Cache, _: type) -> Path:
        return owner.root / self._name


@dataclass(frozen=True, slots=True)
class Cache:
    """The layout below ``$XDG_CACHE_HOME/swap-harness``.

    Everything in it can be deleted at any time and is made again when needed.
    """

    root: Path

    git = _Below("linux.git")
    """The one bare repository that holds every kernel tree as a commit."""
    downloads = _Below("downloads")
    """Source packages and tarballs, private apt lists."""
    mails = _Below("mails")
    """Fetched mail threads with their hashes, and the indexes of local mirrors."""
    build = _Below("build")
    """Work trees and object folders, one for each base and configuration."""
    kernels = _Below("kernels")
    """Published kernel artefacts, one folder a key; never changed."""
    images = _Below("images")
    """Published root images, one folder a key; never changed."""
    tools = _Below("tools")
    """The compiled guest programs, one folder a key."""
    selftests = _Below("selftests")
    """The kernels' own tests, built from their trees, one folder a key."""
    ccache = _Below("ccache")
    """The compiler cache."""
    accel_checks = _Below("accel-checks")
    """Which accelerators run a guest here: verdicts of the accelerator check."""

    @classmethod
    def from_environment(cls) -> Cache:
        """The cache of this user, honouring ``XDG_CACHE_HOME``."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base).expanduser() / "swap-harness")


def is_kernel_checkout(path: Path) -> bool:
    """Whether a folder is a git checkout of a kernel."""
    return all((path / name).exists() for name in (".git", "Makefile", "Kconfig"))
