# SPDX-License-Identifier: GPL-2.0-only
"""What make is given reaches the command line, and means there what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build.pair import Context
from harness.cli import commands, running, variables
from harness.cli import main as cli
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.studies.result import StudyResult
from harness.util import sandbox
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO

MAKEFILE = (REPO / "Makefile").read_text(encoding="utf-8")


OWN_CELLS = ("WORKLOADS", "SUITE", "CMD", "PACKAGES", "MEMCG", "EXPECT")
FIXED = {
    "profile": ("AA", "PROFILE"),
    "calibrate": ("AA", "PROFILE", *OWN_CELLS),
    "overhead": ("AA", "PROFILE", "DISK", *OWN_CELLS),
    "bench": ("AA", "PROFILE"),
    "bisect": ("PROFILE",),
    "build": ("PROFILE",),
}
"""What each of these decides itself."""


def arguments(command: str, **given: str) -> list[str]:
    return variables.arguments(commands.build(), command, given)


def test_a_variable_is_the_option_of_its_name() -> None:
    assert arguments("compare", PATCH="it's", KERNEL_GIT="/a b") == [
        "compare", "--patch=it's", "--kernel-git=/a b",
    ]  # fmt: skip
    assert arguments("walk", BYTES="yes", AT="-1") == ["walk", "--at=-1", "--bytes=yes"]
    assert arguments("nightly", NIGHTLY="n.yaml") == ["nightly", "--nightly=n.yaml"]
    assert arguments("nightly", BISECT="auto") == ["nightly", "--bisect=auto"]
    told = {"MOVE": "0a1b2c3d", "WORD": "noise", "BY": "A B", "NOTE": "x"}
    assert arguments("triage", **told) == [
        "triage", "--move=0a1b2c3d", "--word=noise", "--by=A B", "--note=x",
    ]  # fmt: skip
    assert arguments("reply", RESULT="r", BOARD="https://b.example") == [
        "reply", "--board=https://b.example", "--", "r",
    ]  # fmt: skip
    assert arguments("clean-cache", DRY_RUN="yes", OLDER_THAN="3") == [
        "clean-cache", "--older-than=3", "--dry-run",
    ]  # fmt: skip
    assert arguments("clean-cache", DRY_RUN="no", YES="yes") == ["clean-cache", "--yes"]


def test_an_argument_comes_last_and_is_never_an_option() -> None:
    assert arguments("bisect", METRIC="--help", PATCH="x") == [
        "bisect", "--patch=x", "--", "--help",
    ]  # fmt: skip
    assert arguments("report", RESULT="results/x") == ["report", "--", "results/x"]


def test_what_make_puts_into_the_environment_is_no_option() -> None:
    environment = re.findall(r"\b[A-Z_]{6,}\b", MAKEFILE.partition("#: Environment:")[2][:600])
    assert {"DEBIAN_MIRROR", "SANDBOX_READ", "CACHE_LIMIT"} <= set(environment)
    given = dict.fromkeys([*environment, "PATH", "TMPDIR", "SETUP_PACKAGES", "http_proxy"], "x")
    for name in ("KERNEL_GIT", "MIRROR"):  # which are both
        assert given.pop(name)
    assert arguments("compare", **given, RESULTS="r") == ["compare", "--results=r"]
    found = arguments("verify", RESULT="x", RESULTS="results")
    assert found == ["verify", "--results=results", "--", "x"]
    assert arguments("doctor", RESULTS="results") == ["doctor"], "make hands it on to all"


@pytest.mark.parametrize(
    ("command", "name", "message"),
    [
        ("compare", "PATCHES", "there is no variable PATCHES; did you mean 'PATCH'?"),
        ("compare", "BACKEND", "did you mean 'BACKENDS'?"),
        ("compare", "WORKLOAD", "did you mean 'WORKLOADS'?"),
        ("compare", "PAIR", "did you mean 'PAIRS'?"),
        ("compare", "SERIES", "there is no variable SERIES"),
        ("compare", "V", "there is no variable V; make help lists them"),
        ("clean-cache", "DRYRUN", "did you mean 'DRY_RUN'?"),
        ("clean-cache", "OLDER", "there is no variable OLDER"),
        ("clean-cache", "PATCH", "make clean-cache takes no PATCH=; leave it out"),
        ("verify", "PATCH", "make verify takes no PATCH=; leave it out"),
        *(
            (command, name, f"make {command} takes no {name}=; leave it out")
            for command, names in FIXED.items()
            for name in names
        ),
        ("nightly", "CONFIG", "make nightly takes no CONFIG=; leave it out"),
        ("report", "FROMAT", "did you mean 'FORMAT'?"),
    ],
)
def test_a_variable_that_the_command_does_not_have_is_an_error(
    command: str, name: str, message: str
) -> None:
    with pytest.raises(UserError) as told:
        arguments(command, **{name: "x"})
    assert message in str(told.value)
    assert variables.run([command, f"{name}=x"]) == 2


@pytest.mark.parametrize("command", FIXED)
def test_what_a_command_decides_itself_is_no_option_of_it(command: str) -> None:
    line = commands.build()

    def options(command: str) -> set[str]:
        told = line.commands[command].format_help()
        return set(re.findall(r"^ +(--[a-z-]+)", told, re.MULTILINE))

    wanted = {f"--{name.lower()}" for name in FIXED[command]}
    assert not wanted & options(command)
    assert wanted <= options("compare")
    listed = " ".join(variables.listing(line).partition("Not taken:")[2].split())
    mine = listed.partition(f"by {command} ")[2].partition(" by ")[0]
    assert set(FIXED[command]) <= set(mine.split(", "))
    assert not {"PAIRS", "BACKENDS", "PATCH"} & set(mine.split(", "))


@pytest.mark.parametrize("name", ["PATCH", "BACKENDS", "KERNEL_GIT", "RESULTS", "CACHE_LIMIT"])
def test_an_empty_variable_is_an_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As from an empty variable of the shell: the default would be measured."""
    assert variables.run(["compare", f"{name}="]) == 2
    said = capsys.readouterr().err
    assert said == f"harness: {name}= is empty; give it a value or leave it out\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [("verify", "RESULT"), ("repeat", "RESULT"), ("bundle", "RESULT"), ("bisect", "METRIC")],
)
def test_a_variable_that_must_be_there(command: str, name: str) -> None:
    with pytest.raises(UserError, match=f"{command} needs {name}=, .*: make {command} {name}="):
        arguments(command)


