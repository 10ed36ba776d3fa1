# SPDX-License-Identifier: GPL-2.0-only
"""The sub-commands and their options.  Imports nothing that takes long: --help is fast."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from harness import __version__
from harness.cli import options, values
from harness.experiment import defaults
from harness.util.errors import Exit
from harness.util.escape import harmless
from harness.util.yamlfile import near

_STATUSES = (
    "exit status: 0 nothing is worse; 3 something is; 4 undecided; 2 user error; 5 a kernel did "
    "not apply, build, boot or survive; 6 infrastructure failure; 130 interrupted (run the same "
    "command to go on)"
)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The parser, and those of the sub-commands by name."""

    parser: argparse.ArgumentParser
    commands: dict[str, argparse.ArgumentParser]

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The arguments; ends the program with status 2 and the nearest word for a mistyped one."""
        named = next((word for word in argv if not word.startswith("-")), None)
        if not argv:
            self.parser.error("give a command, e.g. compare")
        if named is not None and named not in self.commands:
            self.parser.error(f"there is no command '{named}'{near(named, self.commands)}")
        args, unknown = self.parser.parse_known_args(argv)
        if unknown:
            command = self.commands[args.command]
            word = unknown[0].partition("=")[0]
            if word.isupper():  # a variable of make
                word = f"--{word.lower().replace('_', '-')}"
            known = _words(command)
            if word not in known and any(word in _words(one) for one in self.commands.values()):
                command.error(f"{args.command} takes no {word}; leave it out")
            command.error(f"there is no {' '.join(unknown)}{near(word, known)}")
        for one in actions(self.commands[args.command]):
            if getattr(args, one.dest) == "":
                self.commands[args.command].error(f"'{one.dest}' {values.EMPTY}")
        return args


def actions(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of a sub-command."""
    return [one for one in command._actions if one.dest != "help"]


