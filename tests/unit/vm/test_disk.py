# SPDX-License-Identifier: GPL-2.0-only
"""The disk under the swap area: where it lies, how large it is, what the guest is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.experiment import spec
from harness.experiment.backend import Backend
from harness.util.errors import UserError
from harness.vm import boot, disk
from harness.vm.boot import BootRequest
from harness.vm.watch import Deadlines
from tests.fakes import things

MB = 1 << 20


def backend(item: object) -> Backend:
    """A back-end as the spec makes it."""
    return spec.load(None, {"backends": [item], "workloads": "pageio"}).cells()[0].backend


@pytest.mark.parametrize(
    ("asked", "clock", "kind"),
    [
        ("auto", "insn", "sim"),
        ("auto", "wall", "host"),
        ("host", "insn", "host"),
        ("sim", "wall", "sim"),
    ],
)
def test_guest_time_that_counts_instructions_wants_a_simulated_disk(
    asked: str, clock: str, kind: str
) -> None:
    assert disk.choose(asked, clock) == kind


def test_a_workload_that_asks_for_parts_of_memory_gets_the_hosts_disk(tmp_path: Path) -> None:
    """The memory under a simulated disk counts as the guest's, and nobody can have it."""
    made = replace(things.host(tmp_path, deadlines=Deadlines()), disk="sim")
    tests, pages = things.cells("zswap", "selftests,pageio")
    assert (made.disk_for(tests), made.disk_for(pages)) == ("host", "sim")
    kernel = things.kernel(tmp_path / "kernel")
    made = replace(made, selftests={kernel.key: tmp_path / "tests.img"}, swap=64 * MB)
    request = BootRequest(tests, "base", 0, 0, 1, kernel)
    machine = boot.machine(request, made, tmp_path, tmp_path)
    assert machine.swap == tmp_path / "swap.img" and machine.memory == made.memory
    other = boot.machine(replace(request, cell=pages), made, tmp_path, tmp_path)
    assert other.swap is None and other.memory > made.memory + 64 * MB


def test_a_guest_has_room_for_the_tables_of_its_swap_area() -> None:
    gb = 1 << 30
    disk.require_room(backend("zram"), 768 * MB, 32 * gb)
    disk.require_room(backend("swapfile"), 768 * MB, 1024 * gb)
    # 4096 bytes of zram take 16 of its table and one of the swap map.
    with pytest.raises(
        UserError, match=r"a swap area of 1T take 4.2 GiB of memory or more, and th"
    ):
        disk.require_room(backend("zram"), 4 * gb, 1024 * gb)
    with pytest.raises(UserError, match="back-end 'swapfile'"):
        disk.require_room(backend("swapfile"), 768 * MB, 4096 * gb)
    disk.require_room(backend({"zram": {"size": "1G"}}), 768 * MB, 4096 * gb)
    with pytest.raises(UserError, match="back-end 'tiered-1T'"):
        disk.require_room(backend({"tiered": {"fast": "1T"}}), 768 * MB, gb)


@pytest.mark.parametrize("name", ["swapfile", "swappart", "zswap"])
def test_a_simulated_disk_is_paid_for_in_guest_memory(name: str) -> None:
    one = backend(name)
    size = disk.disk_bytes(one, 100 * MB)
    assert size >= 100 * MB
    assert disk.guest_bytes(one, "sim", 100 * MB) == size
    assert disk.guest_bytes(one, "host", 100 * MB) == 0
    assert f"disk={size}" in disk.words(one, "sim", 100 * MB)
    assert f"latency={disk.LATENCY_NS}" in disk.words(one, "sim", 100 * MB)
    own = [f"{key}={value}" for key, value in one.settings]
    assert disk.words(one, "host", 100 * MB) == [f"size={100 * MB}", *own]


def test_zram_has_no_disk() -> None:
    one = backend("zram")
    assert disk.guest_bytes(one, "sim", 100 * MB) == 0
    assert disk.words(one, "sim", 100 * MB) == [f"size={100 * MB}", "compressor=lz4"]
    other = backend({"zram": {"writeback": "64M"}})
    assert disk.guest_bytes(other, "host", 100 * MB) == 64 * MB


def test_a_simulated_disk_may_be_a_slow_one() -> None:
    one = backend({"swapfile": {"latency": "8ms", "depth": 128, "bandwidth": 200, "wbt": "75ms"}})
    told = disk.words(one, "sim", 100 * MB)
    assert {"latency=8000000", "depth=128", "bandwidth=200", "wbt=75000"} < set(told)
    disk.require_kind(one, "sim")
    with pytest.raises(UserError, match=r"latency is of the simulated disk, .*: DISK=sim takes"):
        disk.require_kind(one, "host")


