# SPDX-License-Identifier: GPL-2.0-only
"""Setting files of a running guest and reading them back; a kernel that does not take it is told.

Every function here raises `BootEnded` with ``prepare-failed`` for what did not take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.experiment import condition, switch
from harness.experiment.switch import Switch
from harness.results.console import Outcome
from harness.util.command import Completed
from harness.vm.guest import Shell
from harness.vm.watch import BootEnded

_WRITE = """case $2 in
/sys/fs/cgroup/harness/*) [ -d /sys/fs/cgroup/harness ] || mkdir /sys/fs/cgroup/harness ;;
esac
[ -e "$2" ] || { echo "this kernel has no such file" >&2; exit 3; }
{ echo "$1" >"$2"; } 2>/dev/null || { echo "the kernel refuses that value" >&2; exit 1; }
cat "$2"
"""
"""sh -c ... VALUE FILE: write, then say what the file says now; status 3 if there is none."""
_NO_FILE = 3
_UNKNOWN_WORDS = re.compile(r'Unknown kernel command line parameters "([^"]*)"')


def require_known(words: Sequence[str], console: str) -> None:
    """Refuse a word of the command line that the kernel says on its console it does not know."""
    said = _UNKNOWN_WORDS.findall(console)
    unknown = {word for line in said for word in line.split()} & set(words)
    if unknown:
        raise BootEnded(
            Outcome.PREPARE_FAILED,
            f"this kernel has no parameter '{min(unknown)}' of its command line",
        )


class Conditions:
    """What both kernels are set to, beside what the back-end's own settings say.

    A file that only the back-end makes is written once that is set up; all are read back then.
    """

    def __init__(self, asked: Switch, cmdline: Sequence[str], shell: Shell) -> None:
        self._writes, self._shell = asked.writes, shell
        self._expected = (
            *condition.on_command_line(cmdline).expected,
            *condition.by_sysctl(cmdline).items(),
        )
        self._missing: list[str] = []

    def set_first(self) -> None:
        """Before the back-end is set up."""
        for path, value in self._writes:
            # The back-end mounts cgroups anew for version 1.
            early = not path.startswith("/sys/fs/cgroup/")
            answer = self._shell.run(_writing(path, value)) if early else None
            if answer is None or answer.returncode == _NO_FILE:
                self._missing.append(path)
            else:
                _taken("SET", path, value, answer)

    def settled(self) -> dict[str, str]:
        """What each file says once the back-end is set up, by path."""
        found = {}
        for path, value in self._writes:
            argv = _writing(path, value) if path in self._missing else ("cat", path)
            found[path] = _taken("SET", path, value, self._shell.run(argv))
        for path, value in self._expected:
            found[path] = _taken("CMDLINE", path, value, self._shell.run(("cat", path)))
        return found


def _writing(path: str, value: str) -> tuple[str, ...]:
    return ("sh", "-c", _WRITE, "sh", value, path)


def switched(asked: Switch, shell: Shell) -> Iterator[tuple[str, str]]:
    """Set what is asked for; (file, value) of each as it is read back."""
    writes = ((path, value, _writing(path, value)) for path, value in asked.writes)
    reads = ((path, value, ("cat", path)) for path, value in asked.expected)
    for path, value, argv in (*writes, *reads):
        yield path, _taken("the switch", path, value, shell.run(argv))


def _taken(what: str, path: str, value: str, answer: Completed) -> str:
    """What the file says now.  Raises BootEnded unless that is what it was set to."""
    said = answer.stdout.strip()
    if answer.returncode != 0:
        why = f"{answer.stderr.strip() or 'no message'} (wanted '{value}' in {path})"
    elif not switch.same(value, said):
        why = f"{path} is '{said[:80]}' and not '{value}'"
    else:
        return said
    raise BootEnded(Outcome.PREPARE_FAILED, f"{what} does not take: {why}")
