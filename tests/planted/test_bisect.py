# SPDX-License-Identifier: GPL-2.0-only
"""`harness bisect` finds the one costly patch of twelve, on real kernels."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from harness.results import frames
from harness.source import sources
from harness.source.gitstore import GitStore
from harness.source.sources import Origins
from harness.studies.walk import trial
from harness.util.errors import Exit
from harness.util.paths import REPO, Cache
from tests.e2e.test_compare import _harness
from tests.fakes import inbox

PATCHES, COSTLY = 12, 8
# What each of the others adds a function to that nobody calls, in turn.
FILES = ("mm/vmscan.c", "mm/swap_state.c", "mm/rmap.c", "mm/workingset.c")
COST = "calibration-in100/6.12/0001-mm-calibration-100-instructions-per-page-swapped-in.patch"


def _series(folder: Path, store: Path, base: str) -> Path:
    """A repository that borrows the store's objects: twelve commits on ``base``, branch "steps"."""
    folder.mkdir()
    git = partial(inbox.git, folder)
    git("init", "--quiet", "--bare")
    (folder / "objects/info/alternates").write_text(f"{store / 'objects'}\n", encoding="utf-8")
    git("read-tree", base)
    tip = base
    for number in range(1, PATCHES + 1):
        if number == COSTLY:
            git("apply", "--cached", str(REPO / "kernels/series" / COST))
        else:
            name = FILES[number % len(FILES)]
            more = f"\nstatic int __maybe_unused step_{number}(void)\n{{\n\treturn {number};\n}}\n"
            text = git("cat-file", "blob", f":{name}") + more
            blob = git("hash-object", "-w", "--stdin", stdin=text.encode()).strip()
            git("update-index", "--cacheinfo", f"100644,{blob},{name}")
        said = f"mm: step {number}\n\nOne of {PATCHES}.\n".encode()
        tree = git("write-tree").strip()
        tip = git("commit-tree", tree, "-p", tip, stdin=said).strip()
    git("update-ref", "refs/heads/steps", tip)
    return folder


def test_one_costly_patch_of_twelve_is_found(tmp_path: Path) -> None:
    """A hundred instructions for each page swapped in: 1 % of what zram takes."""
    cache = Cache.from_environment()
    store = GitStore(cache.git)
    tree = sources.resolve("debian/6.12", store=store, origins=Origins(cache.downloads))
    repo = _series(tmp_path / "steps.git", cache.git, tree.commit)
    words = ["--base", "debian/6.12", "--patch", f"{tree.commit}..steps", "--kernel-git", str(repo)]
    words += ["--name", "steps", "--results", str(tmp_path / "results")]
    done = _harness("bisect", "swapin", *words, timeout=5000)
    print(done.stdout)
    assert done.returncode == Exit.OK
    found = json.loads((tmp_path / "results/steps/bisect.json").read_text("utf-8"))
    assert found["culprit"]["number"] == COSTLY
    assert found["culprit"]["subject"] == f"mm: step {COSTLY}"
    # The whole, and one for each halving of twelve.
    assert found["builds"] <= 1 + 4
    metrics = frames.load(tmp_path / "results/steps" / trial.name(PATCHES)).metrics
    base_ns = metrics[(metrics["name"] == "swapin") & (metrics["arm"] == "base")]["value"]
    cost = found["own"]["estimate_pct"] / 100 * base_ns.median()
    # The patch's own set-up and what the compiler moves: as its description in kernels/series says.
    assert abs(cost - 100) <= 16
