# SPDX-License-Identifier: GPL-2.0-only
"""A result keeps what was measured: its files alone give the same trees again, elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build import kconfig, pair
from harness.build.pair import Context, Trees
from harness.experiment import spec
from harness.results import checksums
from harness.run import evidence, manifest
from harness.series.mail import mbox as mails
from harness.series.mail.lore import MailSource
from harness.util.errors import UserError
from harness.util.paths import REPO, Cache
from harness.util.sandbox import OFF
from tests.fakes import inbox, tree


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """The author's repository: v6.12, and two commits on it."""
    return inbox.author(tmp_path / "linux", tree.FILES)


def context(folder: Path, git: Path | None) -> Context:
    """A machine of its own: another folder is another store."""
    cache = Cache(folder / "cache")
    return Context(
        cache=cache,
        results=folder / "results",
        sandbox=OFF,
        mails=MailSource(cache=cache.mails),
        kernel_git=str(git) if git else None,
        jobs=1,
    )


@pytest.fixture
def here(tmp_path: Path, repo: Path) -> Context:
    return context(tmp_path / "here", repo)


def measured(here: Context, folder: Path, **given: Any) -> Trees:
    """The trees of an experiment, and a results folder with what is kept of them."""
    one = spec.load(None, given)
    trees = pair.prepare(one, here)
    folder.mkdir(parents=True)
    manifest.write_spec(folder, one, trees=trees, context=here)
    return trees


def again(there: Context, folder: Path, **given: Any) -> Trees:
    return pair.prepare(spec.load(folder / "spec.yaml", given), there)


def ids(trees: Trees) -> tuple[str, str]:
    return trees.base.tree, trees.applied.tree if trees.applied else trees.other.tree


@pytest.fixture
def there(tmp_path: Path, repo: Path) -> Context:
    """Another machine, with a clone as it was published: v6.12 and nothing on it."""
    clone = tmp_path / "clone"
    clone.mkdir()
    inbox.git(clone, "init", "--quiet", "--initial-branch=main")
    inbox.git(clone, "fetch", "--quiet", "--no-tags", str(repo), "refs/tags/v6.12:refs/tags/v6.12")
    return context(tmp_path / "there", clone)


def patches(repo: Path, folder: Path) -> Path:
    inbox.git(repo, "format-patch", "--quiet", "-o", str(folder), "v6.12..main")
    return folder


def mbox(repo: Path, folder: Path) -> Path:
    folder.mkdir()
    text = inbox.git(repo, "format-patch", "--stdout", "v6.12..main")
    (folder / "some.mbox").write_text(text)
    return folder / "some.mbox"


@pytest.mark.parametrize("made", [patches, mbox])
def test_patches_are_kept_and_needed_no_more(
    made: Callable[[Path, Path], Path],
    repo: Path,
    here: Context,
    there: Context,
    tmp_path: Path,
) -> None:
    place = made(repo, tmp_path / "patches")
    first = measured(here, tmp_path / "result", base="v6.12", patch=str(place))
    shutil.rmtree(tmp_path / "patches")
    second = again(there, tmp_path / "result")
    assert ids(first) == ids(second)
    assert first.applied and second.applied
    assert first.applied.series.digest == second.applied.series.digest
    assert first.applied.series == second.applied.series


