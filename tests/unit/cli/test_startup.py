# SPDX-License-Identifier: GPL-2.0-only
"""--help and a mistyped word are answered at once: nothing that takes long is imported."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from harness.cli import commands
from harness.cli import main as cli
from harness.util.paths import REPO

SLOW = {
    "pandas", "numpy", "scipy", "matplotlib", "jinja2", "paramiko", "fabric", "pydantic", "rich",
}  # fmt: skip
PROGRAM = """
import runpy, sys, time
sys.argv[0] = "harness"
try:
    runpy.run_module(%r, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    print("ended", ended.code)
print(time.process_time(), *sys.modules)
"""


def imported(module: str, *words: str) -> tuple[int, set[str], float]:
    """The status, what was imported and the CPU seconds of a call."""
    argv = [sys.executable, "-c", PROGRAM % module, *words]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=True)
    status, last = done.stdout.splitlines()[-2:]
    seconds, *modules = last.split()
    return int(status.split()[1]), {name.partition(".")[0] for name in modules}, float(seconds)


@pytest.mark.parametrize("name", [None, *commands.build().commands])
def test_help_imports_nothing_slow(name: str | None) -> None:
    status, modules, seconds = imported("harness", *([name] if name else []), "--help")
    assert status == 0 and "argparse" in modules
    assert not modules & SLOW
    assert seconds < 0.3


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("harness", ["comapre"]),
        ("harness", ["compare", "--pears=3"]),
        ("harness", ["compare", "--sandbox=perhaps"]),
        ("harness.cli", ["compare", "PATCHES=x"]),
        ("harness.cli", ["compare", "PATCH="]),
        ("harness.cli", ["compare", "SANDBOX=perhaps"]),
        ("harness.cli", ["bisect", "PATCH=x"]),
        ("harness.cli", ["repeat", "RESULT=r", "JOBS=many"]),
    ],
)
def test_a_typo_imports_nothing_slow(module: str, words: list[str]) -> None:
    status, modules, seconds = imported(module, *words)
    assert status == 2
    assert not modules & SLOW
    assert seconds < 0.3


@pytest.mark.parametrize("word", ["--backends=zrma", "--backends=zram:zstdd", "--swap=999T"])
def test_a_wrong_value_waits_for_no_import_but_the_check(word: str) -> None:
    status, modules, _ = imported("harness", "compare", word)
    assert status == 2
    assert not modules & (SLOW - {"pydantic"})


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["compar"], "there is no command 'compar'; did you mean 'compare'?"),
        (["xyz"], "there is no command 'xyz'"),
        (["compare", "--pears=3"], "there is no --pears=3; did you mean '--pairs'?"),
        (["walk", "--bytez", "yes"], "did you mean '--bytes'?"),
    ],
)
def test_a_mistyped_word_is_told_with_the_nearest(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", commands.build().commands)
def test_each_command_can_be_run(name: str) -> None:
    required = {one: ["r"] for one in ("report", "reply", "verify", "bundle", "repeat")}
    args = commands.build().parse([name, *required.get(name, [])])
    module = importlib.import_module(f"harness.cli.{args.module}")
    assert callable(getattr(module, f"run_{name.replace('-', '_')}"))
