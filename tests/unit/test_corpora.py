# SPDX-License-Identifier: GPL-2.0-only
"""The drivers over other people's corpora, on made-up ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import consoles, probes

STAMP = "[   12.345678][   T41] "
SOUND = f"TITLE: KASAN: use-after-free in f\nTYPE: X\n\n{STAMP}BUG: KASAN: use-after-free in f\n"
CLEAN = f"\n{STAMP}random: crng init done\n"


def _corpus(folder: Path, **files: str) -> Path:
    below = folder / "pkg/report/testdata/linux/report"
    below.mkdir(parents=True)
    for name, text in files.items():
        (below / name).write_text(text)
    return folder


def test_consoles_that_agree_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = f"{SOUND}\n\nREPORT:\nKernel panic - not syncing: x\n"
    assert consoles.run(_corpus(tmp_path, a=SOUND, b=CLEAN, c=later)) == 0
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert said[1:] == [
        ["KASAN", "2", "of", "2", "0", "of", "0"],
        ["nothing", "wrong", "1", "of", "1", "0", "of", "0"],
        ["3", "of", "3", "agree"],
    ]


def test_each_console_that_does_not_agree_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = "TITLE: KASAN: use-after-free in f\n\nnothing is said\n"
    alarm = "\nKernel panic - not syncing: x\n"
    assert consoles.run(_corpus(tmp_path, a=missed, b=alarm, c=SOUND)) == 1
    assert capsys.readouterr().out.splitlines()[:4] == [
        "a (other, KASAN): KASAN: use-after-free in f",
        "    ok: no line is known",
        "b (other, nothing wrong): ",
        "    panic: Kernel panic - not syncing: x",
    ]


ARCHIVE = """\
# Archive
Directory: fixtures/proc
Mode: 755
# ttar - - -
Path: fixtures/proc/swaps
Lines: 2
Filename Type Size Used Priority
/dev/vdc partition 8 0 -2
Mode: 444
# ttar - - -
Path: fixtures/proc/vmstat
Lines: 1
pswpin many
Mode: 444
"""


def test_files_of_others_are_read_out_of_archives_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.ttar").write_text(ARCHIVE)
    (tmp_path / "b/proc").mkdir(parents=True)
    (tmp_path / "b/proc/meminfo").write_text("MemTotal: 8 kB\nMemTotal: 9 kB\n")
    (tmp_path / "b/proc/unknown").write_text("x\n")
    assert probes.run(tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        "fixtures/proc/vmstat: vmstat: line 1 does not parse: 'pswpin many'",
        "b/proc/meminfo: 1 names stand for several numbers, such as MemTotal",
        "meminfo              0 of 1",
        "swaps                1 of 1",
        "vmstat               0 of 1",
        "1 of 3 read",
    ]
