# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests (kselftest) that touch swap, built from the tree under test.

Each arm builds its own, statically, so that they run in a guest that has no compiler and no
libraries of theirs.  The tree's own Makefiles build them, in the sandbox, from a small checkout of
their own: mm's writes into its sources.  What does not build is no error here: trees before 6.13
want headers that others do not, and libraries may be missing.  It is recorded with its reason.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.build.kbuild import compiler_version, first_error
from harness.experiment.arch import HERE
from harness.source.gitstore import GitStore
from harness.util import atomic, progress
from harness.util.command import run
from harness.util.errors import InfraError, KernelFailure
from harness.util.hostspace import require_space
from harness.util.paths import Cache
from harness.util.sandbox import Sandbox, copy_below

_log = logging.getLogger(__name__)

_SCHEMA = 1
_SPACE = 1 << 30
# What "make headers" and the tests' Makefiles read of a tree: a tenth of it.
_PLACES = ("Makefile", "Kbuild", "scripts", f"arch/{HERE.folder}", "include", "tools", "mm", "usr")
_SELFTESTS = Path("tools/testing/selftests")
_LIST = "list"
"""Read by the guest's program: a test a line, then why it is not there."""
_REASON = 200
_QUOTES = str.maketrans("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "''")


@dataclass(frozen=True, slots=True)
class SelftestRequest:
    """What to build: tests, each ``collection/program``, of a commit of the store."""

    label: str
    commit: str
    tree: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selftests:
    """Published tests: ``path`` holds ``<collection>/<program>`` and the list of all.

    missing: (test, why it is not there)
    """

    key: str
    path: Path
    tests: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]

    def as_data(self) -> dict[str, object]:
        """For a manifest."""
        return {"key": self.key, "tests": list(self.tests), "missing": dict(self.missing)}


