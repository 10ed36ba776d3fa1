# SPDX-License-Identifier: GPL-2.0-only
"""What of the host is in every figure of a wall clock, and may move: frequency, other load, steal.

Nothing here has met a host whose KVM runs guests: the files are those that the kernel documents.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CPUS = "sys/devices/system/cpu"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class HostState:
    """One look at the host.

    governor: of frequency scaling, "" where there is none; those of all CPUs if they differ
    turbo: "on", "off", or "" where the kernel does not say
    throttled: how often CPUs were slowed down for heat since they were started
    busy, steal, all: ticks of all CPUs since the host was started
    load: mean number of runnable tasks in the last minute
    """

    governor: str
    turbo: str
    throttled: int
    busy: int
    steal: int
    all: int
    load: float


def look(root: Path = Path("/")) -> HostState:
    """The host as it is now; what cannot be read is "" or 0."""
    ticks = [int(word) for word in _text(root / "proc/stat").partition("\n")[0].split()[1:9]]
    user, nice, system, idle, wait, irq, softirq, steal = (*ticks, *(8 - len(ticks)) * [0])
    busy = user + nice + system + irq + softirq
    load = _text(root / "proc/loadavg").split()
    return HostState(
        governor=_governor(root),
        turbo=_turbo(root),
        throttled=sum(_throttled(root)),
        busy=busy,
        steal=steal,
        all=busy + idle + wait + steal,
        load=float(load[0]) if load else 0.0,
    )


def during(before: HostState, after: HostState, own_s: float) -> dict[str, str | float]:
    """What a boot's record says of the host while it ran; ``own_s`` is QEMU's own CPU time.

    Shares are of the time of all CPUs, in per cent.
    """
    whole = max(after.all - before.all, 1)
    others = after.busy - before.busy - own_s * _TICK
    return {
        "governor": _moved(before.governor, after.governor),
        "turbo": _moved(before.turbo, after.turbo),
        "throttled": max(after.throttled - before.throttled, 0),
        "steal_pct": round(100 * (after.steal - before.steal) / whole, 2),
        "others_pct": round(100 * max(others, 0.0) / whole, 2),
        "load": after.load,
    }


def advice(state: HostState, root: Path = Path("/")) -> Iterator[str]:
    """What makes wall-clock figures worse on this host, each with its remedy."""
    if state.governor not in {"", "performance"}:
        yield (
            f"frequency scaling by '{state.governor}': cpupower frequency-set -g performance keeps "
            "the clock rate"
        )
    if state.turbo == "on":
        yield (
            "turbo is on, so the clock rate depends on heat and on the other CPUs: "
            f"{_turbo_off(root)}"
        )
    if _text(root / _CPUS / "smt/active") == "1":
        yield (
            "SMT siblings share a core: leave the machine to one guest, or "
            f"echo off >/{_CPUS}/smt/control"
        )
    if "[never]" in _text(root / "sys/kernel/mm/transparent_hugepage/enabled"):
        yield (
            "transparent huge pages are off, so guests miss the TLB more often: "
            "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"
        )
    if state.load > 0.5:
        yield f"other programs run (load {state.load:.1f}): stop them, or their time is in figures"
    if state.all and 100 * state.steal / state.all > 0.1:
        yield (
            f"{100 * state.steal / state.all:.1f} % of CPU time was stolen by other guests of this "
            "machine's own host: measure on a host that is not shared"
        )


def cores(root: Path = Path("/")) -> tuple[int, ...]:
    """One CPU of each core that this process may use."""
    found: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = _text(root / _CPUS / f"cpu{cpu}/topology/thread_siblings_list")
        found.setdefault(siblings or str(cpu), cpu)
    return tuple(sorted(found.values()))


def cpus_for(vcpus: int, there: tuple[int, ...]) -> tuple[int, ...]:
    """The CPUs that vCPU threads are pinned to; none if the host has no core for each.

    The first core is left to the harness and the host's interrupts while there is another.
    """
    return there[-vcpus:] if vcpus <= len(there) else ()


def _moved(before: str, after: str) -> str:
    return before if before == after else f"{before or 'unknown'} then {after or 'unknown'}"


def _governor(root: Path) -> str:
    paths = (root / _CPUS).glob("cpu[0-9]*/cpufreq/scaling_governor")
    return "/".join(sorted({_text(path) for path in paths} - {""}))


def _turbo(root: Path) -> str:
    if said := _text(root / _CPUS / "intel_pstate/no_turbo"):
        return "off" if said == "1" else "on"
    said = _text(root / _CPUS / "cpufreq/boost")
    return {"1": "on", "0": "off"}.get(said, "")


def _turbo_off(root: Path) -> str:
    if _text(root / _CPUS / "intel_pstate/no_turbo"):
        return f"echo 1 >/{_CPUS}/intel_pstate/no_turbo"
    return f"echo 0 >/{_CPUS}/cpufreq/boost"


def _throttled(root: Path) -> Iterator[int]:
    for name in ("core_throttle_count", "package_throttle_count"):
        for path in (root / _CPUS).glob(f"cpu[0-9]*/thermal_throttle/{name}"):
            text = _text(path)
            yield int(text) if text.isdecimal() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:  # a file that this host has not, or does not let us read
        return ""
