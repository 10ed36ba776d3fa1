# SPDX-License-Identifier: GPL-2.0-only
"""One kernel after another in one work tree: what is built is what a clean build gives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.build import workspace
from harness.build.kbuild import BuildFailed, BuildRequest, Kernel
from harness.build.kbuild import object_folder as object_name
from tests.fakes import tree
from tests.unit.build.test_kbuild import GOOD, Bench, compiled, wanted

SWAP = tree.FILES["mm/swap.c"].replace("page + 1", "page + 2")
ARTEFACTS = ("bzImage", "vmlinux", "System.map", "config", "kconfig-symbols")

CHANGES: dict[str, dict[str, str]] = {
    "base": {},
    "source": {"mm/swap.c": SWAP},
    "header": {
        "include/swap.h": "int swap_in(int page);\nstatic int used __attribute__((used)) = 1;\n"
    },
    "removed": {
        "Makefile": tree.MAKEFILE.replace(" mm/page.o", ""),
        "mm/page.c": "",  # dropped below
    },
    "added": {
        "Makefile": tree.MAKEFILE.replace("mm/page.o", "mm/page.o mm/more.o"),
        "mm/more.c": "int more = 1;\n",
    },
    "default": {"Kconfig": tree.KCONFIG.replace("default y", "default n")},
    "symbol": {"Kconfig": tree.KCONFIG + "config VSWAP\n\tbool\n\tdefault y\n"},
    "script": {"scripts/conf.awk": tree.CONF + 'END { print "CONFIG_SCRIPT=y" }\n'},
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def request(bench: Bench, name: str) -> BuildRequest:
    folder = bench.folder / f"tree-{name}"
    tree.write(folder, CHANGES[name])
    if name == "removed":
        (folder / "mm" / "page.c").unlink()
    commit = bench.store.import_folder(folder, ref=f"refs/harness/test/{name}", message="toy")
    tree_id = bench.store.tree_of(commit)
    place = workspace.choose(bench.store, bench.cache.build, tree_id)
    return BuildRequest(name, commit, tree_id, "6.12.3", GOOD, place)


def content(kernel: Kernel) -> dict[str, bytes]:
    return {name: (kernel.path / name).read_bytes() for name in ARTEFACTS}


def clean(bench: Bench, one: BuildRequest) -> dict[str, bytes]:
    """What a build from nothing gives, at the same place."""
    shutil.rmtree(bench.cache.kernels)
    shutil.rmtree(bench.cache.build)
    bench.store.ensure()
    return content(bench.builder.build(one))


def test_kernels_built_one_after_the_other_are_those_of_clean_builds(bench: Bench) -> None:
    requests: dict[str, BuildRequest] = {}
    found: dict[str, dict[str, bytes]] = {}
    for name in [*CHANGES, *reversed(CHANGES)]:
        requests[name] = request(bench, name)
        shutil.rmtree(bench.cache.kernels, ignore_errors=True)
        made = content(bench.builder.build(requests[name]))
        assert found.setdefault(name, made) == made, f"{name} depends on what was there before"
    assert len({one.workspace for one in requests.values()}) == 1
    assert len(list(bench.cache.build.glob("*/src"))) == 1
    assert len({tuple(sorted(one.items())) for one in found.values()}) == len(CHANGES)
    for name, made in found.items():
        assert clean(bench, requests[name]) == made, name


def test_a_tree_far_from_all_others_gets_a_workspace_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.builder.build(request(bench, "base"))
    assert request(bench, "removed").workspace == request(bench, "base").workspace
    monkeypatch.setattr(workspace, "_NEAR", 1)
    far, near = request(bench, "removed"), request(bench, "source")
    assert near.workspace == request(bench, "base").workspace
    assert far.workspace == workspace.name_of(far.tree) != near.workspace
    assert not workspace.is_near(bench.store, near.tree, far.tree)


def test_the_nearest_workspace_is_by_what_is_checked_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "_NEAR", 1)
    for name in ("base", "removed", "source"):  # the last one in the workspace of base
        bench.builder.build(request(bench, name))
    tree.write(bench.folder / "tree-next", {"mm/swap.c": SWAP + "\n"})
    monkeypatch.setitem(CHANGES, "next", {"mm/swap.c": SWAP + "\n"})
    assert request(bench, "next").workspace == request(bench, "base").workspace


def test_it_is_configured_again_only_if_something_has_a_say(bench: Bench) -> None:
    def runs(name: str) -> list[str]:
        before = len(bench.calls)
        bench.builder.build(request(bench, name))
        return [line.split()[-1] for line in bench.calls[before:]]

    every = ["allnoconfig", "olddefconfig", "bzImage"]
    assert runs("base") == every
    assert runs("source") == ["bzImage"]
    assert runs("symbol") == every
    assert runs("script") == every
    shutil.rmtree(bench.cache.kernels)
    assert runs("script") == ["bzImage"]
    shutil.rmtree(bench.cache.kernels)
    config = bench.cache.build / request(bench, "base").workspace / object_name(GOOD) / ".config"
    config.write_text(config.read_text("utf-8") + "CONFIG_EVIL=y\n", "utf-8")
    assert runs("script") == every, "a build that changed its own configuration"


def test_options_are_never_those_of_another_request(bench: Bench) -> None:
    one = request(bench, "base")
    bench.builder.build(one)
    other = bench.request(options=wanted("BLOCK"), workspace=one.workspace)
    assert "CONFIG_SWAP" not in bench.builder.build(other).config


def test_what_a_killed_build_left_half_written_is_made_again(
    bench: Bench, heard: pytest.LogCaptureFixture
) -> None:
    base = request(bench, "base")
    bench.builder.build(base)
    kill = bench.folder / "kill"
    shim = bench.folder / "bin" / "make"
    half = bench.cache.build / base.workspace / object_name(GOOD) / "mm" / "swap.o"
    text = shim.read_text("utf-8").splitlines()
    text[1:1] = [f"if [ -e '{kill}' ]; then echo half >'{half}'; kill -9 $$; fi"]
    shim.write_text("\n".join(text) + "\n", "utf-8")
    kill.touch()
    one = request(bench, "source")
    with pytest.raises(BuildFailed, match="make was killed"):
        bench.builder.build(one)
    assert half.read_text("utf-8") == "half\n"
    kill.unlink()
    made = bench.builder.build(one)
    assert "a build was interrupted here" in heard.text
    assert compiled(made) == ["mm/swap.o"]
    assert content(made) == clean(bench, one)


def test_stamps_of_options_outlive_a_killed_build(bench: Bench) -> None:
    objects = workspace.Objects(bench.folder / "obj")
    stamp, file = objects.path / "include/config/SWAP", objects.path / "mm/page.o"
    old = objects.path / "old.o"
    for path in (stamp, file, old):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(old, ns=(1, 1))
    with pytest.raises(KeyboardInterrupt), objects.written():
        os.utime(stamp)
        os.utime(file)
        raise KeyboardInterrupt
    with objects.written():
        assert stamp.exists() and old.exists() and not file.exists()
        file.touch()
    with objects.written():
        assert file.exists()
