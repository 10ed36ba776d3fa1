# SPDX-License-Identifier: GPL-2.0-only
"""The declaration of all settings of an experiment, each in one place.

A setting is a field of one of the parts below.  Its name is the key in a spec file; the option of
the command line is --name with dashes, and the variable of make is NAME.  What else depends on it
(``make help``, the command that repeats a result, what identifies a result, what a nightly job
decides) is derived from what stands here.  Light: --help imports it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_type_hints

from harness.experiment import condition, schedulers, switch, word
from harness.experiment.arms import Arms, Compiler
from harness.experiment.defaults import (
    BISECT_MOST_PAIRS,
    CALIBRATION_PAIRS,
    LORE,
    OVERHEAD_FILL,
    OVERHEAD_PAIRS,
    OVERHEAD_SIZES,
    OVERHEAD_STEPS,
    PROFILE_PAIRS,
)
from harness.util.paths import REPO, at_home
from harness.util.units import format_size, parse_size
from harness.util.yamlfile import Check, Model, Text, Wanted, Words, at_least, near, one_of, words

if TYPE_CHECKING:
    from harness.experiment.cell import Cell

SUITES = REPO / "workloads" / "suites"
PAIRS = {"insn": 3, "wall": 10}
"""Under the instruction clock A/A spreads by some 0.02 %, so three pairs decide about a margin of
one per cent; wall time on a quiet host spreads by per cents."""
_OWN_CELLS = ("calibrate", "overhead")
"""Commands that have workloads of their own."""
GUEST_SETTINGS = ("swappiness", "page_cluster", "thp", "mglru", "cgroup", "numa")


class Identity(Enum):
    """Whether a results folder goes on when a setting has another value."""

    ALWAYS = auto()
    """It does not: the value identifies the result."""
    CHANGED = auto()
    """As ALWAYS, but the default is not recorded: for settings that older results do not have."""
    WALL = auto()
    """As ALWAYS under wall time; under the instruction clock the value changes no figure."""
    RESOLVED = auto()
    """What it comes to on this host identifies the result, not what was asked for."""
    BOOTS = auto()
    """It does, with more or fewer boots."""
    NEVER = auto()
    """It does: the value changes no figure."""


class Repeat(Enum):
    """Whether the command that repeats a result names a setting."""

    ALWAYS = auto()
    CHANGED = auto()
    """Only where it is not the default."""
    NEVER = auto()


class Takes(Enum):
    """What kind of text the command line takes for a setting, judged before anything is loaded."""

    TEXT = auto()
    FLAG = auto()
    WHOLE = auto()
    PLACE = auto()
    """A path or a URL."""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _items(value: tuple[Any, ...]) -> str:
    return " ".join(word.shown(item) or str(item) for item in value)


@dataclass(frozen=True, slots=True)
class SpecKey:
    """One setting.

    part: the field of `Experiment` that has it, "" for the experiment itself
    help: None: it has no option and no variable
    show: value -> the text that the command line takes for it
    nightly: may stand in nightly.yaml; else each nightly comparison decides it
    stored: is a field; else `spec.load` turns it into other settings
    commands: those that take it; empty: all that take an experiment
    fixed: commands that do not, because they have a value of their own
    required: the commands that take it cannot do without it
    alias: another option for it, "" for none
    takes: follows from the type of its field
    """

    name: str
    part: str
    default: Any
    help: str | None
    metavar: str | None = None
    show: Callable[[Any], str] = _shown
    identity: Identity = Identity.CHANGED
    repeat: Repeat = Repeat.CHANGED
    nightly: bool = True
    stored: bool = True
    commands: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    required: bool = False
    alias: str = ""
    takes: Takes = Takes.TEXT

    @property
    def option(self) -> str:
        """As the command line has it."""
        return f"--{self.name.replace('_', '-')}"

    def taken_by(self, command: str) -> bool:
        """Whether a command has it."""
        return command not in self.fixed and (not self.commands or command in self.commands)


def setting(default: Any, help: str | None, **more: Any) -> Any:
    """A field of a part; arguments as `SpecKey` has them."""
    data = {"default": default, "help": help, **more}
    return dataclasses.field(default=default, metadata={"setting": data})


def recorded(default: Any, help: str | None, **more: Any) -> Any:
    """A setting that all results have on record."""
    return setting(default, help, identity=Identity.ALWAYS, **more)


def unmeasured(default: Any, help: str, **more: Any) -> Any:
    """A setting that says how a result is got, and changes no figure of it."""
    return setting(
        default, help, identity=Identity.NEVER, repeat=Repeat.NEVER, nightly=False, **more
    )


# The command line has a word where YAML has a number or a list.


def _number(value: Any) -> Any:
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        return value


def flag(value: Any) -> bool:
    """Yes or no; YAML reads a bare yes as true."""
    word = str(value).lower()
    if word not in ("true", "yes", "y", "1", "false", "no", "n", "0"):
        raise Wanted("yes or no")
    return word in ("true", "yes", "y", "1")


def _size(least: int, most: int, value: Any) -> int:
    count = parse_size(value)
    if not least <= count <= most:
        raise Wanted(f"from {format_size(least)} to {format_size(most)}")
    return count


def _memcg(value: Any) -> str:
    """A size, or none; YAML reads 268435456 as a number."""
    text = str(value)
    return text if text == "none" else format_size(parse_size(text))


def _server(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", value):
        raise Wanted(f"an inbox's URL, like {LORE}")
    return value


def _places(value: Any) -> Any:
    """A list of folders, as PATH:PATH."""
    return ":".join(value) if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Any:
    """3, "3,5,9-12" and [3, 5] as words."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (str(value),)
    made = words(value)
    return tuple(map(str, made)) if isinstance(made, tuple) else made


