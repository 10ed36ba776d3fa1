# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator really runs a guest here: found by booting, never by looking at a device node.

The accelerator check (``vm-images/accel-check/``) is a boot sector that enables paging and long
mode, runs a counted loop and ends QEMU with a status of its own.  A /dev/kvm that opens but cannot
do that is found out in seconds.  The verdict is kept for this boot of this host with this QEMU.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.experiment import arch
from harness.util import atomic, progress
from harness.util.command import run
from harness.util.errors import InfraError, UserError
from harness.util.paths import REPO, Cache
from harness.util.process import tethered
from harness.vm import kvm

_log = logging.getLogger(__name__)

QEMU = arch.HERE.qemu
_SOURCE = REPO / "vm-images" / "accel-check" / "accel-check.S"
_KVM = Path("/dev/kvm")
_LOOPS = 100_000_000  # about half a second under TCG
_DEADLINE = 20.0  # seconds; a working KVM needs well under one


@dataclass(frozen=True, slots=True)
class AccelCheck:
    """Whether a guest ran under one accelerator; ``seconds`` is how long that took.

    ``without`` are the features that the CPU model had to go without.
    """

    accel: str
    works: bool
    seconds: float
    reason: str
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accelerator:
    """The accelerator to use ("kvm" or "tcg") and why; ``without`` as `AccelCheck` has it."""

    name: str
    reason: str
    without: tuple[str, ...] = ()


def qemu_version() -> str:
    """The first line of what QEMU prints for ``--version``."""
    return run([QEMU, "--version"]).stdout.splitlines()[0]


def has_plugins() -> bool:
    """Whether this QEMU was built to load plugins."""
    return "-plugin " in run([QEMU, "--help"]).stdout


def check(accel: str, *, cache: Cache) -> AccelCheck:
    """The verdict on ``accel``, from the cache if this host has not been booted since."""
    key = "\0".join((accel, qemu_version(), _boot_id(), atomic.sha256_file(_SOURCE)))
    record = cache.accel_checks / f"{accel}.json"
    kept = atomic.json_file(record) or {}
    with contextlib.suppress(TypeError):  # of a version with other fields
        if kept.pop("key", "") == key:
            return AccelCheck(**{**kept, "without": tuple(kept.get("without", ()))})
    verdict = _tried(accel)
    # A quick refusal is not worth keeping: permissions change without a reboot.
    if verdict.works or (accel == "kvm" and verdict.seconds >= _DEADLINE):
        atomic.text(record, atomic.json_text({**asdict(verdict), "key": key}))
    return verdict


def choose(wanted: str, *, cache: Cache) -> Accelerator:
    """The accelerator for ``wanted`` ("auto", "kvm" or "tcg"): the fastest one that works.

    Raises UserError when the one asked for does not run a guest, InfraError when none does.
    """
    if wanted != "auto":
        verdict = check(wanted, cache=cache)
        if not verdict.works:
            raise UserError(
                f"--accel {wanted} was asked for but runs no guest here ({verdict.reason}); "
                "use --accel tcg or auto"
            )
        return Accelerator(wanted, f"asked for; {verdict.reason}", verdict.without)
    fast = check("kvm", cache=cache)
    if fast.works:
        return Accelerator("kvm", fast.reason, fast.without)
    tcg = check("tcg", cache=cache)
    if not tcg.works:
        raise InfraError(f"no accelerator runs a guest: kvm: {fast.reason}; tcg: {tcg.reason}")
    return Accelerator("tcg", f"kvm does not work here: {fast.reason}")


def cpu(accel: str, without: Sequence[str] = ()) -> str:
    """QEMU's word for the CPU model."""
    return ",".join((arch.HERE.cpus[accel], *(f"-{feature}" for feature in without)))


def _tried(accel: str) -> AccelCheck:
    """The verdict; features whose registers QEMU cannot set are left out, one after the other."""
    without: tuple[str, ...] = ()
    while True:
        verdict = _boot(accel, without)
        feature = "" if verdict.works else kvm.feature_at_fault(verdict.reason)
        if accel != "kvm" or not feature or feature in without:
            break
        without = (*without, feature)
    if verdict.works and without:
        reason = f"{verdict.reason} once its CPU went without {', '.join(without)}"
        return replace(verdict, reason=reason, without=without)
    return verdict


def _boot(accel: str, without: Sequence[str]) -> AccelCheck:
    if accel == "kvm" and not _KVM.exists():
        return AccelCheck(accel, False, 0.0, "there is no /dev/kvm")
    with tempfile.TemporaryDirectory(prefix="harness-accel.") as name:
        image = _assemble(Path(name))
        argv = [
            QEMU, *arch.HERE.check_machine,
            "-accel", accel, "-cpu", cpu(accel, without), "-m", "64",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-drive", f"file={image},format=raw,if=ide,readonly=off,snapshot=on",
        ]  # fmt: skip
        _log.info(f"checking accelerator {accel} (at most {_DEADLINE:.0f} s)")
        progress.command(argv)
        start = time.monotonic()
        try:
            done = subprocess.run(
                tethered(argv, fenced=True), capture_output=True, timeout=_DEADLINE, check=False
            )
        except subprocess.TimeoutExpired:
            reason = f"a guest hangs (no sign of life in {_DEADLINE:.0f} s)"
            reason = f"/dev/kvm opens, but {reason}" if accel == "kvm" else reason
            return AccelCheck(accel, False, _DEADLINE, reason)
        seconds = round(time.monotonic() - start, 2)
    if done.returncode == arch.HERE.check_passed:
        return AccelCheck(accel, True, seconds, f"a test guest ran under {accel}")
    words = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    # QEMU says which register it could not set before it says that it gives up, or after.
    told = next((line for line in words if kvm.feature_at_fault(line)), words[0])
    return AccelCheck(accel, False, seconds, f"QEMU ended with {done.returncode}: {told}")


def _assemble(folder: Path) -> Path:
    image = folder / "check.img"
    loops = ("--defsym", f"LOOPS={_LOOPS}")
    run([*arch.HERE.assemble, *loops, "-o", f"{folder}/check.o", str(_SOURCE)])
    run([*arch.HERE.link, "-o", str(image), f"{folder}/check.o"])
    return image


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
