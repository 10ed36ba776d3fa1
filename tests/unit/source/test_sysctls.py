# SPDX-License-Identifier: GPL-2.0-only
"""A misspelt sysctl is told by the sources of the trees, and any other name is let through."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.source import sysctls
from harness.source.gitstore import GitStore
from harness.util.errors import UserError
from tests.fakes import tree
from tests.fakes.inbox import git

TABLE = """\
static const struct ctl_table vm_table[] = {
	{
		.procname	= "swappiness",
		.mode		= 0644,
	},
	{ .procname = "page-cluster" },
	{ .procname	= "watermark_scale_factor", },
};
"""
MACRO = """\
#define ENTRY(x) { .procname = #x, }
ENTRY(watermark_scale_actor),
"""


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    repo = tree.write(tmp_path / "linux")
    (repo / "mm/vmscan.c").write_text(TABLE)
    git(repo, "init", "--quiet", "--initial-branch=main")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "base")
    (repo / "mm/more.c").write_text('.procname = "vswap_enabled",\n')
    (repo / "include/net.h").write_text(MACRO)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "more")
    made = GitStore(tmp_path / "store")
    made.ensure()
    made.fetch(str(repo), "main")
    return made


@pytest.fixture
def commits(store: GitStore, tmp_path: Path) -> tuple[str, str]:
    repo = tmp_path / "linux"
    base, tip = (git(repo, "rev-parse", name).strip() for name in ("main~1", "main"))
    store.fetch(str(repo), base)
    return base, tip


def test_the_names_are_those_of_the_tables(store: GitStore, commits: tuple[str, str]) -> None:
    known = {"swappiness", "page-cluster", "watermark_scale_factor"}
    assert sysctls.names(store.path, commits[0]) == known
    assert sysctls.names(store.path, commits[1]) == {*known, "vswap_enabled"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("vm.swapiness", "vm.swappiness"),
        ("vm.page_cluster", "vm.page-cluster"),
        ("vm.vswap_enable", "vm.vswap_enabled"),  # of one of both alone
        ("vm.swappiness", ""),
        ("vm.vswap_enabled", ""),
        ("vm.watermark_scale_actor", ""),  # of a macro
        ("kernel.out_of_tree", ""),  # like no other
    ],
)
def test_a_name_that_is_nearly_one_is_told(
    store: GitStore, commits: tuple[str, str], name: str, meant: str
) -> None:
    assert sysctls.meant(name, store.path, commits) == meant


def test_only_sysctls_are_looked_at(store: GitStore, commits: tuple[str, str]) -> None:
    said = r"Linux 6\.12\.3 has no sysctl 'vm\.swapiness'; did you mean 'vm\.swappiness'\?"
    paths = ["/sys/kernel/mm/swapiness", "/proc/swapiness", "/proc/sys/vm/page-cluster"]
    sysctls.require(paths, store.path, commits, version="6.12.3")
    with pytest.raises(UserError, match=said):
        sysctls.require([*paths, "/proc/sys/vm/swapiness"], store.path, commits, version="6.12.3")