def test_a_metric_may_stand_in_the_spec_file_instead() -> None:
    assert arguments("bisect", SPEC="s.yaml") == ["bisect", "--spec=s.yaml"]


def test_a_flag_is_yes_or_no() -> None:
    with pytest.raises(UserError, match="DRY_RUN is 'ture'; it must be yes or no"):
        arguments("clean-cache", DRY_RUN="ture")


def test_make_refuses_a_typo_before_it_removes_anything(tmp_path: Path) -> None:
    (tmp_path / "swap-harness" / "kernels").mkdir(parents=True)
    argv = ["make", "clean-cache", "SETUP=true", f"PYTHON={sys.executable}", "DRYRUN=yes"]
    env = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2
    assert "there is no variable DRYRUN; did you mean 'DRY_RUN'?" in done.stderr
    assert (tmp_path / "swap-harness" / "kernels").is_dir()


def test_the_environment_gives_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(words: list[str]) -> int:
        seen.append(words)
        return 0

    monkeypatch.setattr(cli, "main", run)
    for name in ("HEAD", "NAME", "KERNEL_GIT", "MIRROR"):
        monkeypatch.setenv(name, "mine")
    assert variables.run(["compare", "PAIRS=3"]) == 0
    assert seen == [["compare", "--pairs=3"]]
    assert not os.environ.keys() & {"HEAD", "NAME"}
    # The help says that these count.
    assert {os.environ[name] for name in ("KERNEL_GIT", "MIRROR")} == {"mine"}


@pytest.mark.parametrize("by", ["make", "command line"])
def test_the_clone_and_the_mirrors_may_be_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    seen: list[Context] = []

    def run(_: Experiment, where: Context) -> StudyResult:
        seen.append(where)
        return StudyResult(ResultKind.COMPARE, tmp_path, "", tmp_path, Exit.OK)

    def call(**given: str) -> Context:
        if by == "make":
            status = variables.run(["compare", *(f"{name}={one}" for name, one in given.items())])
        else:
            names = {name: name.lower().replace("_", "-") for name in given}
            status = cli.main(["compare", *(f"--{names[n]}={one}" for n, one in given.items())])
        assert status == Exit.OK
        return seen[-1]

    monkeypatch.setitem(running.STUDIES, ResultKind.COMPARE, run)
    monkeypatch.setattr(sandbox, "choose", lambda *_, **__: sandbox.OFF)
    for name in ("list-a", "list-b"):
        (tmp_path / name).mkdir()
    a, b = (tmp_path / name for name in ("list-a", "list-b"))
    monkeypatch.setenv("KERNEL_GIT", "/theirs")
    monkeypatch.setenv("MIRROR", f"{a}:{b}")
    where = call()
    assert where.kernel_git == "/theirs" and where.mails.mirrors == (a, b)
    where = call(KERNEL_GIT="/mine", MIRROR=str(b))
    assert where.kernel_git == "/mine" and where.mails.mirrors == (b,), "what is asked goes first"
    monkeypatch.setenv("MIRROR", "http://packages.example/debian")
    assert call().mails.mirrors == ()
    assert "MIRROR in the environment is 'http://packages.example/debian'" in caplog.text


