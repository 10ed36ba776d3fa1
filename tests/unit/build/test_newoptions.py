# SPDX-License-Identifier: GPL-2.0-only
"""The options that a series brings and leaves off, read off its Kconfig files."""

from __future__ import annotations

from pathlib import Path

from harness.build import newoptions
from harness.source.gitstore import GitStore
from tests.fakes import tree
from tests.fakes.inbox import git

ADDED = """\
config PLAIN
    bool "A feature"
    depends on SWAP
    help
      config NOT_ONE
      bool "not an option, but the words of a help text"

config SPACED
    bool "Another one"
    help

      config NEITHER

config EXPLICIT
    tristate
    prompt "A module"
    default n # for now

config ON
    bool "On by itself"
    default y

config CONDITIONAL
    bool "On where there is a block layer"
    default BLOCK

config DEFINED
    def_bool y
    prompt "On, too"

config HIDDEN
    bool

config NUMBER
    int "How many"
""".replace("    ", "\t")


def test_what_a_series_leaves_off(tmp_path: Path) -> None:
    repo = tree.write(tmp_path / "linux")
    git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "base")
    with (repo / "Kconfig").open("a") as stream:
        stream.write(ADDED)
    (repo / "arch/arm").mkdir(parents=True)
    (repo / "arch/arm/Kconfig").write_text('config ELSEWHERE\n\tbool "Of another architecture"\n')
    (repo / "mm/page.c").write_text("int page;\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "more")
    store = GitStore(tmp_path / "store")
    store.ensure()
    tip = store.fetch(str(repo), "main")
    base = store.fetch(str(repo), git(repo, "rev-parse", "main~1").strip())
    assert newoptions.off_by_default(store, base, tip) == ("PLAIN", "SPACED", "EXPLICIT")
    assert newoptions.off_by_default(store, tip, tip) == ()
