# SPDX-License-Identifier: GPL-2.0-only
"""A result of any kind, packed here, is measured again elsewhere from its bundle alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build import pair
from harness.build.pair import Context
from harness.cli import main as cli
from harness.cli import running
from harness.experiment import spec
from harness.experiment.settings import Host
from harness.results import manifest
from harness.results.manifest import ResultKind
from harness.run import reuse
from harness.series.mail.lore import MailSource
from harness.studies import bundle, repeat, verify
from harness.studies.reply import draft
from harness.studies.revisions import measure as revisions
from harness.studies.revisions import table
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox
from tests.fakes.figures import Guests

PATCHES = ["int plain;", "int costs_1000;"]
CELL = {"backends": "zram", "workloads": "pageio", "base": "v6.12"}
ENTRY = 'title: "Toy"\nrevisions:\n  v1: {message_id: 1-0@mail.example}\n'


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return guests.series(tmp_path / "linux", PATCHES)


@pytest.fixture
def here(tmp_path: Path, repo: Path) -> Context:
    return guests.context(tmp_path / "here", repo)


@pytest.fixture
def there(tmp_path: Path, repo: Path) -> Context:
    """Another machine: nothing but a clone of what was published, v6.12."""
    clone = tmp_path / "clone"
    clone.mkdir()
    inbox.git(clone, "init", "--quiet", "--initial-branch=main")
    inbox.git(clone, "fetch", "--quiet", "--no-tags", str(repo), "refs/tags/v6.12:refs/tags/v6.12")
    return guests.context(tmp_path / "there", clone)


def run(kind: ResultKind, one: spec.Experiment, where: Context) -> Path:
    return running.STUDIES[kind](one, where).folder


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (ResultKind.COMPARE, {"patch": "v6.12..main"}),
        (ResultKind.COMPARE, {"patch": "v6.12..main", "upto": 1}),
        (ResultKind.COMPARE, {"patch": "PATCHES"}),
        (ResultKind.COMPARE, {"head": "TREE"}),
        (ResultKind.WALK, {"patch": "PATCHES", "at": "2"}),
        (ResultKind.BISECT, {"patch": "v6.12..main", "metric": "swapin"}),
    ],
)
def test_a_bundle_is_all_that_is_needed(
    kind: ResultKind,
    more: dict[str, Any],
    repo: Path,
    here: Context,
    there: Context,
    fake: Guests,
    tmp_path: Path,
) -> None:
    places = {"PATCHES": tmp_path / "patches", "TREE": repo}
    inbox.git(repo, "format-patch", "--quiet", "-o", str(places["PATCHES"]), "v6.12..main")
    given = {key: str(places.get(str(value), value)) for key, value in more.items()}
    if "head" in given:
        (repo / "mm/page.c").write_text((repo / "mm/page.c").read_text() + "int costs_500;\n")
    done = run(kind, spec.load(None, {**CELL, **given}), here)
    assert verify.verify(done).holds
    packed = bundle.make([done], tmp_path / "sent.tar.zst")
    for gone in (done, places["PATCHES"], repo):
        shutil.rmtree(gone)
    with repeat.opened(packed.path) as folder:
        one = repeat.experiment(folder, Host())
        again = run(kind, one, there)
        assert again.name == f"{done.name}-repeat"
        said = repeat.same(folder, again)
    assert said.startswith(f"The same trees as in {done.name}: base "), said
    assert verify.verify(again).holds
    # It is a result like the first: it can be sent on.
    assert (again / "spec.yaml").is_file()
    if kind is ResultKind.COMPARE:
        first, second = (manifest.load(again).arm(arm) for arm in ("base", "patch"))
        assert first.tree != second.tree


def test_a_bundle_has_the_user_s_own_program(
    here: Context, there: Context, fake: Guests, tmp_path: Path
) -> None:
    source = tmp_path / "own" / "test.sh"
    source.parent.mkdir()
    source.write_text("cat /proc/swaps\n")
    given = {"backends": "zram", "base": "v6.12", "patch": "v6.12..main"}
    asked = spec.load(None, {**given, "workloads": f"{source}:memcg=64M", "timeout": 7})
    done = run(ResultKind.COMPARE, asked, here)
    (cell,) = asked.cells()
    own = cell.workload.own
    assert own is not None
    copy = done / "programs" / own.folder / "test.sh"
    assert copy.read_bytes() == source.read_bytes()
    assert done.name.startswith("v6.12-vs-v6.12..main-test-")
    for name in ("spec.yaml", "experiment.json", "manifest.json"):
        assert str(source.parent) not in (done / name).read_text()
    assert verify.verify(done).holds
    packed = bundle.make([done], tmp_path / "sent.tar.zst")
    for gone in (done, source.parent):
        shutil.rmtree(gone)
    with repeat.opened(packed.path) as folder:
        one = repeat.experiment(folder, Host())
        (same,) = one.cells()
        assert (same.workload.argv, same.workload.memory_max) == (
            cell.workload.argv,
            cell.workload.memory_max,
        )
        again = run(ResultKind.COMPARE, one, there)
    assert (again / "programs" / own.folder / "test.sh").read_text() == "cat /proc/swaps\n"


def test_a_program_that_is_not_in_the_result_is_refused(
    here: Context, fake: Guests, tmp_path: Path
) -> None:
    """A stranger's spec file may name any file of this user."""
    secret = tmp_path / "secret.sh"
    secret.write_text("a secret\n")
    source = tmp_path / "test.sh"
    source.write_text("true\n")
    given = {"backends": "zram", "base": "v6.12", "patch": "v6.12..main"}
    done = run(ResultKind.COMPARE, spec.load(None, {**given, "workloads": str(source)}), here)
    path = done / "spec.yaml"
    data = yaml.safe_load(path.read_text())
    data["workloads"] = [{str(secret): {"name": "test"}}]
    path.write_text(yaml.safe_dump(data))
    (done / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match="has no copy of the program 'test'"):
        repeat.experiment(done, Host())


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (ResultKind.COMPARE, {}),
        (ResultKind.WALK, {}),
        (ResultKind.BISECT, {"metric": "swapin"}),
    ],
)
def test_a_repetition_measures_again(
    kind: ResultKind,
    more: dict[str, Any],
    repo: Path,
    here: Context,
    fake: Guests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes no boot of the base from the results beside it, not even of the result itself."""
    done = run(kind, spec.load(None, {**CELL, "patch": "v6.12..main", **more}), here)
    ran = list(fake.ran)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    words = [f"--results={here.results}", f"--kernel-git={repo}", "--sandbox=no"]
    assert cli.main(["repeat", done.name, *words]) in (Exit.OK, Exit.WORSE)
    again = here.results / f"{done.name}-repeat"
    assert fake.ran[len(ran) :] != [] and len(fake.ran) == 2 * len(ran)
    assert all(Path(boot).is_relative_to(again) for boot in fake.ran[len(ran) :])
    # What is no repetition may share those boots.
    other = run(ResultKind.COMPARE, spec.load(None, {**CELL, "patch": "v6.12..main~1"}), here)
    assert len(fake.ran) == 2 * len(ran) + 3 and reuse.read(other)


def test_repeated_revisions_are_measured_again(
    here: Context,
    repo: Path,
    fake: Guests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = tmp_path / "series"
    registry.mkdir()
    text = ENTRY + "  v2: {message_id: 1-0@mail.example}\n"
    (registry / "toy.yaml").write_text(text)
    monkeypatch.setattr(pair, "_REGISTRY", registry)
    monkeypatch.setattr(revisions, "REGISTRY", registry)
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo))
    mails = MailSource(cache=here.cache.mails, mirrors=(mirror,))
    asked = spec.load(None, {**CELL, "patch": "toy", "base": "auto", "name": "mine"})
    done = run(ResultKind.REVISIONS, asked.changed(only=("v1",)), replace(here, mails=mails))
    run(ResultKind.REVISIONS, asked.changed(only=("v2",)), replace(here, mails=mails))
    kept = spec.load(done / "spec.yaml", {}, command="revisions")
    assert kept.study.only == () and set(kept.meant.revisions) == {"v1", "v2"}
    ran = len(fake.ran)
    one = repeat.experiment(done, Host())
    again = run(ResultKind.REVISIONS, one, replace(here, mails=mails, shares=False))
    assert again.name == "mine-repeat" and len(fake.ran) > ran
    found = {posting.folder for posting in table.read(again).postings}
    assert found == {"mine-repeat-together-1/v1", "mine-repeat-together-1/v2"}
    assert verify.verify(again).holds


def test_revisions_need_no_list(
    here: Context,
    there: Context,
    repo: Path,
    fake: Guests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = tmp_path / "series"
    registry.mkdir()
    (registry / "toy.yaml").write_text(ENTRY)
    monkeypatch.setattr(pair, "_REGISTRY", registry)
    monkeypatch.setattr(revisions, "REGISTRY", registry)
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo))
    mails = MailSource(cache=here.cache.mails, mirrors=(mirror,))
    asked = spec.load(None, {**CELL, "patch": "toy", "base": "auto"})
    done = run(ResultKind.REVISIONS, asked, replace(here, mails=mails))
    packed = bundle.make([done], tmp_path / "sent.tar.zst")
    shutil.rmtree(mirror)
    with repeat.opened(packed.path) as folder:
        assert folder.name == done.name
        again = run(ResultKind.REVISIONS, repeat.experiment(folder, Host()), there)
        said = repeat.same(folder, again)
    assert said.startswith(f"The same trees as in {done.name}: v1 base ")


def test_a_draft_names_no_path_of_this_machine(
    repo: Path, here: Context, fake: Guests, tmp_path: Path
) -> None:
    """Patches by patch-id, the bundle in place of a folder, and what it needs."""
    inbox.git(repo, "format-patch", "--quiet", "-o", str(tmp_path / "patches"), "v6.12..main")
    folder = run(
        ResultKind.COMPARE, spec.load(None, {**CELL, "patch": str(tmp_path / "patches")}), here
    )
    (repo / "mm/page.c").write_text("int dirty;\n")
    head = run(ResultKind.COMPARE, spec.load(None, {**CELL, "head": str(repo)}), here)
    for one in (folder, head):
        for long in (False, True):
            said = draft.make(one, long=long)
            assert str(tmp_path) not in said and "/linux" not in said.replace("../linux", "")
            command = f"make repeat RESULT={one.name}.tar.zst KERNEL_GIT=../linux"
            assert command in said.replace(" \\\n", " ")
            words = " ".join(said.split())
            kept = "series.mbox" if one == folder else "head.diff"
            assert f"in the attached bundle ('make bundle' writes it): {kept}." in words
            assert "a clone of the kernel that has commit" in words
    for patch in manifest.load(folder).series.patches:
        assert f"- patch-id {patch.patch_id[:12]}: {patch.subject}" in draft.make(folder)
    assert "a work tree (tree " in draft.make(head)


@pytest.mark.parametrize("kind", [ResultKind.COMPARE, ResultKind.WALK])
def test_of_an_older_result_its_command_is_said(
    kind: ResultKind, here: Context, fake: Guests
) -> None:
    """Its spec file does not say all that was asked: nothing is measured by accident."""
    done = run(kind, spec.load(None, {**CELL, "patch": "v6.12..main"}), here)
    (done / "SHA256SUMS").unlink()
    text = (done / "spec.yaml").read_text()
    data = yaml.safe_load(text)
    del data["meant"]
    (done / "spec.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(UserError, match=r"an older version made it.*is 'make repeat RESULT="):
        repeat.experiment(done, Host())


def test_what_is_no_result_is_told(here: Context, fake: Guests, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"make bundle RESULT=x writes it"):
        repeat.find("x.tar.zst", tmp_path)
    with pytest.raises(UserError, match="there is no result 'x'"):
        repeat.find("x", tmp_path)
    done = run(ResultKind.COMPARE, spec.load(None, {**CELL, "patch": "v6.12..main"}), here)
    with (done / "series.mbox").open("a") as out:
        out.write("more\n")
    with pytest.raises(UserError, match=r"series\.mbox' changed"):
        repeat.experiment(done, Host())


def test_the_command_repeats_a_bundle_in_an_empty_home(
    here: Context,
    there: Context,
    fake: Guests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run(ResultKind.COMPARE, spec.load(None, {**CELL, "patch": "v6.12..main"}), here)
    packed = bundle.make([done], tmp_path / "sent.tar.zst").path
    shutil.rmtree(str(here.kernel_git))
    for name in ("HOME", "XDG_CACHE_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("KERNEL_GIT", raising=False)
    words = ["repeat", str(packed), "--results", str(tmp_path / "new"), "--sandbox=no"]
    assert cli.main(words) == Exit.INFRA, "the base is not in the bundle, and no server is there"
    said = capsys.readouterr().err
    assert "it needs KERNEL_GIT, a clone of the kernel that has commit" in said
    assert "set KERNEL_GIT= to a clone of the kernel, or KERNEL_MIRROR=" in said
    assert cli.main([*words, f"--kernel-git={there.kernel_git}"]) == Exit.WORSE
    assert f"The same trees as in {done.name}: base " in capsys.readouterr().out
    assert verify.verify(tmp_path / "new" / f"{done.name}-repeat").holds