def key_of(request: SelftestRequest, compiler: str) -> str:
    """What determines the artefact: tree, tests, compiler, this module's schema."""
    parts = (str(_SCHEMA), request.tree, *request.tests, compiler)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def load(path: Path) -> Selftests | None:
    """Published tests, or None if ``path`` has none that are whole."""
    try:
        data = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        sizes = {name: (path / name).stat().st_size for name in data["sizes"]}
        if sizes != data["sizes"]:
            return None
        missing = tuple(sorted(data["missing"].items()))
        return Selftests(data["key"], path, tuple(data["tests"]), missing)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class SelftestBuilder:
    """Builds the tests of trees and publishes them in the cache's ``selftests`` folder."""

    cache: Cache
    store: GitStore
    sandbox: Sandbox
    jobs: int = 1

    def build(self, request: SelftestRequest) -> Selftests:
        """The tests of ``request``, from the cache or built now.

        Raises KernelFailure when the tree has no headers to build them with, InfraError when the
        disk is too small or a tool is missing.
        """
        compiler = compiler_version()
        target = self.cache.selftests / key_of(request, compiler)
        lock = self.cache.selftests / f"{target.name}.lock"
        atomic.hold(target)
        with atomic.locked(lock):
            known = load(target)
            if known:
                return known
            shutil.rmtree(target, ignore_errors=True)
            require_space(self.cache.root, _SPACE, f"building the selftests of {request.label}")
            with progress.stage(f"selftests {request.label}", note=f"{len(request.tests)} tests"):
                return self._build_in(target, request, compiler)

    def _build_in(self, target: Path, request: SelftestRequest, compiler: str) -> Selftests:
        work = self.cache.build / f"selftests-{target.name}"
        self._forget(work)
        src, obj = work / "src", work / "obj"
        obj.mkdir(parents=True)
        try:
            self.store.add_worktree(src, request.commit, checkout=False)
            self._check_out(src, request)
            said = [self._headers(src, obj, request)]
            results = {test: self._make(src, obj, test) for test in request.tests}
            said += [log for _, log in results.values()]
            missing = {test: reason for test, (reason, _) in results.items() if reason}
            with atomic.folder(target) as scratch:
                self._publish(scratch, obj, request, missing, compiler)
                (scratch / "build.log").write_text("\n".join(said), encoding="utf-8")
        finally:
            self._forget(work)
        made = load(target)
        if made is None:
            raise InfraError(f"the selftests of {request.label} were published but cannot be read")
        for test, reason in made.missing:
            _log.info(f"selftests {request.label}: {test} is not built: {reason}")
        return made

    def _forget(self, work: Path) -> None:
        if work.exists():
            self.store.remove_worktree(work / "src")
            shutil.rmtree(work, ignore_errors=True)

    def _check_out(self, src: Path, request: SelftestRequest) -> None:
        git = partial(self.store.git_in, src)
        there = [
            place for place in _PLACES if git("cat-file", "-e", f"HEAD:{place}").returncode == 0
        ]
        done = git("checkout", "--quiet", "HEAD", "--", *there)
        if done.returncode != 0 or not (src / _SELFTESTS).is_dir():
            raise KernelFailure(f"{request.label} has no {_SELFTESTS} that can be checked out")

    def _headers(self, src: Path, obj: Path, request: SelftestRequest) -> str:
        """The user-space headers of the tree: what it defines may be newer than the host's."""
        argv = ["make", "-C", str(src), f"O={obj}", f"-j{self.jobs}", "headers"]
        done = run(self._confined(argv, src, obj), check=False, timeout=900)
        if done.returncode != 0:
            raise KernelFailure(
                f"the headers of {request.label} cannot be made: make headers: "
                f"{first_error(done.stderr)}"
            )
        return done.stdout + done.stderr

    def _make(self, src: Path, obj: Path, test: str) -> tuple[str, str]:
        """Build one test; why it cannot be, "" if it can, and what was said."""
        collection = test.partition("/")[0]
        if not (src / _SELFTESTS / collection / "Makefile").is_file():
            return f"the tree has no {_SELFTESTS / collection}", ""
        if not (src / _SELFTESTS / f"{test}.c").is_file():
            return f"the tree has no {_SELFTESTS / test}.c", ""
        argv = ["make", "-C", str(src / _SELFTESTS / collection), f"OUTPUT={obj / collection}"]
        # The two that lib.mk takes on top of what each Makefile sets.
        argv += ["USERLDFLAGS=-static", f"KHDR_INCLUDES=-isystem {obj / 'usr' / 'include'}"]
        argv.append(str(obj / test))
        (obj / collection).mkdir(exist_ok=True)
        progress.command(argv)
        done = run(self._confined(argv, src, obj), check=False, timeout=900)
        log = done.stdout + done.stderr
        return ("", log) if done.returncode == 0 else (_reason(done.stderr, src), log)

    def _confined(self, argv: Sequence[str], src: Path, obj: Path) -> list[str]:
        # The checkout is thrown away: its Makefiles may write where they always do.
        return self.sandbox.wrap(argv, writable=(src, obj), readable=(src / ".git",), cwd=obj)

    def _publish(
        self,
        scratch: Path,
        obj: Path,
        request: SelftestRequest,
        missing: Mapping[str, str],
        compiler: str,
    ) -> None:
        built = [test for test in request.tests if test not in missing]
        for test in built:
            (scratch / test).parent.mkdir(exist_ok=True)
            copy_below(obj, test, scratch / test)
            (scratch / test).chmod(0o755)
        lines = [f"{test} {missing[test]}".strip() if test in missing else test
                 for test in request.tests]  # fmt: skip
        (scratch / _LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
        manifest = {
            "schema": _SCHEMA,
            "key": key_of(request, compiler),
            "commit": request.commit,
            "tree": request.tree,
            "compiler": compiler,
            "sandbox": self.sandbox.on,
            "tests": list(request.tests),
            "missing": dict(missing),
            "sha256": {test: atomic.sha256_file(scratch / test) for test in built},
            "sizes": {name: (scratch / name).stat().st_size for name in (*built, _LIST)},
        }
        (scratch / "manifest.json").write_text(atomic.json_text(manifest), encoding="utf-8")


def _reason(said: str, src: Path) -> str:
    """The first error, printable, without this machine's paths."""
    text = first_error(said).replace(f"{src}/", "").translate(_QUOTES)
    return re.sub(r"[^ -~]", "?", text)[:_REASON] or "make fails"
