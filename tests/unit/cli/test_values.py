# SPDX-License-Identifier: GPL-2.0-only
"""Paths of options mean what a shell would make of them, and results have a place to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build import pair
from harness.cli import asked, commands, context
from harness.cli import main as cli
from harness.source import tarball
from harness.studies import compare
from harness.util.errors import Exit


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where '~' leads."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "dest"),
    [
        (["compare", "--kernel-git=~/x"], "kernel_git"),
        (["compare", "--results=~/x"], "results"),
        (["compare", "--spec=~/x"], "spec"),
        (["nightly", "--nightly=~/x"], "nightly"),
        (["report", "~/x"], "folder"),
        (["verify", "~/x"], "folder"),
        (["repeat", "~/x"], "folder"),
        (["repeat", "r", "--kernel-git=~/x"], "kernel_git"),
        (["compare", "--against=~/x"], "against"),
        (["reply", "r", "--overhead=~/x"], "overhead"),
        (["reply", "r", "--quote=~/x"], "quote"),
        (["bundle", "r", "--output=~/x"], "output"),
    ],
)
def test_a_home_is_found_where_no_shell_looked_for_it(
    home: Path, argv: list[str], dest: str
) -> None:
    """make hands on KERNEL_GIT=~/linux as it is."""
    assert str(getattr(commands.build().parse(argv), dest)) == str(home / "x")


def test_latest_is_a_name_wherever_a_result_is_asked_for() -> None:
    """A Path would look for a folder of this name below the current one."""
    for argv, dest in (
        (["compare", "--against=latest"], "against"),
        (["reply", "latest"], "folder"),
        (["reply", "r", "--overhead=latest"], "overhead"),
    ):
        assert getattr(commands.build().parse(argv), dest) == "latest"


def test_a_url_stays_one(home: Path) -> None:
    args = commands.build().parse(["compare", "--kernel-git=https://git.example/~me/linux.git"])
    assert args.kernel_git == "https://git.example/~me/linux.git"


def test_a_home_in_the_environment_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERNEL_GIT", "KERNEL_KEYRING", "SANDBOX_READ"):
        monkeypatch.setenv(name, "~/x")
    monkeypatch.setenv("RESULTS", "~/r")
    (home / "x").mkdir()
    args = commands.build().parse(["compare", "--mirror=~/m", "--sandbox=no"])
    made = context.context(asked.host(args), args.results)
    assert (made.kernel_git, made.keyring) == (str(home / "x"), home / "x")
    assert made.results == home / "r" and made.mails.mirrors == (home / "m",)


def test_a_home_of_a_fragment_and_of_a_tarball(home: Path) -> None:
    (home / "my.config").write_text("CONFIG_A=y\n")
    assert pair.fragment_paths(["~/my.config"])[-1] == home / "my.config"
    located = tarball.parse_locator("~/linux-6.12.tar.xz")
    assert located and located.place == str(home / "linux-6.12.tar.xz")


@pytest.mark.parametrize("command", ["compare", "walk", "overhead", "nightly", "repeat"])
@pytest.mark.parametrize("place", ["/proc", "/proc/self/x", "file"])
def test_results_that_cannot_be_written_are_told_at_once(
    command: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def begin(*_: object, **__: object) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setattr(compare, "measured", begin)
    (tmp_path / "file").touch()
    where = tmp_path / place if place == "file" else place
    words = [command, "r"] if command == "repeat" else [command]
    assert cli.main([*words, f"--results={where}"]) == Exit.USER
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"harness: RESULTS is {where}")
    assert line.endswith("; point RESULTS= at a folder of your own")


def test_looking_for_a_place_leaves_nothing_there(tmp_path: Path) -> None:
    assert cli.main(["compare", f"--results={tmp_path}", "--patch=no-such-series"]) == Exit.USER
    assert not list(tmp_path.iterdir())
