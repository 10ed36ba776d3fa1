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
import sys
import harness.cli.main, harness.cli.variables
from harness.cli import commands
line = commands.build()
for command in line.commands.values():
    command.format_help()
print(*sys.modules)
"""


def test_the_parser_imports_nothing_slow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPO, capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert "argparse" in modules
    assert not modules & SLOW


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["compar"], "there is no command 'compar'; did you mean 'compare'?"),
        (["xyz"], "there is no command 'xyz'"),
        (["compare", "--pears=3"], "unrecognized arguments: --pears=3; did you mean '--pairs'?"),
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
    required = {"bisect": ["m"], "report": ["r"], "reply": ["r"], "verify": ["r"], "bundle": ["r"]}
    args = commands.build().parse([name, *required.get(name, [])])
    module = importlib.import_module(f"harness.cli.{args.module}")
    assert callable(getattr(module, f"run_{name.replace('-', '_')}"))
