# SPDX-License-Identifier: GPL-2.0-only
"""The command line: statuses, one line for each mistake, and never a traceback."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness import __version__
from harness.build import image, pair
from harness.cli import commands, doctor
from harness.cli import main as cli
from harness.cli.doctor import DoctorCheck
from harness.experiment import catalogue, defaults, suite, workload
from harness.source import sources
from harness.studies import compare
from harness.util import sandbox
from harness.util.errors import Exit, InfraError, KernelFailure, UserError
from harness.util.paths import REPO
from harness.util.sandbox import Sandbox

COMMANDS = [
    "compare", "walk", "bisect", "revisions", "nightly", "build", "report", "doctor", "workloads",
]  # fmt: skip


def ends(argv: list[str]) -> int:
    """The status with which the command line ends, argparse's way included."""
    try:
        return cli.main(argv)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends([command, "--help"]) == 0
    assert command in capsys.readouterr().out


def test_the_help_of_profile_names_its_boots() -> None:
    told = " ".join(commands.build().commands["profile"].format_help().split())
    *first, last = compare.INSTRUMENTS
    assert f"once under each of QEMU's plugins {', '.join(first)} and {last}." in told
    assert "once without a plugin in each pair" in told
    assert f"(default: 3; wall clock: 10; profile: {defaults.PROFILE_PAIRS}; calibrate: " in told