def make(folder: Path, *words: str, **environment: str) -> list[str]:
    """The words with which make calls the harness."""
    recorder = folder / "record"
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >args\nenv >env\n')
    recorder.chmod(0o755)
    argv = ["make", "-f", str(REPO / "Makefile"), "SETUP=true", f"HARNESS={recorder}", *words]
    env = {"PATH": os.environ["PATH"], **environment}
    subprocess.run(argv, cwd=folder, check=True, capture_output=True, env=env)
    return (folder / "args").read_text().splitlines()


@pytest.mark.parametrize("command", commands.build().commands)
def test_each_command_is_a_target_that_passes_its_variables(tmp_path: Path, command: str) -> None:
    hostile = "a' $(shell touch made) `touch made` $$ \"#"
    assert make(tmp_path, command, f"PATCH={hostile}", "PAIRS=3") == [
        command, "PAIRS=3", f"PATCH={hostile}", "RESULTS=results",
    ]  # fmt: skip
    assert not (tmp_path / "made").exists()
    assert "\nPATCH=" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("target", "takes"),
    [
        ("faults", "ONLY BASE SANDBOX RESULTS"), ("fuzz", "SECONDS PARSER"), ("unit", "nothing"),
        ("lint", "nothing"), ("e2e", "nothing"), ("planted", "nothing"), ("example", "RESULTS"),
        ("lock", "UPGRADE"),
    ],
)  # fmt: skip
def test_a_target_without_the_harness_refuses_what_it_does_not_take(
    tmp_path: Path, target: str, takes: str
) -> None:
    argv = ["make", "-f", str(REPO / "Makefile"), "SETUP=false", target, "ONYL=x"]
    argv += ["-o", "setup", "-o", "setup-dev"]  # no installation
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2
    assert f"make {target} takes no ONYL; it takes: {takes}." in done.stderr


def test_only_what_make_is_given_counts(tmp_path: Path) -> None:
    words = make(tmp_path, "compare", HEAD="mine", RESULTS="/r", NAME="me")
    assert words == ["compare", "RESULTS=/r"]


def test_make_help_has_each_variable() -> None:
    done = subprocess.run(
        ["make", "help", f"PYTHON={sys.executable}"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    named = re.findall(r"^  ([A-Z_]+)= ", done.stdout, re.MULTILINE)
    assert sorted(named) == sorted(variables.variables(commands.build()))
    assert max(map(len, done.stdout.splitlines())) <= 104


def test_a_relative_tree_is_one_of_the_folder_that_make_was_called_in() -> None:
    given = {"HEAD": ".", "BASE": "../linux", "PATCH": ".:v6.19..", "RESULT": "./x", "NAME": ".."}
    assert variables._placed(given, "/home/me/mine") == {
        "HEAD": "/home/me/mine",
        "BASE": "/home/me/linux",
        "PATCH": "/home/me/mine:v6.19..",
        "RESULT": "./x",
        "NAME": "..",
    }
    files = {"SPEC": "./x.yaml", "NIGHTLY": "../n.yaml"}
    assert variables._placed(files, "/home/me/mine") == {
        "SPEC": "/home/me/mine/x.yaml",
        "NIGHTLY": "/home/me/n.yaml",
    }
    assert variables._placed({"NIGHTLY": "n.yaml"}, "/home/me") == {"NIGHTLY": "n.yaml"}
    others = {"BASE": ".hidden", "PATCH": "v6.18..v6.19", "HEAD": "debian/6.12"}
    assert variables._placed(others, "/home/me") == others


def test_make_says_which_folder_it_was_called_in(tmp_path: Path) -> None:
    shim = tmp_path / "python"
    shim.write_text('#!/bin/sh\necho "$CALLED_FROM"\n', encoding="utf-8")
    shim.chmod(0o755)
    caller = tmp_path / "it's $HOME"
    caller.mkdir()
    done = subprocess.run(
        ["make", "-s", "-C", str(REPO), "compare", f"PYTHON={shim}", "SETUP=true", "HEAD=."],
        cwd=caller,
        env={**os.environ, "PWD": str(caller)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{caller}\n"


def test_results_are_removed_and_compared_by_variables() -> None:
    line = commands.build()
    words = variables.arguments(line, "results-rm", {"RESULT": "x", "YES": "yes"})
    args = line.parse(words)
    assert (args.command, args.action, args.name, args.yes) == ("results", "rm", "x", True)
    for target, given in (("results", {"RESULT": "x"}), ("results-rm", {"YES": "yes"})):
        with pytest.raises(UserError, match="RESULT"):
            variables.arguments(line, target, given)
    args = line.parse(variables.arguments(line, "results", {"RESULTS": "/r"}))
    assert (args.action, args.name, args.results) == ("list", None, Path("/r"))
    args = line.parse(variables.arguments(line, "diff", {"A": "one"}))
    assert (args.first, args.second) == ("one", "latest")
    args = line.parse(variables.arguments(line, "diff", {"B": "-x"}))
    assert (args.first, args.second) == ("previous", "-x")
    args = line.parse(variables.arguments(line, "compare", {"AGAINST": "previous"}))
    assert args.against == "previous"
