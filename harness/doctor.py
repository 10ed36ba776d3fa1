"""What this machine has, what it lacks, which accelerator works and how long things will take."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness import accel, admission, build, sandbox
from harness.errors import HarnessError
from harness.hostspace import free_bytes, in_words
from harness.paths import Cache
from harness.progress import Progress

_PACKAGES = Path(__file__).parent / "packages.yaml"
# Measured on two server cores; the table is in docs/architecture.md.
_BUILD_CORE_MINUTES = 14.0
_BOOT_SECONDS = 12.0
_NEEDED = 5 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's answer; ``ok`` is False for what stops a comparison."""

    topic: str
    ok: bool
    text: str


def missing_packages(table: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """The Debian packages of ``packages.yaml`` that are not there."""
    table = table or yaml.safe_load(_PACKAGES.read_text(encoding="utf-8"))
    return [name for name, item in table.items() if not _is_there(item)]


def _is_there(item: Mapping[str, str]) -> bool:
    if item.get("when") == "user" and os.geteuid() == 0:
        return True
    if "command" in item:
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        return shutil.which(item["command"], path=path) is not None
    if "python" in item:
        return importlib.util.find_spec(item["python"]) is not None
    return Path(item["file"]).exists()


def examine(*, cache: Cache, progress: Progress) -> list[Finding]:
    """Everything worth knowing before a comparison.  Runs the accelerator probe."""
    found = [_packages(), _sandbox(), _accelerator(cache, progress), _disk(cache), _memory()]
    found += [Finding("compiler", True, build.compiler_version())] if shutil.which("gcc") else []
    return [*found, *_cached(cache), _times(cache, progress)]


def _packages() -> Finding:
    lacking = missing_packages()
    if not lacking:
        return Finding("packages", True, "all there")
    return Finding("packages", False, f"missing; run: apt-get install -y {' '.join(lacking)}")


def _sandbox() -> Finding:
    try:
        sandbox.choose(readable=sandbox.extra_readable())
    except HarnessError as error:
        return Finding("sandbox", False, str(error))
    return Finding("sandbox", True, "series are applied and built without network and home")


def _accelerator(cache: Cache, progress: Progress) -> Finding:
    try:
        chosen = accel.choose("auto", cache=cache, progress=progress)
    except HarnessError as error:
        return Finding("accelerator", False, str(error))
    clock = "wall time" if chosen.name == "kvm" else "the instruction clock"
    return Finding(
        "accelerator", True, f"{chosen.name} ({chosen.reason}); so {clock} is the default"
    )


def _disk(cache: Cache) -> Finding:
    free = free_bytes(cache.root)
    text = f"{free / (1 << 30):.0f} GiB free for the cache at {cache.root}"
    if free < _NEEDED:
        return Finding("disk", False, f"{text}; a first comparison needs about 5 GiB")
    return Finding("disk", True, text)


def _memory() -> Finding:
    size, bound = admission.available_memory()
    text = f"{in_words(max(size, 0))} available ({bound}), {admission.cores()} CPUs"
    return Finding("memory", True, text)


def _cached(cache: Cache) -> list[Finding]:
    kernels = [build.load(path) for path in sorted(cache.kernels.glob("[!.]*"))]
    names = ", ".join(sorted({item.release for item in kernels if item})) or "none"
    images = len(list(cache.images.glob("*/root.img")))
    return [
        Finding("kernels", True, f"{len([k for k in kernels if k])} built ({names})"),
        Finding("images", True, f"{images} made"),
    ]


def _times(cache: Cache, progress: Progress) -> Finding:
    cpus = admission.cores()
    minutes = _BUILD_CORE_MINUTES / cpus
    try:
        tcg = accel.probe("tcg", cache=cache, progress=progress)
    except HarnessError as error:
        return Finding("times", False, f"cannot be told: {error}")
    return Finding(
        "times",
        True,
        f"a kernel from nothing about {minutes:.0f} min, the patched one at most "
        f"{minutes / 2:.0f} min, an image 2 min, a boot about {_BOOT_SECONDS:.0f} s "
        f"under TCG (its probe loop took {tcg.seconds} s here; 0.5 s is usual)",
    )
