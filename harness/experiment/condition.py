# SPDX-License-Identifier: GPL-2.0-only
"""Conditions under which both kernels run: files of /proc and /sys, words of the command line.

``SET='swappiness=60+180 vm.watermark_scale_factor=200'``: a guest setting, a sysctl or a file each,
a '+' before another value of it.  What is set is read back by the same means as a `Switch`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.experiment.switch import Switch, of
from harness.util.errors import UserError
from harness.util.yamlfile import nearest

_DOTTED = re.compile(r"(?!sysctl\.)([a-z]\w*\.\w+)=(.+)")
_SYSCTL_WORD = re.compile(r"sysctl[./]([^=]+)=(.+)")


_OURS = {
    "/sys/fs/cgroup/harness/memory.max": "the workload's memcg= sets it",
    "/sys/fs/cgroup/harness/memory.limit_in_bytes": "the workload's memcg= sets it",
    "/proc/sys/vm/stat_interval": "the harness sets it for each run",
}
"""Files that are written again before the workload, and by what."""


def is_file(key: object) -> bool:
    """Whether a key is that of a sysctl or the path of a file, and no guest setting's name."""
    return isinstance(key, str) and ("." in key or "/" in key)


def tail(key: str) -> str:
    """A key as a part of a back-end's name: ``swappiness`` of ``vm.swappiness``."""
    return re.split(r"[./]", key)[-1]


def switch(values: Mapping[str, Any], place: str = "SET") -> Switch:
    """What sets these sysctls and files.  UserError naming ``place`` and key for a wrong one."""
    sysctls = {key: value for key, value in values.items() if not key.startswith("/")}
    files = {key: value for key, value in values.items() if key.startswith("/")}
    made = of({"sysctls": sysctls, "files": files}, place)
    for path, _ in made.writes:
        if path in _OURS:
            raise UserError(f"{place}: {path} is no condition: {_OURS[path]}".removeprefix(": "))
    return made


def on_command_line(words: Iterable[str], place: str = "CMDLINE") -> Switch:
    """What these words of the kernel's command line set; ``module.parameter=`` is read back."""
    found = tuple(words)
    params = {match[1]: match[2] for one in found if (match := _DOTTED.fullmatch(one))}
    rest = [one for one in found if not _DOTTED.fullmatch(one)]
    return of({"params": params, "words": rest}, place)


def by_sysctl(words: Iterable[str]) -> dict[str, str]:
    """The values that words like ``sysctl.vm.swappiness=1`` give to files, by path."""
    found = (_SYSCTL_WORD.fullmatch(one) for one in words)
    return {f"/proc/sys/{one[1].replace('.', '/')}": one[2] for one in found if one}


def split(value: Any) -> Any:
    """A text of words with blanks between as a tuple; a value may have commas.  For a `Check`."""
    if isinstance(value, list):
        return tuple(value)
    return tuple(value.split()) if isinstance(value, str) else value


def parsed(words: Iterable[str], known: Collection[str]) -> dict[str, Any]:
    """Guest settings of the words of SET; ``known`` are those that are neither sysctl nor file.

    Raises ValueError naming a word that cannot be read.
    """
    found: dict[str, Any] = {}
    for one in words:
        key, equals, value = one.partition("=")
        if not equals or not key or not value:
            raise ValueError(f"'{one}' must be NAME=VALUE, e.g. vm.swappiness=180")
        if key in found:
            raise ValueError(f"'{key}' is there twice; write {key}=A+B for two values")
        if not is_file(key) and key not in known:
            raise ValueError(
                f"'{key}' is no sysctl, no file below /proc or /sys, and no guest "
                f"setting{nearest(key, known)}"
            )
        several = value.split("+")
        if "" in several:
            raise ValueError(f"'{one}' has an empty value")
        found[key] = several[0] if len(several) == 1 else several
        for item in several if is_file(key) else ():
            switch({key: item}, "")
    return found
