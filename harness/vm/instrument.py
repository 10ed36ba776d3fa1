# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's plugins (vm-images/plugins): which build of them to load, with what, and what they write.

A boot loads at most one.  Each is named after its source, and so is the file that it writes into
the boot's folder.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.build import datasymbols, functions, lockfunctions
from harness.build.kbuild import Kernel
from harness.experiment import cpumodel
from harness.util.errors import InfraError

COUNT = "count"
"""The plugin of timing boots; see ``counter``."""
PROFILE = "profile"
"""Which instructions are executed, by block of code and by chain of calls."""
CACHES = "caches"
"""What would be missed in caches and TLBs of some CPUs."""
LOCKS = "locks"
"""Which locks are taken where, and for how many instructions they are held."""

ONE_NODE = frozenset({CACHES, LOCKS})
"""Those that read the guest's memory, of which they know where one NUMA node's lies."""

Options = tuple[tuple[str, str], ...]

_VERSION = re.compile(r"(\d+)\.(\d+)")
_APIS = {7: 1, 8: 1, 10: 4}
"""Version of the plugin interface by QEMU's; 9.x changed it from release to release."""


def _no_options(_kernel: Kernel, _folder: Path) -> Options:
    return ()


def _functions(kernel: Kernel, folder: Path) -> Options:
    path = folder / "functions"
    found = functions.functions(_system_map(kernel))
    path.write_text("".join(functions.lines(found)), encoding="ascii")
    return (("functions", str(path)),)


def _models(kernel: Kernel, folder: Path) -> Options:
    path = folder / "models"
    models = cpumodel.plugin_lines(cpumodel.known().values())
    system_map = _system_map(kernel)
    text = models + lockfunctions.operations(system_map) + datasymbols.lines(system_map)
    path.write_text(text, encoding="ascii")
    return (("models", str(path)),)


def _locks(kernel: Kernel, folder: Path) -> Options:
    path = folder / "lock-functions"
    try:
        system_map = _system_map(kernel)
        text = lockfunctions.lines(system_map) + datasymbols.lines(system_map)
        path.write_text(text, encoding="ascii")
    except ValueError as error:
        raise InfraError(
            f"the kernel has no function {error}, so its locks cannot be followed"
        ) from error
    return (("functions", str(path)),)


def _system_map(kernel: Kernel) -> str:
    return (kernel.path / "System.map").read_text(encoding="utf-8")


_OPTIONS: Mapping[str, Callable[[Kernel, Path], Options]] = {
    COUNT: _no_options,
    PROFILE: _functions,
    CACHES: _models,
    LOCKS: _locks,
}
"""By plugin, what makes its arguments for a boot of a kernel; files of its own go to a folder that
lasts as long as the boot."""
_WRITTEN = {COUNT: "counts"}
"""The output of those that are read as they are; the others' is packed when the guest has ended."""

SLOWER = {PROFILE: 2.0, CACHES: 8.0, LOCKS: 2.0}
"""How many times longer a guest may take under a plugin before it counts as lost."""

NAMES = frozenset(_OPTIONS) - {COUNT}
"""What a boot can be asked for (`harness.vm.boot.BootRequest.instrument`)."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One plugin in one boot: its build, its output and its other arguments."""

    plugin: Path
    out: Path
    options: Options = ()


def interface(version: str) -> int | None:
    """The version of the interface, for a QEMU that says ``version`` of itself; None: unknown."""
    found = _VERSION.search(version)
    number = (int(found[1]), int(found[2])) if found else (0, 0)
    return _APIS.get(number[0]) if number >= (7, 2) else None


def plugin(tools: Path, name: str, api: int) -> Path:
    """Where the build of a plugin lies below the folder of built ``tools``."""
    return tools / "plugins" / f"{name}-{api}.so"


def make(
    name: str, plugins: Mapping[str, Path], kernel: Kernel, folder: Path, tmp: Path
) -> Instrument:
    """The plugin ``name`` for one boot: it writes into the boot's ``folder``.

    Raises InfraError if the host has no build of it.
    """
    if name not in plugins:
        raise InfraError(f"this host has no plugin '{name}' for its QEMU")
    out = folder / _WRITTEN.get(name, f"{name}.raw")
    return Instrument(plugins[name], out, _OPTIONS[name](kernel, tmp))


def pack(name: str, folder: Path) -> None:
    """After the boot: what a plugin wrote, as ``<name>.gz``; nothing if it is read as it is."""
    raw = folder / f"{name}.raw"
    if not raw.is_file():
        return
    with (
        raw.open("rb") as source,
        (folder / packed(name)).open("wb") as file,
        # No name and no time: the same counts give the same bytes.
        gzip.GzipFile("", "wb", 6, file, mtime=0) as target,
    ):
        shutil.copyfileobj(source, target, 1 << 20)
    raw.unlink()


def packed(name: str) -> str:
    """The file in a boot's folder that has the output of a plugin."""
    return _WRITTEN.get(name, f"{name}.gz")
