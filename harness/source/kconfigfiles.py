# SPDX-License-Identifier: GPL-2.0-only
"""Which Kconfig files of a tree make up the kernel's own configuration."""

from __future__ import annotations

from pathlib import PurePath

from harness.experiment.arch import HERE

_OTHERS = (("tools",), ("scripts", "kconfig"), ("Documentation", "kbuild"))
"""Folders whose Kconfig files configure something else, or are there as examples and tests."""


def counts(path: PurePath) -> bool:
    """Whether a Kconfig file, as seen from the top of its tree, is one of the kernel's own.

    Other architectures, and programs in the tree, define symbols of the same name.
    """
    if any(path.parts[: len(folder)] == folder for folder in _OTHERS):
        return False
    return path.parts[:1] != ("arch",) or path.parts[1:2] in {(HERE.folder,), (path.name,)}
