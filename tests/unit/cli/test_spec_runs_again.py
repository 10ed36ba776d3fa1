# SPDX-License-Identifier: GPL-2.0-only
"""What a spec file asks for, the spec file of its result asks for again: every setting of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from harness.build.pair import Context
from harness.cli import main as cli
from harness.cli import running
from harness.experiment import settings
from harness.experiment.settings import Host
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.run import manifest
from harness.studies import repeat
from harness.studies.result import StudyResult
from harness.util import sandbox
from harness.util.errors import Exit, UserError
from harness.util.sandbox import Sandbox

# A value of each setting that is not its default, as a user would write it, and what it needs.
VALUES: dict[str, Any] = {
    "base": "topic",
    "patch": "v6.19..topic",
    "upto": 2,
    "head": "other",
    "config": "NUMA=y NUMA_BALANCING=y",
    "head_config": ["KASAN=y"],
    "arms": [False, "on"],
    "head_guest": {"sysctls": {"vm.swap_feature": 1}},
    "fragments": "debug",
    "cc": "clang-19",
    "backends": [{"zram": {"compressor": "lz4"}}],
    "workloads": "fill",
    "suite": "vswap",
    "preset": "standard",
    "guest": {"mglru": "y", "vm.page-cluster": 0},
    "set": "vm.swappiness=60+180 thp=never",
    "memory": "1G",
    "cpus": 2,
    "swap": "2G",
    "clock": "insn",
    "accel": "tcg",
    "disk": "host",
    "cmdline": ["nosmt", "zswap.enabled=0"],
    "pairs": 5,
    "aa": False,
    "seed": 9,
    "parallel": 2,
    "timeout": 77,
    "profile": True,
    "kernel_git": "https://git.example/linux.git",
    "lore": "https://inbox.example/all",
    "mirror": ["/srv/a", "/srv/b"],
    "trailers": True,
    "fixes": True,
    "sandbox": False,
    "jobs": 3,
    "scheduler": "tcp://10.0.0.1:8786",
    "sizes": ["1G", "2G"],
    "fill": "128M",
    "steps": 3,
    "at": [1, "3-5"],
    "bytes": "yes",
    "metric": "swapin",
    "most_pairs": 20,
    "reference": "on",
    "only": "v3,v6",
    "debug": "yes",
    "cmd": "free -m",
    "packages": "stress-ng",
    "memcg": "64M",
    "expect": "console='possible recursive' status=1,139",
    "name": "mine",
}
REQUIRED: dict[str, dict[str, Any]] = {"bisect": {"metric": VALUES["metric"]}}
OF_A_PROGRAM = {"packages", "expect"}
"""Those that ask for a program of the user's own."""
CLASH = [
    {"patch", "head"},
    {"upto", "head"},
    *({"suite", name} for name in ("backends", "workloads", "cmd", "memcg", *OF_A_PROGRAM)),
]
COMMANDS = list(dict.fromkeys(one.target for one in running.STUDIES))


