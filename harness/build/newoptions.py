# SPDX-License-Identifier: GPL-2.0-only
"""The options that a series brings and leaves off: what it does is then not in the kernel.

Read off the Kconfig files that the series changes, without running them: an option with a prompt
and no default but n.  Which of them a kernel has on, its configuration says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from harness.build import kconfigentry
from harness.source import kconfigfiles
from harness.source.gitstore import GitStore

_PROMPT = re.compile(r"\s+(bool|tristate)\s+[\"']")
_PLAIN = re.compile(r"\s+(bool|tristate)\s*(#.*)?$")
_ASKED = re.compile(r"\s+prompt\s+[\"']")
_DEFAULT = re.compile(r"\s+(default|def_bool|def_tristate)\s+(.+)")


def off_by_default(store: GitStore, base: str, commit: str) -> tuple[str, ...]:
    """The options (without CONFIG_) that ``commit`` has on top of ``base`` and that are off.

    In the order of the files; both are commits of the store.
    """
    there = store.symbols(base)
    changed = [
        path
        for path in store.differing(base, commit)
        if PurePosixPath(path).name.startswith("Kconfig")
        and kconfigfiles.counts(PurePosixPath(path))
    ]
    texts = (store.text(commit, path) for path in changed)
    found = (name for text in texts if text is not None for name in _off(text))
    return tuple(dict.fromkeys(name for name in found if name not in there))


def _off(text: str) -> Iterator[str]:
    """The switches of one file that have a prompt and no default but n."""
    for entry in kconfigentry.entries(text):
        is_switch = is_asked = False
        is_off = True
        for line in entry.body:
            if _PROMPT.match(line):
                is_switch = is_asked = True
            elif _PLAIN.match(line):
                is_switch = True
            elif _ASKED.match(line):
                is_asked = True
            elif match := _DEFAULT.match(line):
                is_switch = is_switch or match[1] != "default"
                is_off = is_off and match[2].split()[0] == "n"
        if is_switch and is_asked and is_off:
            yield entry.name