def test_a_range_is_what_it_was(
    repo: Path, here: Context, there: Context, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    first = measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    assert ids(again(there, tmp_path / "result")) == ids(first)
    assert "now" not in heard.text
    (repo / "mm/swap.c").write_text("int other;\n")
    inbox.git(repo, "commit", "-q", "-a", "-m", "more")
    tip = inbox.git(repo, "rev-parse", "main").strip()
    assert ids(again(here, tmp_path / "result")) == ids(first)
    assert f"v6.12..main ends at commit {tip[:12]} now; taken is what it meant" in heard.text
    # A new name means what it means now.
    fresh = again(here, tmp_path / "result", patch="v6.12..main")
    assert ids(fresh) != ids(first)


@pytest.mark.parametrize("start", ["v6.12..", None])
def test_what_is_not_committed_is_kept_with_its_series(
    start: str | None,
    repo: Path,
    here: Context,
    there: Context,
    tmp_path: Path,
    heard: pytest.LogCaptureFixture,
) -> None:
    (repo / "mm/swap.c").write_text("int dirty;\n")
    (repo / "mm/new.c").write_bytes(b"int fresh;\n\0\x01binary")
    (repo / "mm/page.c").unlink()
    given = {"patch": f"{repo}:{start}" if start else str(repo), "base": "v6.12"}
    first = measured(here, tmp_path / "result", **given)
    kept = yaml.safe_load((tmp_path / "result/spec.yaml").read_text())["meant"]["patch"]
    assert kept["origin"]["uncommitted"] == "yes"
    *_, last = mails.split((tmp_path / "result/series.mbox").read_bytes())
    assert b"Subject: not committed yet" in last and b"+int dirty;" in last
    assert manifest.only_here(first)
    again(here, tmp_path / "result")
    assert "now" not in heard.text
    (repo / "mm/swap.c").write_text("int other;\n")
    assert ids(again(here, tmp_path / "result")) == ids(first)
    assert f"{given['patch']} holds other patches now; taken is" in heard.text
    shutil.rmtree(repo)
    second = again(there, tmp_path / "result")
    assert ids(second) == ids(first)
    assert first.applied and second.applied
    assert first.applied.series == second.applied.series


def test_a_folder_that_changed_is_told(
    repo: Path, here: Context, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    place = patches(repo, tmp_path / "patches")
    first = measured(here, tmp_path / "result", base="v6.12", patch=str(place))
    again(here, tmp_path / "result")
    assert "now" not in heard.text
    last = sorted(place.iterdir())[-1]
    last.write_text(last.read_text().replace("more_pages", "less_pages"))
    assert ids(again(here, tmp_path / "result")) == ids(first)
    assert f"{place} holds other patches now; taken is what it meant: series.mbox" in heard.text
    last.unlink()
    assert ids(again(here, tmp_path / "result")) == ids(first)
    assert f"{place} cannot be read now ({place} lacks patch 2 of 2); taken is" in heard.text


def test_a_branch_that_moved_is_told_and_its_commit_taken(
    repo: Path, here: Context, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    first = measured(here, tmp_path / "result", base="v6.12", head="main")
    old = inbox.git(repo, "rev-parse", "main").strip()
    (repo / "mm/swap.c").write_text("int other;\n")
    inbox.git(repo, "commit", "-q", "-a", "-m", "more")
    inbox.git(repo, "tag", "-f", "v6.12", "main")
    assert ids(again(here, tmp_path / "result")) == ids(first)
    tip = inbox.git(repo, "rev-parse", "main").strip()
    for name in ("v6.12", "main"):
        assert f"{name} is commit {tip[:12]} now; taken is" in heard.text
    assert yaml.safe_load((tmp_path / "result/spec.yaml").read_text())["head"] == "main"
    # What only that repository has lies beside it as a diff.
    data = yaml.safe_load((tmp_path / "result/spec.yaml").read_text())
    assert data["meant"]["head"]["commit"] == old
    assert "more_swap" in (tmp_path / "result/head.diff").read_text()


def test_a_head_is_kept_as_its_diff_against_the_base(
    repo: Path, here: Context, there: Context, tmp_path: Path
) -> None:
    (repo / "mm/swap.c").write_text("int dirty;\n")
    (repo / "mm/new.c").write_bytes(b"int fresh;\n\0\x01binary")
    (repo / "mm/page.c").unlink()
    first = measured(here, tmp_path / "result", base="v6.12", head=str(repo))
    assert "int dirty;" in (tmp_path / "result/head.diff").read_text("utf-8", "replace")
    shutil.rmtree(repo)
    assert ids(again(there, tmp_path / "result")) == ids(first)


def test_a_base_that_is_a_work_tree_is_kept_as_its_diff_against_its_commit(
    repo: Path, here: Context, there: Context, tmp_path: Path
) -> None:
    place = patches(repo, tmp_path / "patches")
    inbox.git(repo, "checkout", "-q", "--detach", "v6.12")
    (repo / "Kconfig").write_text((repo / "Kconfig").read_text() + "# mine\n")
    first = measured(here, tmp_path / "result", base=str(repo), patch=str(place))
    assert "+# mine" in (tmp_path / "result/base.diff").read_text()
    shutil.rmtree(repo)
    second = again(there, tmp_path / "result")
    assert ids(first) == ids(second)
    # And that is a result to be repeated in its turn.
    one = spec.load(tmp_path / "result/spec.yaml", {})
    (tmp_path / "next").mkdir()
    manifest.write_spec(tmp_path / "next", one, trees=second, context=there)
    third = again(context(tmp_path / "third", Path(str(there.kernel_git))), tmp_path / "next")
    assert ids(first) == ids(third)


def test_a_part_of_a_series_is_a_part_again(
    repo: Path, here: Context, there: Context, tmp_path: Path
) -> None:
    first = measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main", upto=1)
    second = again(there, tmp_path / "result")
    assert ids(first) == ids(second)
    assert first.tip == second.tip, "the options of the whole series decide, too"
    assert first.applied and second.applied
    assert first.applied.series.title == second.applied.series.title


def test_what_is_needed_is_said(repo: Path, here: Context, tmp_path: Path) -> None:
    measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    commit = inbox.git(repo, "rev-parse", "v6.12").strip()
    (phrase,) = evidence.needs(spec.load(tmp_path / "result/spec.yaml", {}).meant)
    assert phrase == f"KERNEL_GIT, a clone of the kernel that has commit {commit} (v6.12)"


def test_without_the_base_there_is_one_sentence(repo: Path, here: Context, tmp_path: Path) -> None:
    measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    with pytest.raises(UserError, match=r"set KERNEL_GIT= to a repository"):
        again(context(tmp_path / "there", None), tmp_path / "result", kernel_git=None)


def test_another_tree_is_refused(repo: Path, here: Context, there: Context, tmp_path: Path) -> None:
    """Altered evidence is no repetition: not of the patches, nor of a diff, nor of the base."""
    first = measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    file = tmp_path / "result/series.mbox"
    file.write_text(file.read_text().replace("more_swap", "less_swap"))
    with pytest.raises(UserError, match=f"was measured on {ids(first)[1][:12]}"):
        again(there, tmp_path / "result")
    (repo / "mm/swap.c").write_text("int dirty;\n")
    measured(here, tmp_path / "other", base="v6.12", head=str(repo))
    diff = tmp_path / "other/head.diff"
    diff.write_text(diff.read_text().replace("int dirty", "int clean"))
    with pytest.raises(UserError, match=r"head\.diff' on .* gives tree"):
        again(there, tmp_path / "other")


def test_a_file_that_is_gone_is_named(repo: Path, here: Context, tmp_path: Path) -> None:
    measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    (tmp_path / "result/series.mbox").unlink()
    with pytest.raises(UserError, match=r"series\.mbox' is missing.*without its key 'meant'"):
        again(here, tmp_path / "result")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".x", "a/b", ""])
def test_no_file_elsewhere_is_taken(tmp_path: Path, name: str) -> None:
    data = {"name": "a", "commit": "a" * 40, "tree": "b" * 40, "diff": name}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"meant": {"base": data}}))
    with pytest.raises(UserError, match="meant: base: 'diff' is"):
        spec.load(tmp_path / "spec.yaml", {})


