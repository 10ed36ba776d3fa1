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


@dataclass(frozen=True, slots=True)
class Cache:
    """The layout below ``$XDG_CACHE_HOME/swap-harness``.

    Everything in it can be deleted at any time and is made again when needed.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> Cache:
        """The cache of this user, honouring ``XDG_CACHE_HOME``."""
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(base).expanduser() / "swap-harness")

    @property
    def git(self) -> Path:
        """The one bare repository that holds every kernel tree as a commit."""
        return self.root / "linux.git"

    @property
    def downloads(self) -> Path:
        """Source packages and tarballs, private apt lists."""
        return self.root / "downloads"

    @property
    def mails(self) -> Path:
        """Fetched mail threads with their hashes, and the indexes of local mirrors."""
        return self.root / "mails"

    @property
    def build(self) -> Path:
        """Work trees and object folders, one for each base and configuration."""
        return self.root / "build"

    @property
    def kernels(self) -> Path:
        """Published kernel artefacts, one folder a key; never changed."""
        return self.root / "kernels"

    @property
    def images(self) -> Path:
        """Published root images, one folder a key; never changed."""
        return self.root / "images"

    @property
    def tools(self) -> Path:
        """The compiled guest programs, one folder a key."""
        return self.root / "tools"

    @property
    def selftests(self) -> Path:
        """The kernels' own tests, built from their trees, one folder a key."""
        return self.root / "selftests"

    @property
    def ccache(self) -> Path:
        """The compiler cache."""
        return self.root / "ccache"

    @property
    def accel_checks(self) -> Path:
        """Which accelerators run a guest here: verdicts of the accelerator check."""
        return self.root / "accel-checks"
