# SPDX-License-Identifier: GPL-2.0-only
"""What a hostile series meets: its Makefile, its links and its names, with and without sandbox."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.build import kbuild
from harness.build.kbuild import BuildRequest, Kernel, KernelBuilder
from harness.build.kconfig import Option
from harness.series import series
from harness.series.model import AppliedSeries
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.util import process, sandbox
from harness.util.errors import Exit, InfraError, KernelFailure
from harness.util.paths import REPO, Cache
from harness.util.sandbox import OFF, Sandbox
from tests.fakes import loopback, tree

_GOOD = (Option("CONFIG_BLOCK", "y", "test", "toy.config:1"),)
# Each line of harm says what it could do.  The leading dash: make goes on when one fails.
_HARM = """
bzImage: harm
harm:
	-@echo owned >>{home}/.bashrc && echo 'DID write to the home'
	-@echo owned >$$HOME/.profile && echo 'DID write to $$HOME'
	-@grep -q SECRET {home}/.ssh/id_ed25519 && echo 'DID read the key'
	-@{python} {home}/call.py tcp {port} 2>/dev/null && echo 'DID open a socket'
	-@{python} {home}/call.py unix {home}/keys 2>/dev/null && echo 'DID ask for keys'
	-@kill -0 {pid} 2>/dev/null && echo 'DID find the harness'
	-@echo owned >$(CURDIR)/Makefile.new && echo 'DID write to the sources'
	-@echo owned >$(O)/../neighbour
	-@echo core >/proc/sys/kernel/hostname && echo 'DID set the host'
	-@echo fine >$(O)/mine && echo 'CAN write objects'
.PHONY: harm
"""
_CALL = """\
import socket, sys
kind, where = sys.argv[1:]
if kind == "tcp":
    socket.create_connection(("127.0.0.1", int(where)), 2)
else:
    socket.socket(socket.AF_UNIX).connect(where)
"""


@dataclass(frozen=True, slots=True)
class Victim:
    """A user with a key, a socket that gives keys and a server of his own."""

    home: Path
    port: int

    def harm(self) -> str:
        """A Makefile that goes for all of it."""
        python = shutil.which("python3", path="/usr/bin:/bin") or "python3"
        lines = _HARM.format(home=self.home, port=self.port, pid=os.getpid(), python=python)
        return tree.MAKEFILE + lines


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    home = tmp_path / "victim"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("SECRET\n")
    (home / ".bashrc").write_text("mine\n")
    (home / "call.py").write_text(_CALL)
    monkeypatch.setenv("HOME", str(home))
    # The path of a socket may have 107 bytes, which pytest's folders can exceed.
    monkeypatch.chdir(home)
    with loopback.listener() as server, socket.socket(socket.AF_UNIX) as keys:
        keys.bind("keys")
        keys.listen()
        yield Victim(home, server.getsockname()[1])


@pytest.fixture
def confined() -> Sandbox:
    why = sandbox.fault(Sandbox(on=True))
    if why:
        pytest.skip(f"no sandbox on this host: {why}")
    return sandbox.choose()


class Bench:
    """A cache with a store, and builds of made-up trees in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache")
        self.store = GitStore(self.cache.git)
        self.store.ensure()

    def build(self, files: dict[str, str], by: Sandbox, *, label: str = "hostile") -> Kernel:
        source = tree.write(self.folder / f"tree-{label}", files)
        commit = self.store.import_folder(source, ref=f"refs/harness/test/{label}", message="toy")
        request = BuildRequest(label, commit, self.store.tree_of(commit), "6.12.3", _GOOD, "same")
        builder = KernelBuilder(cache=self.cache, store=self.store, jobs=1, sandbox=by)
        return builder.build(request)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(kbuild, "SPACE", 1)
    return Bench(tmp_path)


def deeds(kernel: Kernel) -> list[str]:
    log = (kernel.path / "build.log").read_text(encoding="utf-8")
    return [line for line in log.splitlines() if line.startswith(("DID", "CAN"))]


def test_a_hostile_makefile_reaches_nothing(
    bench: Bench, victim: Victim, confined: Sandbox
) -> None:
    kernel = bench.build({"Makefile": victim.harm()}, confined)
    assert deeds(kernel) == ["CAN write objects"]
    # In the tests the cache lies in /tmp, of which the sandbox has one of its own to write to.
    assert not (bench.cache.build / "same" / "neighbour").exists()
    assert (victim.home / ".bashrc").read_text() == "mine\n"
    assert not (victim.home / ".profile").exists()


