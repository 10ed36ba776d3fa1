# SPDX-License-Identifier: GPL-2.0-only
"""The programs that share, fragment and churn swap, run here, where there may be none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = ROOT / "workloads"
FLAGS = "-std=c11 -D_GNU_SOURCE -g -O1"
PAGE = 4096

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

# One small run of each, and the metrics that only a guest with swap can bring.
SMALL: dict[str, list[str]] = {
    "churn": ["--size=600K", "--run=3", "--rounds=2", "--allow-resident"],
    "forkswap": ["--size=64K", "--allow-resident"],
    "integrity": ["--size=4M", "--steps=20", "--cycles=2", "--allow-resident"],
    "memhog": ["--size=256K", "--rounds=2"],
    "overhead": ["--bytes=256K", "--allow-resident"],
    "refault": ["--size=256K"],
    "swapoff": ["--bytes=128K", "--fragment", "--allow-resident"],
    "thpswap": ["--size=4M", "--out=split", "--allow-resident"],
    "usemem": ["--size=256K", "--nproc=2", "--repeat=2"],
    "zswap-writeback": ["--size=256K", "--allow-resident"],
}
NEEDS_GUEST = {
    "overhead": {"slots", "slots_used", "swapon", "swapoff"},
    "refault": {"readahead_hits", "readahead_pages", "refaults"},
    "thpswap": {"thp_swpout", "thp_swpout_fallback", "thp_split_page", "thp_split_pmd"}
    | {f"folio_{name}" for name in ("alloc", "swpout", "zswpout", "swpin", "split")}
    | {"folio_swpout_fallback"},
    "zswap-writeback": {"written_back_pages", "written_back_events", "pool_limit_hits"}
    | {"compress_poor"},
}
NAMES = sorted(SMALL)

Line = dict[str, Any]


def _make(out: Path, *variables: str) -> Path:
    targets = [f"{out}/bin/{name}" for name in NAMES]
    argv = ["make", "-s", "-C", str(WORKLOADS), f"OUT={out}", *variables, *targets]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin"


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make(tmp_path_factory.mktemp("programs"))


def _run(argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
    env = {"HARNESS_SAMPLER": "/nonexistent/socket", "PATH": os.environ["PATH"]}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def _lines(result: subprocess.CompletedProcess[str]) -> list[Line]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def _of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["type"] == kind]


def _values(lines: list[Line], name: str) -> list[float]:
    return [line["value"] for line in _of(lines, "metric") if line["name"] == name]


@pytest.mark.parametrize("name", NAMES)
def test_a_good_run_is_complete_and_emits_what_it_declares(bin_dir: Path, name: str) -> None:
    lines = _lines(_run([bin_dir / name, *SMALL[name]]))
    declared = set(json.loads(_run([bin_dir / name, "--describe"]).stdout)["metrics"])
    emitted = {line["name"] for line in _of(lines, "metric")}
    assert is_complete(lines)
    assert emitted <= declared
    assert declared - emitted <= NEEDS_GUEST.get(name, set())
    verified = _of(lines, "verify")
    assert verified
    assert all(line["bad"] == 0 and line["pages"] > 0 for line in verified)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sanitized")
    checks = "-fsanitize=address,undefined"
    check = ["gcc", checks, "-x", "c", "-", "-o", str(out / "check")]
    source = b"int main(void) { return 0; }"
    if subprocess.run(check, input=source, capture_output=True, check=False).returncode != 0:
        pytest.skip("this gcc has no sanitizers")
    return _make(out, f"CFLAGS={FLAGS} {checks} -fno-sanitize-recover=all", f"LDFLAGS={checks}")


@pytest.mark.parametrize("name", NAMES)
def test_no_program_reads_or_writes_out_of_bounds(name: str, sanitized: Path) -> None:
    assert is_complete(_lines(_run([sanitized / name, *SMALL[name]])))


# --- what each one says of itself ---


def test_usemem_counts_and_prints_as_the_list_is_used_to(bin_dir: Path) -> None:
    result = _run([bin_dir / "usemem", "--init-time", "-O", "-y", "-x", "-n", "2", "1m"])
    lines = _lines(result)
    params = {line["name"]: line["value"] for line in _of(lines, "param")}
    assert (params["nproc"], params["size"], params["step"]) == (2, 1 << 20, 8)
    assert (params["sync-rw"], params["sync-free"], params["init-time"]) == ("yes",) * 3
    rows = [row.split() for row in result.stderr.splitlines()]
    # A word for each access, and an eighth of the memory for having mapped it.
    assert [row[0] for row in rows[::2]] == [str((1 << 20) * 9 // 8)] * 2
    assert all(
        row[1] == "bytes" and row[4:6] == ["usecs", "="] and row[7] == "KB/s" for row in rows[::2]
    )
    assert [row[1:] for row in rows[1::2]] == [["usecs", "to", "free", "memory"]] * 2
    printed = sum(int(row[6]) for row in rows[::2])
    assert _values(lines, "throughput") == [pytest.approx(printed, rel=0.02)]


def test_usemem_names_the_slowest_of_several_processes(bin_dir: Path) -> None:
    result = _run([bin_dir / "usemem", "--init-time", "-O", "-y", "-x", "-n", "3", "1m"])
    lines = _lines(result)
    # Its text has whole microseconds, rounded down.
    spent = [int(row.split()[3]) for row in result.stderr.splitlines() if " bytes / " in row]
    assert len(spent) == 3
    (slowest,) = _values(lines, "slowest")
    assert max(spent) * 1000 <= slowest < (max(spent) + 1) * 1000
    rates = [1 / one for one in spent]
    jain = 100 * sum(rates) ** 2 / (3 * sum(rate**2 for rate in rates))
    assert _values(lines, "fairness") == [pytest.approx(jain, abs=1)]
    alone = _lines(_run([bin_dir / "usemem", "--size=256K", "--nproc=1"]))
    assert not [line for line in alone if line.get("name") in ("slowest", "fairness")]


@pytest.mark.parametrize(
    ("argv", "changed"),
    [
        (
            ["-O", "-R", "-n", "3", "-j", "4096", "256K"],
            {"random": "yes", "nproc": 3, "step": 4096},
        ),
        (
            ["--anonymous", "-w", "-r", "2", "256k"],
            {"repeat": 2, "sync-rw": "no", "init-time": "no"},
        ),
        (["--nproc=2", "--sync-free", "256K"], {"nproc": 2, "sync-free": "yes", "sync-rw": "no"}),
    ],
)
def test_the_classic_command_line_is_understood(
    bin_dir: Path, argv: list[str], changed: dict[str, Any]
) -> None:
    lines = _lines(_run([bin_dir / "usemem", *argv]))
    params = {line["name"]: line["value"] for line in _of(lines, "param")}
    assert {key: params[key] for key in changed} == changed


def test_refault_sorts_each_timed_access_into_one_kind(bin_dir: Path) -> None:
    lines = _lines(_run([bin_dir / "refault", "--size=256K", "--histogram-passes=2", "--hot=50"]))
    pages = 256 * 1024 // PAGE
    kinds = [_values(lines, f"{kind}_accesses")[0] for kind in ("hit", "minor", "major")]
    # Two passes, and each other access goes to a hot page.
    assert sum(kinds) == 2 * 2 * pages
    for hist in _of(lines, "hist"):
        counted = sum(count for _, count in hist["counts"])
        assert counted == _values(lines, f"{hist['name']}_accesses")[0]


@pytest.mark.parametrize("order", ["owner-first", "owner-last", "reverse"])
@pytest.mark.parametrize("access", ["none", "read", "write"])
def test_forkswap_compares_what_every_process_sees(bin_dir: Path, order: str, access: str) -> None:
    argv = ["--size=64K", "--procs=4", f"--exit-order={order}", f"--access={access}"]
    lines = _lines(_run([bin_dir / "forkswap", *argv, "--allow-resident"]))
    # The owner and four sharers.
    assert _of(lines, "verify") == [{"type": "verify", "pages": 5 * 16, "bad": 0}]
    phases = [line["name"] for line in _of(lines, "phase")]
    between = {"none": [], "read": ["read"], "write": ["read", "write"]}[access]
    assert phases == ["fork", *between, "exit"]


def test_churn_frees_about_the_part_it_was_told(bin_dir: Path) -> None:
    argv = ["--size=8M", "--free=25", "--rounds=1", "--procs=1", "--allow-resident"]
    lines = _lines(_run([bin_dir / "churn", *argv]))
    phase = next(line for line in _of(lines, "phase") if line["name"] == "free")
    pages = (phase["end_ns"] - phase["begin_ns"]) / _values(lines, "free")[0]
    # 2048 pages, each with a chance of 25 %: 512, standard deviation 20.
    assert 512 - 100 < pages < 512 + 100


def test_integrity_takes_the_same_steps_from_the_same_seed(bin_dir: Path) -> None:
    def verified(seed: int) -> float:
        lines = _lines(_run([bin_dir / "integrity", *SMALL["integrity"], f"--seed={seed}"]))
        return _values(lines, "pages_verified")[0]

    assert verified(5) == verified(5)
    assert len({verified(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["usemem", "-z"], "There is no option '-z'; --help lists them."),
        (["usemem", "-n"], "-n wants a value."),
        (["usemem", "--step=12"], "--step wants a multiple of 8 bytes, not 12."),
        (["thpswap", "--size=3M"], "--size wants a multiple of 2097152 bytes, not 3145728."),
        (["thpswap", "--folio=12K"], "--folio wants a power of two, not 12288."),
        (["churn", "--size=4K", "--procs=2"], "--size=4096 is less than a page for each of 2"),
        (["integrity", "--size=5M"], "--size wants a multiple of 2097152 bytes, not 5242880."),
    ],
)
def test_usage_errors_are_one_sentence(bin_dir: Path, argv: list[str], message: str) -> None:
    result = _run([bin_dir / argv[0], *argv[1:]])
    assert result.returncode == 2
    assert result.stderr.startswith(f"{argv[0]}: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(
    Path("/sys/module/zswap/parameters/enabled").exists(), reason="this kernel has zswap"
)
def test_zswap_writeback_needs_zswap(bin_dir: Path) -> None:
    result = _run([bin_dir / "zswap-writeback"])
    assert result.returncode == 1
    assert "needs the zswap back-end" in result.stderr


# --- corruption must be found: a library plays a kernel that spoils a page ---

SPOIL = """
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