def test_a_link_is_not_followed(repo: Path, here: Context, tmp_path: Path) -> None:
    measured(here, tmp_path / "result", base="v6.12", patch="v6.12..main")
    file = tmp_path / "result/series.mbox"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"series\.mbox' is missing"):
        again(here, tmp_path / "result")


# Patches that a posting would not have, and a quilt folder may.


def test_the_order_and_number_of_a_quilt_folder_is_kept(
    repo: Path, here: Context, there: Context, tmp_path: Path
) -> None:
    """The same change twice, a subject like a reply's, numbers that fit no series."""
    inbox.git(repo, "checkout", "-q", "--detach", "v6.12")
    place = tmp_path / "patches"
    place.mkdir()
    texts = []
    for number, subject in enumerate(("[PATCH 7/9] one", "Re: two", "[PATCH v3] three", "one")):
        path = repo / ("mm/swap.c" if number != 1 else "mm/page.c")
        old = path.read_text()
        path.write_text(old + "int x;\n" if number != 3 else old.replace("int x;\n", "", 1))
        diff = inbox.git(repo, "diff")
        inbox.git(repo, "commit", "-q", "-a", "-m", "x")
        texts.append(f"From: A <a@b>\nSubject: {subject}\n\n{diff}")
    for number, text in enumerate(texts):
        (place / f"{number}.patch").write_text(text)
    (place / "series").write_text("".join(f"{number}.patch\n" for number in range(4)))
    first = measured(here, tmp_path / "result", base="v6.12", patch=str(place))
    second = again(there, tmp_path / "result")
    assert ids(first) == ids(second)
    assert second.applied and len(second.applied.patches) == 4


def test_a_config_fragment_of_ones_own_is_kept(tmp_path: Path) -> None:
    asked = kconfig.read_fragment(REPO / "kernels/config/debug.config", version="6.12")
    symbols = {"NUMA", *(item.symbol.removeprefix("CONFIG_") for item in asked)}
    more = "".join(f"config {symbol}\n\tbool\n" for symbol in sorted(symbols))
    files = {**tree.FILES, "Kconfig": tree.FILES["Kconfig"] + more}
    here = context(tmp_path / "here", inbox.author(tmp_path / "linux", files))
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_NUMA=y # mine\n")
    given = {"base": "v6.12", "patch": "v6.12..main", "fragments": f"debug {mine}"}
    trees = measured(here, tmp_path / "result", **given)
    wanted = pair.plan(trees, spec.load(None, given), here).requests["base"].options
    mine.unlink()
    one = spec.load(tmp_path / "result/spec.yaml", {})
    assert one.kernels.fragments == ("debug", str(mine)), "the result is named as before"
    again_ = pair.plan(pair.prepare(one, here), one, here).requests["base"].options
    told = [(item.symbol, item.value) for item in wanted]
    assert ("CONFIG_NUMA", "y") in told
    assert told == [(item.symbol, item.value) for item in again_]
    (tmp_path / "result/boots").mkdir()
    checksums.raw(tmp_path / "result")
    sums = checksums.read(tmp_path / "result")
    assert sums and {"fragment-1.config", "series.mbox"} <= sums.lines.keys()


def test_a_public_url_has_no_password(here: Context, tmp_path: Path) -> None:
    one = spec.load(None, {"kernel_git": "https://me:secret@example.org/linux.git"})
    where = replace(here, kernel_git=one.host.kernel_git)
    manifest.write_spec(tmp_path, one, context=where)
    assert "kernel_git: https://example.org/linux.git" in (tmp_path / "spec.yaml").read_text()
