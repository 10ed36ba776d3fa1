# SPDX-License-Identifier: GPL-2.0-only
"""Stack traces: what of a console reaches the kernel's script, and what becomes of its answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import trace
from harness.build.kbuild import DECODER, Kernel
from harness.report import files
from harness.results import checksums, traces
from harness.util import sandbox
from harness.util.errors import InfraError
from tests.fakes import tree
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"
OOPS = """\
[    0.000000] Linux version 6.12
[    9.000000] Call Trace:
[    9.000000]  earlier+0x1/0x2
[   12.345678] kernel BUG at mm/swapfile.c:712!
[   12.345679][  T201] RIP: 0010:swap_free+0x10/0x20
[   12.345680] Code: 00 11 22
[   12.345681] Call Trace:
[   12.345682]  <TASK>
[   12.345683]  ? exc_invalid_op+0x4d/0x60
[   12.345684]  do_swap_page.part.0+0x1c3/0xa00
[   12.345685] ---[ end trace 0000000000000000 ]---
[   12.345686] RIP: 0010:later+0x1/0x2
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """With a script that answers as the real one does, and keeps what it was given."""
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / DECODER).write_text(tree.DECODE)
    return Kernel("key", folder, "6.12", "gcc", 1.0, ())


def _script(kernel: Kernel, text: str) -> None:
    (kernel.path / DECODER).write_text(text)


def test_every_place_gets_its_line_and_nothing_else_is_touched(kernel: Kernel) -> None:
    assert trace.decode(OOPS, kernel, sandbox.OFF).splitlines() == [
        "kernel BUG at mm/swapfile.c:712!",
        "RIP: 0010:swap_free (mm/swap.c:4)",
        "Code: 00 11 22",
        "Call Trace:",
        " <TASK>",
        " ? exc_invalid_op (mm/swap.c:4)",
        " do_swap_page.part.0 (mm/swap.c:4)",
        "---[ end trace 0000000000000000 ]---",
    ]


def test_files_are_named_as_in_the_tree_wherever_they_were_compiled(kernel: Kernel) -> None:
    """One object was compiled in another workspace, and ccache kept it with its paths."""
    work = "/home/a/src/.cache/swap-harness/build/0123456789abcdef"
    _script(
        kernel,
        "while read -r word; do\n"
        f'echo "${{word%%+*}} ({work}/obj-e0aac034/../src/mm/swap.c:4 {work}/src/mm/page.c:5)"\n'
        "done\n",
    )
    assert trace.decode(OOPS, kernel, sandbox.OFF).splitlines()[1] == (
        "RIP: 0010:swap_free (mm/swap.c:4 mm/page.c:5)"
    )


