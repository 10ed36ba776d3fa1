# SPDX-License-Identifier: GPL-2.0-only
"""The main job on real kernels: get, patch, build, boot, measure, report.

Takes about 25 minutes on two CPUs with an empty cache, and about 5 with a full one.  Uses the
user's own cache, so that the kernels are built once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.results import frames
from harness.series import series
from harness.util import sandbox
from harness.util.errors import Exit
from harness.util.paths import REPO
from harness.util.sandbox import Sandbox
from tests.faults import same

# Worse or undecided: two pairs are too few for more.
VERDICTS = (Exit.OK, Exit.WORSE, Exit.UNDECIDED)
ARMS = ("base", "patch", "control")
BACKENDS = ("swapfile", "swappart", "zswap", "zram")
CELLS = tuple(f"{backend}.pageio" for backend in BACKENDS)
# The instruction clock, also where KVM works: known weights are counted, not timed.
SMALL = ("--workloads", "pageio", "--pairs", "2", "--accel", "tcg")
WIDE = ("--backends", ",".join(BACKENDS))
# What two boots of the calibration pair are allowed to differ by besides the known weight:
# the patch's own set-up code (at most 16 instructions a page) and timer ticks.
KNOWN, TOLERANCE = 1000, 30
# Capabilities that a guest's QEMU may have: CAP_DAC_OVERRIDE, and that as root only.
_ALLOWED = 1 << 1
# Our own series on a host that cannot confine it: said aloud, and tested all the same.
_WITHOUT = sandbox.fault(Sandbox(True))
_SANDBOX = ("--sandbox", "no") if _WITHOUT else ()
if _WITHOUT:
    print(f"end-to-end tests go without the sandbox: {_WITHOUT}", file=sys.stderr)


def _harness(*args: str, timeout: float = 5000) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, its progress shown as it comes."""
    builds = args[0] in {"compare", "overhead", "bisect"}
    argv = [sys.executable, "-m", "harness", *args, *(_SANDBOX if builds else ())]
    return subprocess.run(
        argv, cwd=REPO, stdout=subprocess.PIPE, text=True, check=False, timeout=timeout
    )