def test_without_the_sandbox_the_same_makefile_does_its_harm(bench: Bench, victim: Victim) -> None:
    """The control: what the test above looks for can be seen."""
    done = deeds(bench.build({"Makefile": victim.harm()}, OFF))
    for deed in ("write to the home", "read the key", "open a socket", "ask for keys"):
        assert f"DID {deed}" in done
    assert "owned" in (victim.home / ".bashrc").read_text()
    assert (bench.cache.build / "same" / "neighbour").exists()


def test_what_is_built_is_the_same_with_and_without(bench: Bench, confined: Sandbox) -> None:
    kernels = []
    for by in (confined, OFF):
        kernels.append(dict(bench.build({}, by, label="good").sha256))
        for folder in (bench.cache.kernels, bench.cache.build, bench.cache.ccache):
            shutil.rmtree(folder)
        bench.store.ensure()  # forgets the worktree
    assert kernels[0] == kernels[1]


@pytest.mark.parametrize("place", ["arch/x86/boot/bzImage", "include/config/kernel.release"])
def test_a_link_among_the_artefacts_publishes_no_secret(
    bench: Bench, victim: Victim, confined: Sandbox, place: str
) -> None:
    key = victim.home / ".ssh" / "id_ed25519"
    swap = f"bzImage: swap\nswap: $(image)\n\tln -sf {key} $(O)/{place}\n"
    with pytest.raises(KernelFailure, match=f"no plain file {place}"):
        bench.build({"Makefile": tree.MAKEFILE + swap}, confined)
    assert not list(bench.cache.kernels.glob("[!.]*"))


def test_a_folder_that_is_a_link_publishes_no_secret(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "bzImage").write_text("x")
    (tmp_path / "obj").mkdir()
    (tmp_path / "obj" / "boot").symlink_to("../real")
    with pytest.raises(KernelFailure, match="no plain file"):
        sandbox.copy_below(tmp_path / "obj", "boot/bzImage", tmp_path / "out")
    os.mkfifo(tmp_path / "obj" / "pipe")
    with pytest.raises(KernelFailure, match="no plain file"):
        sandbox.read_below(tmp_path / "obj", "pipe")


def test_a_link_left_for_the_next_build_is_not_written_through(
    bench: Bench, victim: Victim, confined: Sandbox
) -> None:
    rc = victim.home / ".bashrc"
    trap = f"bzImage: trap\ntrap: $(image)\n\tln -sf {rc} $(O)/harness.allconfig\n"
    bench.build({"Makefile": tree.MAKEFILE + trap}, confined)
    bench.build({"mm/page.c": "int page;\n"}, confined, label="next")
    assert rc.read_text() == "mine\n"


def test_a_release_that_no_kernel_has_is_refused(bench: Bench, confined: Sandbox) -> None:
    name = tree.MAKEFILE.replace("echo 6.12.3-$(KBUILD_BUILD_USER)", "echo '6<script>'")
    with pytest.raises(KernelFailure, match="not a release"):
        bench.build({"Makefile": name}, confined)


# Applying


def patch(folder: Path, name: str, diff: str) -> None:
    head = "From: a <a@b>\nDate: Thu, 1 Jan 1970 00:00:00 +0000\nSubject: [PATCH] x\n\n---\n"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(head + diff)


def added(path: str, text: str, mode: str = "100644") -> str:
    end = "" if text.endswith("\n") else "\n\\ No newline at end of file\n"
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
        f"@@ -0,0 +1 @@\n+{text}{end}"
    )


def apply(bench: Bench, folder: Path, by: Sandbox) -> AppliedSeries:
    source = tree.write(bench.folder / "tree-base")
    commit = bench.store.import_folder(source, ref="refs/harness/test/base", message="toy")
    loaded = series.load(str(folder), registry=bench.folder)
    scratch = bench.folder / "scratch"
    return series.apply(loaded, store=bench.store, base_commit=commit, scratch=scratch, sandbox=by)


def test_a_patch_cannot_write_through_its_own_link(
    bench: Bench, victim: Victim, confined: Sandbox
) -> None:
    patches = bench.folder / "p"
    patch(patches, "0001-link.patch", added("way", str(victim.home), "120000"))
    patch(patches, "0002-through.patch", added("way/.profile", "owned\n"))
    for by in (confined, OFF):
        with pytest.raises(series.ApplyFailed) as caught:
            apply(bench, patches, by)
        assert str(caught.value).startswith("patch 2/2 ")
        assert "symbolic link" in str(caught.value)
        assert sorted(path.name for path in victim.home.iterdir()) == [
            ".bashrc", ".ssh", "call.py", "keys"
        ]  # fmt: skip


