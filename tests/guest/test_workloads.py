# SPDX-License-Identifier: GPL-2.0-only
"""The guest's C programs, built and run on this machine, where swap may be absent."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import workload
from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = ROOT / "workloads"
SOURCES = sorted(
    [*WORKLOADS.glob("*/*.c"), *(ROOT / "vm-images/sampler").glob("*.c")],
    key=lambda path: path.as_posix(),
)
NAMES = ("crash", "fill", "pageio", "pressure")
PAGE = 4096
SUB_BITS = 5

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

Line = dict[str, Any]


def _make(out: Path) -> None:
    argv = ["make", "-s", "-C", str(WORKLOADS), f"OUT={out}"]
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="module")
def bin_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("workloads")
    _make(out)
    return out / "bin"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("driver") / "driver"
    common = [str(path) for path in sorted((WORKLOADS / "common").glob("*.c"))]
    flags = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    argv = ["gcc", *flags, "-o", str(program), str(ROOT / "tests/guest/driver.c"), *common]
    subprocess.run(argv, check=True)
    return program


def _run(
    argv: list[str | Path],
    *,
    stdin: str = "",
    env: dict[str, str] | None = None,
    check: bool = False,
    **more: Any,
) -> subprocess.CompletedProcess[str]:
    env = {"HARNESS_SAMPLER": "/nonexistent/socket", **(env or {})}
    return subprocess.run(
        argv, check=check, env=env, input=stdin, capture_output=True, text=True, **more
    )


def _verify(driver: Path, content: str, first: int, pages: list[bytes]) -> tuple[int, str]:
    """Bad pages as the library counts them with seed 3, and what it says about them."""
    argv = [str(driver), "verify", content, "3", str(first)]
    result = subprocess.run(argv, input=b"".join(pages), check=True, capture_output=True)
    return int(result.stdout), result.stderr.decode()


def _lines(result: subprocess.CompletedProcess[str]) -> list[Line]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def _of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["type"] == kind]


def _meta(name: str) -> dict[str, Any]:
    return workload.read(name, WORKLOADS)


# --- build ---


def test_sources_are_clean_under_stricter_warnings() -> None:
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    for source in [*SOURCES, ROOT / "tests/guest/driver.c"]:
        result = _run(["gcc", "-fsyntax-only", *flags, source], env={"PATH": os.environ["PATH"]})
        assert result.returncode == 0, result.stderr


def test_the_same_source_gives_the_same_bytes(bin_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    for folder in ("workloads", "vm-images/sampler", "vm-images/guest", "vm-images/plugins"):
        shutil.copytree(ROOT / folder, copy / folder)
    argv = ["make", "-s", "-C", str(copy / "workloads"), f"OUT={tmp_path / 'out'}"]
    subprocess.run(argv, check=True)
    built = [path.name for path in bin_dir.iterdir()]
    folders = {path.parent.name for path in WORKLOADS.glob("*/workload.yaml")}
    assert set(built) == {*folders, "sampler", "init", "align", "age", "runner"}
    plugins = [path.name for path in (bin_dir.parent / "plugins").iterdir()]
    assert {"count-1.so", "count-4.so"} <= set(plugins)
    assert len(plugins) % 2 == 0, "each plugin for both interfaces"
    for name in [*(f"bin/{one}" for one in built), *(f"plugins/{one}" for one in plugins)]:
        assert (bin_dir.parent / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_workload_has_random_addresses_whatever_its_shell_has(bin_dir: Path) -> None:
    """init turns them off for all other programs of the guest."""
    asked = ["cat", "/proc/self/personality"]
    assert int(_run(["setarch", "-R", *asked]).stdout, 16) == 0x40000  # ADDR_NO_RANDOMIZE
    assert int(_run(["setarch", "-R", bin_dir / "align", *asked]).stdout, 16) == 0


# --- the library ---


def _bucket(value: int) -> int:
    if value < 2 ** (SUB_BITS + 1):
        return value
    shift = value.bit_length() - 1 - SUB_BITS
    return int(shift * 2**SUB_BITS + (value >> shift))


def _bucket_low(index: int) -> int:
    shift = max(index // 2**SUB_BITS - 1, 0)
    return int((index - shift * 2**SUB_BITS) << shift)


def test_histogram_index_is_the_published_formula(driver: Path) -> None:
    rng = random.Random(1)
    edges = {2**bit + step for bit in range(64) for step in (-1, 0, 1)}
    edges |= {rng.getrandbits(rng.randint(1, 64)) for _ in range(20000)}
    values = sorted(value for value in edges | set(range(300)) if 0 <= value < 2**64)
    result = _run([driver, "histogram"], stdin="\n".join(map(str, values)))
    *rows, buckets = result.stdout.splitlines()
    assert len(rows) == len(values)
    for value, row in zip(values, rows, strict=True):
        index, low = map(int, row.split())
        assert index == _bucket(value)
        assert low == _bucket_low(index)
        assert low <= value
        assert (value - low) << SUB_BITS <= value
    assert _bucket(2**64 - 1) == int(buckets) - 1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 100, 1000, 4096, 5000])
@pytest.mark.parametrize("seed", [1, 2, 77])
def test_random_order_is_a_permutation(driver: Path, count: int, seed: int) -> None:
    result = _run([driver, "order", str(count), "random", str(seed)], check=True)
    order = [int(line) for line in result.stdout.split()]
    assert sorted(order) == list(range(count))
    if count >= 1000:
        near = sum(abs(a - b) <= 8 for a, b in pairwise(order))
        # Within readahead's reach: by chance 16 steps, whatever the count.
        assert near < 48


def test_sequential_order(driver: Path) -> None:
    result = _run([driver, "order", "9", "sequential", "1"], check=True)
    assert result.stdout.split() == [str(i) for i in range(9)]


def _pages(driver: Path, content: str, *, seed: int, first: int, count: int) -> list[bytes]:
    argv = [str(driver), "content", content, str(seed), str(first), str(count)]
    data = subprocess.run(argv, check=True, capture_output=True).stdout
    assert len(data) == count * PAGE
    return [data[at : at + PAGE] for at in range(0, len(data), PAGE)]


@pytest.mark.parametrize("percent", [0, 1, 30, 50, 99, 100])
def test_compressible_pages_are_unique_and_never_same_filled(driver: Path, percent: int) -> None:
    content = f"compressible:{percent}"
    pages = _pages(driver, content, seed=1, first=0, count=500)
    pages += _pages(driver, content, seed=2, first=0, count=500)
    assert len(set(pages)) == len(pages)
    for page in pages:
        assert any(page[at : at + 8] != page[:8] for at in range(8, PAGE, 8))
        random_bytes = max(percent * 512 // 100, 1) * 8
        assert page[random_bytes:] == bytes(PAGE - random_bytes)
    # The random part holds every byte value about equally often.
    if percent >= 30:
        counts = Counter(b"".join(page[8:random_bytes] for page in pages))
        expected = sum(counts.values()) / 256
        assert all(0.85 * expected < counts[value] < 1.15 * expected for value in range(256))


def test_zero_and_same_pages(driver: Path) -> None:
    assert _pages(driver, "zero", seed=1, first=5, count=2) == [bytes(PAGE)] * 2
    assert _pages(driver, "same:a5", seed=1, first=5, count=2) == [b"\xa5" * PAGE] * 2


@pytest.mark.parametrize(
    "content", ["", "same:", "same:123", "same:g", "compressible:101", "compressible:", "ones"]
)
def test_bad_content_is_refused(driver: Path, content: str) -> None:
    assert _run([driver, "content", content, "1", "0", "1"]).returncode == 2


@pytest.mark.parametrize("content", ["zero", "same:ff", "compressible:0", "random"])
@pytest.mark.parametrize("offset", [0, 7, 8, 2049, PAGE - 1])
def test_verification_sees_any_flipped_bit(driver: Path, content: str, offset: int) -> None:
    pages = _pages(driver, content, seed=3, first=10, count=4)
    assert _verify(driver, content, 10, pages) == (0, "")
    was = pages[2][offset]
    pages[2] = pages[2][:offset] + bytes([was ^ 4]) + pages[2][offset + 1 :]
    bad, message = _verify(driver, content, 10, pages)
    assert bad == 1
    assert f"page 12 offset {offset}: expected 0x{was:02x}, got 0x{was ^ 4:02x}" in message


def test_verification_names_the_page_that_came_instead(driver: Path) -> None:
    pages = _pages(driver, "compressible:30", seed=3, first=0, count=3)
    bad, message = _verify(driver, "compressible:30", 0, [pages[0], pages[2], pages[2]])
    assert bad == 1
    assert "page 1 offset 0" in message
    assert "this is the content of page 2" in message


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("0", 0), ("4096", 4096), ("64M", 64 << 20), ("1G", 1 << 30), ("3K", 3072), ("2T", 2 << 40)],
)
def test_sizes(driver: Path, text: str, bytes_: int) -> None:
    assert _run([driver, "size", text], check=True).stdout == f"{bytes_}\n"


@pytest.mark.parametrize(
    "text", ["", "M", "-1", " 1", "1.5G", "1GB", "64m", "18446744073709551616", "99999999T"]
)
def test_bad_sizes(driver: Path, text: str) -> None:
    assert _run([driver, "size", text]).returncode == 2


# --- the programs ---

SMALL: dict[str, list[str]] = {
    "pageio": ["--size=1M", "--rounds=2", "--allow-resident"],
    "fill": ["--bytes=1M", "--steps=2", "--allow-resident"],
    "pressure": ["--size=2M", "--procs=3", "--passes=2"],
    "crash": ["--how=corrupt"],
}


@pytest.mark.parametrize("name", NAMES)
def test_metadata_says_what_the_program_does(bin_dir: Path, name: str) -> None:
    meta = _meta(name)
    lines = _lines(_run([bin_dir / meta["program"], *SMALL[name]]))
    assert meta["name"] == name
    assert {line["name"] for line in _of(lines, "param")} == set(meta["parameters"])
    for line in _of(lines, "metric"):
        assert meta["metrics"][line["name"]]["unit"] == line["unit"]
    assert {line["name"] for line in _of(lines, "phase")} <= set(meta["phases"])
    assert {*meta["presets"]} == {"quick", "standard", "full"}
    for preset in meta["presets"].values():
        assert set(preset) <= set(meta["parameters"])
    if name != "crash":
        emitted = {line["name"] for line in _of(lines, "metric")}
        optional = {"swapoff", "swapoff_cpu", "swapoff_busy"}
        assert emitted | optional == set(meta["metrics"]) | optional
        assert {meta["primary"], meta["primary_waiting_io"]} <= emitted


@pytest.mark.parametrize("name", NAMES)
def test_help_and_description_say_the_same(bin_dir: Path, name: str) -> None:
    rows = _run([bin_dir / name, "--help"], check=True).stdout.splitlines()[1:]
    described = json.loads(_run([bin_dir / name, "--describe"], check=True).stdout)["parameters"]
    assert rows == [
        f"  --{key:<18} {item['description']} (default: {item['default']})"
        for key, item in described.items()
    ]


@pytest.mark.parametrize("name", ["pageio", "fill", "pressure"])
def test_a_good_run_is_complete(bin_dir: Path, name: str) -> None:
    result = _run([bin_dir / name, *SMALL[name]])
    lines = _lines(result)
    assert result.returncode == 0, result.stderr
    assert is_complete(lines)
    assert all(line["bad"] == 0 and line["pages"] > 0 for line in _of(lines, "verify"))
    for phase in _of(lines, "phase"):
        assert phase["begin_ns"] < phase["end_ns"]
        assert phase["cpu_ns"] > 0


def test_pageio_metrics_follow_from_its_phases(bin_dir: Path) -> None:
    lines = _lines(_run([bin_dir / "pageio", *SMALL["pageio"]]))
    phases = {(line["name"], line["round"]): line for line in _of(lines, "phase")}
    emitted = {(line["name"], line.get("round")): line for line in _of(lines, "metric")}
    metrics = {key: line["value"] for key, line in emitted.items() if "value" in line}
    counted = [line["counted"] for line in lines if "counted" in line]
    assert counted == list(range(1, len(counted) + 1)), "each has a line of its own"
    for number in (1, 2):
        assert emitted["swapout_busy", number]["per"] == (1 << 20) // PAGE
        phase = phases["out", number]
        pages = (1 << 20) // PAGE
        elapsed = (phase["end_ns"] - phase["begin_ns"]) / pages
        assert metrics["swapout", number] == pytest.approx(elapsed, abs=0.001)
        cpu = phase["cpu_ns"] / pages
        assert metrics["swapout_cpu", number] == pytest.approx(cpu, abs=0.001)
    assert ("out", 3) not in phases  # the histogram's round is not a measured one
    hist = _of(lines, "hist")[0]
    assert sum(count for _, count in hist["counts"]) == pages
    assert hist["sub_bits"] == SUB_BITS


def test_pressure_sums_over_its_processes(bin_dir: Path) -> None:
    result = _run([bin_dir / "pressure", *SMALL["pressure"]])
    lines = _lines(result)
    pages = (2 << 20) // PAGE // 3 * 3
    assert _of(lines, "verify") == [{"type": "verify", "pages": pages, "bad": 0}]
    assert sum(count for _, count in _of(lines, "hist")[0]["counts"]) == pages
    names = [line["name"] for line in _of(lines, "phase")]
    assert names == ["fill", "access", "access", "hist_access", "free"]
    # No process takes longer than the pass that waits for all of them.
    spent = [one["end_ns"] - one["begin_ns"] for one in _of(lines, "phase")]
    metrics = [line for line in _of(lines, "metric") if line["name"] in ("slowest", "fairness")]
    assert [line["round"] for line in metrics] == [1, 1, 2, 2]
    for line, whole in zip(metrics[::2], spent[1:3], strict=True):
        assert 0 < line["value"] <= whole
    assert all(100 / 3 <= line["value"] <= 100 for line in metrics[1::2])


def test_one_process_of_pressure_has_no_slowest(bin_dir: Path) -> None:
    lines = _lines(_run([bin_dir / "pressure", "--size=1M", "--procs=1", "--passes=1"]))
    assert not [line for line in lines if line.get("name") in ("slowest", "fairness")]


@pytest.mark.skipif(
    len(Path("/proc/swaps").read_text().splitlines()) > 1, reason="this machine has swap"
)
@pytest.mark.parametrize("argv", [["pageio", "--size=1M"], ["fill", "--bytes=1M"]])
def test_without_swap_a_run_fails_and_says_why(bin_dir: Path, argv: list[str]) -> None:
    result = _run([bin_dir / argv[0], *argv[1:]])
    assert result.returncode == 1
    assert "0 of 256 pages went out" in result.stderr
    assert not any(line["type"] == "done" for line in _lines(result))


def test_a_corrupt_page_ends_with_status_3(bin_dir: Path) -> None:
    result = _run([bin_dir / "crash", "corrupt"])
    assert result.returncode == 3
    assert "page 128 offset 4095: expected 0x00, got 0x01" in result.stderr
    assert _of(_lines(result), "verify") == [{"type": "verify", "pages": 256, "bad": 1}]


@pytest.mark.parametrize(
    ("flag", "value"),
    [("", "yes"), ("=1", "yes"), ("=True", "yes"), ("=0", "no"), ("=no", "no"), ("=False", "no")],
)
def test_flags_can_be_written_in_several_ways(bin_dir: Path, flag: str, value: str) -> None:
    lines = _lines(_run([bin_dir / "crash", f"--outside-guest{flag}"]))
    assert [line["value"] for line in lines if line["name"] == "outside-guest"] == [value]


def test_crash_exits_with_the_given_status(bin_dir: Path) -> None:
    assert _run([bin_dir / "crash", "exit", "--status=9"]).returncode == 2
    assert _run([bin_dir / "crash", "--status=9", "exit"]).returncode == 9


@pytest.mark.skipif(
    Path("/dev/virtio-ports/harness.samples").exists(), reason="this is a guest: it would crash"
)
@pytest.mark.parametrize("how", ["panic", "hang", "oom"])
def test_dangerous_crashes_refuse_to_run_outside_a_guest(bin_dir: Path, how: str) -> None:
    result = _run([bin_dir / "crash", how])
    assert result.returncode == 2
    assert "only in a guest" in result.stderr


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (128 << 20, 128 << 20))


def test_oom_takes_all_there_is(bin_dir: Path) -> None:
    result = _run([bin_dir / "crash", "--outside-guest", "oom"], preexec_fn=_limit_memory)
    assert result.returncode == 1
    assert "Cannot map" in result.stderr


def test_each_process_has_a_cpu_of_its_own(driver: Path) -> None:
    """The n-th of those that it may run on, counted around."""
    mine = sorted(os.sched_getaffinity(0))
    for number in range(2 * len(mine) + 1):
        found = _run([driver, "cpu", str(number)], check=True).stdout.split()
        assert [int(cpu) for cpu in found] == [mine[number % len(mine)]]


def test_a_killed_child_ends_pressure_with_a_sentence(bin_dir: Path) -> None:
    argv = [str(bin_dir / "pressure"), "--size=64M", "--procs=2", "--passes=1000"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b'"phase"' not in process.stdout.readline():
            assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 1
    assert b"killed by signal 9" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["pageio", "--size=1X"], "--size wants a size such as 64M or 67108864, not '1X'."),
        (["pageio", "--size=5000"], "--size wants a multiple of 4096 bytes, not 5000."),
        (["pageio", "--rounds=0"], "--rounds wants a number from 1 to 1000, not '0'."),
        (["pageio", "--nix=1"], "There is no option '--nix=1'; --help lists them."),
        (["pageio", "--seed"], "--seed wants a value."),
        (["pageio", "extra"], "There is no operand 'extra'; all parameters are --name=value."),
        (["pressure", "--order=up"], "--order wants one of sequential, random, not 'up'."),
        (["fill", "--verify=maybe"], "--verify wants yes or no, not 'maybe'."),
        (["crash", "loudly"], "There is no way to crash named 'loudly'; --help lists them."),
    ],
)
def test_usage_errors_are_one_sentence(bin_dir: Path, argv: list[str], message: str) -> None:
    result = _run([bin_dir / argv[0], *argv[1:]])
    assert result.returncode == 2
    assert result.stderr == f"{argv[0]}: {message}\n"
    assert result.stdout == ""


def test_a_required_sampler_must_be_there(bin_dir: Path) -> None:
    env = {"HARNESS_REQUIRE_SAMPLER": "1"}
    result = _run([bin_dir / "pageio", "--size=1M", "--allow-resident"], env=env)
    assert result.returncode == 1
    assert "No sampler listens on '/nonexistent/socket'" in result.stderr
