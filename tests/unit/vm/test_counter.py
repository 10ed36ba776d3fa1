# SPDX-License-Identifier: GPL-2.0-only
"""Which build of the counting plugin a QEMU gets, and which guests."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from harness.experiment import spec
from harness.util.errors import InfraError
from harness.vm import boot, counter, instrument, qemu
from harness.vm.watch import Deadlines
from tests.fakes.things import boot_request, cells, host

DEADLINES = Deadlines.for_clock("insn", workload=60.0)


@pytest.mark.parametrize(
    ("version", "api"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", 1),
        ("QEMU emulator version 8.2.0", 1),
        ("QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)", 4),
    ],
)
def test_the_build_is_for_this_qemu(version: str, api: int) -> None:
    assert counter.interface(cells("swapfile"), "insn", 1, version) == api
    assert instrument.plugin(Path("/t"), "count", api) == Path(f"/t/plugins/count-{api}.so")


@pytest.mark.parametrize("version", ["QEMU emulator version 9.1.2", "version 7.1.0", "who knows"])
def test_another_qemu_is_refused_only_where_it_must_count(version: str) -> None:
    with pytest.raises(InfraError, match=r"swapfile\.pageio"):
        counter.interface(cells("zram,swapfile"), "insn", 1, version)
    assert counter.interface(cells("zram"), "insn", 1, version) is None
    assert counter.interface(cells("swapfile"), "wall", 1, version) is None


@pytest.mark.parametrize(
    ("backend", "workload", "counts"),
    [
        ("swapfile", "pageio", True),
        ("swappart", "pageio", True),
        ("zram", "pageio", False),
        ("zswap", "pageio", False),
        ("zswap", "zswap-writeback", True),
    ],
)
def test_only_where_pages_wait_is_anything_counted(
    tmp_path: Path, backend: str, workload: str, counts: bool
) -> None:
    (cell,) = spec.load(None, {"backends": backend, "workloads": workload}).cells()
    request = replace(boot_request(tmp_path), cell=cell)
    where = replace(host(tmp_path, deadlines=DEADLINES), plugins={"count": tmp_path / "a,b.so"})
    line = qemu.argv(boot.machine(request, where, tmp_path / "boot", tmp_path))
    found = [line[i + 1] for i, word in enumerate(line) if word == "-plugin"]
    wanted = f"file={tmp_path}/a,,b.so,out={tmp_path}/boot/counts"
    assert found == ([wanted] if counts else [])
    assert cell.waits_io is counts


def test_several_cpus_are_counted_over_any_backend(tmp_path: Path) -> None:
    """No CPU time is one task's there, so the count of all CPUs is what a page costs."""
    where = replace(host(tmp_path, deadlines=DEADLINES), plugins={"count": tmp_path / "c.so"})
    request = boot_request(tmp_path)
    assert not request.cell.waits_io
    for cpus, counts in ((1, False), (2, True)):
        line = qemu.argv(
            boot.machine(request, replace(where, cpus=cpus), tmp_path / "boot", tmp_path)
        )
        assert ("-plugin" in line) is counts
        assert line[line.index("-cpu") + 1] == ("max,-fsrm,-arat" if counts else "max,-fsrm")
    version = "QEMU emulator version 7.2.22"
    assert counter.interface(cells("zram"), "insn", 2, version) == 1
    with pytest.raises(InfraError, match="use CPUS=1"):
        counter.interface(cells("zram"), "insn", 2, "who knows")


def test_a_profile_boot_is_one_of_its_own(tmp_path: Path) -> None:
    request = replace(boot_request(tmp_path), instrument="profile")
    table = "ffffffff81000000 T _stext\nffffffff81000010 T schedule\n"
    (request.kernel.path / "System.map").write_text(table, encoding="ascii")
    plugins = {"count": tmp_path / "count.so", "profile": tmp_path / "profile.so"}
    where = replace(host(tmp_path, deadlines=DEADLINES), plugins=plugins)
    line = qemu.argv(boot.machine(request, where, tmp_path / "boot", tmp_path))
    (found,) = (line[i + 1] for i, word in enumerate(line) if word == "-plugin")
    assert found == (
        f"file={tmp_path}/profile.so,out={tmp_path}/boot/profile.raw,functions={tmp_path}/functions"
    )
    assert "ffffffff81000010 -\n" in (tmp_path / "functions").read_text(encoding="ascii")
    assert request.folder == "zram.pageio/00-base.profile"
    with pytest.raises(InfraError, match="no plugin 'profile'"):
        boot.machine(request, host(tmp_path, deadlines=DEADLINES), tmp_path / "boot", tmp_path)


def test_what_a_plugin_wrote_is_packed(tmp_path: Path) -> None:
    instrument.pack("profile", tmp_path)
    assert list(tmp_path.iterdir()) == [], "a guest that never came up wrote nothing"
    for _ in range(2):
        (tmp_path / "profile.raw").write_bytes(b"profile 1\n" * 1000)
        instrument.pack("profile", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["profile.gz"]
        assert gzip.decompress((tmp_path / "profile.gz").read_bytes()) == b"profile 1\n" * 1000
    (tmp_path / "counts").write_bytes(b"1 7\n")
    instrument.pack("count", tmp_path)
    assert (tmp_path / "counts").read_bytes() == b"1 7\n"
