"""The disk under the swap area: where it lies, how large it is, what the guest is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import disk, spec
from harness.spec import Backend

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


@pytest.mark.parametrize("name", ["swapfile", "swappart", "zswap"])
def test_a_simulated_disk_is_paid_for_in_guest_memory(name: str) -> None:
    one = backend(name)
    size = disk.disk_bytes(one, 100 * MB)
    assert size >= 100 * MB
    assert disk.guest_bytes(one, "sim", 100 * MB) == size
    assert disk.guest_bytes(one, "host", 100 * MB) == 0
    assert f"disk={size}" in disk.words(one, "sim", 100 * MB)
    assert f"latency={disk.LATENCY_NS}" in disk.words(one, "sim", 100 * MB)
    assert disk.words(one, "host", 100 * MB) == [f"size={100 * MB}"]


def test_zram_has_no_disk() -> None:
    one = backend("zram")
    assert disk.guest_bytes(one, "sim", 100 * MB) == 0
    assert disk.words(one, "sim", 100 * MB) == [f"size={100 * MB}"]


def test_a_back_end_may_have_a_size_of_its_own() -> None:
    one = backend({"zswap": {"size": "8G"}})
    assert disk.area_bytes(one, 100 * MB) == 8 << 30
    assert disk.words(one, "host", 100 * MB) == [f"size={8 << 30}"]
    assert disk.disk_bytes(one, 100 * MB) > 8 << 30


def test_the_hosts_file_is_sparse_and_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "swap.img"
    for name in ("swappart", "swapfile"):
        disk.make(path, backend(name), 64 * MB)
        assert path.stat().st_size == disk.disk_bytes(backend(name), 64 * MB)
        assert path.stat().st_blocks * 512 < 48 * MB
        path.unlink()
