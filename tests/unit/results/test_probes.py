# SPDX-License-Identifier: GPL-2.0-only
"""Parsers of kernel files: known answers from short texts, properties over captured files.

tests/golden/<kernel>/<probe>.txt, or <probe>-<file>.txt where a probe reads several files
("zram-io_stat.txt"), holds what a guest really printed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.probes import ProbeError, Record, find, parse
from harness.results.probes.allocinfo import AllocSite, site

GOLDEN = Path(__file__).parents[2] / "golden"
# A folder for each kernel version; console/ is test_console.py's.
CAPTURED = sorted(GOLDEN.glob("[0-9]*/*.txt"))

PATHS = {
    "vmstat": "/proc/vmstat",
    "meminfo": "/proc/meminfo",
    "slabinfo": "/proc/slabinfo",
    "allocinfo": "/proc/allocinfo",
    "vmallocinfo": "/proc/vmallocinfo",
    "psi": "/proc/pressure/{memory}",
    "swaps": "/proc/swaps",
    "stat": "/proc/stat",
    "zswap": "/sys/kernel/debug/zswap/{stored_pages}",
    "zram": "/sys/block/zram0/{mm_stat}",
    "memcg": "/sys/fs/cgroup/workload/{memory.stat}",
    "blockstat": "/sys/block/vdb/stat",
    "kthreads": "kthreads",
    "lockstat": "/proc/lock_stat",
}


def _path(file: Path) -> str:
    """The path that a golden file stands for."""
    probe, _, name = file.stem.partition("-")
    return re.sub(r"{(.*)}", lambda match: name or match[1], PATHS[probe])


def _values(path: str, text: str) -> dict[tuple[str, str], int | float]:
    return {(r.key, r.field): r.value for r in parse(path, text).records}


def test_vmstat() -> None:
    got = parse("/proc/vmstat", "nr_free_pages 12\npswpin 0\npgpgin 3\nthp_split_page 4\n").records
    assert got == (
        Record("vmstat", "", "nr_free_pages", 12, "pages"),
        Record("vmstat", "", "pswpin", 0, "pages"),
        Record("vmstat", "", "pgpgin", 3072, "B"),
        Record("vmstat", "", "thp_split_page", 4, "count"),
    )


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        (
            "pages",
            "nr_anon_pages nr_zspages nr_hugetlb nr_swapcached nr_kernel_misc_reclaimable pswpout "
            "zswpwb swpin_zero pgscan_direct pgsteal_kswapd pgskip_normal pginodesteal "
            "kswapd_inodesteal workingset_refault_anon workingset_restore_file pgdemote_kswapd "
            "compact_isolated compact_daemon_free_scanned numa_pages_migrated balloon_inflate "
            "unevictable_pgs_scanned pgmigrate_fail pglazyfreed",
        ),
        (
            "count",
            # Of 512 pages each.
            "nr_anon_transparent_hugepages nr_shmem_hugepages nr_file_hugepages "
            "nr_shmem_pmdmapped nr_file_pmdmapped thp_swpout "
            # Called like numbers of pages.
            "nr_tlb_remote_flush nr_tlb_local_flush_one nr_foll_pin_acquired workingset_nodes "
            "workingset_nodereclaim pgscan_direct_throttle pgfault pgreuse allocstall_normal "
            "compact_stall compact_daemon_wake numa_hit numa_pte_updates slabs_scanned oom_kill",
        ),
        ("B", "pgpgin pgpgout nr_kernel_stack nr_shadow_call_stack"),
    ],
)
def test_what_vmstat_counts(unit: str, names: str) -> None:
    text = "".join(f"{name} 3\n" for name in names.split())
    value = 3 * 1024 if unit == "B" else 3
    assert {(one.value, one.unit) for one in parse("/proc/vmstat", text).records} == {(value, unit)}


def test_meminfo_kb_are_kib() -> None:
    text = "MemTotal:         991 kB\nActive(anon):  4 kB\nHugePages_Total:       0\n"
    assert parse("/proc/meminfo", text).records == (
        Record("meminfo", "", "MemTotal", 991 * 1024, "B"),
        Record("meminfo", "", "Active(anon)", 4096, "B"),
        Record("meminfo", "", "HugePages_Total", 0, "count"),
    )


def test_slabinfo_even_with_blanks_in_a_name() -> None:
    text = (
        "slabinfo - version: 2.1\n"
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
        " : tunables <limit> <batchcount> <sharedfactor>"
        " : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
        "zswap_entry        510    584     56   73    1 : tunables    0    0    0"
        " : slabdata      8      8      0\n"
        "odd name here        1      2     64   64    1 : tunables    0    0    0"
        " : slabdata      1      1      0\n"
    )
    got = _values("/proc/slabinfo", text)
    assert got["zswap_entry", "active_objs"] == 510
    assert got["zswap_entry", "num_slabs"] * got["zswap_entry", "pagesperslab"] == 8
    assert got["odd name here", "objsize"] == 64
    assert len(got) == 22


def test_slabinfo_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(ProbeError, match="slabinfo: line 1"):
        parse("/proc/slabinfo", "slabinfo - version: 3.0\n")


def test_allocinfo_sites_modules_and_tags() -> None:
    text = (
        "allocinfo - version: 2.0\n#     <size>  <calls> <tag info>\n"
        "     8405024        1 mm/swapfile.c:3022 func:swapon\n"
        "        4096        2 drivers/block/zram/zram_drv.c:9 [zram] func:zram_add\n"
        "         128        1 mm/slub.c:7 func:obj_exts accurate:no\n"
    )
    got = parse("/proc/allocinfo", text).records
    by_site = {(site(r.key), r.field): r.value for r in got}
    assert by_site[AllocSite("mm/swapfile.c", 3022, "", "swapon"), "bytes"] == 8405024
    assert by_site[AllocSite("drivers/block/zram/zram_drv.c", 9, "zram", "zram_add"), "calls"] == 2
    assert by_site[AllocSite("mm/slub.c", 7, "", "obj_exts"), "accurate"] == 0
    assert len(got) == 7


def test_vmallocinfo_sums_by_caller_without_offset() -> None:
    text = (
        "0xffffc90000000000-0xffffc90000005000   20480 swap_cgroup_swapon+0x71/0x110 pages=4"
        " vmalloc N0=4\n"
        "0xffffc90000006000-0xffffc90000009000   12288 swap_cgroup_swapon+0x99/0x110 pages=2"
        " vmalloc N0=2\n"
        "0xffffc9000000a000-0xffffc9000000c000    8192 zram_add+0x1/0x2 [zram] phys=0x1 ioremap\n"
        "0x00000000aaaaaaaa-0x00000000bbbbbbbb    4096 vm_map_ram\n"
        "0x00000000aaaaaaaa-0x00000000bbbbbbbb    4096 unpurged vm_area\n"
    )
    got = _values("/proc/vmallocinfo", text)
    assert got["swap_cgroup_swapon", "bytes"] == 32768
    assert got["swap_cgroup_swapon", "pages"] == 6
    assert got["swap_cgroup_swapon", "areas"] == 2
    assert got["zram_add [zram]", "kind.ioremap"] == 1
    assert got["(none)", "areas"] == 2
    assert got["(none)", "kind.unpurged"] == 1


def test_psi_of_machine_and_cgroup() -> None:
    text = "some avg10=0.12 avg60=0.00 avg300=1.00 total=12345\nfull avg10=0.00 total=7\n"
    got = parse("/proc/pressure/memory", text).records
    assert got[0] == Record("psi", "memory", "some.avg10", 0.12, "%")
    assert got[3] == Record("psi", "memory", "some.total", 12345, "us")
    inside = parse("/sys/fs/cgroup/w/a/memory.pressure", text).records
    assert inside[-1] == Record("psi", "w/a/memory", "full.total", 7, "us")


def test_swaps() -> None:
    text = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/zram0                              partition\t1048572\t\t64\t\t-2\n"
        "/mnt/a\\040b\\040(deleted)               file\t\t8\t\t0\t\t5\n"
    )
    got = _values("/proc/swaps", text)
    assert got["/dev/zram0", "size"] == 1048572 * 1024
    assert got["/dev/zram0", "used"] == 65536
    assert got["/dev/zram0", "priority"] == -2
    assert got["/mnt/a\\040b\\040(deleted)", "type.file"] == 1
    assert parse("/proc/swaps", "Filename Type Size Used Priority\n").records == ()


def test_stat_keeps_a_newer_kernels_extra_column() -> None:
    text = (
        "cpu  10 0 20 300 1 0 2 0 0 0 9\ncpu0 10 0 20 300 1 0 2 0 0 0\n"
        "intr 15 5 0 10\nctxt 77\nbtime 1700000000\nprocesses 12\nprocs_running 1\n"
        "procs_blocked 0\nsoftirq 9 0 4 0 0 0 0 0 1 0 4\n"
    )
    got = _values("/proc/stat", text)
    assert got["cpu0", "system"] == 20
    assert got["cpu", "field_11"] == 9
    assert got["intr", "total"] == 15
    assert got["intr", "irq_2"] == 10
    assert ("intr", "irq_1") not in got
    assert got["", "ctxt"] == 77
    assert got["softirq", "RCU"] == 4


@pytest.mark.parametrize(
    ("path", "text", "record"),
    [
        ("/sys/kernel/debug/zswap/pool_total_size", "4096\n", ("pool_total_size", 4096, "B")),
        ("/sys/kernel/debug/zswap/reject_new", "3\n", ("reject_new", 3, "count")),
        ("/sys/module/zswap/parameters/enabled", "Y\n", ("param.enabled", 1, "flag")),
        ("/sys/module/zswap/parameters/compressor", "lz4\n", ("param.compressor.lz4", 1, "flag")),
        (
            "/sys/module/zswap/parameters/max_pool_percent",
            "20\n",
            ("param.max_pool_percent", 20, "%"),
        ),
    ],
)
def test_zswap(path: str, text: str, record: tuple[str, int, str]) -> None:
    (got,) = parse(path, text).records
    assert got == Record("zswap", "", *record)


def test_zram_old_and_newer_than_known() -> None:
    old = _values("/sys/block/zram1/mm_stat", "  16384  90 12288 0 12288 3 0 1\n")
    assert old["zram1", "same_pages"] == 3
    assert ("zram1", "huge_pages_since") not in old
    new = _values("/sys/block/zram1/mm_stat", "1 2 3 4 5 6 7 8 9 10\n")
    assert new["zram1", "huge_pages_since"] == 9
    assert new["zram1", "field_10"] == 10
    assert _values("/sys/block/zram0/io_stat", "0 0 0 41\n")["zram0", "notify_free"] == 41


def test_memcg_units_and_shapes() -> None:
    text = "anon 4096\npgfault 3\nworkingset_refault_anon 2\nzswpin 7\nzswapped 8192\nthp_swpout 1"
    got = {
        r.field: (r.key, r.value, r.unit)
        for r in parse("/sys/fs/cgroup/w/memory.stat", text).records
    }
    assert got == {
        "memory.stat.anon": ("w", 4096, "B"),
        "memory.stat.pgfault": ("w", 3, "count"),
        "memory.stat.workingset_refault_anon": ("w", 2, "pages"),
        "memory.stat.zswpin": ("w", 7, "pages"),
        "memory.stat.zswapped": ("w", 8192, "B"),
        "memory.stat.thp_swpout": ("w", 1, "count"),
    }
    (limit,) = parse("/sys/fs/cgroup/w/memory.swap.max", "max\n").records
    assert limit == Record("memcg", "w", "memory.swap.max", math.inf, "B")
    (event,) = parse("/sys/fs/cgroup/memory.events", "max 5\n").records
    assert event == Record("memcg", "/", "memory.events.max", 5, "count")
    numa = _values("/sys/fs/cgroup/w/memory.numa_stat", "anon N0=1 N1=2\n")
    assert numa["w", "memory.numa_stat.anon.N1"] == 2
    (time, *_) = parse("/sys/fs/cgroup/w/cpu.stat", "usage_usec 9\nnr_periods 0\n").records
    assert time.unit == "us"


def _units(path: str, text: str) -> dict[str, tuple[int | float, str]]:
    found = parse(f"/sys/fs/cgroup/{path}", text).records
    return {one.field.removeprefix(f"{Path(path).name}."): (one.value, one.unit) for one in found}


def test_a_limit_of_cpu_time_has_quota_and_period() -> None:
    assert _units("w/cpu.max", "50000 100000\n") == {
        "quota": (50000, "us"), "period": (100000, "us"),
    }  # fmt: skip
    assert _units("w/cpu.max", "max 100000\n")["quota"] == (math.inf, "us")
    assert _units("w/cpu.max.burst", "20000\n") == {"cpu.max.burst": (20000, "us")}


def test_io_stat_has_bytes_and_counts() -> None:
    text = (
        "254:32 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0 "
        "cost.vrate=100.50 cost.usage=7 cost.wait=0\n"
        # Devices without numbers of their own.
        "254:0 254:16 rbytes=512 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"
    )
    got = _units("w/io.stat", text)
    assert got["254:32.rbytes"] == (4096, "B") and got["254:32.wbytes"] == (8192, "B")
    assert got["254:32.rios"] == (1, "count") and got["254:32.dbytes"] == (0, "B")
    assert got["254:32.cost.vrate"] == (100.5, "%") and got["254:32.cost.usage"] == (7, "us")
    assert got["254:16.rbytes"] == (512, "B")
    got = _units("w/io.max", "254:32 rbps=2097152 wbps=max riops=120 wiops=max\n")
    assert got["254:32.rbps"] == (2097152, "B/s") and got["254:32.riops"] == (120, "count")
    assert got["254:32.wbps"] == (math.inf, "B/s")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("cgroup.controllers", "cpuset cpu io memory pids\n"),
        ("cgroup.controllers", "memory\n"),
        ("cgroup.subtree_control", "cpu memory\n"),
        ("cgroup.type", "domain threaded\n"),
        ("cpuset.cpus", "0-3,8\n"),
        ("cpuset.cpus.effective", "0\n"),
        ("cpuset.cpus.partition", "root invalid (Parent is not a partition root)\n"),
        ("cpuset.mems.effective", "0-1\n"),
        ("io.prio.class", "no-change\n"),
        ("io.cost.qos", "254:0 enable=1 ctrl=user rpct=95.00\n"),
        ("devices.list", "a *:* rwm\n"),
        ("freezer.state", "THAWED\n"),
        ("cpuacct.usage_all", "cpu user system\n0 1 2\n"),
        ("memory.kmem.slabinfo", "# name <active_objs>\n"),
    ],
)
def test_a_cgroups_words_are_kept(file: str, text: str) -> None:
    got = parse(f"/sys/fs/cgroup/w/{file}", text)
    assert (got.probe, got.records, got.raw) == ("memcg", (), text)


@pytest.mark.parametrize(
    ("file", "text", "field", "value"),
    [
        ("cgroup.procs", "1\n201\n202\n", "cgroup.procs", (3, "count")),
        ("cgroup.threads", "", "cgroup.threads", (0, "count")),
        ("cgroup.pressure", "1\n", "cgroup.pressure", (1, "flag")),
        ("cgroup.events", "populated 1\nfrozen 0\n", "populated", (1, "flag")),
        ("cgroup.max.depth", "max\n", "cgroup.max.depth", (math.inf, "count")),
        ("cpu.weight", "100\n", "cpu.weight", (100, "")),
        ("cpu.weight.nice", "-5\n", "cpu.weight.nice", (-5, "")),
        ("cpu.uclamp.min", "12.50\n", "cpu.uclamp.min", (12.5, "%")),
        ("io.weight", "default 100\n254:32 50\n", "254:32", (50, "")),
        ("pids.max", "max\n", "pids.max", (math.inf, "count")),
        ("hugetlb.2MB.current", "2097152\n", "hugetlb.2MB.current", (2097152, "B")),
        ("hugetlb.2MB.events", "max 3\n", "max", (3, "count")),
        ("misc.max", "res_a max\n", "res_a", (math.inf, "count")),
    ],
)
def test_other_files_of_a_cgroup(
    file: str, text: str, field: str, value: tuple[int | float, str]
) -> None:
    assert _units(f"w/{file}", text)[field] == value


@pytest.mark.parametrize(
    ("file", "text", "field", "value"),
    [
        ("memory.usage_in_bytes", "4096\n", "memory.usage_in_bytes", (4096, "B")),
        ("memory.failcnt", "7\n", "memory.failcnt", (7, "count")),
        ("memory.stat", "rss 4096\npgpgin 3\ntotal_pgmajfault 2\n", "pgpgin", (3, "count")),
        ("memory.stat", "rss 4096\ntotal_rss 8192\n", "total_rss", (8192, "B")),
        ("memory.stat", "total_pgmajfault 2\n", "total_pgmajfault", (2, "count")),
        ("memory.numa_stat", "total=3 N0=1 N1=2\nfile=1 N0=1 N1=0\n", "total.N1", (2, "pages")),
        ("memory.numa_stat", "total=3 N0=1 N1=2\nfile=1 N0=1 N1=0\n", "file", (1, "pages")),
        ("memory.oom_control", "oom_kill_disable 1\noom_kill 2\n", "oom_kill", (2, "count")),
        ("cpu.cfs_quota_us", "-1\n", "cpu.cfs_quota_us", (-1, "us")),
        ("cpu.stat", "nr_periods 3\nthrottled_time 5\n", "throttled_time", (5, "ns")),
        ("cpuacct.usage_percpu", "11 12 \n", "1", (12, "ns")),
        ("cpuacct.stat", "user 3\nsystem 4\n", "system", (4, "ticks")),
        (
            "blkio.throttle.io_service_bytes_recursive",
            "254:32 Read 4096\n254:32 Write 0\nTotal 4096\n",
            "254:32.Read",
            (4096, "B"),
        ),
        ("blkio.throttle.io_serviced", "254:32 Read 2\nTotal 2\n", "Total", (2, "count")),
    ],
)
def test_files_of_version_1(
    file: str, text: str, field: str, value: tuple[int | float, str]
) -> None:
    assert _units(f"memory/w/{file}", text)[field] == value


def test_blockstat() -> None:
    got = _values("/sys/block/vdb/stat", "  1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n")
    assert got["vdb", "read_sectors"] == 3
    assert got["vdb", "write_ios"] == 5
    assert got["vdb", "flush_ticks"] == 17
    assert got["vdb", "field_18"] == 18
    with pytest.raises(ProbeError, match="blockstat"):
        parse("/sys/block/vdb/stat", "1 2 3\n")


def test_huge_pages_have_a_key_of_each_size() -> None:
    path = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/swpout"
    assert parse(path, "17\n").records == (Record("mthp", "64kB", "swpout", 17, "count"),)


def test_smaps_are_sums_of_kib() -> None:
    assert parse("smaps", "SwapPss 12\nprocesses 3\n").records == (
        Record("smaps", "", "SwapPss", 12 * 1024, "B"),
        Record("smaps", "", "processes", 3, "count"),
    )


def test_kthreads_have_stable_names() -> None:
    text = "36 kswapd0 123456\n9 kworker/0:1-events 5\n10 kworker/u2:0+flush 6\n11 a b 7\n"
    assert _values("kthreads", text) == {
        ("kswapd0", "cpu_ns"): 123456,
        ("kworker/0:1", "cpu_ns"): 5,
        ("kworker/u2:0", "cpu_ns"): 6,
        ("a b", "cpu_ns"): 7,
    }


def test_unknown_files_are_read_if_simple_and_kept_if_not() -> None:
    used = parse("/sys/kernel/debug/vswap/used", "42\n")
    assert used.records == (Record("generic", "/sys/kernel/debug/vswap/used", "value", 42, ""),)
    assert _values("/x", "a 1\nb: 2\n") == {("/x", "a"): 1, ("/x", "b"): 2}
    odd = parse("/proc/buddyinfo", "Node 0, zone DMA 1 0 1\n")
    assert (odd.records, odd.raw) == ((), "Node 0, zone DMA 1 0 1\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/proc/vmstat", "pswpin\n"),
        ("/proc/vmstat", "pswpin x\n"),
        ("/proc/vmstat", "pswpin \u0663\n"),
        ("/proc/meminfo", "MemTotal: 5 MB\n"),
        ("/proc/meminfo", "MemTotal 5 kB\n"),
        ("/proc/slabinfo", "a 1 2\n"),
        ("/proc/allocinfo", "12 mm/slub.c:7 func:x\n"),
        ("/proc/vmallocinfo", "nonsense\n"),
        ("/proc/pressure/io", "some\n"),
        ("/proc/pressure/io", "some avg10=a\n"),
        ("/proc/swaps", "/dev/a partition 1 2\n"),
        ("/proc/stat", "ctxt 1 2\n"),
        ("/sys/kernel/debug/zswap/stored_pages", "lz4\n"),
        ("/sys/block/zram0/mm_stat", "1 b 3\n"),
        ("/sys/fs/cgroup/w/memory.stat", "anon 1 2\n"),
        ("/sys/fs/cgroup/w/memory.stat", "anon=1\n"),
        ("/sys/fs/cgroup/w/memory.stat", "anon few\n"),
        ("kthreads", "kswapd0 12\n"),
    ],
)
def test_a_malformed_line_is_named(path: str, text: str) -> None:
    known = find(path)
    assert known is not None
    with pytest.raises(ProbeError, match=rf"{known[0]}: line 1 "):
        parse(path, text)


@given(st.sampled_from([p.replace("{", "").replace("}", "") for p in PATHS.values()]), st.text())
def test_any_text_gives_records_or_a_probe_error(path: str, text: str) -> None:
    try:
        parse(path, text)
    except ProbeError as error:
        assert "\n" not in str(error)


def test_there_are_captured_files() -> None:
    assert CAPTURED, "tests/golden has no captured file: the parsers are untested on real kernels"


# What must be true of a capture from a live guest, whatever the kernel.
PROPERTIES: dict[str, Callable[[dict[tuple[str, str], int | float]], bool]] = {
    "vmstat": lambda v: v["", "nr_free_pages"] > 0 and ("", "pswpin") in v and len(v) > 80,
    "meminfo": lambda v: v["", "MemTotal"] > v["", "MemFree"] > 0 and ("", "SwapTotal") in v,
    "slabinfo": lambda v: all(
        v[k, "num_objs"] >= v[k, "active_objs"] >= 0 and v[k, "objsize"] > 0 for k, _ in v
    ),
    "allocinfo": lambda v: len(v) > 500 and sum(v[k] for k in v if k[1] == "bytes") > 2**20,
    "vmallocinfo": lambda v: all(v[k, "bytes"] >= 4096 * v[k, "pages"] for k, _ in v),
    "psi": lambda v: any(field == "some.total" for _, field in v),
    "swaps": lambda v: all(v[k, "size"] >= v[k, "used"] >= 0 for k, _ in v),
    "stat": lambda v: v["cpu", "idle"] + v["cpu", "system"] > 0 and v["", "ctxt"] > 0,
    "zram": lambda v: all(not field.startswith("field_") for _, field in v),
    "memcg": lambda v: min(v.values()) >= 0,
    "blockstat": lambda v: len(v) in (11, 15, 17),
    "kthreads": lambda v: sum(v.values()) > 0,
    "lockstat": lambda v: all(
        v[k, "contentions"] > 0 and v[k, "waittime-total"] >= v[k, "waittime-max"] > 0 for k, _ in v
    ),
}


def test_pmu() -> None:
    got = _values("pmu", "cycles 12\ninstructions 7\ncache-misses 0\n")
    assert got == {("", "cycles"): 12, ("", "instructions"): 7, ("", "cache-misses"): 0}
    with pytest.raises(ProbeError, match="line 1"):
        parse("pmu", "branches 3\n")


_LOCKS = """\
lock_stat version 0.4
-----------------
        class name    con-bounces    contentions   waittime-min   waittime-max waittime-total
