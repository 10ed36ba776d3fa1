# SPDX-License-Identifier: GPL-2.0-only
"""What a report says of the disk that swap files lay on."""

from __future__ import annotations

from harness.report import facts
from harness.results.manifest import Manifest

GUEST = {"disk": "sim", "disk_latency_ns": 10_000}


def test_a_workload_with_a_disk_of_its_own_is_excepted() -> None:
    workloads = {"pageio": {}, "selftests": {"requires": {"disk": "host"}}}
    one = Manifest.tolerant({"guest": GUEST, "workloads": workloads})
    assert [one.disk_of(name) for name in workloads] == ["sim", "host"]
    usual, excepted = facts._disk_blindness(one, "insn")
    assert "null_blk" in usual and "10000 ns" in usual
    assert excepted.startswith("Those of selftests lie on the host's disk")


def test_one_disk_for_all_is_said_once() -> None:
    assert (
        len(
            facts._disk_blindness(
                Manifest.tolerant({"guest": GUEST, "workloads": {"a": {}}}), "insn"
            )
        )
        == 1
    )
    host = Manifest.tolerant({"guest": {"disk": "host"}})
    assert len(facts._disk_blindness(host, "insn")) == 1
    assert facts._disk_blindness(host, "wall") == ()
