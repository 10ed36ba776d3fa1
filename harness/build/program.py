# SPDX-License-Identifier: GPL-2.0-only
"""A program of the user's own as the guest runs it: compiled statically, or as it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.build import image
from harness.experiment.cell import Cell
from harness.experiment.program import BESIDE, Program
from harness.util import progress
from harness.util.command import run
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.util.sandbox import Sandbox

_COMPILER = ("gcc", "-O2", "-pthread", "-static", "-w", "-frandom-seed=harness")
_LINKED = ("-s", "-Wl,--build-id=none")
_STATIC = "-O2 -pthread -static -w"
_PHASES = ".phases"
"""The runner reads it: see workloads/runner/runner.h."""
_LINES = 5
"""Of the compiler's words in an error."""
_PROGRAMS = (b"\x7fELF", b"#!")
"""What the files that can be run begin with."""
_SECONDS = 300


def build_all(cells: Sequence[Cell], *, cache: Cache, sandbox: Sandbox) -> dict[str, Path]:
    """The built folders of all programs of the user's own, by their names in the guest.

    Raises UserError with the compiler's words where one does not compile.
    """
    programs = {cell.workload.own.folder: cell.workload.own for cell in cells if cell.workload.own}
    return {name: _built(one, cache, sandbox) for name, one in sorted(programs.items())}


def _built(program: Program, cache: Cache, sandbox: Sandbox) -> Path:
    target = cache.tools / f"program-{program.digest}" / program.name
    changed = f"the program {program.name} is not as it was built: it is built again"

    def make(scratch: Path) -> None:
        with progress.stage("programs", note=program.name):
            _make(program, scratch, sandbox)

    image.made_now(target, make, changed=changed)
    return target


def _make(program: Program, scratch: Path, sandbox: Sandbox) -> None:
    for name, path in program.files:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, scratch / name)
    _make_executable(scratch)
    entry = scratch / program.entry
    if program.place and program.place.is_file():
        if program.place.suffix == ".c":
            _compile(program, scratch, [program.place.name], sandbox)
    elif program.place:
        _make_folder(program, scratch, sandbox)
    if program.script:
        if entry.exists():
            raise UserError(f"'{program.place}' has a file '{entry.name}': give it another 'name'")
        entry.write_text(f"#!/bin/sh\n{program.script}\n", encoding="utf-8")
    entry.chmod(0o755)
    if program.phases:
        lines = (f"{name}\t{one.begin}\t{one.end}\n" for name, one in program.phases)
        (scratch / _PHASES).write_text("".join(lines), encoding="utf-8")
    (scratch / BESIDE).unlink(missing_ok=True)


def _make_folder(program: Program, scratch: Path, sandbox: Sandbox) -> None:
    """Build it, and name the one program in it as the entry, unless a command line runs it."""
    before = {path for path in scratch.rglob("*") if _is_program(path)}
    sources = sorted(path.name for path in scratch.glob("*.c"))
    if any((scratch / name).is_file() for name in ("Makefile", "makefile", "GNUmakefile")):
        _run(program, ["make", "-s", "CC=gcc"], scratch, sandbox)
        _make_executable(scratch)
    elif len(sources) == 1 and not before:
        _compile(program, scratch, sources, sandbox)
    if program.script:
        return
    there = {path for path in scratch.rglob("*") if _is_program(path)}
    found = sorted((there - before) or there)
    if len(found) != 1:
        named = ", ".join(str(path.relative_to(scratch)) for path in found) or "none"
        raise UserError(
            f"'{program.place}' must have one program, and has: {named}; say in its {BESIDE} "
            "which is run, e.g. 'run: ./test 10'"
        )
    entry = scratch / program.entry
    if entry != found[0]:
        if entry.exists():
            raise UserError(f"'{program.place}' has a file '{entry.name}': give it another 'name'")
        shutil.copyfile(found[0], entry)


def _compile(program: Program, scratch: Path, sources: Sequence[str], sandbox: Sandbox) -> None:
    argv = [*_COMPILER, *_LINKED, "-o", program.entry, *sources, *program.cflags, "-lm", "-lrt"]
    _run(program, argv, scratch, sandbox)


def _run(program: Program, argv: Sequence[str], scratch: Path, sandbox: Sandbox) -> None:
    """In the sandbox: a program may be a stranger's, from a bundle."""
    progress.command(argv)
    words = sandbox.wrap(argv, writable=[scratch], cwd=scratch)
    flags = {"CFLAGS": _STATIC, "LDFLAGS": "-static"}  # a Makefile's own go before them
    done = run(words, cwd=scratch, env=flags, check=False, timeout=_SECONDS)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
        wrong = [line for line in said if "error" in line] or said
        raise UserError(
            f"'{program.place}' does not build ({argv[0]}; CFLAGS in its first comment are taken):"
            + "".join(f"\n  {line}" for line in wrong[:_LINES])
        )


def _is_program(path: Path) -> bool:
    if not path.is_file() or path.suffix in (".o", ".so"):
        return False
    with path.open("rb") as stream:
        return stream.read(4).startswith(_PROGRAMS)


def _make_executable(folder: Path) -> None:
    """What a bundle has carried has lost its mode."""
    for path in folder.rglob("*"):
        if _is_program(path):
            path.chmod(0o755)