def _failing(*args: str) -> tuple[int, str]:
    """Run a command that is to fail: its status and the last line it said."""
    argv = [sys.executable, "-m", "harness", *args, *_SANDBOX]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False, timeout=1800)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a small comparison of the calibration series with its base."""
    folder = tmp_path_factory.mktemp("results")
    words = [*SMALL, *WIDE, "--name", "e2e", "--results", str(folder)]
    done = _harness("compare", *words)
    assert done.returncode in VERDICTS
    assert done.stdout
    return folder / "e2e"


def test_every_boot_has_its_result_and_every_page_came_back(results: Path) -> None:
    data = frames.load(results)
    assert set(data.boots["outcome"]) == {"ok"}
    assert len(data.boots) == len(CELLS) * len(ARMS) * 2
    assert data.defects.empty, data.defects.to_string()


def test_the_known_weight_is_measured(results: Path) -> None:
    """The patch adds 1000 instructions to each swap-in and none to a swap-out."""
    table = frames.load(results).metrics.set_index(["cell", "name", "arm", "pair"])["value"]
    for cell in CELLS:
        counted = "_busy" if cell.startswith("swap") else ""
        names = (f"swapin{counted}", f"swapout{counted}")
        swapin, swapout = (table[cell, name].unstack("arm") for name in names)
        # The mean over pairs, as in a report: now and then a boot meets the kernel's own periodic
        # work, like emptying per-CPU page lists, inside its phase.
        added = (swapin["patch"] - swapin["base"]).mean()
        assert added == pytest.approx(KNOWN, abs=TOLERANCE), cell
        assert swapout["patch"].tolist() == pytest.approx(swapout["base"].tolist(), rel=0.01)


def test_the_known_bytes_per_slot_are_allocated(results: Path) -> None:
    """The second patch allocates two bytes a slot at swapon, and vmallocinfo names them."""
    data = frames.load(results, bulk=True)
    rows = data.samples[data.samples["key"].str.contains("swap_calibration_alloc", na=False)]
    assert not rows.empty
    assert set(rows["arm"]) == {"patch"}
    sizes = rows[(rows["cell"] == "zram.pageio") & (rows["field"] == "bytes")]["value"]
    slots = (1 << 30) // 4096
    # vmallocinfo counts whole pages and a guard page.
    assert 2 * slots <= sizes.max() <= 2 * slots + 3 * 4096


def test_the_report_names_what_was_compared(results: Path) -> None:
    text = (results / "report" / "report.txt").read_text(encoding="ascii")
    assert max(map(len, text.splitlines())) <= 72
    assert "\t" not in text
    head = text.partition("\nReport: ")[0]
    assert "Instruction clock: " in head
    assert "QEMU TCG -icount" in " ".join(text.split())
    for cell in CELLS:
        assert cell.split(".", maxsplit=1)[0] in text
    page = (results / "report" / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org/", "")
    manifest = json.loads((results / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["arms"]["base"]["origin"]["package"] == "linux-source-6.12"
    assert len(manifest["arms"]["patch"]["series"]["patches"]) == 2


def test_again_nothing_is_built_and_nothing_is_booted(results: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in results.glob("boots/*/*/boot.json")}
    report = (results / "report" / "report.txt").read_bytes()
    words = [*SMALL, *WIDE, "--name", "e2e"]
    done = _harness("compare", *words, "--results", str(results.parent))
    assert done.returncode in VERDICTS
    assert before == {path: path.stat().st_mtime_ns for path in results.glob("boots/*/*/boot.json")}
    assert report == (results / "report" / "report.txt").read_bytes()


def test_the_result_verifies_and_one_changed_digit_does_not(results: Path, tmp_path: Path) -> None:
    assert _harness("verify", str(results)).returncode == 0
    copy = tmp_path / "copy"
    shutil.copytree(results, copy)
    report = copy / "report" / "report.txt"
    text = report.read_text(encoding="ascii")
    found = re.search(r"^zram .*?\d\.(?=\d)", text, re.MULTILINE)
    assert found
    place = found.end() - 1
    digit = text[place + 1]
    other = str((int(digit) + 1) % 10)
    report.write_text(text[: place + 1] + other + text[place + 2 :], encoding="ascii")
    done = _harness("verify", str(copy))
    assert done.returncode == 6
    assert "report/report.txt" in done.stdout


def test_a_comparison_killed_three_times_ends_as_an_undisturbed_one(
    results: Path, tmp_path: Path
) -> None:
    """Killed with -9 in the middle of a boot: nothing finished is lost, run again or changed."""
    words = ["compare", *SMALL, "--backends", "zram"]
    words += ["--name", "killed", "--results", str(tmp_path), "--parallel", "1"]
    boots = tmp_path / "killed" / "boots"
    kept: dict[Path, int] = {}
    for _ in range(3):
        _kill_in_mid_boot(words, boots, finished=len(kept))
        assert not _guests_of(boots), "QEMU outlived the harness"
        assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
        kept = {path: path.stat().st_mtime_ns for path in boots.glob("*/[!.]*/boot.json")}
    assert kept
    done = _harness(*words)
    assert done.returncode in VERDICTS
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    assert not list(boots.glob("*/.*"))
    assert set(frames.load(tmp_path / "killed").boots["outcome"]) == {"ok"}
    like = same.compare(tmp_path / "killed", results)
    assert like.boots == 2 * len(ARMS) and like.figures > like.boots
    assert not like.faults, like.faults


def _kill_in_mid_boot(words: list[str], boots: Path, *, finished: int) -> None:
    """Start the comparison, and kill it when one more boot has ended and the next is under way."""
    argv = [sys.executable, "-m", "harness", *words, *_SANDBOX]
    harness = subprocess.Popen(argv, cwd=REPO, start_new_session=True)
    end = time.monotonic() + 600
    # One boot has its result and the next is under way: then no warning at all.
    while time.monotonic() < end and not (
        len(list(boots.glob("*/[!.]*/boot.json"))) > finished
        and list(boots.glob("*/.*/console.log"))
    ):
        time.sleep(0.2)
    guests = _guests_of(boots)
    assert guests
    for guest in guests:
        rights = _rights(guest)
        assert rights["Seccomp"] == 2, "filtered"
        assert rights["NoNewPrivs"] == 1
        assert not rights["CapEff"] & ~_ALLOWED and not rights["CapPrm"] & ~_ALLOWED
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    time.sleep(1)


@pytest.mark.parametrize(
    ("how", "outcome", "within"),
    [("panic", "panic", 30.0), ("hang", "hang", 200.0), ("corrupt", "data-corrupted", 30.0)],
)
def test_a_crash_is_a_result(tmp_path: Path, how: str, outcome: str, within: float) -> None:
    """``within``: wall seconds from the start of the workload to the verdict."""
    spec = tmp_path / "crash.yaml"
    spec.write_text(
        f"backends: [zram]\nworkloads: [{{crash: {{how: {how}}}}}]\npairs: 1\naa: no\nname: {how}\n"
    )
    done = _harness("compare", "--accel", "tcg", "--spec", str(spec), "--results", str(tmp_path))
    assert done.returncode == 5
    boots = sorted((tmp_path / how).glob("boots/*/*/boot.json"))
    assert len(boots) == 2
    for boot in boots:
        facts = json.loads(boot.read_text(encoding="utf-8"))
        assert facts["outcome"] == outcome
        assert facts["detail"]
        assert facts["wall_s"]["workload"] < within
        assert (boot.parent / "console.log").stat().st_size > 1000
    assert "2 of 2 boots" in done.stdout.splitlines()[0]


def _small_zram(folder: Path, *words: str) -> Path:
    """A comparison of one cell with two CPUs; its result."""
    words = ("--workloads", "pageio:size=8M", "--backends", "zram", "--accel", "tcg", *words)
    done = _harness("compare", *words, "--cpus", "2", "--name", "two", "--results", str(folder))
    assert done.returncode in VERDICTS
    return folder / "two"


def test_the_known_weight_is_counted_on_two_cpus(tmp_path: Path) -> None:
    """They run in turn, and what both execute is the figure; a CPU time would be no task's own."""
    results = _small_zram(tmp_path, "--clock", "insn", "--pairs", "2", "--aa", "no")
    data = frames.load(results)
    assert set(data.boots["outcome"]) == {"ok"} and len(data.boots) == 4
    table = data.metrics.set_index(["name", "arm", "pair"])["value"]
    swapin = table["swapin_busy"].unstack("arm")
    assert (swapin["patch"] - swapin["base"]).mean() == pytest.approx(KNOWN, abs=2 * TOLERANCE)
    assert "swapin_cpu" not in table.index.get_level_values("name")
    text = " ".join((results / "report" / "report.txt").read_text(encoding="ascii").split())
    assert "swapin_busy, insn/page; less is better" in text
    assert "2 vCPUs in turn" in text


