# SPDX-License-Identifier: GPL-2.0-only
"""The sampler: framing of its stream, marks, intervals and its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "vm-images/sampler/files.list"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@dataclass
class Sample:
    """One record, checked for its framing while it was read."""

    seq: int
    begin_ns: int
    reason: str
    end_ns: int = 0
    cpu_ns: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def _parse(data: bytes) -> list[Sample]:
    samples: list[Sample] = []
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        word, *rest = data[at:end].decode().split(" ")
        at = end + 1
        if word == "@sample":
            samples.append(Sample(int(rest[0]), int(rest[1]), rest[2]))
        elif word == "@file":
            size = int(rest[1])
            assert data[at + size : at + size + 1] == b"\n"
            samples[-1].files[rest[0]] = data[at : at + size]
            at += size + 1
        elif word == "@miss":
            samples[-1].missing[rest[0]] = rest[1]
        else:
            assert word == "@end"
            assert int(rest[0]) == samples[-1].seq
            samples[-1].end_ns, samples[-1].cpu_ns = int(rest[1]), int(rest[2])
    return samples


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sampler")
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", f"{out}/bin/sampler"]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin/sampler"


@dataclass
class Running:
    """A sampler in the foreground, its socket and its output."""

    process: subprocess.Popen[bytes]
    socket: Path
    out: Path

    def mark(self, text: str) -> None:
        """Send a mark and return when it is acknowledged."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.settimeout(10)
            client.connect(str(self.socket))
            client.send(text.encode())
            assert client.recv(16) == b"+"

    def samples(self) -> list[Sample]:
        """What has been written so far."""
        return _parse(self.out.read_bytes())

    def stop(self) -> None:
        """SIGTERM, and wait for the orderly end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


@contextmanager
def _running(sampler: Path, folder: Path, *options: str) -> Iterator[Running]:
    path, out = folder / "sock", folder / "samples"
    pid = folder / "pid"  # written once the socket listens
    argv = [str(sampler), f"--out={out}", f"--socket={path}", "--buffer=2M", *options]
    argv.append(f"--pid-file={pid}")
    with subprocess.Popen(argv) as process:
        deadline = time.monotonic() + 10
        while not (pid.is_file() and pid.read_text()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        try:
            yield Running(process, path, out)
        finally:
            process.kill()


def test_a_mark_is_acknowledged_only_after_its_record_is_complete(
    sampler: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"no newline at the end")
    tricky = tmp_path / "tricky"
    tricky.write_bytes(b"@end 1 2 3\n@file x 100\n\x00\xff")
    options = [f"--file={plain}", f"--file={tricky}", "--file=/nonexistent/file"]
    with _running(sampler, tmp_path, *options, "--file=/proc/vmstat") as running:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        running.mark("one")
        (one,) = running.samples()
        plain.write_bytes(b"changed")
        running.mark("two words\n")
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        two = running.samples()[1]
    assert (one.seq, one.reason, two.seq, two.reason) == (1, "mark:one", 2, "mark:two_words_")
    assert before < one.begin_ns < one.end_ns < two.begin_ns < two.end_ns < after
    assert 0 < one.cpu_ns < two.cpu_ns
    assert one.files[str(plain)] == b"no newline at the end"
    assert two.files[str(plain)] == b"changed"
    assert one.files[str(tricky)] == tricky.read_bytes()
    assert one.missing == {"/nonexistent/file": "ENOENT"}
    assert b"\npswpin " in one.files["/proc/vmstat"]


def test_kernel_threads_have_exact_cpu_times(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path) as running:
        running.mark("threads")
        (sample,) = running.samples()
    rows = [row.split(" ") for row in sample.files["kthreads"].decode().splitlines()]
    own_threads = {
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == "2"
    }
    if not own_threads:
        pytest.skip("this machine shows no kernel threads")
    assert rows
    for pid, name, spent in rows:
        assert pid.isdigit()
        assert name
        assert int(spent) > 0
    assert len({pid for pid, _, _ in rows} - own_threads) <= 2  # some end at any time


def test_interval_samples_leave_out_what_is_for_marks(sampler: Path, tmp_path: Path) -> None:
    often, seldom = tmp_path / "often", tmp_path / "seldom"
    often.write_text("o")
    seldom.write_text("s")
    listing = tmp_path / "list"
    listing.write_text(f"# comment\n\n{often}  # why\nmark: {seldom}\n")
    with _running(sampler, tmp_path, f"--files={listing}", "--interval=20") as running:
        deadline = time.monotonic() + 10
        while len(running.samples()) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.mark("now")
        running.stop()
        samples = running.samples()
    assert [sample.seq for sample in samples] == list(range(1, len(samples) + 1))
    for sample in samples:
        is_mark = sample.reason != "interval"
        assert str(often) in sample.files
        assert (str(seldom) in sample.files) == is_mark
        assert ("kthreads" in sample.files) == is_mark
    gaps = [b.begin_ns - a.begin_ns for a, b in pairwise(samples[:4])]
    assert max(gaps) > 10_000_000


def test_a_bare_sampler_answers_marks_and_reads_nothing(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path, "--bare", "--file=/proc/vmstat") as running:
        running.mark("one")
        (one,) = running.samples()
    assert one.reason == "mark:one"
    assert not one.files and not one.missing


def test_answers_come_at_one_place_between_two_ticks(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path, "--bare", "--settle=5") as running:
        late = []
        for number in range(8):
            running.mark(f"m{number}")
            late.append((time.clock_gettime_ns(time.CLOCK_MONOTONIC) - 2_000_000) % 20_000_000)
            time.sleep(0.003 * number)
        samples = running.samples()
    # Never early; a busy host makes some of them late.
    assert min(late) < 2_000_000
    begins = [one.end_ns for one in samples[:8]]
    assert all(b - a >= 5_000_000 for a, b in pairwise(begins))


def test_sigterm_ends_with_a_last_sample(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path, "--file=/proc/meminfo") as running:
        running.stop()
        samples = running.samples()
        assert [sample.reason for sample in samples] == ["mark:end"]
        assert samples[0].files["/proc/meminfo"].startswith(b"MemTotal")
        assert not running.socket.exists()


def test_globs_are_matched_again_at_each_mark(sampler: Path, tmp_path: Path) -> None:
    pattern = tmp_path / "dev*" / "stat"
    with _running(sampler, tmp_path, f"--file={pattern}") as running:
        running.mark("before")
        for name in ("dev1", "dev0", "other"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "stat").write_text(name)
        running.mark("there")
        shutil.rmtree(tmp_path / "dev0")
        (tmp_path / "dev0").mkdir()
        (tmp_path / "dev1" / "stat").unlink()
        running.mark("gone")
        before, there, gone = running.samples()
    assert before.missing == {str(pattern): "ENOENT"}
    found = [path for path in there.files if path != "kthreads"]
    assert found == [str(tmp_path / "dev0/stat"), str(tmp_path / "dev1/stat")]
    assert there.missing == {}
    # An open file outlives its name, as open files do; the pattern matches nothing now.
    assert gone.missing == {str(pattern): "ENOENT"}


def test_a_file_larger_than_the_record_is_a_miss(sampler: Path, tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"x" * (3 << 20))
    small.write_text("fits")
    with _running(sampler, tmp_path, f"--file={large}", f"--file={small}") as running:
        running.mark("m")
        (sample,) = running.samples()
    assert sample.missing == {str(large): "ENOBUFS"}
    assert sample.files[str(small)] == b"fits"


def test_the_client_mode_and_several_clients(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path) as running:
        argv = [str(sampler), f"--socket={running.socket}", "--mark=by-client"]
        clients = [subprocess.Popen(argv) for _ in range(5)]
        assert [client.wait(10) for client in clients] == [0] * 5
        assert [sample.reason for sample in running.samples()] == ["mark:by-client"] * 5
        running.stop()
        assert subprocess.run(argv, check=False, capture_output=True).returncode == 1


def test_workloads_mark_their_phases(sampler: Path, tmp_path: Path) -> None:
    out = sampler.parent.parent
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", f"{out}/bin/pageio"]
    subprocess.run(argv, check=True)
    with _running(sampler, tmp_path) as running:
        env = {"HARNESS_SAMPLER": str(running.socket), "HARNESS_REQUIRE_SAMPLER": "1"}
        options = ["--size=1M", "--rounds=1", "--histogram-rounds=0", "--allow-resident"]
        subprocess.run([out / "bin/pageio", *options], check=True, env=env, capture_output=True)
        reasons = [sample.reason for sample in running.samples()]
    edges = [f"mark:{phase}:1:{edge}" for phase in ("out", "in") for edge in ("begin", "end")]
    assert reasons == edges


def test_the_daemon_returns_when_it_listens(sampler: Path, tmp_path: Path) -> None:
    path, out, pid_file = tmp_path / "sock", tmp_path / "samples", tmp_path / "pid"
    argv = [str(sampler), f"--out={out}", f"--socket={path}", f"--pid-file={pid_file}", "--daemon"]
    result = subprocess.run(argv, check=False, capture_output=True, timeout=10)
    assert (result.returncode, result.stderr) == (0, b"")
    assert path.is_socket()
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while not out.read_bytes().rpartition(b"\n@end")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [sample.reason for sample in _parse(out.read_bytes())] == ["mark:end"]


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 2, "--out is missing: where do the samples go?"),
        (["--out=/dev/nonexistent/port"], 1, "Cannot open '/dev/nonexistent/port'"),
        (["--out=/dev/null", "--file=relative"], 2, "is an absolute path"),
        (["--out=/dev/null", "--files=/nonexistent"], 2, "Cannot open the list of files"),
        (["--out=/dev/null", "--interval=-1"], 2, "--interval wants a number"),
        (["--out=/dev/null", "--socket=/nonexistent/s"], 1, "Cannot listen on"),
        (["--out=/dev/null", "--socket=/nonexistent/s", "--daemon"], 1, "Cannot listen on"),
        (["--bogus"], 2, "There is no option '--bogus'"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    sampler: Path, options: list[str], status: int, message: str
) -> None:
    argv = [str(sampler), *options]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=10)
    assert result.returncode == status
    assert message in result.stderr
    assert result.stderr.startswith("sampler: ")
    assert result.stderr.count("\n") == 1


def test_the_default_list_is_accepted(sampler: Path, tmp_path: Path) -> None:
    with _running(sampler, tmp_path, f"--files={LIST}", "--buffer=8M") as running:
        running.mark("m")
        (sample,) = running.samples()
    assert {"/proc/vmstat", "/proc/meminfo", "/proc/swaps"} <= set(sample.files)
    assert set(sample.missing.values()) <= {"ENOENT", "EOPNOTSUPP", "EACCES"}


def test_a_file_that_is_opened_anew_shows_what_it_is_now(sampler: Path, tmp_path: Path) -> None:
    kept, anew = tmp_path / "kept", tmp_path / "anew"
    listed = tmp_path / "list"
    listed.write_text(f"mark: {kept}\nanew: {anew}\n")
    for path in (kept, anew):
        path.write_text("first")
    with _running(sampler, tmp_path, f"--files={listed}", "--interval=20") as running:
        running.mark("one")
        for path in (kept, anew):
            path.rename(path.with_suffix(".old"))
            path.write_text("second")
        running.mark("two")
        time.sleep(0.05)
        samples = running.samples()
    marks = [one for one in samples if one.reason.startswith("mark:")]
    assert [one.files[str(anew)] for one in marks] == [b"first", b"second"]
    assert [one.files[str(kept)] for one in marks] == [b"first", b"first"]
    others = [one for one in samples if one.reason == "interval"]
    assert others and not any(str(anew) in one.files for one in others)


# --- the PMU: not every machine has one, so the kernel's part is replaced ---


@pytest.fixture(scope="module")
def with_pmu(sampler: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sampler, linked with a stand-in for perf_event_open(2)."""
    made = tmp_path_factory.mktemp("pmu") / "sampler"
    objects = sampler.parents[1] / "obj"
    parts = [*(objects / "sampler").glob("*.o"), *(objects / "common").glob("*.o")]
    parts = [one for one in parts if one.name != "perfevent.o"]
    flags = ["-static", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    driver = ROOT / "tests/guest/pmu_driver.c"
    argv = ["gcc", *flags, "-o", str(made), str(driver), *map(str, sorted(parts))]
    subprocess.run(argv, check=True, capture_output=True)
    return made


def _counted(sample: Sample) -> dict[str, int]:
    lines = (line.split() for line in sample.files["pmu"].decode().splitlines())
    return {name: int(value) for name, value in lines}


def test_the_pmu_counts_from_an_answer_to_the_next_mark(
    with_pmu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PMU", "yes")
    with _running(with_pmu, tmp_path, "--pmu") as running:
        running.mark("in:begin")
        running.mark("in:end")
        running.stop()
        begin, end, _ = running.samples()
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    each = cpus * (cpus + 1) // 2  # CPU c counts c + 1 times as much
    # Reads 0 and 2 are those of an answer, 1 and 3 those of a mark's arrival.
    assert _counted(begin) == {
        "cycles": 1000 * each, "instructions": 2000 * each, "cache-misses": each
    }  # fmt: skip
    spent = {name: value - _counted(begin)[name] for name, value in _counted(end).items()}
    inside = (3 * 3 - 2 * 2) * each
    assert spent == {
        "cycles": 1000 * inside, "instructions": 2000 * inside, "cache-misses": inside
    }  # fmt: skip


_SEVERAL = ["cpu0"] if os.sysconf("SC_NPROCESSORS_ONLN") > 1 else []


@pytest.mark.parametrize("how", ["none", "two", "off", *_SEVERAL])
def test_without_a_whole_pmu_nothing_is_said(
    how: str, with_pmu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "none":
        monkeypatch.delenv("FAKE_PMU", raising=False)
    else:
        monkeypatch.setenv("FAKE_PMU", how)
    with _running(with_pmu, tmp_path, *([] if how == "off" else ["--pmu"])) as running:
        running.mark("in:begin")
        (sample,) = running.samples()
    assert "pmu" not in sample.files and "pmu" not in sample.missing


def test_a_pmu_that_others_took_is_told_as_missing(
    with_pmu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second read on it counted for a part of the time only."""
    monkeypatch.setenv("FAKE_PMU", "shared")
    with _running(with_pmu, tmp_path, "--pmu") as running:
        running.mark("in:begin")
        running.mark("in:end")
        begin, end = running.samples()
    assert "pmu" in begin.files
    assert "pmu" not in end.files and end.missing["pmu"] == "ENODATA"
