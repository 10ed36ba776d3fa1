# SPDX-License-Identifier: GPL-2.0-only
"""Both kernels of a mailed series, from its message-id alone: found, applied, built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import kbuild, pair
from harness.build.pair import Context, Trees
from harness.experiment import spec
from harness.experiment.settings import Kernels
from harness.experiment.spec import Experiment
from harness.run import manifest
from harness.series import series
from harness.series.mail.lore import MailSource
from harness.source.gitnames import CLONE
from harness.source.sources import Source
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.util.sandbox import OFF
from tests.fakes import inbox, tree


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context with a repository, a mirror, and a fragment that the toy kernel knows."""
    monkeypatch.setattr(kbuild, "SPACE", 1)
    (tmp_path / "toy.config").write_text("CONFIG_BLOCK=y # toy\n")
    monkeypatch.setattr(pair, "fragment_paths", lambda _: [tmp_path / "toy.config"])
    repo = inbox.author(tmp_path / "linux", tree.FILES)
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo))
    cache = Cache(tmp_path / "cache")
    return Context(
        cache=cache,
        results=tmp_path / "results",
        sandbox=OFF,
        mails=MailSource(cache=cache.mails, mirrors=(mirror,)),
        kernel_git=str(repo),
        jobs=1,
    )


def test_a_message_id_is_all_that_is_needed(context: Context) -> None:
    made, differences = pair.make(
        Experiment(Kernels(base="auto", patch="1-2@mail.example")), context
    )
    base, patch = made["base"], made["patch"]
    assert differences == ()
    tag = inbox.git(Path(str(context.kernel_git)), "rev-parse", "v6.12^{commit}").strip()
    assert base.source.name == f"git:{tag}"
    assert patch.basis is not None
    assert (patch.basis.by, patch.basis.warning) == ("base-commit", "")
    maps = [(arm.kernel.path / "System.map").read_text() for arm in (base, patch)]
    assert ["more_swap" in text for text in maps] == [False, True]
    facts = manifest._arm(patch).series
    assert facts and facts.basis
    assert facts.locator == "mail:1-0@mail.example"
    assert facts.basis.stated == tag
    assert facts.origin["mirror"].endswith("list.git")


def test_another_base_is_told_and_kept(context: Context, heard: pytest.LogCaptureFixture) -> None:
    repo = Path(str(context.kernel_git))
    inbox.git(repo, "checkout", "-q", "-b", "other", "v6.12")
    text = (repo / "mm/swap.c").read_text()
    (repo / "mm/swap.c").write_text("/* another beginning */\n" + text)
    inbox.git(repo, "commit", "-q", "-a", "-m", "other")
    made, _ = pair.make(Experiment(Kernels(base="other", patch="1-0@mail.example")), context)
    facts = manifest._arm(made["patch"]).series
    assert facts and facts.basis
    warning = facts.basis.warning
    assert "1 of the 2 files" in warning
    assert warning in heard.text


def test_an_unknown_option_is_told_before_anything_is_checked_out(context: Context) -> None:
    kernels = Kernels(base="auto", patch="1-2@mail.example", config=("SWPA=y",))
    with pytest.raises(UserError, match=r"CONFIG: Linux 6\.12\S* has no option CONFIG_SWPA; did y"):
        pair.make(Experiment(kernels), context)
    assert not list(context.cache.build.glob("*/src"))


def test_a_missing_compiler_is_told_before_anything_is_fetched(context: Context) -> None:
    kernels = Kernels(base="auto", patch="1-2@mail.example", cc="clang-99")
    with pytest.raises(UserError, match=r"^CC=clang-99 is not installed"):
        pair.make(Experiment(kernels), context)
    assert not context.cache.git.exists()


def test_no_base_at_hand_is_one_sentence(context: Context) -> None:
    with pytest.raises(UserError, match=r"neither in the store nor in KERNEL_GIT.*BASE="):
        pair.make(
            Experiment(Kernels(base="auto", patch="1-0@mail.example")),
            replace(context, kernel_git=None),
        )


def test_a_part_of_a_series_is_its_own_first_commits(context: Context) -> None:
    one = Experiment(Kernels(base="v6.12", patch="v6.12..main"))
    whole, part = pair.prepare(one, context), pair.prepare(one.changed(upto=1), context)
    assert whole.applied and part.applied
    assert part.applied.commits == whole.applied.commits[:1]
    assert part.applied.commit == whole.applied.steps[0].commit
    assert part.tip == whole.applied.commit
    assert "only the first 1 of its 2 patches" in part.applied.series.title
    # Applied by itself it is the same commit: what git am makes depends on nothing else.
    alone = pair._apply(series.first(whole.applied.series, 1), whole.base, context)
    assert alone.commit == part.applied.commit and alone.tree == part.applied.tree
    made, _ = pair.plan(part, one, context).build()
    symbols = (made["patch"].kernel.path / "System.map").read_text()
    assert "more_swap" in symbols and "more_pages" not in symbols
    assert " UPTO=1 " in manifest.repeat_command(one.changed(upto=1))
    # What came from a repository of this machine is asked of the reader's own.
    assert manifest.repository(part) == CLONE
    command = manifest.repeat_command(one, git=manifest.repository(part))
    assert command.endswith(f" KERNEL_GIT={CLONE}")


@pytest.mark.parametrize(
    ("kind", "repository", "wanted"),
    [
        ("debian", "", ""),
        ("git", "", CLONE),
        ("git", "/home/me/linux", CLONE),
        ("git", "https://git.kernel.org/linux.git", "https://git.kernel.org/linux.git"),
        ("git", "https://me:secret@example.org/linux.git", "https://example.org/linux.git"),
    ],
)
def test_the_repository_in_a_command_is_of_use_to_others(
    kind: str, repository: str, wanted: str
) -> None:
    origin = (("repository", repository),) if repository else ()
    source = Source("a", kind, "0" * 40, "1" * 40, "6.12.1", origin)
    assert manifest.repository(Trees(source, source, None, None)) == wanted


@pytest.mark.parametrize("upto", [0, 3])
def test_a_part_has_no_more_patches_than_the_whole(context: Context, upto: int) -> None:
    one = pair.prepare(Experiment(Kernels(base="v6.12", patch="v6.12..main")), context)
    with pytest.raises(UserError, match=rf"has 2 patches: there is no patch {upto}"):
        pair.cut(one, upto, context)


def test_a_misspelt_sysctl_is_told_before_anything_is_built(context: Context) -> None:
    repo = Path(str(context.kernel_git))
    inbox.git(repo, "checkout", "-q", "-b", "table", "v6.12")
    (repo / "mm/page.c").write_text('{ .procname = "swappiness" },\n')
    inbox.git(repo, "commit", "-q", "-a", "-m", "table")

    def asked(**more: object) -> Experiment:
        given = {"base": "table", "head": "table", "backends": "zram", "workloads": "pageio"}
        return spec.load(None, {**given, **more})

    with pytest.raises(UserError, match=r"has no sysctl 'vm\.swapiness'; did you mean"):
        pair.prepare(asked(set="vm.swapiness=180"), context)
    with pytest.raises(UserError, match=r"has no sysctl 'vm\.swapines'; did you mean"):
        pair.prepare(asked(head_guest={"sysctls": {"vm.swapines": 1}}), context)
    pair.prepare(asked(set="vm.swappiness=180 kernel.unheard_of=1"), context)
    assert not list(context.cache.kernels.glob("*"))