def test_the_help_names_every_command_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(command in out for command in COMMANDS)
    assert "2 user error" in out and "130 interrupted" in out
    assert ends(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "give a command, e.g. compare; 'harness --help' has more"),
        (["comapre"], "there is no command 'comapre'; did you mean 'compare'?"),
        (["compare", "--pears=3"], "there is no --pears=3; did you mean '--pairs'?"),
        (["compare", "--cpu=2"], "there is no --cpu=2; did you mean '--cpus'?"),
        (["profile", "--aa", "yes"], "profile takes no --aa; leave it out"),
        (["calibrate", "WORKLOADS=usemem"], "calibrate takes no --workloads; leave it out"),
        (
            ["compare", "KERNEL_GIT=/linux"],
            "there is no KERNEL_GIT=/linux; did you mean '--kernel-git'?",
        ),
        (["report"], "RESULT"),
        (["compare", "--sandbox=perhaps"], "'sandbox' is 'perhaps'; it must be yes or no"),
        (["compare", "--jobs=many"], "'jobs' is 'many'; it must be a whole number"),
        (["compare", "--patch="], "'patch' is empty; give it a value or leave it out"),
        (["compare", "--results="], "'results' is empty"),
        (["walk", "--bytes=perhaps"], "'bytes' is 'perhaps'; it must be yes or no"),
        (["compare", "--aa=perhaps"], "'aa' is 'perhaps'; it must be yes or no"),
        (["walk", "--steps=many"], "'steps' is 'many'; it must be a whole number"),
        (["nightly", "--sandbox=perhaps"], "'sandbox' is 'perhaps'; it must be yes or no"),
        (["repeat"], "RESULT"),
        (["repeat", ""], "'RESULT' is empty"),
        (["repeat", "r", "--parallel=many"], "'parallel' is 'many'; it must be a whole number"),
        (
            ["report", "r", "--format=markdwn"],
            "it must be text, markdown, comment, csv, json or junit; did you mean 'markdown'?",
        ),
        (["report", ""], "'RESULT' is empty"),
        (["clean-cache", "--older-than=soon"], "'older_than' is 'soon'; it counts days, from 0"),
        (["clean-cache", "--dryrun"], "there is no --dryrun; did you mean '--dry-run'?"),
        (["workloads", "lits"], "it must be list, check or new; did you mean 'list'?"),
    ],
)
def test_wrong_words_are_user_errors(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(argv) == Exit.USER
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("harness: ") and words in line


MISTAKES = [
    (["compare", "--backends=zrma"], "did you mean 'zram'"),
    (["compare", "--backends=zram:zstdd"], "did you mean 'zstd'"),
    (["compare", "--backends=zram:swappiness=500"], "from 0 to 200"),
    (["compare", "--workloads=pageio:content=fuzzy"], "'content' is 'fuzzy'"),
    (["compare", "--swap=999T"], "'swap' is '999T'; it must be from 1M to 16T"),
    (["compare", "--backends=zram", "--swap=16T"], "make SWAP smaller"),
    (["compare", "--workloads=pagio"], "did you mean 'pageio'"),
    (["compare", "--preset=quik"], "did you mean 'quick'"),
    (["compare", "--pairs=none"], "'pairs'"),
    (["compare", "--memory=much"], "'much' is not a size"),
    (["compare", "--patch=a", "--head=b"], "PATCH and HEAD"),
    (["compare", "--suite=vswp"], "did you mean 'vswap'"),
    (["compare", "--suite=vswap", "--workloads=fill"], "SUITE and WORKLOADS"),
    (["compare", "--debug=perhaps"], "'debug'"),
    (["compare", "--disk=tape"], "'disk'"),
    (["compare", "--backends=zram", "--workloads=overhead"], "no cell of the matrix can run"),
    (["compare", "--spec=nowhere.yaml"], "nowhere.yaml"),
    (["compare", "--clock=sun"], "'clock'"),
    (["build", "--accel=hvf"], "'accel'"),
    (["build", "--fragments=nowhere"], "fragment 'nowhere'"),
    (["build", "--patch=no-such-series"], "no-such-series"),
    (["build", "--jobs=-1"], "jobs"),
    (["report", "no-such-results"], "no-such-results"),
    (["compare", "--upto=0"], "'upto'"),
    (["compare", "--upto=2", "--head=b"], "UPTO"),
    (["walk", "--at=3;4"], "AT has '3;4'"),
    (["walk", "--clock=wall"], "CLOCK=insn"),
    (["walk", "--head=b"], "give PATCH"),
    (["walk", "--overhead=yes", "--sizes=1M"], "does not fit"),
    (["bisect", "swapin_ns"], "did you mean 'swapin'"),
    (["bisect", "swapin_busy"], "'swapin' is the same there"),
    (["bisect", "swapin", "--backends=zram,zswap"], "choose with BACKENDS="),
    (["bisect"], "bisect needs METRIC=, of a workload, e.g. swapin, or function:NAME"),
    (["compare", "--lore=inbox"], "'lore' is 'inbox'; it must be an inbox's URL"),
    (["nightly", "--jobs=0"], "'jobs' is '0'; it must be at least 1"),
    (["bisect", "swapin", "--most-pairs=2"], "MOST_PAIRS is 2"),
    (["revisions", "--patch=calibration"], "that has revisions: swap-table-p4, "),
    (["revisions", "--patch=vswap", "--only=v99"], "no revision v99"),
]


@pytest.mark.parametrize(("argv", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_status_2(
    argv: list[str],
    words: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise InfraError("the mistake was not seen before sources were fetched")

    monkeypatch.setattr(sources, "resolve", resolve)
    commands = ("compare", "walk", "bisect", "revisions")
    results = [f"--results={tmp_path}"] if argv[0] in commands else []
    assert ends([*argv, *results]) == Exit.USER
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("harness: ") and words in lines[0]
    assert not list(tmp_path.iterdir()), "nothing was begun"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("x"), 2),
        (KernelFailure("x"), 5),
        (InfraError("x"), 6),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/results"), 6),
        (OSError(28, "No space left on device", "/results"), 6),
    ],
)
def test_whose_fault_it_is_decides_the_status(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(compare, "compare", fail)
    assert ends(["compare"]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("harness: ")


def test_a_terminated_harness_ends_as_an_interrupted_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "compare", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert ends(["compare"]) == Exit.INTERRUPTED
    assert "run the same command again" in capsys.readouterr().err


def test_workloads_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["workloads"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("pageio", "pressure", "fill"))


def test_suites_are_listed_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(["workloads"]) == ends(["workloads", "list"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in (*workload.names(), *suite.names()))
    assert max(map(len, out.splitlines())) <= 100


def test_workloads_are_checked_with_their_programs_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    built: list[Path] = []

    def build(**_: object) -> Path:
        built.append(tmp_path)
        return tmp_path

    monkeypatch.setattr(image, "build_tools", build)
    assert ends(["workloads", "check"]) == Exit.OK
    assert f"{len(workload.names())} workloads, 0 problems" in capsys.readouterr().out
    problem = "workloads/pageio: its 'margin' is 'x'"
    monkeypatch.setattr(catalogue, "check", lambda: (problem,))
    assert ends(["workloads", "check"]) == Exit.USER
    assert "workloads/pageio: its 'margin' is 'x'\n" in capsys.readouterr().out
    assert len(built) == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["new"], "'' cannot name a workload"),
        (["new", "Big"], "'Big' cannot name a workload"),
        (["new", "pageio"], "there is a workloads/pageio already"),
        (["check", "pageio"], "takes no name"),
    ],
)
def test_a_workload_that_cannot_be_made(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(["workloads", *argv]) == Exit.USER
    assert words in capsys.readouterr().err


def test_the_doctors_package_list_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["bc", "flex"])
    assert ends(["doctor", "--packages"]) == 0
    assert capsys.readouterr().out == "bc flex\n"


@pytest.mark.parametrize("is_ok", [True, False])
def test_the_doctors_status(
    is_ok: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [DoctorCheck("packages", True, "all there"), DoctorCheck("disk", is_ok, "3 GiB")]
    monkeypatch.setattr(doctor, "examine", lambda **_: found)
    assert ends(["doctor"]) == (Exit.OK if is_ok else Exit.INFRA)
    assert capsys.readouterr().out.splitlines()[1].startswith("ok " if is_ok else "NOT")


def test_a_mistake_is_told_before_the_sandbox_is_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> Sandbox:
        raise InfraError("no sandbox on this host")

    monkeypatch.setattr(sandbox, "choose", refuse)
    assert cli.main(["compare", "--backends=zrma"]) == Exit.USER
    assert "did you mean 'zram'" in capsys.readouterr().err
    assert cli.main(["compare", "--backends=zram"]) == Exit.INFRA


def test_fragments_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_A=y\n", encoding="utf-8")
    paths = pair.fragment_paths([str(mine)])
    assert paths[-1] == mine
    assert [path.stem for path in paths[:-1]] == ["x86_64", "base", "vm", "mm", "measure"]
    assert all(path.is_file() and REPO in path.parents for path in paths[:-1])