def _words(command: argparse.ArgumentParser) -> list[str]:
    """The options of a sub-command as they are written."""
    return [name for one in actions(command) for name in one.option_strings]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: thirty lines of usage hide it.

    Options are not abbreviated: ``--cpu`` would be taken for ``--cpus``, and boots begin.
    """

    def __init__(self, **told: Any) -> None:
        super().__init__(**told, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        named = re.match(r"argument -*([\w-]+)\S*: (is .*)", message)
        text = f"'{named[1].replace('-', '_')}' {named[2]}" if named else message
        more = "" if text.endswith("?") else f"; '{self.prog} --help' has more"
        self.exit(Exit.USER, f"harness: {harmless(text)}{more}\n")


_Add = Callable[..., argparse.ArgumentParser]


def build() -> CommandLine:
    """The command line.  Each sub-command names the module of harness.cli that runs it."""
    parser = _Parser(
        prog="harness",
        description="Measure what a kernel patch series costs and saves when Linux swaps.",
        epilog=_STATUSES,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(
        name: str, help: str, more: str = "", *, module: str, epilog: str | None = None
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=f"{help}{more}", epilog=epilog)
        command.set_defaults(module=module, measures=module == "running")
        return command

    _add_running(partial(add, module="running", epilog=_STATUSES))
    _add_patchwise(partial(add, module="running", epilog=_STATUSES))

    def add_reader(name: str, help: str, more: str = "", **rest: Any) -> argparse.ArgumentParser:
        command = add(name, help, more, module="reading", **rest)
        options.results(command)
        return command

    _add_reading(add_reader)
    _add_upkeep(partial(add, module="upkeep"))
    return CommandLine(parser, dict(commands.choices))


def _add_running(add: _Add) -> None:
    command = add("compare", "build, boot, measure and report base against patch")
    options.experiment(command, "compare")
    command.add_argument(
        "--against",
        metavar="RESULT",
        type=values.place,
        help="then compare its patched kernel with that of another result; previous: of the one "
        "before",
    )
    command = add(
        "profile",
        "say in which functions, lines and parts of the kernel a change is",
        ", in instructions for each page, fault or run. For each cell each kernel is booted once "
        "without a plugin in each pair, and once under each of QEMU's plugins profile, caches and "
        "locks. Under the plugin profile it must execute as many instructions as without.",
        epilog="exit status: 0 there is a profile; else as compare",
    )
    options.experiment(command, "profile")
    command = add(
        "calibrate",
        "measure patches whose cost is known, and fail if it is not found",
        ". 11 series are measured over "
        f"{', '.join(defaults.CALIBRATION_BACKENDS)} unless --backends says so: no change, 10, 100 "
        "and 1000 instructions for each page swapped in, and 1000 for each page swapped out; where "
        "pages wait for a disk also 300 and 3000 in, and 10, 100, 300 and 3000 out. 10, 100 and "
        "1000 in are looked for in profiles, too. Two more series are for profiles alone, over one "
        "back-end and for Linux 6.12: a lock that is held for 500 instructions, and a cache miss.",
        epilog="exit status: 0 all weights are found; 6 one is not; else as compare",
    )
    options.experiment(command, "calibrate")
    command = add(
        "overhead",
        "measure what swap metadata costs in memory, by structure, for each slot and entry",
        "; claimed, modelled and measured side by side.",
    )
    options.experiment(command, "overhead")
    command = add(
        "nightly",
        "measure what is new on followed lists and branches, and draw the trend",
        ". nightly.yaml says what is followed and how long a night may take; kernels/nightly.yaml "
        "is an example.",
    )
    options.nightly(command)
    command = add(
        "cases",
        "run public reports on any kernels: seen, not seen, or why that cannot be told",
        ". The cases are the folders of workloads/cases.",
        epilog="exit status: 0 no series shows what its base does not; 3 one does; else as compare",
    )
    options.cases(command)
    command = add("bench", "measure what the sampler itself adds to the figures of the base kernel")
    options.experiment(command, "bench")
    command = add("build", "only get, patch, configure and build both kernels")
    options.experiment(command, "build")
    command = add(
        "repeat",
        "measure a result again, from its folder or bundle alone",
        ": the trees and patches that it kept, its matrix, its seed. Another folder gets the new "
        "result. Refused where a file is not as recorded, or a tree cannot be had as it was.",
    )
    _folder(command, help="a result (name, path, latest or previous), or a bundle of make bundle")
    options.repeat(command)


def _add_patchwise(add: _Add) -> None:
    """The commands that look at single patches, or at all revisions, of a series."""
    command = add(
        "walk",
        "measure the cost of each patch of a series, build by build",
        ", under the instruction clock; patches that do not build or boot are named and passed by.",
    )
    options.experiment(command, "walk")
    command = add(
        "bisect",
        "find the first patch of a series that is responsible for its effect on a metric",
        ", with about log2 of its patches to build.",
        epilog="exit status: 0 one patch is found; 4 it is not pinned down, or there is no effect; "
        "else as compare",
    )
    options.experiment(command, "bisect")
    command = add(
        "revisions",
        "compare each revision of a series with its own base, and show them side by side",
    )
    options.experiment(command, "revisions")


def _folder(
    command: argparse.ArgumentParser,
    help: str = "a result: its name, its path, latest or previous",
) -> None:
    command.add_argument("folder", metavar="RESULT", type=values.place, help=help)


def _add_reading(add: _Add) -> None:
    """The commands that read a result."""
    command = add(
        "report",
        "write the report of a results folder again from its raw files",
        "; refused if a raw file is not as SHA256SUMS recorded it",
    )
    _folder(command)
    command.add_argument(
        "--format",
        type=values.one_of(*defaults.FORMATS),
        metavar=f"{{{','.join(defaults.FORMATS)}}}",
        help="print it in this format and write nothing: junit for CI systems, csv and json for "
        "programs, comment for a pull request",
    )
    command.add_argument(
        "--reference",
        metavar="ARM",
        help="of a run with ARMS=: print every arm against this one, pair by pair",
    )
    command = add(
        "reply",
        "write the draft of a mail that answers the series with a result; sends nothing",
        f". The draft is RESULT/{defaults.DRAFT}: plain ASCII text with To, Cc, In-Reply-To and "
        "Subject of the series' cover letter, for git send-email or b4.",
    )
    _folder(command)
    command.add_argument(
        "--overhead", type=values.place, help="a result of make overhead, for its table"
    )
    command.add_argument(
        "--quote",
        type=values.place,
        help="what to answer: a file with the passage or a saved mail, or a message-id",
    )
    command.add_argument(
        "--long",
        type=values.one_of("yes", "no"),
        metavar="{yes,no}",
        default="no",
        help="yes: with configuration, method, noise, secondary metrics and memory at each usage",
    )
    options.board(command)
    options.mails(command)
    command = add(
        "verify",
        "check a results folder: hashes of all files, and the report against its raw files",
        ". Names each file that changed, is missing or is not listed in SHA256SUMS; derives the "
        "report again into a temporary folder and names each number that differs. Writes nothing "
        "into the folder.",
        epilog="exit status: 0 all holds; 2 no results folder, or one without hashes; "
        "6 something differs",
    )
    _folder(command, help="a result (name, path, latest or previous), or a bundle of make bundle")
    command = add(
        "bundle",
        "pack a result with all its evidence into one file, which verify reads",
        ": raw samples, consoles, configurations, manifest and report, as "
        f"RESULT{defaults.BUNDLE_SUFFIX}. The same result gives the same bytes. Refused if a file "
        "is not as recorded.",
    )
    _folder(command)
    command.add_argument(
        "--overhead", type=values.place, help="a second result, whose table the reply has"
    )
    command.add_argument("--output", type=values.path, help="the file to write")
    command = add(
        "diff",
        "compare two results of compare, or say why they cannot be compared",
        ". Where both have the same base kernel, cells and guest seeds, under the instruction "
        "clock, their patched kernels are compared pair by pair; else the effects are shown side "
        "by side. Runs nothing.",
    )
    for name, word in (("A", "previous"), ("B", "latest")):
        command.add_argument(
            {"A": "first", "B": "second"}[name],
            metavar=name,
            nargs="?",
            type=values.place,
            default=word,
            help=f"a result (default: {word})",
        )
    command = add(
        "board",
        "write a static site of all results: series, kernels, cells, comparisons",
        ". Reads finished results and the histories of nightly runs, and writes only what changed; "
        "any web server, or none, can show it. Runs nothing.",
        epilog="exit status: 0 it is written; 2 user error; 6 infrastructure failure",
    )
    command.add_argument(
        "--output", type=values.path, help="the folder to write (default: board in the results)"
    )
    command = add(
        "triage",
        "list what moved at night and what was said of it, or say why something moved",
        f". The words are in triage.yaml beside nightly.yaml: {', '.join(defaults.TRIAGE)}.",
        epilog="exit status: 0; 2 user error",
    )
    options.nightly_file(command)
    command.add_argument("--move", metavar="ID", help="the move to say something of, as listed")
    command.add_argument(
        "--word",
        type=values.one_of(*defaults.TRIAGE),
        metavar=f"{{{','.join(defaults.TRIAGE)}}}",
        help="why it moved: it was to be expected, the culprit is found, or it is noise",
    )
    command.add_argument("--by", metavar="WHO", help="the name of who says so")
    command.add_argument("--note", metavar="TEXT", help="a sentence, e.g. which patch it was")
    command = add(
        "check",
        "read a mail and print what was measured of its series, as JSON for b4",
        ": b4's review-series-check-cmd takes it. Reads finished results and runs nothing; an "
        "empty list says that nothing was measured.",
        epilog="exit status: 0, whatever was measured; 2 user error",
    )
    options.board(command)
    command = add(
        "results",
        "list the results: when, what, verdicts, size; or remove one",
        ": 'results rm NAME' asks first. Nothing outside the results folder is ever removed.",
    )
    _list_or(command, "rm")
    command.add_argument("name", nargs="?", metavar="RESULT", help="what rm removes")
    command.add_argument("--yes", action="store_true", help="yes: remove without a question")


def _list_or(command: argparse.ArgumentParser, other: str) -> None:
    command.add_argument(
        "action",
        nargs="?",
        type=values.one_of("list", other),
        metavar=f"{{list,{other}}}",
        default="list",
        help=f"list (default); {other}",
    )


def _add_upkeep(add: _Add) -> None:
    """The commands that look at the machine, the workloads, the cache and the harness itself."""
    command = add("doctor", "say what this machine has, what is missing, which accelerator works")
    command.add_argument("--packages", action="store_true", help="only list missing packages")
    command = add("clean-cache", "show what the cache holds, by kind, ask, and remove it")
    command.add_argument(
        "--older-than", type=values.days, metavar="DAYS", help="only what was not used for so long"
    )
    command.add_argument("--dry-run", action="store_true", help="yes: only show it")
    command.add_argument("--yes", action="store_true", help="yes: remove it without a question")
    command = add(
        "series",
        "list the series of the registry, or say which of them were posted again since",
        ": 'series check' looks into local mirrors of lists, also for a posting with another "
        "title or from another address.",
    )
    _list_or(command, "check")
    options.some(command, "mirror")
    command = add(
        "workloads", "list the workloads and suites, check their folders, or write a new one"
    )
    command.add_argument(
        "action",
        nargs="?",
        type=values.one_of("list", "check", "new"),
        metavar="{list,check,new}",
        default="list",
        help="list (default); check: build the programs and look for mistakes in their folders; "
        "new: write a folder that builds, runs and passes the check",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="of the new workload")
    add("axes", "list the conditions that a comparison can have, and the kernels that have them")
