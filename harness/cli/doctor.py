# SPDX-License-Identifier: GPL-2.0-only
"""What this machine has, what it lacks, which accelerator works and how long things will take."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from harness.build import kbuild
from harness.run import resources
from harness.util import sandbox, yamlfile
from harness.util.errors import HarnessError
from harness.util.hostspace import free_bytes, in_words
from harness.util.paths import Cache
from harness.util.yamlfile import Model, Text, matching
from harness.vm import accel, hoststate, kvm

_PACKAGES = Path(__file__).parent / "packages.yaml"
# Measured on two server cores; the table is in docs/measurements.md.
_BUILD_CORE_MINUTES = 14.0
_BOOT_SECONDS = 12.0
_NEEDED = 5 << 30


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One line of the doctor's answer; ``ok`` is False for what stops a comparison."""

    topic: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Package(Model):
    """A package of packages.yaml: the command, file or module that shows that it is there.

    when: "user" if only a user who is not root needs it, "clusters" if only `make clusters` does
    """

    command: Text = ""
    file: Text = ""
    python: Text = ""
    when: Annotated[str, matching("user|clusters", "user or clusters, or be left out")] = ""
    why: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it is there, or this user does without it."""
        if self.when == "clusters" or (self.when == "user" and os.geteuid() == 0):
            return True
        if self.command:
            path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
            return shutil.which(self.command, path=path) is not None
        if self.python:
            return importlib.util.find_spec(self.python) is not None
        return Path(self.file).exists()


def missing_packages(path: Path = _PACKAGES) -> list[str]:
    """The Debian packages of ``packages.yaml`` that are not there."""
    table = {
        name: yamlfile.check(item, Package, f"{path}: {name}")
        for name, item in yamlfile.read(path).items()
    }
    return [name for name, one in table.items() if not one.is_there]


def examine(*, cache: Cache) -> list[DoctorCheck]:
    """Everything worth knowing before a comparison.  Runs the accelerator check."""
    found = [_packages(), _sandbox(), _accelerator(cache), *_kvm(cache), _disk(cache), _memory()]
    found += (
        [DoctorCheck("compiler", True, kbuild.compiler_version())] if shutil.which("gcc") else []
    )
    return [*found, *_cached(cache), _times(cache)]


def _packages() -> DoctorCheck:
    lacking = missing_packages()
    if not lacking:
        return DoctorCheck("packages", True, "all there")
    return DoctorCheck("packages", False, f"missing; run: apt-get install -y {' '.join(lacking)}")


def _sandbox() -> DoctorCheck:
    try:
        sandbox.choose(readable=sandbox.extra_readable())
    except HarnessError as error:
        return DoctorCheck("sandbox", False, str(error))
    return DoctorCheck("sandbox", True, "series are applied and built without network and home")


def _accelerator(cache: Cache) -> DoctorCheck:
    try:
        chosen = accel.choose("auto", cache=cache)
    except HarnessError as error:
        return DoctorCheck("accelerator", False, str(error))
    clock = "wall time" if chosen.name == "kvm" else "the instruction clock"
    return DoctorCheck(
        "accelerator", True, f"{chosen.name} ({chosen.reason}); so {clock} is the default"
    )


def _kvm(cache: Cache, root: Path = Path("/")) -> list[DoctorCheck]:
    """What keeps KVM from running a guest, or what would disturb its figures, with remedies."""
    try:
        verdict = accel.check("kvm", cache=cache)
    except HarnessError:  # the accelerator's line says it
        return []
    if not verdict.works:
        return [DoctorCheck("kvm", True, text) for text in kvm.remedies(verdict.reason, root)]
    state = hoststate.look(root)
    return [DoctorCheck("wall clock", True, text) for text in hoststate.advice(state, root)]


def _disk(cache: Cache) -> DoctorCheck:
    free = free_bytes(cache.root)
    text = f"{free / (1 << 30):.0f} GiB free for the cache at {cache.root}"
    if free < _NEEDED:
        return DoctorCheck("disk", False, f"{text}; a first comparison needs about 5 GiB")
    return DoctorCheck("disk", True, text)


def _memory() -> DoctorCheck:
    size, bound = resources.available_memory()
    text = f"{in_words(max(size, 0))} available ({bound}), {resources.cores()} CPUs"
    return DoctorCheck("memory", True, text)


def _cached(cache: Cache) -> list[DoctorCheck]:
    kernels = [kbuild.load(path) for path in sorted(cache.kernels.glob("[!.]*"))]
    names = ", ".join(sorted({item.release for item in kernels if item})) or "none"
    images = len(list(cache.images.glob("*/root.img")))
    return [
        DoctorCheck("kernels", True, f"{len([k for k in kernels if k])} built ({names})"),
        DoctorCheck("images", True, f"{images} made"),
    ]


def _times(cache: Cache) -> DoctorCheck:
    cpus = resources.cores()
    minutes = _BUILD_CORE_MINUTES / cpus
    try:
        tcg = accel.check("tcg", cache=cache)
    except HarnessError as error:
        return DoctorCheck("times", False, f"cannot be told: {error}")
    return DoctorCheck(
        "times",
        True,
        f"a kernel from nothing about {minutes:.0f} min, the patched one at most "
        f"{minutes / 2:.0f} min, an image 2 min, a boot about {_BOOT_SECONDS:.0f} s "
        f"under TCG (the loop of its check took {tcg.seconds} s here; 0.5 s is usual)",
    )
