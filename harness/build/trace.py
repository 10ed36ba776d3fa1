# SPDX-License-Identifier: GPL-2.0-only
"""Stack traces of failed boots, decoded to source lines by the kernel's own script.

The script is part of the tree under test and reads what the guest printed: code of others with
input of others.  So it runs in the sandbox, and only words of the form ``name+0x1/0x2`` reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from harness.build.kbuild import DECODER, Kernel
from harness.build.workspace import of_the_tree
from harness.results import console, traces
from harness.results.console import Outcome
from harness.util import atomic
from harness.util.command import run
from harness.util.errors import InfraError
from harness.util.sandbox import Sandbox

_MOST_LINES = 2000
"""Stacks of all tasks that hang, or of a recursion, have some hundred lines."""
_MOST_PLACES = 400
"""Places that are looked up, at a tenth of a second each; later ones stay as the kernel wrote them.
"""
_MOST_CONSOLE = 4 << 20
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,254}\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}")
_END = "---[ end "
_SECONDS = 120


def decode(text: str, kernel: Kernel, sandbox: Sandbox) -> str:
    """The trace in a console, from the line that ended the boot on, with files and lines.

    "" if nothing there names a place in the code.  Raises InfraError if the script fails.
    """
    lines = _excerpt(text)
    words = dict.fromkeys(word for line in lines for word in _SYMBOL.findall(line))
    places = list(words)[:_MOST_PLACES]
    script = kernel.path / DECODER
    if not places or not script.is_file():
        return ""
    argv = ["bash", str(script), str(kernel.path / "vmlinux"), "auto"]
    confined = sandbox.wrap(argv, writable=(), readable=(kernel.path,))
    said = run(confined, stdin="\n".join(places) + "\n", timeout=_SECONDS).stdout.splitlines()
    if len(said) != len(places):
        raise InfraError(f"{script} answered {len(places)} lines with {len(said)}")
    known = {place: of_the_tree(line.strip()) for place, line in zip(places, said, strict=True)}
    decoded = (_SYMBOL.sub(lambda word: known.get(word[0], word[0]), line) for line in lines)
    return "\n".join(decoded)


def _excerpt(text: str) -> list[str]:
    """The console's lines from the finding on to the end of its trace, without time stamps."""
    found = console.worst(text)
    if found is None:
        return []
    lines = console.split(text)[found.line : found.line + _MOST_LINES]
    ends = [number for number, line in enumerate(lines) if _END in line]
    shown = lines[: ends[0] + 1] if ends else lines
    return [console.unstamped(console.clean(line)) for line in shown]


def record(results: Path, boots: Mapping[str, Kernel], sandbox: Sandbox) -> tuple[str, ...]:
    """Write traces.json for those of ``boots`` that failed; gives sentences of trouble.

    ``boots``: folder below "boots" -> its kernel.  What was decoded before stays; without any
    trace there is no file.
    """
    found, trouble = traces.read(results), []
    for name, kernel in boots.items():
        folder = f"boots/{name}"
        facts = atomic.json_file(results / folder / "boot.json") or {}
        if folder in found or facts.get("outcome") in (None, Outcome.OK):
            continue
        try:
            decoded = decode(_console(results / folder / "console.log"), kernel, sandbox)
        except InfraError as error:
            trouble.append(f"the trace of {folder} cannot be decoded: {error}")
            continue
        if decoded:
            found[folder] = decoded
    if found:
        atomic.text(results / traces.NAME, atomic.json_text(found))
    return tuple(trouble)


def _console(path: Path) -> str:
    """The log's beginning and its end: what ended a boot lies there if it is longer than both."""
    try:
        with path.open("rb") as log:
            head = log.read(_MOST_CONSOLE)
            log.seek(max(path.stat().st_size - _MOST_CONSOLE, len(head)))
            return (head + log.read()).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