def _axes(guest: dict[str, Any]) -> dict[str, Any]:
    for key, value in guest.items():
        if value == []:
            raise ValueError(f"'{key}' is a list with nothing in it")
    return guest


def _guest_key(key: str) -> str:
    """The name of a guest setting, or of a sysctl or file."""
    if condition.is_file(key):
        condition.switch({key: "0"}, "")
        return key
    if key not in GUEST_SETTINGS:
        raise Wanted(
            f"one of {', '.join(GUEST_SETTINGS)}, a sysctl or a file below /proc or /sys"
            f"{near(key, GUEST_SETTINGS)}"
        )
    return key


def _set(words: tuple[str, ...]) -> tuple[str, ...]:
    condition.parsed(words, GUEST_SETTINGS)
    return words


def _cmdline(words: tuple[str, ...]) -> tuple[str, ...]:
    condition.on_command_line(words, "")
    return words


_Count = Annotated[int, at_least(0), Check(_number, first=True)]
_Positive = Annotated[int, at_least(1), Check(_number, first=True)]
_Flag = Annotated[bool, Check(flag, first=True)]
_Place = Annotated[Text, Check(at_home)]
_Words = Annotated[tuple[str, ...], Check(words, first=True)]
BackendItems = Annotated[Words, Check(word.backends)]
"""Names of back-ends, or one name with its settings each."""
WorkloadItems = Annotated[Words, Check(word.workloads)]
"""The same of workloads."""
GuestSettings = Annotated[dict[Annotated[str, Check(_guest_key)], Any], Check(_axes)]
_Conditions = Annotated[tuple[str, ...], Check(condition.split, first=True)]