def test_hibernation_saves_the_memory_that_a_simulated_disk_is_in() -> None:
    one = backend({"swappart": {"hibernation": "yes"}})
    assert one.fragments == {"hibernation"} and [*one.lacks({})]
    disk.require_kind(one, "host")
    with pytest.raises(UserError, match=r"memory that hibernation saves: DISK=host"):
        disk.require_kind(one, "sim")
    with pytest.raises(UserError, match="no setting 'hibernation'"):
        backend({"swapfile": {"hibernation": "yes"}})


def test_the_guest_makes_what_the_host_cannot(tmp_path: Path) -> None:
    """mke2fs is the harness's own; other file systems and dm-crypt are the guest's business."""
    path = tmp_path / "swap.img"
    for item, bare in (
        ("swapfile", False), ({"swapfile": {"fs": "xfs"}}, True),
        ({"zswap": {"crypt": True}}, True), ({"swappart": {"crypt": "yes"}}, False),
    ):  # fmt: skip
        one = backend(item)
        assert ("bare=yes" in disk.words(one, "host", 64 * MB)) is bare
        assert "bare=yes" not in disk.words(one, "sim", 64 * MB)
        disk.make(path, one, 64 * MB)
        is_ext4 = path.read_bytes()[1080:1082] == b"\x53\xef"
        assert is_ext4 is (one.disk == "ext4" and not bare)
    assert disk.disk_bytes(backend({"swapfile": {"fs": "xfs"}}), 64 * MB) >= 300 * MB


def test_the_history_of_an_aged_area_is_that_of_the_pair() -> None:
    assert "seed=7" in disk.words(backend({"swapfile": {"aged": 10}}), "sim", 64 * MB, 7)
    assert not [one for one in disk.words(backend("zram"), "sim", 64 * MB, 7) if "seed" in one]


@pytest.mark.parametrize("kind", ["sim", "host"])
@pytest.mark.parametrize("name", ["brd", "pmem"])
def test_a_device_in_memory_is_paid_for_in_guest_memory(name: str, kind: str) -> None:
    one = backend(name)
    assert not disk.has_disk(one) and disk.disk_bytes(one, 100 * MB) == 0
    assert 100 * MB <= disk.guest_bytes(one, kind, 100 * MB) < 110 * MB
    assert disk.words(one, kind, 100 * MB) == [f"size={100 * MB}"]


def test_the_command_line_makes_a_ram_disk_of_the_areas_size() -> None:
    words = disk.boot_words(backend("brd"), 900 * MB, 100 * MB + 1)
    assert words == (f"brd.rd_size={102 << 10}",)
    assert disk.boot_words(backend("zram"), 900 * MB, 100 * MB) == ()


PMEM = backend("pmem")


# Where q35 has memory: one piece below 2816 MiB, or 2 GiB and the rest from 4 GiB on.
@given(st.integers(128, 64 << 10), st.integers(1, 32 << 10))
@example(2047, 1905)  # the rest above 4 GiB is a MiB too small for whole huge pages
def test_a_pmem_region_is_in_memory_that_nobody_else_has(memory: int, area: int) -> None:
    one = PMEM
    total = memory * MB + disk.guest_bytes(one, "sim", area * MB)
    pieces = [(0, total)]
    if total > 2816 * MB:
        pieces = [(0, 2048 * MB), (4096 * MB, total + 2048 * MB)]
    try:
        (word,) = disk.boot_words(one, total, area * MB)
    except UserError as error:
        assert "does not fit" in str(error)
        low = pieces[0][1] - 16 * MB
        aligned = area + area % 2
        assert all(end - begin < aligned * MB for begin, end in pieces[1:])
        assert area * MB + 128 * MB + 2 * MB > low
        return
    size, start = map(int, word.removeprefix("memmap=").split("!"))
    assert size >= area * MB and size % (2 * MB) == start % (2 * MB) == 0
    (piece,) = [(b, e) for b, e in pieces if b <= start < e]
    assert start >= 128 * MB
    assert start + size <= piece[1] - (16 * MB if piece[0] == 0 else 0)


def test_a_back_end_may_have_a_size_of_its_own() -> None:
    one = backend({"zswap": {"size": "8G"}})
    assert disk.area_bytes(one, 100 * MB) == 8 << 30
    assert f"size={8 << 30}" in disk.words(one, "host", 100 * MB)
    assert disk.disk_bytes(one, 100 * MB) > 8 << 30


def test_the_hosts_file_is_sparse_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "swap.img"
    for name in ("swappart", "swapfile"):
        disk.make(path, backend(name), 64 * MB)
        assert path.stat().st_size == disk.disk_bytes(backend(name), 64 * MB)
        assert path.stat().st_blocks * 512 < 48 * MB
        path.unlink()