def test_a_link_out_of_the_tree_leads_nowhere_in_the_build(
    bench: Bench, victim: Victim, confined: Sandbox
) -> None:
    patches = bench.folder / "p"
    patch(patches, "0001-link.patch", added("Kconfig.way", f"{victim.home}/.bashrc", "120000"))
    applied = apply(bench, patches, confined)
    assert applied.commit == apply(bench, patches, OFF).commit
    (victim.home / ".bashrc").write_text("config STOLEN\n\tbool\n")
    builder = KernelBuilder(cache=bench.cache, store=bench.store, jobs=1, sandbox=confined)
    request = BuildRequest("link", applied.commit, applied.tree, "6.12.3", _GOOD, "same")
    assert "CONFIG_STOLEN" not in builder.build(request).symbols


@pytest.mark.parametrize("path", [".git/hooks/post-checkout", "../outside", "/etc/outside"])
def test_a_patch_to_gits_own_files_or_outside_does_not_apply(
    bench: Bench, confined: Sandbox, path: str
) -> None:
    patch(bench.folder / "p", "0001-x.patch", added(path, "owned\n"))
    with pytest.raises(series.ApplyFailed):
        apply(bench, bench.folder / "p", confined)


def test_filters_and_hooks_of_tree_and_user_do_not_run(
    bench: Bench, victim: Victim, confined: Sandbox
) -> None:
    hooks = victim.home / "hooks"
    hooks.mkdir()
    for name in ("applypatch-msg", "pre-applypatch", "post-applypatch", "post-checkout"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {victim.home}/ran-{name}\n")
        (hooks / name).chmod(0o755)
    (victim.home / ".gitconfig").write_text(
        f'[core]\n hooksPath = {hooks}\n[filter "evil"]\n smudge = touch {victim.home}/ran-it\n'
    )
    patch(bench.folder / "p", "0001-x.patch", added(".gitattributes", "* filter=evil\n"))
    for by in (confined, OFF):
        applied = apply(bench, bench.folder / "p", by)
        bench.store.checkout(bench.folder / f"out-{by.on}", applied.commit)
    assert not list(victim.home.glob("ran-*"))


# Names


@pytest.mark.parametrize("name", ["a'; touch pwned; '", "$(shell touch pwned)", "`touch pwned`"])
def test_no_name_reaches_a_shell(tmp_path: Path, name: str) -> None:
    recorder = tmp_path / "record"
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >args\n')
    recorder.chmod(0o755)
    argv = ["make", "-f", str(REPO / "Makefile"), "build", "SETUP=true", f"HARNESS={recorder}"]
    subprocess.run([*argv, f"PATCH={name}"], cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "pwned").exists()
    args = (tmp_path / "args").read_text().splitlines()
    assert f"PATCH={name}" in args


def test_a_subject_with_shell_characters_is_only_text(bench: Bench, confined: Sandbox) -> None:
    folder = bench.folder / "$(touch pwned); `touch pwned`"
    patch(folder, "0001-x.patch", added("x", "y\n"))
    path = folder / "0001-x.patch"
    path.write_text(path.read_text().replace("[PATCH] x", "[PATCH] $(touch pwned) ;`touch pwned`"))
    applied = apply(bench, folder, confined)
    assert applied.patches[0].subject == "$(touch pwned) ;`touch pwned`"
    shown = run_git(["log", "-1", "--format=%s", applied.commit], cwd=bench.store.path)
    assert shown.stdout.decode().strip() == applied.patches[0].subject
    assert not list(bench.folder.rglob("pwned"))


# Hosts without it


def test_a_host_without_it_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfraError, match=r"install the package bubblewrap.*SANDBOX=no"):
        sandbox.choose()
    assert sandbox.choose("no") == OFF
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(InfraError, match=r"No permissions.*user namespaces.*SANDBOX=no") as caught:
        sandbox.choose()
    assert caught.value.status == Exit.INFRA


def test_what_runs_inside_ends_with_what_started_it(tmp_path: Path, confined: Sandbox) -> None:
    """A beat each 50 ms shows life inside, whose processes cannot be seen by number."""
    beat = tmp_path / "beat"
    beat.touch()
    script = f"trap '' TERM; while :; do echo >>{beat}; sleep 0.05; done"
    argv = confined.wrap(["setsid", "sh", "-c", script], writable=(tmp_path,))
    child = subprocess.Popen(process.tethered(argv, sig="TERM"), start_new_session=True)
    try:
        deadline = time.monotonic() + 20
        while beat.stat().st_size < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert beat.stat().st_size >= 3
    finally:
        process.stop(child)
    time.sleep(0.3)
    size = beat.stat().st_size
    time.sleep(0.5)
    assert beat.stat().st_size == size


def test_off_changes_nothing() -> None:
    assert OFF.wrap(["make", "x"], writable=(Path("/x"),)) == ["make", "x"]