-----------------

      &mm->mmap_lock-W:   46   84  0.26  939.10  16371.53  194.90  47  29  0.16  21.69  16.32  5.97
      &mm->mmap_lock-R:   0    0   0.00  0.00    0.00      0.00    21  34  0.10  44.53  50.76  2.77
      ---------------
        &mm->mmap_lock          1          [<ffffffff811502a7>] scan: a slot+0x57/0x280

.................
         "list"->lock#2/1:   1   2  0.50  1.00  1.505  0.75   2   9  0.10  4.53   5.76   2.77
"""


def test_lockstat() -> None:
    assert _values("/proc/lock_stat", _LOCKS) == {
        ("&mm->mmap_lock-W", "contentions"): 84,
        ("&mm->mmap_lock-W", "waittime-max"): 939_100,
        ("&mm->mmap_lock-W", "waittime-total"): 16_371_530,
        ('"list"->lock#2/1', "contentions"): 2,
        ('"list"->lock#2/1', "waittime-max"): 1000,
        ('"list"->lock#2/1', "waittime-total"): 1505,
    }
    with pytest.raises(ProbeError, match="line 1"):
        parse("/proc/lock_stat", _LOCKS.replace("0.4", "0.5"))
    for damaged in (_LOCKS.replace("194.90", ""), _LOCKS.replace("194.90", " " * 20_000)):
        with pytest.raises(ProbeError, match="line 6"):
            parse("/proc/lock_stat", damaged)
    stopped = _LOCKS.replace("0.4\n", "0.4\n*WARNING* lock debugging disabled!! - possibly due\n")
    with pytest.raises(ProbeError, match="nothing is counted any more: lock debugging disabled"):
        parse("/proc/lock_stat", stopped)


@pytest.mark.parametrize("file", CAPTURED, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_captured(file: Path) -> None:
    text = file.read_text()
    probe = file.stem.partition("-")[0]
    parsed = parse(_path(file), text)
    assert parsed.probe == probe
    assert parsed.records or probe == "swaps"
    assert all(math.isfinite(r.value) or r.field.startswith("memory.") for r in parsed.records)
    keyed = {(r.key, r.field): r.value for r in parsed.records}
    if probe in PROPERTIES:
        assert PROPERTIES[probe](keyed)
    # Every number that a flat file prints is in the records.
    if probe in ("vmstat", "meminfo"):
        assert len(parsed.records) == len(text.strip().splitlines())


def test_a_site_is_named_from_the_top_of_the_tree_wherever_the_kernel_was_built() -> None:
    for way in ("", "./", "../src/", "../../src/"):
        found = site(f"{way}mm/swapfile.c:12 func:swapon")
        assert (found.file, found.line, found.func) == ("mm/swapfile.c", 12, "swapon")