def test_only_plain_symbols_reach_the_script(kernel: Kernel, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    _script(kernel, f"tee {heard}\n")
    hostile = (
        "kernel BUG at mm/a.c:1!\n"
        " a[$(touch /tmp/x)]+0x1/0x2\n"
        " `id`+0x1/0x2\n"
        " good+0x1/0x2 [module]\n"
        " $HOME+0x1/0x2; good+0x3/0x4\n"
        " good+0x1/0xzz\n"
    )
    decoded = trace.decode(hostile, kernel, sandbox.OFF)
    assert heard.read_text().split() == ["good+0x1/0x2", "HOME+0x1/0x2", "good+0x3/0x4"]
    assert decoded == hostile.strip()


def test_a_console_without_a_finding_or_a_place_has_no_trace(kernel: Kernel) -> None:
    assert trace.decode("Linux version 6.12\n f+0x1/0x2\n", kernel, sandbox.OFF) == ""
    assert trace.decode("kernel BUG at mm/a.c:1!\n", kernel, sandbox.OFF) == ""
    (kernel.path / DECODER).unlink()
    assert trace.decode(OOPS, kernel, sandbox.OFF) == ""


def test_a_stack_is_whole_however_long_it_is(kernel: Kernel) -> None:
    """Of a recursion, or of every task that hangs: what it ends in is what is looked for."""
    frames = "".join(f" f{number}+0x1/0x2\n" for number in range(700))
    text = f"INFO: task a:1 blocked for more than 143 seconds.\n{frames} last+0x1/0x2\n"
    decoded = trace.decode(text, kernel, sandbox.OFF).splitlines()
    assert len(decoded) == 702
    assert decoded[1] == " f0 (mm/swap.c:4)"
    assert decoded[-1] == " last+0x1/0x2", "beyond what can be looked up in time"


def test_a_script_that_answers_something_else_is_not_believed(kernel: Kernel) -> None:
    _script(kernel, "echo one line\n")
    with pytest.raises(InfraError, match="answered 3 lines with 1"):
        trace.decode(OOPS, kernel, sandbox.OFF)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_script_writes_nowhere(kernel: Kernel, tmp_path: Path) -> None:
    _script(kernel, f"echo x >{tmp_path}/escaped\necho x >{kernel.path}/escaped\n{tree.DECODE}")
    assert "swap_free (mm/swap.c:4)" in trace.decode(OOPS, kernel, sandbox.choose())
    assert not list(tmp_path.rglob("escaped"))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two boots of patch oopsed, a boot of base was lost."""
    outcomes = {(CELL, 0, "patch"): "oops", (CELL, 1, "patch"): "oops", (CELL, 2, "base"): "lost"}
    folder = write(tmp_path, Fake(pairs=4, cells=(CELL,), outcomes=outcomes))
    for pair in range(2):
        (folder / "boots" / CELL / f"{pair:02d}-patch" / "console.log").write_text(OOPS)
    return folder


def test_failed_boots_of_a_result_are_decoded_once(results: Path, kernel: Kernel) -> None:
    boots = {f"{CELL}/{pair:02d}-{arm}": kernel for pair in range(4) for arm in ("base", "patch")}
    assert trace.record(results, boots, sandbox.OFF) == ()
    found = traces.read(results)
    assert set(found) == {f"boots/{CELL}/00-patch", f"boots/{CELL}/01-patch"}
    _script(kernel, "exit 1\n")
    assert trace.record(results, boots, sandbox.OFF) == ()
    assert traces.read(results) == found


def test_a_script_that_fails_is_told_and_loses_nothing_else(
    results: Path, kernel: Kernel, tmp_path: Path
) -> None:
    broken = replace(kernel, path=tmp_path / "other")
    broken.path.mkdir()
    _script(broken, "exit 3\n")
    boots = {f"{CELL}/00-patch": broken, f"{CELL}/01-patch": kernel}
    (said,) = trace.record(results, boots, sandbox.OFF)
    assert said.startswith(f"the trace of boots/{CELL}/00-patch cannot be decoded: ")
    assert set(traces.read(results)) == {f"boots/{CELL}/01-patch"}


def test_the_report_names_file_and_line_and_the_result_is_sealed_with_them(
    results: Path, kernel: Kernel
) -> None:
    trace.record(results, {f"{CELL}/00-patch": kernel}, sandbox.OFF)
    checksums.raw(results)
    assert traces.NAME in (results / checksums.NAME).read_text()
    folder = files.make(results).folder
    (failed,) = [one for one in files.read(results).failures if one.trace]
    assert failed.place == "RIP: 0010:swap_free (mm/swap.c:4)"
    assert f"In {failed.place}" in (folder / "report.txt").read_text()
    assert "do_swap_page.part.0 (mm/swap.c:4)" in (folder / "report.html").read_text()


@pytest.mark.parametrize("text", ["", "[1]", '{"a": ', "null"])
def test_a_file_of_traces_that_is_not_whole_holds_none(tmp_path: Path, text: str) -> None:
    (tmp_path / traces.NAME).write_text(text)
    assert traces.read(tmp_path) == {}
    (tmp_path / traces.NAME).write_text(json.dumps({"boots/a/00-patch": "f (a.c:1)"}))
    assert traces.read(tmp_path) == {"boots/a/00-patch": "f (a.c:1)"}