def suites(folder: Path = SUITES) -> list[str]:
    """The suites there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


@dataclass(frozen=True, slots=True)
class Kernels(Model):
    """What is compared: the base, and a series on it or a second kernel ``head``.

    ``upto`` cuts the series behind that patch; None takes all of it.  ``config`` is for both
    kernels, ``head_config`` for the second one alone: the patched one, or ``head``; ``head_guest``
    is how that is switched in the guest, as `switch.Switch` has it.  With ``arms`` there are
    several of those.
    """

    base: str = recorded(
        "debian/6.12",
        "debian/6.12 (the default), a tag or commit, a kernel.org tarball (path or "
        "URL), a folder, FOLDER:REVISION, or auto: what the series was made on (the default where "
        "--patch names a tree)",
        repeat=Repeat.ALWAYS,
        nightly=False,
    )
    patch: str | None = recorded(
        None,
        "a name in kernels/series/ (default: calibration), a message-id or URL of a mail, a folder "
        "of patches, a mailbox, a range a..b of --kernel-git, or a tree of your own with what is "
        "not committed: FOLDER, FOLDER:a.., FOLDER:branch",
        repeat=Repeat.ALWAYS,
        nightly=False,
    )
    upto: _Positive | None = setting(
        None, "only the first N patches of the series", metavar="N", nightly=False
    )
    head: str | None = recorded(
        None, "a second kernel, named like --base, instead of a series", nightly=False
    )
    config: _Words = recorded((), "kernel options on top, e.g. 'NUMA=y NUMA_BALANCING=y'")
    head_config: _Words = recorded(
        (),
        "kernel options of the second kernel alone: what --patch adds and leaves off, or, with "
        "--head the same as --base, what an option costs",
    )
    arms: Arms | None = setting(
        None,
        "several kernels on one base in one run, by name: off,on (the option of the series, or as "
        "its entry in kernels/series/ says), revisions like v3,v5, compilers like gcc,clang, "
        "layout (the base with its functions elsewhere), or what a spec file declares",
        show=",".join,
    )
    head_guest: Annotated[dict[str, Any], Check(switch.checked)] | None = setting(
        None, None, repeat=Repeat.NEVER
    )
    fragments: _Words = recorded((), "config fragments on top (names or paths)")
    cc: Compiler = setting(
        "gcc", "what compiles both kernels: gcc (default), clang, or one with its version, clang-19"
    )


@dataclass(frozen=True)  # no slots: the cells are kept with it
class Matrix(Model):
    """Which cells: those of ``suite``, or each of ``workloads`` on each of ``backends``.

    A ``preset`` of "" is "quick", or what the suite's groups say.  ``guest`` are settings of the
    guest's kernel; one with a list of values makes a back-end of each.
    """

    backends: BackendItems = recorded(
        ("swapfile", "zswap", "zram"),
        "e.g. 'swapfile,zswap,zram' (the default; calibrate adds swappart, overhead zswap-alone), "
        "with settings: zram:zstd,zswap:lz4+zstd:pool=50",
        show=_items,
    )
    workloads: WorkloadItems = recorded(
        ("pageio", "pressure"),
        "e.g. 'pageio,pressure' (the default), with settings: pageio:size=64M:order=sequential; or "
        "a program of your own: ./repro.c, ./script.sh, ./folder/",
        show=_items,
        fixed=_OWN_CELLS,
    )
    suite: str | None = recorded(
        None,
        f"a set of cells, in place of backends and workloads: {', '.join(suites())}",
        nightly=False,
        fixed=_OWN_CELLS,
    )
    preset: str = recorded(
        "", "size of the workloads: quick (default), standard, full; default in a suite: its own"
    )
    guest: GuestSettings | None = recorded(None, None, repeat=Repeat.NEVER)
    set: Annotated[_Conditions, Check(_set)] = setting(
        (),
        "what the guest's kernels are set to: sysctls, files below /proc or /sys, guest settings, "
        "e.g. 'vm.swappiness=180 /sys/kernel/mm/lru_gen/min_ttl_ms=1000'; A=1+2 is a cell for each "
        "('harness axes' lists them)",
    )

    @property
    def conditions(self) -> dict[str, Any]:
        """``guest`` with ``set`` on top."""
        return {**(self.guest or {}), **condition.parsed(self.set, GUEST_SETTINGS)}

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells.  UserError for an unknown name or setting."""
        from harness.experiment import cell, suite  # noqa: PLC0415  read YAML

        if self.suite:
            return suite.load(self.suite, preset=self.preset, guest=self.conditions).cells
        cells = cell.matrix(
            backends=self.backends,
            workloads=self.workloads,
            preset=self.preset or "quick",
            guest=self.conditions,
        )
        cell.require_distinct(cells)
        return cells


@dataclass(frozen=True, slots=True)
class Guest(Model):
    """The machine that runs a cell.  Sizes in bytes."""

    memory: Annotated[int, Check(partial(_size, 128 << 20, 16 << 40), first=True)] = recorded(
        768 << 20, "guest memory (default: 768M)", show=format_size
    )
    cpus: _Positive = recorded(
        1, "guest CPUs (default: 1); under the instruction clock they run in turn"
    )
    swap: Annotated[int, Check(partial(_size, 1 << 20, 16 << 40), first=True)] = recorded(
        1 << 30, "size of the swap area (default: 1G)", show=format_size
    )
    clock: Annotated[str, one_of(("auto", "insn", "wall"))] = setting(
        "auto", "auto (default), insn: count instructions, wall: time", identity=Identity.RESOLVED
    )
    accel: Annotated[str, one_of(("auto", "kvm", "tcg"))] = setting(
        "auto", "auto (default), kvm, tcg", identity=Identity.RESOLVED
    )
    disk: Annotated[str, one_of(("auto", "sim", "host"))] = setting(
        "auto",
        "under swap files: auto (default), sim: in the guest's memory with a fixed latency (auto "
        "takes it under the instruction clock), host: a file of the host's",
        identity=Identity.RESOLVED,
        fixed=("overhead",),
    )
    cmdline: Annotated[_Conditions, Check(_cmdline)] = setting(
        (), "words for the command line of both kernels, e.g. 'transparent_hugepage=never'"
    )


