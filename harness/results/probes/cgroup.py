# SPDX-License-Identifier: GPL-2.0-only
"""Where a file of a control group belongs."""

from __future__ import annotations

from pathlib import PurePosixPath

ROOT = PurePosixPath("/sys/fs/cgroup")


def group(path: PurePosixPath) -> str:
    """The cgroup of a file under /sys/fs/cgroup: "workload/a", or "/" for the root group."""
    folder = path.parent
    if not folder.is_relative_to(ROOT):
        return str(folder)
    name = str(folder.relative_to(ROOT))
    return "/" if name == "." else name
