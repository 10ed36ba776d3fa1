# SPDX-License-Identifier: GPL-2.0-only
"""Building the tests of a tree: what is published, what cannot be built, what is kept."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import kbuild, kselftest
from harness.build.kselftest import SelftestBuilder, SelftestRequest
from harness.source.gitstore import GitStore
from harness.util import sandbox
from harness.util.errors import KernelFailure
from harness.util.paths import Cache
from harness.util.sandbox import Sandbox

TESTS = ("cgroup/good", "cgroup/broken", "cgroup/absent", "mm/cow")
FILES = {
    "Makefile": "headers:\n\t@mkdir -p $(O)/usr/include/linux\n"
    "\t@cp include/swap.h $(O)/usr/include/linux/\n",
    "include/swap.h": "#define SWAP 7\n",
    "tools/testing/selftests/cgroup/Makefile": "$(OUTPUT)/%: %.c\n"
    "\t@touch wrote-into-the-sources\n"
    "\t$(CC) $(KHDR_INCLUDES) $(USERLDFLAGS) -o $@ $<\n",
    "tools/testing/selftests/cgroup/good.c": "#include <linux/swap.h>\n"
    "int main(void) { return SWAP; }\n",
    "tools/testing/selftests/cgroup/broken.c": "#include <linux/swap.h>\n"
    "int main(void) { return NOT_DEFINED; }\n",
}


class Bench:
    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache")
        self.store = GitStore(self.cache.git)
        self.store.ensure()
        patch.setattr(kselftest, "_SPACE", 1)

    def request(
        self, changes: dict[str, str] | None = None, label: str = "base"
    ) -> SelftestRequest:
        root = self.folder / f"tree-{label}"
        for name, text in (FILES | (changes or {})).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        commit = self.store.import_folder(root, ref=f"refs/harness/test/{label}", message="toy")
        return SelftestRequest(label, commit, self.store.tree_of(commit), TESTS)

    def builder(self, by: Sandbox = sandbox.OFF) -> SelftestBuilder:
        return SelftestBuilder(cache=self.cache, store=self.store, sandbox=by)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


def test_what_builds_is_published_and_what_does_not_has_its_reason(
    bench: Bench, heard: pytest.LogCaptureFixture
) -> None:
    made = bench.builder().build(bench.request())
    assert subprocess.run([made.path / "cgroup/good"], check=False).returncode == 7
    missing = dict(made.missing)
    assert set(missing) == {"cgroup/broken", "cgroup/absent", "mm/cow"}
    assert "'NOT_DEFINED' undeclared" in missing["cgroup/broken"]
    assert missing["cgroup/absent"].endswith("selftests/cgroup/absent.c")
    assert missing["mm/cow"].endswith("selftests/mm")
    assert "NOT_DEFINED" in heard.text
    rows = (made.path / "list").read_text("utf-8").splitlines()
    assert [row.split(" ")[0] for row in rows] == list(TESTS)
    assert rows[0] == "cgroup/good"
    assert str(bench.folder) not in (made.path / "list").read_text("utf-8")
    assert not list(bench.cache.build.glob("selftests-*"))


def test_it_is_static(bench: Bench) -> None:
    made = bench.builder().build(bench.request())
    program = (made.path / "cgroup/good").read_bytes()
    start, size, count = (
        *struct.unpack_from("<Q", program, 32),
        *struct.unpack_from("<HH", program, 54),
    )
    kinds = [struct.unpack_from("<I", program, start + size * i)[0] for i in range(count)]
    assert 1 in kinds  # PT_LOAD
    assert 3 not in kinds  # PT_INTERP: it would want a dynamic linker


def test_the_second_time_nothing_is_built_and_another_tree_has_its_own(bench: Bench) -> None:
    first = bench.builder().build(bench.request())
    before = (first.path / "manifest.json").stat().st_mtime_ns
    assert bench.builder().build(bench.request()) == first
    assert (first.path / "manifest.json").stat().st_mtime_ns == before
    other = bench.builder().build(bench.request({"include/swap.h": "#define SWAP 8\n"}, "patch"))
    assert other.key != first.key
    assert subprocess.run([other.path / "cgroup/good"], check=False).returncode == 8


def test_fewer_tests_are_another_artefact(bench: Bench) -> None:
    request = bench.request()
    assert kselftest.key_of(request, "gcc 1") != kselftest.key_of(
        replace(request, tests=TESTS[:1]), "gcc 1"
    )


@pytest.mark.parametrize("name", ["cgroup/good", "list", "manifest.json"])
def test_a_damaged_artefact_is_made_anew(bench: Bench, name: str) -> None:
    made = bench.builder().build(bench.request())
    (made.path / name).write_text("x", encoding="utf-8")
    assert kselftest.load(made.path) is None
    again = bench.builder().build(bench.request())
    assert again == made
    assert json.loads((again.path / "manifest.json").read_text("utf-8"))["sizes"]


def test_a_killed_builds_leftovers_do_no_harm(bench: Bench) -> None:
    request = bench.request()
    work = bench.cache.build / f"selftests-{kselftest.key_of(request, kbuild.compiler_version())}"
    (work / "src").mkdir(parents=True)
    (work / "src" / "half").write_text("", encoding="utf-8")
    assert "cgroup/good" not in dict(bench.builder().build(request).missing)


def test_a_tree_without_selftests_is_a_kernel_failure(bench: Bench) -> None:
    root = bench.folder / "bare"
    root.mkdir()
    (root / "Makefile").write_text("", encoding="utf-8")
    commit = bench.store.import_folder(root, ref="refs/harness/test/bare", message="toy")
    request = SelftestRequest("base", commit, bench.store.tree_of(commit), TESTS)
    with pytest.raises(KernelFailure, match="base has no tools/testing/selftests"):
        bench.builder().build(request)


def test_headers_that_cannot_be_made_are_a_kernel_failure(bench: Bench) -> None:
    request = bench.request({"Makefile": "headers:\n\t@echo 'usr/x.h:1:2: error: no' >&2; false\n"})
    with pytest.raises(KernelFailure, match=r"make headers: usr/x\.h:1:2: error: no"):
        bench.builder().build(request)


@pytest.mark.skipif(sandbox.fault(Sandbox(True)) is not None, reason="no sandbox on this host")
def test_in_the_sandbox_a_makefile_writes_nowhere_else(bench: Bench) -> None:
    victim = bench.folder / "victim"
    place = "tools/testing/selftests/cgroup/Makefile"
    evil = FILES[place] + f"$(shell echo x >{victim})$(shell echo x >../../../../.git)\n"
    made = bench.builder(Sandbox(True)).build(bench.request({place: evil}))
    assert not victim.exists()
    assert subprocess.run([made.path / "cgroup/good"], check=False).returncode == 7