@dataclass(frozen=True, slots=True)
class Schedule(Model):
    """How often each cell is booted, and for how long.  ``pairs`` of 0: see ``PAIRS``."""

    pairs: _Positive = setting(
        0,
        f"pairs of boots for each cell (default: 3; wall clock: 10; profile: {PROFILE_PAIRS}; "
        f"calibrate: {CALIBRATION_PAIRS}; overhead: {OVERHEAD_PAIRS})",
        identity=Identity.BOOTS,
        repeat=Repeat.ALWAYS,
    )
    aa: _Flag = setting(
        True,
        "boot the base once more in each pair: yes (default), no",
        identity=Identity.BOOTS,
        fixed=("profile", "calibrate", "overhead", "bench"),
    )
    seed: _Count = recorded(1, "what orders and seeds the boots (default: 1)", repeat=Repeat.ALWAYS)
    parallel: _Count = setting(
        0,
        "guests side by side (default: one a CPU, all if fewer than two a CPU; wall: 1)",
        identity=Identity.WALL,
        repeat=Repeat.NEVER,
    )
    profile: _Flag = setting(
        False,
        "yes: also boot each kernel under QEMU's profiling plugins, and say in which functions the "
        "change is (default: no)",
        identity=Identity.NEVER,
        commands=("compare", "walk", "revisions"),
    )
    timeout: _Positive = setting(
        1800,
        "seconds a workload may take (default: 1800); of the guest's clock, after which a program "
        "of your own is ended, for such a one (default: 10)",
        identity=Identity.NEVER,
    )


@dataclass(frozen=True, slots=True)
class Host(Model):
    """Where kernels and mails are had, and how this machine builds and runs.

    ``jobs`` of None is one for each CPU.
    """

    kernel_git: _Place | None = unmeasured(
        None,
        "git repository of tags and commits (default: the clone that you stand in, else those of "
        "kernels/trees.yaml; or KERNEL_GIT in the environment)",
    )
    lore: Annotated[Text, Check(_server)] | None = unmeasured(
        None, f"server of message-ids (default: {LORE})"
    )
    mirror: Annotated[Text | None, Check(_places, first=True)] = unmeasured(
        None,
        "local public-inbox mirrors, asked first: PATH:PATH (or MIRROR in the environment)",
    )
    trailers: _Flag = setting(
        False,
        "yes: commit messages get the Reviewed-by and so on of the answers",
        identity=Identity.NEVER,
        nightly=False,
    )
    fixes: _Flag = setting(
        False,
        "yes: patches that were sent into the thread of a mailed series later are taken, too",
        identity=Identity.NEVER,
        nightly=False,
    )
    sandbox: _Flag = unmeasured(
        True,
        "apply and build in a sandbox without network and home (default: yes); no: with all "
        "rights of the user",
    )
    jobs: _Positive | None = unmeasured(None, "compilers side by side (default: one a CPU)")
    scheduler: Annotated[Text | None, Check(schedulers.checked, first=True)] = unmeasured(
        None,
        "run the guests on other machines: slurm:partition=NAME,jobs=10,cpus=4, ssh:hosts.txt, or "
        "the workers of a Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT (default: on this "
        "machine); see docs/many-machines.md",
    )


_MEMORY = ("overhead", "walk")