int __real_madvise(void *base, size_t bytes, int advice);
void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *base, size_t bytes);
int __real_clock_gettime(clockid_t id, struct timespec *time);
static unsigned char *data, *spoiled;

/* The last byte of what goes out by MADV_PAGEOUT comes back with a bit flipped, once. */
int __wrap_madvise(void *base, size_t bytes, int advice)
{
	if (advice == 21 && spoiled == NULL && bytes >= 4096) {
		spoiled = (unsigned char *)base + bytes - 1;
		*spoiled ^= 1;
	}
	return __real_madvise(base, bytes, advice);
}

/* Programs that leave it to reclaim: whenever they look at the clock, a written page changes. */
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	unsigned char *base = __real_mmap(at, bytes, prot, flags, fd, offset);

	if (bytes > 2 << 20)
		data = (unsigned char *)(((uintptr_t)base + (2 << 20) - 1) >> 21 << 21) + 4096;
	return base;
}

int __wrap_munmap(void *base, size_t bytes)
{
	if (data == (unsigned char *)base + 4096)
		data = NULL;
	return __real_munmap(base, bytes);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *time)
{
	if (SPOIL_AT_CLOCK && data != NULL && *(uint64_t *)data != 0)
		data[100] = 0x5a;
	return __real_clock_gettime(id, time);
}
"""
WRAP = "-Wl,--wrap=madvise,--wrap=mmap,--wrap=munmap,--wrap=clock_gettime"


def _spoiled(out: Path, at_clock: int) -> Path:
    spoil = out / "spoil.o"
    argv = ["gcc", "-c", "-x", "c", f"-DSPOIL_AT_CLOCK={at_clock}", "-", "-o", str(spoil)]
    subprocess.run(argv, input=SPOIL.encode(), check=True)
    return _make(out, f"CFLAGS={FLAGS}", f"LDFLAGS={WRAP} {spoil}")


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _spoiled(tmp_path_factory.mktemp("spoiled"), 0)


@pytest.fixture(scope="module")
def spoiled_in_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _spoiled(tmp_path_factory.mktemp("spoiled_in_memory"), 1)


@pytest.mark.parametrize(
    "name", ["churn", "forkswap", "overhead", "swapoff", "thpswap", "zswap-writeback", "integrity"]
)
def test_a_bit_that_flips_in_swap_ends_with_status_3(name: str, spoiled: Path) -> None:
    # Every page is looked at; no hole may hide the spoiled one.
    more = {
        "overhead": ["--fragment=no"],
        "swapoff": ["--fragment=no"],
        "thpswap": ["--out=whole"],
        "churn": ["--rounds=1", "--free=1"],
        "integrity": ["--steps=200"],
    }
    result = _run([spoiled / name, *SMALL[name], *more.get(name, [])])
    assert result.returncode == 3, (result.returncode, result.stderr)


@pytest.mark.parametrize("name", ["memhog", "refault", "usemem"])
def test_a_page_that_changes_by_itself_ends_with_status_3(
    name: str, spoiled_in_memory: Path
) -> None:
    result = _run([spoiled_in_memory / name, *SMALL[name]])
    assert result.returncode == 3, (result.returncode, result.stderr)
