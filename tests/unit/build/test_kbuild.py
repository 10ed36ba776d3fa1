# SPDX-License-Identifier: GPL-2.0-only
"""Builds of a real, if tiny, tree: what is published, when make runs, and how failures are told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build import kbuild
from harness.build import workspace as workspaces
from harness.build.kbuild import BuildFailed, BuildRequest, Kernel, KernelBuilder
from harness.build.kconfig import Option
from harness.source.gitstore import GitStore
from harness.util import hostspace, sandbox
from harness.util.errors import Exit, InfraError, KernelFailure, UserError
from harness.util.paths import Cache
from harness.util.sandbox import Sandbox
from tests.fakes import tree


def wanted(*symbols: str) -> tuple[Option, ...]:
    return tuple(Option(f"CONFIG_{name}", "y", "test", "toy.config:1") for name in symbols)


GOOD = wanted("BLOCK", "SWAP")


class Bench:
    """A store, a builder over a cache, and a make that says when it runs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache")
        self.store = GitStore(self.cache.git)
        self.store.ensure()
        self.builder = self.confined(sandbox.OFF)
        self._calls = folder / "make-calls"
        shim = folder / "bin" / "make"
        shim.parent.mkdir()
        real = shutil.which("make")
        shim.write_text(f'#!/bin/sh\necho "$@" >>\'{self._calls}\'\nexec {real} "$@"\n', "utf-8")
        shim.chmod(0o755)
        patch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
        patch.setattr(kbuild, "SPACE", 1)

    def confined(self, by: Sandbox) -> KernelBuilder:
        return KernelBuilder(cache=self.cache, store=self.store, jobs=2, sandbox=by)

    def request(
        self,
        changes: dict[str, str] | None = None,
        *,
        label: str = "base",
        options: tuple[Option, ...] = GOOD,
        workspace: str = "",
    ) -> BuildRequest:
        source = tree.write(self.folder / f"tree-{label}", changes)
        commit = self.store.import_folder(source, ref=f"refs/harness/test/{label}", message="toy")
        tree_id = self.store.tree_of(commit)
        version = self.store.kernel_version(commit)
        place = workspace or workspaces.name_of(tree_id)
        return BuildRequest(label, commit, tree_id, version, options, place)

    @property
    def calls(self) -> list[str]:
        """The command line of each make so far."""
        return self._calls.read_text("utf-8").splitlines() if self._calls.exists() else []

    def published(self) -> list[Path]:
        """Locks beside them begin with a dot."""
        return list(self.cache.kernels.glob("[!.]*"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def compiled(kernel: Kernel) -> list[str]:
    log = (kernel.path / "build.log").read_text(encoding="utf-8")
    return sorted(line.split()[-1] for line in log.splitlines() if line.startswith("  CC "))


def first_line(path: Path) -> str:
    return path.read_bytes().split(b"\n", 1)[0].decode()


# What is published


def test_a_build_publishes_a_whole_artefact(bench: Bench) -> None:
    request = bench.request()
    kernel = bench.builder.build(request)
    manifest = json.loads((kernel.path / "manifest.json").read_text(encoding="utf-8"))
    for name in ("bzImage", "vmlinux", "System.map", "config"):
        content = (kernel.path / name).read_bytes()
        assert manifest["sha256"][name] == hashlib.sha256(content).hexdigest()
        assert manifest["sizes"][name] == len(content) > 0
    assert manifest["commit"] == request.commit
    assert manifest["tree"] == request.tree
    assert manifest["version"] == request.version == "6.12.3"
    assert manifest["objects_compiled"] == 3
    assert manifest["config_symbols_on"] == 3
    assert "gcc" in manifest["compiler"]
    assert kernel.release == "6.12.3-harness", "the builder's name is fixed"
    assert first_line(kernel.image) == "Thu Jan  1 00:00:00 UTC 2026"
    assert kernel.path == bench.cache.kernels / kernel.key
    assert dict(kernel.sha256) == manifest["sha256"]
    assert kernel.config == {"CONFIG_BLOCK": "y", "CONFIG_SWAP": "y", "CONFIG_MMU": "y"}
    assert kernel.symbols == {"CONFIG_BLOCK", "CONFIG_SWAP", "CONFIG_MMU"}
    assert compiled(kernel) == ["init/main.o", "mm/page.o", "mm/swap.o"]
    assert b"start" in (kernel.path / "System.map").read_bytes()


def test_what_is_configured_is_what_was_asked_and_no_more(bench: Bench) -> None:
    kernel = bench.builder.build(bench.request(options=wanted("BLOCK")))
    assert "CONFIG_SWAP" not in kernel.config


def test_the_configuration_is_told_before_anything_is_compiled(bench: Bench) -> None:
    told: list[dict[str, str]] = []

    def refuse(config: Mapping[str, str]) -> None:
        told.append(dict(config))
        raise UserError("no cell can run")

    request = bench.request()
    with pytest.raises(UserError, match="no cell can run"):
        bench.builder.build(request, refuse)
    assert bench.builder.find(request) is None
    assert not list(bench.cache.build.glob("**/*.o"))
    made = bench.builder.build(request, lambda config: told.append(dict(config)))
    # A kernel that is there already says the same.
    assert bench.builder.build(request, lambda config: told.append(dict(config))) == made
    assert told == [made.config] * 3


def test_the_second_time_nothing_runs(bench: Bench, heard: pytest.LogCaptureFixture) -> None:
    request = bench.request()
    assert bench.builder.find(request) is None
    first = bench.builder.build(request)
    calls = bench.calls
    assert calls
    assert bench.builder.build(request) == first == bench.builder.find(request)
    assert bench.calls == calls
    assert "already built" in heard.text


def test_the_source_tree_stays_as_it_is(bench: Bench) -> None:
    request = bench.request()
    bench.builder.build(request)
    src = bench.cache.build / request.workspace / "src"
    status = bench.store.git_in(src, "status", "--porcelain", "--ignored")
    assert status.returncode == 0 and status.stdout == b""


def test_two_caches_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    kernels = [one.builder.build(one.request()) for one in (bench, Bench(other, monkeypatch))]
    assert kernels[0].path != kernels[1].path
    assert kernels[0].key == kernels[1].key
    # vmlinux holds the paths of its sources, as far as the compiler puts them in.
    for name in ("config", "System.map"):
        assert dict(kernels[0].sha256)[name] == dict(kernels[1].sha256)[name]


@pytest.mark.parametrize("name", ["bzImage", "vmlinux", "System.map", "config"])
def test_a_truncated_artefact_is_built_anew(bench: Bench, name: str) -> None:
    request = bench.request()
    kernel = bench.builder.build(request)
    whole = (kernel.path / name).read_bytes()
    (kernel.path / name).write_bytes(whole[: len(whole) // 2])
    assert kbuild.load(kernel.path) is None
    again = bench.builder.build(request)
    assert (again.path / name).read_bytes() == whole
    assert kbuild.load(again.path) == again


def test_one_changed_bit_of_an_artefact_is_seen(
    bench: Bench, heard: pytest.LogCaptureFixture
) -> None:
    request = bench.request()
    image = bench.builder.build(request).image
    whole = image.read_bytes()
    image.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert bench.builder.build(request).image.read_bytes() == whole
    assert "is not as it was built" in heard.text


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"sizes": {}}', '{"sizes": 3}', "null"])
def test_a_broken_manifest_is_no_kernel(bench: Bench, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    assert kbuild.load(folder) is None


def test_a_killed_builds_leftovers_do_no_harm(bench: Bench) -> None:
    request = bench.request()
    obj = bench.cache.build / request.workspace / kbuild.object_folder(request.options)
    (obj / "mm").mkdir(parents=True)
    (obj / ".config").write_text("garbage", encoding="utf-8")
    target = bench.cache.kernels / kbuild.kernel_key(request, kbuild.compiler_version())
    target.mkdir(parents=True)
    (target / "bzImage").write_text("half", encoding="utf-8")
    assert kbuild.load(bench.builder.build(request).path)


# The two arms


def test_the_patched_arm_compiles_only_what_the_series_touches(bench: Bench) -> None:
    request = bench.request()
    base = bench.builder.build(request)
    changed = {"mm/swap.c": tree.FILES["mm/swap.c"].replace("page + 1", "page + 2")}
    patch = bench.builder.build(bench.request(changed, label="patch", workspace=request.workspace))
    assert compiled(patch) == ["mm/swap.o"]
    assert patch.key != base.key
    assert patch.image.read_bytes() != base.image.read_bytes()
    assert kbuild.load(base.path) == base, "the base's artefact is untouched"


def test_a_touched_header_is_not_missed(bench: Bench) -> None:
    request = bench.request()
    bench.builder.build(request)
    changed = {"include/swap.h": "int swap_in(int page);\nint swap_out(int page);\n"}
    patch = bench.builder.build(bench.request(changed, label="patch", workspace=request.workspace))
    assert len(compiled(patch)) == 3


def test_incremental_or_not_the_kernel_is_the_same(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"mm/swap.c": tree.FILES["mm/swap.c"].replace("page + 1", "page + 2")}
    request = bench.request()
    bench.builder.build(request)
    after_base = bench.builder.build(bench.request(changed, label="p", workspace=request.workspace))
    key, bytes_after_base = after_base.key, after_base.image.read_bytes()
    shutil.rmtree(after_base.path)
    shutil.rmtree(bench.cache.build)
    bench.store.ensure()
    alone = bench.builder.build(bench.request(changed, label="p", workspace=request.workspace))
    assert alone.key == key
    assert alone.image.read_bytes() == bytes_after_base


@given(st.sampled_from(["tree", "options", "nothing", "label", "commit", "workspace"]))
def test_the_key_changes_with_what_determines_the_artefact_and_nothing_else(part: str) -> None:
    request = BuildRequest("base", "c" * 40, "t" * 40, "6.12", GOOD, "w")
    changes: dict[str, BuildRequest] = {
        "tree": replace(request, tree="u" * 40),
        "options": replace(request, options=wanted("BLOCK")),
        "nothing": request,
        "label": replace(request, label="patch"),
        "commit": replace(request, commit="d" * 40),
        "workspace": replace(request, workspace="v"),
    }
    is_same = kbuild.kernel_key(changes[part], "gcc 12") == kbuild.kernel_key(request, "gcc 12")
    assert is_same == (part not in {"tree", "options"})
    assert kbuild.kernel_key(request, "gcc 13") != kbuild.kernel_key(request, "gcc 12")


# Another compiler


@pytest.fixture
def clang(bench: Bench) -> Path:
    """A clang that is gcc under another name, and says when it compiles."""
    place = bench.folder / "bin" / "clang-19"
    place.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) echo "Debian clang version 19.1.7"; exit;; esac\n'
        f"echo \"$@\" >>'{bench.folder / 'clang-calls'}'\n"
        'exec gcc "$@"\n'
    )
    place.chmod(0o755)
    return place


def test_the_compiler_that_is_asked_for_configures_and_compiles(
    bench: Bench, clang: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kbuild, "_caching", lambda: False)
    request = bench.request()
    by_gcc = bench.builder.build(request)
    calls = len(bench.calls)
    by_clang = bench.builder.build(replace(request, cc="clang-19"))
    assert by_clang.compiler == "Debian clang version 19.1.7"
    assert by_clang.key != by_gcc.key and by_clang.path != by_gcc.path
    assert "mm/swap.c" in (bench.folder / "clang-calls").read_text()
    made = bench.calls[calls:]
    assert [call.split()[-1] for call in made] == ["allnoconfig", "olddefconfig", "bzImage"]
    assert all(" CC=clang-19 " in call for call in made)
    # The objects of one are not those of the other, and both kernels stay what they are.
    assert compiled(by_clang) == compiled(by_gcc) == ["init/main.o", "mm/page.o", "mm/swap.o"]
    assert bench.builder.build(request) == by_gcc
    assert bench.builder.build(replace(request, cc="clang-19")) == by_clang
    assert len(bench.calls) == calls + 3


def test_the_compiler_is_cached_whichever_it_is(
    bench: Bench, clang: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "bin" / "ccache").write_text('#!/bin/sh\nexec "$@"\n')
    (bench.folder / "bin" / "ccache").chmod(0o755)
    bench.builder.build(replace(bench.request(), cc="clang-19"))
    assert "CC=ccache clang-19 HOSTCC=ccache gcc" in bench.calls[-1]


def test_a_compiler_that_is_missing_is_one_sentence(bench: Bench) -> None:
    with pytest.raises(UserError, match=r"^CC=clang-99 is not installed: apt-get install clang-99"):
        bench.builder.build(replace(bench.request(), cc="clang-99"))
    assert bench.calls == []


# Failures


def test_a_dropped_symbol_is_the_users_error_with_its_dependency(bench: Bench) -> None:
    with pytest.raises(UserError) as told:
        bench.builder.build(bench.request(options=wanted("SWAP")))
    message = str(told.value)
    assert "CONFIG_SWAP=y (from toy.config:1) did not take" in message
    assert "depends on BLOCK (here BLOCK=n)" in message
    assert bench.published() == []
    assert not [call for call in bench.calls if "bzImage" in call], "nothing was compiled"


def test_an_unknown_symbol_is_the_users_error(bench: Bench) -> None:
    with pytest.raises(UserError, match=r"CONFIG_SWPA=y.*no Kconfig file of this tree defines it"):
        bench.builder.build(bench.request(options=wanted("SWPA")))


def test_a_compile_error_is_told_by_its_first_real_line(bench: Bench) -> None:
    broken = tree.FILES["mm/swap.c"].replace("return page + 1;", "return page + oops;")
    with pytest.raises(BuildFailed) as told:
        bench.builder.build(bench.request({"mm/swap.c": broken}))
    message = str(told.value)
    assert "mm/swap.c:4:" in message and "error: " in message and "undeclared" in message
    assert "Error 1" not in message
    assert str(told.value.log) in message
    assert "oops" in told.value.log.read_text(encoding="utf-8")
    assert told.value.status is Exit.KERNEL
    assert bench.published() == []


def test_a_missing_function_is_told_too(bench: Bench) -> None:
    ruined = {"Makefile": tree.MAKEFILE.replace("$(LD) -r", "$(LD) --no-undefined -e start")}
    ruined["init/main.c"] = "int swap_gone(void);\nint start(void)\n{\n\treturn swap_gone();\n}\n"
    with pytest.raises(BuildFailed, match="undefined reference to `swap_gone'"):
        bench.builder.build(bench.request(ruined))


def test_the_build_goes_on_after_an_error_was_mended(bench: Bench) -> None:
    request = bench.request({"mm/swap.c": "int broken(\n"})
    with pytest.raises(BuildFailed):
        bench.builder.build(request)
    mended = bench.request(workspace=request.workspace)
    kernel = bench.builder.build(mended)
    assert "mm/swap.o" in compiled(kernel)
    assert kbuild.load(kernel.path)


def test_a_tree_that_cannot_be_configured_is_a_kernel_failure(bench: Bench) -> None:
    request = bench.request({"scripts/conf.awk": "{\n"})
    with pytest.raises(KernelFailure, match=r"base .* cannot be configured: make allnoconfig: "):
        bench.builder.build(request)


def test_a_full_disk_is_said_before_anything_is_built(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostspace, "free_bytes", lambda _: 0)
    with pytest.raises(InfraError, match="building base needs"):
        bench.builder.build(bench.request())
    assert bench.calls == []


def test_a_missing_tool_is_the_machines_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tools = tmp_path / "few"
    tools.mkdir()
    for name in ("gcc", "git", "setpriv", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))
    request = bench.request()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(
        "harness.util.command.clean_environment",
        lambda extra=None: {"PATH": str(tools), **(extra or {})},
    )
    with pytest.raises(InfraError, match="make is not installed"):
        bench.builder.build(request)


LOGS = [
    ("  CC a.o\nmm/a.c:3:1: error: x\nmake[2]: *** [a.o] Error 1\n", "mm/a.c:3:1: error: x"),
    ("make: *** [x] Error 1\n../mm/a.c:3:1: fatal error: no.h: No such file\n", "fatal error"),
    (
        "ld: mm/a.o: in function `f':\nmm/a.c:(.text+0x1): undefined reference to `g'\n"
        "make: *** Error 1\n",
        "`g'",
    ),
    ("ld: cannot find -lx: No such file\nmake: *** [x] Error 1\n", "cannot find -lx"),
    ("mm/a.c:1:1: warning: w\nmake: *** No rule to make target 'x'.  Stop.\n", "No rule"),
    ("/bin/sh: 1: bc: not found\nmake[1]: *** [x] Error 127\n", "bc: not found"),
    ("error: Cannot generate ORC metadata without libelf\nmake: *** [x] Error 1\n", "libelf"),
    ('ERROR: modpost: "f" undefined!\nmake: *** [x] Error 1\n', "modpost"),
    ("cc1: all warnings being treated as errors\nmake: *** [a.o] Error 1\n", "Error 1"),
    ("vmlinux.o: warning: objtool: f(): stack\nmake: *** [vmlinux.o] Error 255\n", "Error 255"),
    ("gcc: internal compiler error: Killed (program cc1)\nmake: *** [x] Error 4\n", "Killed"),
    (
        "***\n*** C compiler is too old.\n***   Your Clang version:    14.0.6\n"
        "***   Minimum Clang version: 15.0.0\n***\n"
        "scripts/Kconfig.include:44: Sorry, this C compiler is not supported.\n"
        "make[1]: *** [Makefile:685: allnoconfig] Error 2\n",
        "C compiler is too old; Your Clang version: 14.0.6; Minimum Clang version: 15.0.0",
    ),
    ("fatal: out of disk\nlast words\n", "last words"),
    ("", "the log is empty"),
]


@pytest.mark.parametrize(("log", "expected"), LOGS)
def test_the_first_real_error(log: str, expected: str) -> None:
    assert expected in kbuild.first_error(log)


@given(st.text())
def test_any_log_has_a_first_error_of_one_line(log: str) -> None:
    assert "\n" not in kbuild.first_error(log)


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
def test_the_compiler_cache_is_the_harnesss_own(bench: Bench) -> None:
    bench.builder.build(bench.request())
    assert any("CC=ccache gcc" in call for call in bench.calls)
    env = {**os.environ, "CCACHE_DIR": str(bench.cache.ccache)}
    shown = subprocess.run(["ccache", "-s"], env=env, capture_output=True, text=True, check=True)
    assert "3" in shown.stdout
