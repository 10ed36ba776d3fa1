# SPDX-License-Identifier: GPL-2.0-only
"""What a report says of the disk that swap files lay on."""

from __future__ import annotations

import pytest

from harness.report import facts
from harness.results.manifest import Manifest

GUEST = {"disk": "sim", "disk_latency_ns": 10_000}


def test_a_workload_with_a_disk_of_its_own_is_excepted() -> None:
    workloads = {"pageio": {}, "selftests": {"requires": {"disk": "host"}}}
    one = Manifest.tolerant({"guest": GUEST, "workloads": workloads})
    assert [one.disk_of(name) for name in workloads] == ["sim", "host"]
    usual, excepted = facts._disk_blindness(one, "insn")
    assert "null_blk" in usual and "10000 ns" in usual
    assert excepted.startswith("That of selftests is the host's. Waiting for host disk I/O")


@pytest.mark.parametrize(
    ("backends", "named"),
    [
        ({"zram": "zram", "pmem": "pmem", "zswap-alone": "zswap-alone"}, ""),
        ({"zram": "zram", "zswap": "zswap", "swapfile": "swapfile"}, "swapfile, zswap"),
        ({"zram-zstd": "zram", "swappart": "swappart"}, "swappart"),
        ({"old": "unknown"}, "old"),
    ],
)
def test_a_disk_is_named_with_the_back_ends_that_it_is_behind(
    backends: dict[str, str], named: str
) -> None:
    told = {name: {"kind": kind, "settings": {}} for name, kind in backends.items()}
    one = Manifest.tolerant({"guest": GUEST, "backends": told, "workloads": {"a": {}}})
    said = facts._disk_blindness(one, "insn")
    assert [text.partition(" is simulated")[0] for text in said] == (
        [f"The disk behind {named}"] if named else []
    )


def test_what_zram_writes_back_goes_to_a_disk() -> None:
    told = {"zram": {"kind": "zram", "settings": {"writeback": "67108864"}}}
    one = Manifest.tolerant({"guest": GUEST, "backends": told})
    (said,) = facts._disk_blindness(one, "insn")
    assert said.startswith("The disk behind zram is simulated")


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