@dataclass(frozen=True, slots=True)
class Study(Model):
    """What only some commands ask beside the kernels and the matrix.

    ``at`` are words like "3" and "9-12", empty for all patches; ``only`` names revisions, empty
    for all.
    """

    sizes: Annotated[tuple[str, ...], Check(_texts, first=True)] = unmeasured(
        OVERHEAD_SIZES,
        f"of the swap area (default: {','.join(OVERHEAD_SIZES)})",
        commands=_MEMORY,
    )
    fill: Text = unmeasured(
        OVERHEAD_FILL, f"memory to swap out (default: {OVERHEAD_FILL})", commands=_MEMORY
    )
    steps: _Positive = unmeasured(
        OVERHEAD_STEPS,
        f"snapshots on the way there (default: {OVERHEAD_STEPS})",
        commands=_MEMORY,
    )
    at: Annotated[tuple[str, ...], Check(_texts, first=True)] = unmeasured(
        (), "the patches to stop at, e.g. 3,5,9-12 (default: all)", commands=("walk",)
    )
    bytes: _Flag = unmeasured(
        False,
        "yes: also the bytes for each slot and entry at each patch (default: no)",
        commands=("walk",),
        alias="--overhead",
    )
    metric: Text | None = unmeasured(
        None,
        "of a workload, e.g. swapin, or function:NAME, or lock:NAME of the function that takes it",
        metavar="METRIC",
        commands=("bisect",),
        required=True,
    )
    most_pairs: _Positive = unmeasured(
        BISECT_MOST_PAIRS,
        f"after which a patch stays undecided (default: {BISECT_MOST_PAIRS})",
        commands=("bisect",),
    )
    reference: Text = unmeasured(
        "base",
        "the arm that the others are compared with (default: base)",
        commands=("compare", "revisions"),
    )
    only: _Words = unmeasured(
        (), "some revisions, e.g. v3,v6 (default: all)", commands=("revisions",)
    )


@dataclass(frozen=True, slots=True)
class Others(Model):
    """What no part has."""

    debug: _Flag = setting(
        False,
        "yes: kernels with lockdep and mm's debug options (fragments watchdog and debug): for "
        "finding mistakes, not for measuring",
        part="kernels",
        stored=False,
    )
    cmd: Text | None = setting(
        None,
        "a command line as the workload, e.g. 'stress-ng -m 2 -t 5s', beside "
        "--workloads if those are given, too",
        part="matrix",
        stored=False,
        nightly=False,
        fixed=_OWN_CELLS,
    )
    packages: _Words = setting(
        (),
        "Debian packages in the guest's image for a program of your own: stress-ng",
        part="matrix",
        stored=False,
        nightly=False,
        fixed=_OWN_CELLS,
    )
    memcg: Annotated[str, Check(_memcg, first=True)] | None = setting(
        None,
        "memory limit of the workloads, e.g. 256M, in place of their own; none: no limit",
        part="matrix",
        stored=False,
        nightly=False,
        fixed=_OWN_CELLS,
    )
    expect: Text | None = setting(
        None,
        'what is a failure of a program of your own, e.g. \'console="possible recursive" '
        "status=1,139 progress=5s' (default: any exit status but 0)",
        part="matrix",
        stored=False,
        nightly=False,
        fixed=_OWN_CELLS,
    )
    name: str | None = setting(
        None,
        "name of the folder below results/",
        identity=Identity.NEVER,
        repeat=Repeat.NEVER,
        nightly=False,
    )


PARTS: dict[str, type[Model]] = {
    "kernels": Kernels,
    "matrix": Matrix,
    "guest": Guest,
    "schedule": Schedule,
    "host": Host,
    "study": Study,
    "": Others,
}
"""The parts of an experiment, by the field of `Experiment` that has each."""


def declared() -> dict[str, SpecKey]:
    """All settings by name, in the order of the parts."""
    return {
        field.name: SpecKey(
            field.name, **{"part": part, "takes": _takes(hint), **field.metadata["setting"]}
        )
        for part, made in PARTS.items()
        for field, hint in _fields(cast(Hashable, made))
    }


@cache
def _fields(made: Any) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """The fields of a part and their types."""
    hints = get_type_hints(made, include_extras=True)
    return tuple((field, hints[field.name]) for field in dataclasses.fields(made))


def _takes(hint: Any) -> Takes:
    kinds = {_Flag: Takes.FLAG, _Count: Takes.WHOLE, _Positive: Takes.WHOLE, _Place: Takes.PLACE}
    return next((kinds[one] for one in (hint, *get_args(hint)) if one in kinds), Takes.TEXT)


def stored() -> dict[str, SpecKey]:
    """The settings that an experiment has."""
    return {name: one for name, one in declared().items() if one.stored}
