# SPDX-License-Identifier: GPL-2.0-only
"""What is told of the host around a boot, from folders in place of /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.vm import hoststate

TICK = os.sysconf("SC_CLK_TCK")


def put(root: Path, path: str, text: object) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n", encoding="utf-8")


def host(root: Path, **files: object) -> Path:
    stat = files.pop("stat", "cpu  100 5 20 800 50 2 3 20 7 0")
    put(root, "proc/stat", f"{stat}\ncpu0 1 1 1 1 1 1 1 1 0 0")
    put(root, "proc/loadavg", files.pop("load", "0.25 0.10 0.05 1/100 1234"))
    for cpu in (0, 1):
        place = f"sys/devices/system/cpu/cpu{cpu}"
        governor = files.get(f"governor{cpu}", "performance")
        put(root, f"{place}/cpufreq/scaling_governor", governor)
        put(root, f"{place}/thermal_throttle/core_throttle_count", files.get("hot", 0))
        put(root, f"{place}/thermal_throttle/package_throttle_count", 0)
    put(root, "sys/devices/system/cpu/intel_pstate/no_turbo", files.get("no_turbo", 1))
    put(root, "sys/devices/system/cpu/smt/active", files.get("smt", 0))
    huge = files.get("huge", "always [madvise] never")
    put(root, "sys/kernel/mm/transparent_hugepage/enabled", huge)
    return root


def test_a_look_reads_what_the_kernel_tells(tmp_path: Path) -> None:
    state = hoststate.look(host(tmp_path, hot=3))
    assert state == hoststate.HostState("performance", "off", 6, 130, 20, 1000, 0.25)


def test_a_host_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    state = hoststate.look(tmp_path)
    assert state == hoststate.HostState("", "", 0, 0, 0, 0, 0.0)
    assert list(hoststate.advice(state, tmp_path)) == []


def test_a_boot_is_told_what_moved_and_what_others_took(tmp_path: Path) -> None:
    before = hoststate.look(host(tmp_path))
    now = host(tmp_path, stat="cpu  500 5 20 1380 50 2 3 40 7 0", governor1="powersave", hot=1)
    # 1000 ticks more: 400 of user time, of which the guest's are 300, and 20 stolen.
    found = hoststate.during(before, hoststate.look(now), own_s=300 / TICK)
    assert found == {
        "governor": "performance then performance/powersave",
        "turbo": "off",
        "throttled": 2,
        "steal_pct": 2.0,
        "others_pct": 10.0,
        "load": 0.25,
    }


def test_a_quiet_host_needs_no_advice(tmp_path: Path) -> None:
    root = host(tmp_path, stat="cpu  100 5 20 800 50 2 3 0 7 0")
    assert list(hoststate.advice(hoststate.look(root), root)) == []


@pytest.mark.parametrize(
    ("files", "remedy"),
    [
        ({"governor0": "powersave", "governor1": "powersave"}, "cpupower frequency-set"),
        ({"no_turbo": 0}, "echo 1 >/sys/devices/system/cpu/intel_pstate/no_turbo"),
        ({"smt": 1}, "echo off >/sys/devices/system/cpu/smt/control"),
        ({"huge": "always madvise [never]"}, "echo madvise >"),
        ({"load": "3.50 1 1 1/1 1"}, "load 3.5"),
        ({"stat": "cpu  100 5 20 800 50 2 3 20 7 0"}, "2.0 % of CPU time was stolen"),
    ],
)
def test_each_disturbance_has_its_remedy(
    tmp_path: Path, files: dict[str, object], remedy: str
) -> None:
    root = host(tmp_path, **{"stat": "cpu  100 5 20 800 50 2 3 0 7 0", **files})
    (told,) = hoststate.advice(hoststate.look(root), root)
    assert remedy in told


def test_one_cpu_of_each_core_is_pinned_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 5})
    for cpu, siblings in enumerate(("0,4", "1,5", "2,6", "3,7", "0,4", "1,5")):
        put(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings)
    there = hoststate.cores(tmp_path)
    assert there == (0, 1, 2, 3)
    assert hoststate.cpus_for(1, there) == (3,)
    assert hoststate.cpus_for(2, there) == (2, 3)
    assert hoststate.cpus_for(4, there) == there
    assert hoststate.cpus_for(5, there) == ()