def test_the_wall_clock_gives_no_verdict_of_emulated_guests(tmp_path: Path) -> None:
    """All of its path is gone, and nothing that comes out is called a measurement."""
    results = _small_zram(tmp_path, "--clock", "wall", "--pairs", "3")
    data = frames.load(results)
    assert set(data.boots["outcome"]) == {"ok"} and len(data.boots) == 9
    assert set(data.boots["clock"]) == {"wall"}
    text = " ".join((results / "report" / "report.txt").read_text(encoding="ascii").split())
    assert text.startswith("No verdict: guests were emulated under the wall clock")
    assert "swapin, ns/page; less is better" in text and "insn/page" not in text
    assert _harness("verify", str(results)).returncode == 0


def test_overhead_finds_the_known_bytes_a_slot(tmp_path: Path) -> None:
    """Two bytes for each slot, by source line, from two area sizes; the status says so."""
    words = ["--backends", "zram,swapfile", "--sizes", "1G,2G", "--fill", "32M", "--steps", "2"]
    words += ["--accel", "tcg", "--name", "overhead", "--results", str(tmp_path)]
    done = _harness("overhead", *words)
    assert done.returncode == Exit.OK
    text = (tmp_path / "overhead" / "report" / "overhead.txt").read_text(encoding="ascii")
    assert "swap_calibration_alloc: known 2.00391 bytes a slot" in " ".join(text.split())
    assert "DOES NOT AGREE" not in text
    assert max(map(len, text.splitlines())) <= 72
    # The terminal shows the beginning of it and where the rest is.
    assert len(done.stdout.splitlines()) <= 26 and "overhead.txt" in done.stdout
    assert _harness("verify", str(tmp_path / "overhead")).returncode == 0


def test_an_option_that_the_kernel_does_not_have(tmp_path: Path) -> None:
    words = ["--config", "SWPA=y", "--results", str(tmp_path)]
    status, line = _failing("compare", *words)
    assert status == 2
    assert "has no option CONFIG_SWPA; did you mean 'SWAP'?" in line


def test_a_patch_that_does_not_apply(tmp_path: Path) -> None:
    """The calibration series with a context line of its second patch changed."""
    folder = tmp_path / "series"
    folder.mkdir()
    source = REPO / "kernels" / "series" / "calibration" / "6.12"
    for path in sorted(source.glob("*.patch")):
        text = path.read_text(encoding="utf-8")
        if path.name.startswith("0002"):
            lines = text.splitlines(keepends=True)
            hunk = next(n for n, line in enumerate(lines) if line.startswith("@@"))
            context = next(
                number
                for number, line in enumerate(lines)
                if number > hunk and line.startswith(" ") and line.strip()
            )
            lines[context] = " this line is in no kernel\n"
            text = "".join(lines)
        (folder / path.name).write_text(text, encoding="utf-8")
    loaded = series.load(str(folder), registry=REPO / "kernels" / "series", version="6.12")
    status, line = _failing("compare", "--patch", str(folder), "--results", str(tmp_path))
    assert status == 5
    assert loaded.patches[1].subject in line
    assert "mm/swapfile.c" in line


def _guests_of(boots: Path) -> list[Path]:
    """Where /proc shows the guests that name a folder of ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(boots) in text and text.startswith("qemu-system"):
            found.append(path.parent)
    return found


def _rights(guest: Path) -> dict[str, int]:
    """What its status says of capabilities, seccomp and new privileges."""
    text = (guest / "status").read_text(encoding="ascii")
    rows = re.findall(r"^(CapEff|CapPrm|NoNewPrivs|Seccomp):\s*(\w+)$", text, re.MULTILINE)
    return {name: int(value, 16) for name, value in rows}