class Runs:
    """Studies that run nothing: what they were asked is kept, and a spec file is written."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.asked = folder, list[tuple[Experiment, Context]]()
        for kind in running.STUDIES:
            monkeypatch.setitem(running.STUDIES, kind, self._study(kind))

        def choose(wanted: str, **_: Any) -> Sandbox:
            return Sandbox(on=wanted == "yes")

        monkeypatch.setattr(sandbox, "choose", choose)
        monkeypatch.delenv("KERNEL_GIT", raising=False)

    def _study(self, kind: ResultKind) -> Any:
        def run(one: Experiment, where: Context) -> StudyResult:
            self.asked.append((one, where))
            manifest.write_spec(self.folder, one, kind.value, context=where)
            return StudyResult(kind, self.folder, "", self.folder, Exit.OK)

        return run

    def twice(self, command: str, data: dict[str, Any]) -> None:
        """Run the data, then the spec file that came of it: the same is asked."""
        self.asked.clear()
        path = self.folder / "mine.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        for one in (path, self.folder / "spec.yaml"):
            named = [f"--name={data['name']}"] if "name" in data else []
            assert cli.main([command, f"--spec={one}", *named]) == Exit.OK
        assert self.asked[0] == self.asked[1]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path, monkeypatch)


def test_every_setting_has_a_value_here() -> None:
    assert set(VALUES) == set(settings.declared())


def cases() -> Iterator[tuple[str, str]]:
    for name, one in settings.declared().items():
        for command in COMMANDS if one.commands else ("compare",):
            if one.taken_by(command):
                yield name, command


@pytest.mark.parametrize(("name", "command"), list(cases()))
def test_a_setting_may_stand_in_a_spec_and_comes_back(runs: Runs, name: str, command: str) -> None:
    program = {"cmd": VALUES["cmd"]} if name in OF_A_PROGRAM else {}
    runs.twice(command, {name: VALUES[name], **program, **REQUIRED.get(command, {})})
    one, _ = runs.asked[0]
    if settings.declared()[name].stored:
        assert one.value(name) != settings.declared()[name].default
    else:
        assert one != Experiment()


@given(names=st.sets(st.sampled_from(sorted(VALUES))), command=st.sampled_from(COMMANDS))
@how(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_settings_come_back_together(runs: Runs, names: set[str], command: str) -> None:
    declared = settings.declared()
    chosen = {name for name in names if declared[name].taken_by(command)}
    for pair in CLASH:
        if pair <= chosen:
            chosen -= {sorted(pair)[0]}
    chosen -= OF_A_PROGRAM if "cmd" not in chosen else set()
    given = {name: VALUES[name] for name in chosen}
    runs.twice(command, {**given, **REQUIRED.get(command, {})})


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        (
            "kernel_git",
            "~/linux",
            lambda w: w.kernel_git == str(Path.home() / "linux"),
        ),
        ("lore", "https://inbox.example/all", lambda w: w.mails.server.endswith("example/all")),
        ("mirror", "/a:/b", lambda w: w.mails.mirrors == (Path("/a"), Path("/b"))),
        ("trailers", "yes", lambda where: where.mails.trailers),
        ("fixes", "yes", lambda where: where.mails.fixes),
        ("sandbox", "no", lambda where: not where.sandbox.on),
        ("jobs", 3, lambda where: where.jobs == 3),
        ("scheduler", "tcp://h:1", lambda where: where.scheduler == "tcp://h:1"),
    ],
)
def test_a_spec_decides_how_this_machine_works(
    runs: Runs, name: str, value: Any, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNEL_GIT", "/elsewhere")
    runs.twice("compare", {name: value})
    assert seen(runs.asked[0][1])


def test_the_command_line_goes_before_the_spec(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("jobs: 3\nmetric: swapin\n")
    words = ["bisect", "swapout", f"--spec={tmp_path / 'mine.yaml'}", "--jobs=5"]
    assert cli.main(words) == Exit.OK
    one, where = runs.asked[0]
    assert (one.study.metric, where.jobs) == ("swapout", 5)


def test_a_setting_of_another_command_is_refused(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("at: [3, 5]\n")
    assert cli.main(["compare", f"--spec={path}"]) == Exit.USER
    said = "'at' is a setting of make walk, not of make compare"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("calibrate", "workloads: usemem", "'workloads' is no setting of make calibrate"),
        ("calibrate", "aa: no", "'aa' is no setting of make calibrate"),
        ("calibrate", "memcg: 64M", "'memcg' is no setting of make calibrate"),
        ("overhead", "disk: sim", "'disk' is no setting of make overhead"),
        (
            "bench",
            "profile: yes",
            "'profile' is a setting of make compare and make walk and make revisions, not of make "
            "bench",
        ),
    ],
)
def test_what_a_command_decides_itself_is_refused(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    command: str, text: str, said: str,
) -> None:  # fmt: skip
    path = tmp_path / "mine.yaml"
    path.write_text(f"{text}\n")
    assert cli.main([command, f"--spec={path}"]) == Exit.USER
    assert f"{said}; leave it out" in capsys.readouterr().err
    assert not runs.asked


def test_a_profile_is_of_one_arm(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["profile", "--arms=patch,gcc"]) == Exit.USER
    said = "make profile measures one arm, and ARMS names patch, gcc: name one of them"
    assert said in capsys.readouterr().err
    assert not runs.asked


def test_the_spec_file_of_a_comparison_serves_other_commands(runs: Runs, tmp_path: Path) -> None:
    """It has all settings; those that another command has not are at their defaults."""
    assert cli.main(["compare", "--pairs=5"]) == Exit.OK
    (one, _) = runs.asked.pop()
    path = tmp_path / "spec.yaml"
    kept = yaml.safe_load(path.read_text())
    fixed = {"aa", "profile", "workloads", "disk"}
    assert fixed <= set(kept)
    (tmp_path / "mine.yaml").write_text(path.read_text())
    for command, its_own in (
        ("calibrate", {"aa", "profile", "workloads"}),
        ("overhead", fixed),
        ("bench", {"aa", "profile"}),
        ("walk", set[str]()),
    ):
        assert cli.main([command, f"--spec={tmp_path / 'mine.yaml'}"]) == Exit.OK
        assert runs.asked.pop()[0] == one
        assert fixed - set(yaml.safe_load(path.read_text())) == its_own


def test_a_repeat_takes_the_machine_from_its_own_user(tmp_path: Path) -> None:
    """A bundle comes from a stranger: it opens no sandbox and connects to nothing."""
    (tmp_path / "boots").mkdir()
    tree = {"name": "debian/6.12=1", "commit": "a" * 40, "tree": "b" * 40}
    stranger = {"sandbox": "no", "scheduler": "tcp://evil:1", "kernel_git": "https://evil/x.git",
                "lore": "https://evil/", "jobs": 999, "meant": {"base": tree}}  # fmt: skip

    def said(more: dict[str, Any]) -> None:
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**stranger, **more}))

    said({})
    assert repeat.experiment(tmp_path, Host()).host == Host()
    mine = Host(kernel_git="/mine", jobs=2)
    assert repeat.experiment(tmp_path, mine).host == mine
    said({"fragments": ["/etc/hostname"]})
    with pytest.raises(UserError, match="no copy of the config fragment '/etc/hostname'"):
        repeat.experiment(tmp_path, Host())
    (tmp_path / "spec.yaml").unlink()
    with pytest.raises(UserError, match="kept neither patches nor trees"):
        repeat.experiment(tmp_path, Host())
