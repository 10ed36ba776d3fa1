# SPDX-License-Identifier: GPL-2.0-only
"""Admission: what fits, what does not, and the sentence that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build import pair
from harness.build.pair import Context
from harness.experiment import spec
from harness.run import resources
from harness.run.resources import QEMU_BYTES, Has, Needs, NoMemoryError, Share
from harness.series.mail.lore import MailSource
from harness.studies import compare
from harness.util.hostspace import NoSpaceError
from harness.util.paths import Cache
from harness.util.sandbox import OFF
from tests.fakes.guests import pretend

MIB, GIB = 1 << 20, 1 << 30
A, B, C = Path("/a"), Path("/b"), Path("/c")


def has(*, memory: int = 8 * GIB, cores: int = 4, free: int = 100 * GIB) -> Has:
    """A host with one disk under everything."""
    return Has(memory, "MemAvailable", cores, dict.fromkeys((A, B, C), (1, free)))


@given(
    guest=st.integers(64 * MIB, 64 * GIB),
    most=st.integers(1, 64),
    cores=st.integers(1, 64),
    memory=st.integers(0, 256 * GIB),
)
def test_the_guests_admitted_always_fit(guest: int, most: int, cores: int, memory: int) -> None:
    """Never more memory than is available; as many guests as that, the cores and the plan allow."""
    one = guest + QEMU_BYTES
    needs, host = Needs(guest, 1, most), has(memory=memory, cores=cores)
    if memory < one:
        with pytest.raises(NoMemoryError, match="MEMORY="):
            resources.admit(needs, host)
        return
    count = resources.admit(needs, host).guests
    wanted = resources.together(most, cores)
    assert 1 <= count <= wanted and count * one <= memory
    assert count == wanted or (count + 1) * one > memory


@pytest.mark.parametrize(
    ("boots", "cpus", "count"), [(1, 4, 1), (3, 2, 3), (4, 2, 2), (9, 2, 2), (2, 1, 1), (7, 4, 7)]
)
def test_no_cpu_is_idle_in_a_last_turn(boots: int, cpus: int, count: int) -> None:
    assert resources.together(boots, cpus) == count
    assert resources.admit(Needs(GIB, 1, boots), has(memory=99 * GIB, cores=cpus)).guests == count
    assert resources.admit(Needs(GIB, 1, boots), has(cores=cpus)).warnings == ()


def test_more_guests_than_fit_are_refused_when_they_were_asked_for() -> None:
    host = has(memory=3 * GIB, cores=1)
    assert resources.admit(Needs(GIB, 1, 2, asked=True), host).guests == 2  # on one core: his wish
    with pytest.raises(NoMemoryError, match=r"PARALLEL=3 .* PARALLEL=2 fits"):
        resources.admit(Needs(GIB, 1, 3, asked=True), host)


def test_guests_with_more_cpus_than_there_are_cores_are_a_warning() -> None:
    assert "4 CPUs share 2 cores" in resources.admit(Needs(GIB, 4, 1), has(cores=2)).warnings[0]
    assert resources.admit(Needs(GIB, 2, 1), has(cores=2)).warnings == ()


def test_what_lies_on_one_disk_is_added_up() -> None:
    shares = (
        Share(A, 4 * GIB, "building", "XDG_CACHE_HOME"),
        Share(B, GIB, "results", "RESULTS"),
        Share(C, GIB, "swap disks", "TMPDIR", each=True),
    )
    needs = Needs(GIB, 1, 2, disk=shares)
    assert resources.admit(needs, has(free=7 * GIB)).guests == 2
    with pytest.raises(NoSpaceError, match=r"needs 7\.0 GiB") as caught:
        resources.admit(needs, has(free=7 * GIB - 1))
    text = str(caught.value)
    assert "building 4.0 GiB, results 1.0 GiB, swap disks 2.0 GiB" in text
    assert "XDG_CACHE_HOME" in text and "\n" not in text
    apart = Has(8 * GIB, "", 4, {A: (1, 4 * GIB), B: (2, GIB), C: (3, 2 * GIB - 1)})
    with pytest.raises(NoSpaceError, match=r"2\.0 GiB of disk \(swap disks .* TMPDIR"):
        resources.admit(needs, apart)


def _tree(folder: Path, available_kib: int, own: str) -> tuple[Path, Path]:
    """A /proc and a /sys/fs/cgroup."""
    proc, groups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {available_kib} kB\n")
    (proc / "self" / "cgroup").write_text(f"4:memory:/v1\n0::{own}\n")
    (groups / own.lstrip("/")).mkdir(parents=True)
    return proc, groups


def _group(folder: Path, **files: str | int) -> None:
    for name, value in files.items():
        (folder / f"memory.{name}").write_text(f"{value}\n")


def test_the_tightest_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    proc, groups = _tree(tmp_path, 8 << 20, "/user/job")
    assert resources.available_memory(proc, groups) == (8 * GIB, "MemAvailable")
    _group(groups / "user" / "job", max="max", high="max", current=GIB)
    assert resources.available_memory(proc, groups)[0] == 8 * GIB
    stat = f"anon 5\ninactive_file {512 * MIB}"
    _group(groups / "user", max=4 * GIB, current=2 * GIB, stat=stat)
    size, bound = resources.available_memory(proc, groups)
    assert (size, bound) == (2 * GIB + 512 * MIB, str(groups / "user" / "memory.max"))
    _group(groups / "user" / "job", high=2 * GIB)
    assert resources.available_memory(proc, groups)[0] == GIB
    # A group that is over its limit has nothing to give.
    _group(groups / "user" / "job", high=GIB // 2)
    assert resources.available_memory(proc, groups)[0] < 0


def test_a_host_without_groups_or_with_a_name_of_the_hosts_own(tmp_path: Path) -> None:
    proc, groups = _tree(tmp_path, 1 << 20, "/docker/abc")
    (groups / "docker" / "abc").rmdir()
    (groups / "docker").rmdir()
    _group(groups, max=GIB // 2, current=0)
    assert resources.available_memory(proc, groups)[0] == GIB // 2
    (proc / "self" / "cgroup").unlink()
    assert resources.available_memory(proc, groups)[0] == GIB


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    found = resources.available((tmp_path / "not" / "yet", tmp_path))
    assert found.cores >= 1 and len({device for device, _ in found.disk.values()}) == 1


def _context(folder: Path) -> Context:
    cache = Cache(folder / "cache")
    mail_source = MailSource(cache=cache.mails)
    return Context(cache=cache, results=folder / "r", sandbox=OFF, mails=mail_source)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memory": "4T"}, "a guest takes 409"),
        ({"parallel": "100000"}, "PARALLEL=100000 asks"),
        (
            {"disk": "host", "swap": "16T", "memory": "5G", "backends": "swappart"},
            "swap disks 16384",
        ),
    ],
)
def test_a_comparison_that_cannot_fit_is_refused_before_anything_is_fetched(
    settings: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(pair, "prepare", never)
    wanted = {"backends": "zram", "workloads": "pageio", "parallel": "1", **settings}
    with pytest.raises((NoMemoryError, NoSpaceError), match=words):
        compare.compare(spec.load(None, wanted), _context(tmp_path))
    assert not (tmp_path / "r" / "debian-6.12-vs-calibration").exists()


@pytest.mark.parametrize(("clock", "warned"), [("insn", False), ("wall", True)])
def test_cpus_that_run_in_turn_take_one_of_the_hosts(
    clock: str, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "available", lambda _: has(memory=99 * GIB, cores=2))
    monkeypatch.setattr(resources, "_require_disk", lambda *_: None)
    one = spec.load(None, {"cpus": "4", "pairs": "1", "backends": "zram", "workloads": "pageio"})
    load = resources.Load(one, one.cells(), clock, "sim")
    found = resources.admitted(load, _context(tmp_path), to_make={})
    assert found.guests == (1 if warned else 3) and bool(found.warnings) is warned
