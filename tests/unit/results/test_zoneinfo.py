# SPDX-License-Identifier: GPL-2.0-only
"""/proc/zoneinfo: zones, the lists of CPUs, and lines that are none of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.results import probes
from harness.results.probes import ProbeError, zoneinfo

# The layout of Linux 6.12; older kernels lack high_min and high_max.
TEXT = """\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 492092
      nr_mapped    30005
      nr_kernel_stack 3136
      nr_anon_transparent_hugepages 7
      workingset_nodes 12
  pages free     3840
        boost    0
        min      33
        low      41
        high     49
        promo    57
        spanned  4095
        present  3998
        managed  3840
        cma      0
        protection: (0, 723, 723, 723)
      nr_free_pages 3840
      numa_hit     5
  pagesets
    cpu: 0
              count:    3
              high:     0
              batch:    1
              high_min: 0
  vm stats threshold: 10
    cpu: 1
              count:    4
  vm stats threshold: 12
  node_unreclaimable:  0
  start_pfn:           1
  reserved_highatomic: 64
Node 0, zone    DMA32
  pages free     61
        min      33
  pagesets
    cpu: 0
              count:    578
  vm stats threshold: 12
"""


def test_each_number_has_its_zone_and_cpu() -> None:
    found = {(one.key, one.field): one.value for one in zoneinfo.parse(TEXT)}
    assert found["0/DMA/cpu0", "count"] == 3
    assert found["0/DMA/cpu1", "count"] == 4
    assert found["0/DMA32/cpu0", "count"] == 578
    assert found["0/DMA", "pages.free"] == 3840 and found["0/DMA32", "pages.free"] == 61
    assert found["0/DMA", "protection.1"] == 723
    assert found["0/DMA", "start_pfn"] == 1 and found["0/DMA", "nr_inactive_anon"] == 492092
    # Each CPU has one.
    assert found["0/DMA/cpu0", "vm_stats_threshold"] == 10
    assert found["0/DMA/cpu1", "vm_stats_threshold"] == 12


def test_no_number_stands_for_two() -> None:
    for text in (TEXT, Path("/proc/zoneinfo").read_text(encoding="ascii")):
        names = [(one.key, one.field) for one in zoneinfo.parse(text)]
        assert len(set(names)) == len(names)


def test_each_number_has_its_unit() -> None:
    found = {(one.key, one.field): (one.value, one.unit) for one in zoneinfo.parse(TEXT)}
    pages = ("pages.free", "boost", "min", "low", "high", "promo", "spanned", "present", "managed",
             "cma", "reserved_highatomic", "protection.3", "nr_mapped")  # fmt: skip
    assert {found["0/DMA", name][1] for name in pages} == {"pages"}
    assert {found["0/DMA/cpu0", name][1] for name in ("count", "high", "batch", "high_min")} == {
        "pages"
    }
    # Stacks are counted in KiB, whatever stands around them.
    assert found["0/DMA", "nr_kernel_stack"] == (3136 * 1024, "B")
    assert found["0/DMA", "nr_anon_transparent_hugepages"] == (7, "count")
    assert found["0/DMA", "workingset_nodes"] == (12, "count")
    assert found["0/DMA", "numa_hit"] == (5, "count")
    assert found["0/DMA/cpu0", "vm_stats_threshold"] == (10, "count")
    assert found["0/DMA", "node_unreclaimable"] == (0, "flag")
    assert found["0/DMA", "start_pfn"] == (1, "")


def test_no_number_of_the_file_is_dropped() -> None:
    lines = [line for line in TEXT.splitlines() if any(c.isdigit() for c in line)]
    heads = [line for line in lines if line.startswith("Node") or line.strip().startswith("cpu:")]
    # Four values of "protection" stand in one line.
    assert len(list(zoneinfo.parse(TEXT))) == len(lines) - len(heads) + 3


def test_this_machine_s_own_file_is_read() -> None:
    path = Path("/proc/zoneinfo")
    parsed = probes.parse(str(path), path.read_text(encoding="ascii"))
    assert parsed.probe == "zoneinfo"
    assert any(one.field == "count" and "/cpu" in one.key for one in parsed.records)


@pytest.mark.parametrize(
    "text", ["  pages free 3\n", TEXT + "      nr_free_pages many\n", "Node 0\n"]
)
def test_what_is_no_zoneinfo_is_an_error(text: str) -> None:
    with pytest.raises(ProbeError, match="zoneinfo"):
        list(zoneinfo.parse(text))
