# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the user's own: what becomes of an entry, a file beside it, and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import program, spec
from harness.experiment.workload import Workload
from harness.results import printed
from harness.util.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "race.c"
    path.write_text("/*\n * Race.  Build with CFLAGS: -O1 -lnuma\n */\nint main(void){return 0;}\n")
    return path


def parameters(made: Workload) -> dict[str, str]:
    return dict(made.parameters)


def refused(**given: Any) -> str:
    with pytest.raises(UserError) as caught:
        spec.load(None, given)
    return str(caught.value)


def one(**given: Any) -> Workload:
    cells = spec.load(None, {"backends": "zram", **given}).cells()
    (cell,) = cells
    return cell.workload


def test_a_c_file_is_a_workload(source: Path) -> None:
    made = one(workloads=str(source))
    assert made.name == "race"
    assert made.program == "runner"
    assert made.own is not None
    assert made.own.cflags == ("-O1", "-lnuma")
    assert parameters(made) == {
        "entry": f"race.{made.own.digest}/race",
        "limit": "10",
        "fails": "nonzero",
        "progress": "0",
    }
    assert made.memory_max == "max"
    assert made.definition.primary == "elapsed"
    assert made.definition.primary_waiting_io == "elapsed_busy"
    assert made.definition.outputs == ("program.txt",)


def test_what_is_said_on_the_command_line_is_said_of_it(source: Path) -> None:
    made = one(
        workloads=str(source),
        memcg="256M",
        timeout=20,
        packages="stress-ng",
        expect="console='possible recursive' console=deadlock status=1,139 progress=5s",
    )
    assert made.memory_max == str(256 << 20)
    assert made.packages == ("stress-ng",)
    assert made.definition.failing_console == ("possible recursive", "deadlock")
    found = parameters(made)
    assert (found["limit"], found["fails"], found["progress"]) == ("20", "1,139", "5")


def test_its_own_setting_goes_before_that_of_all(source: Path) -> None:
    made = one(workloads=f"{source}:memcg=64M:timeout=3", memcg="256M", timeout=20)
    assert made.memory_max == str(64 << 20)
    assert parameters(made)["limit"] == "3"


def test_the_boot_has_time_for_a_slow_guest(source: Path) -> None:
    assert spec.load(None, {"workloads": str(source)}).schedule.timeout == 1800
    assert spec.load(None, {"workloads": str(source), "timeout": 20}).schedule.timeout == 1800
    assert spec.load(None, {"workloads": str(source), "timeout": 60}).schedule.timeout == 3600
    # Of a workload of the harness it is the boot's own, as ever.
    assert spec.load(None, {"workloads": "pageio", "timeout": 20}).schedule.timeout == 20


def test_a_limit_holds_for_the_harness_s_workloads_too() -> None:
    made = one(workloads="pressure", memcg="40M")
    assert made.memory_max == str(40 << 20)


def test_a_list_of_values_makes_a_cell_of_each(source: Path) -> None:
    made = spec.load(None, {"backends": "zram", "workloads": f"{source}:memcg=64M+128M"}).cells()
    assert [cell.name for cell in made] == ["zram.race-64M", "zram.race-128M"]
    assert made[0].workload.own == made[1].workload.own  # it is built once


def test_a_command_line_is_a_workload() -> None:
    made = one(cmd="FOO=1 stress-ng --vm 2 --vm-bytes 80% -t 5s", packages="stress-ng")
    assert made.name == "stress-ng"
    assert made.own is not None
    assert made.own.script == "FOO=1 stress-ng --vm 2 --vm-bytes 80% -t 5s"
    assert made.packages == ("stress-ng",)
    assert "stress-ng --vm 2" in made.definition.description


def test_text_that_is_not_locked_is_read_again_so_cpu_time_gets_the_verdict(
    tmp_path: Path,
) -> None:
    script = tmp_path / "test.sh"
    script.write_text("cat /proc/meminfo\n")
    for made in (one(workloads=str(script)), one(cmd="true")):
        assert made.definition.primary == "cpu"
        assert made.definition.primary_waiting_io == "elapsed_busy"


def test_what_stress_ng_prints_is_known() -> None:
    made = one(cmd="stress-ng --vm 2 -t 5s --metrics-brief")
    assert made.definition.primary == "bogo_ops_cpu_rate"
    assert made.own is not None
    text = (
        "stress-ng: info:  [93] dispatching hogs: 2 vm\n"
        "stress-ng: metrc: [93] stressor       bogo ops real time  usr time  sys time   bogo ops/s"
        "     bogo ops/s\n"
        "stress-ng: metrc: [93]                           (secs)    (secs)    (secs)   (real time)"
        " (usr+sys time)\n"
        "stress-ng: metrc: [93] vm                  576      2.03      0.19      1.75       284.06"
        "         296.09\n"
    )
    lines = map(json.loads, printed.lines(text, dict(made.own.metrics)))
    assert {line["name"]: line["value"] for line in lines} == {
        "bogo_ops_cpu_rate": 296.09,
        "bogo_ops_rate": 284.06,
    }
    assert one(cmd="stress-ng --vm 2 -t 5s").definition.primary == "cpu"


def test_a_command_line_is_beside_workloads_that_are_named() -> None:
    cells = spec.load(None, {"backends": "zram", "cmd": "true", "workloads": "pageio"}).cells()
    assert [cell.workload.name for cell in cells] == ["pageio", "true"]


def test_the_digest_is_of_all_that_makes_it_what_it_is(source: Path, tmp_path: Path) -> None:
    def digest(**given: Any) -> str:
        own = one(workloads=str(source), **given).own
        assert own is not None
        return own.digest

    first = digest()
    assert digest(memcg="64M") == first  # is on record beside it
    assert digest(packages="stress-ng") != first
    assert digest(expect="console=deadlock") != first
    moved = tmp_path / "elsewhere" / source.name
    moved.parent.mkdir()
    moved.write_bytes(source.read_bytes())
    own = one(workloads=str(moved)).own
    assert own is not None
    assert own.digest == first
    source.write_text(source.read_text() + "\n")
    assert digest() != first


def test_a_file_beside_it_says_more(source: Path) -> None:
    source.with_suffix(".yaml").write_text(
        """
description: Race pageout against faults.
cflags: -O3
memcg: 96M
timeout: 7
expect: {console: lockup, status: none}
packages: [stress-ng]
margin: 2%
metrics:
  rate: {match: 'rate (\\d+) MB/s', unit: MB/s, better: higher, description: as it prints it}
  latency:
phases:
  fill: {begin: filling, end: filled up}
requires: {kernel: [CONFIG_ZRAM]}
"""
    )
    made = one(workloads=str(source))
    assert made.own is not None
    assert made.own.cflags == ("-O3",)
    assert made.memory_max == str(96 << 20)
    assert parameters(made)["limit"] == "7"
    assert parameters(made)["fails"] == "none"
    assert made.definition.failing_console == ("lockup",)
    assert made.packages == ("stress-ng",)
    assert made.definition.requires.kernel == ("CONFIG_ZRAM",)
    assert made.definition.margin == "2%"
    # What it prints itself is what its author looks at.
    assert (made.definition.primary, made.definition.primary_waiting_io) == ("rate", None)
    assert made.data["metrics"]["rate"]["direction"] == "higher"
    assert made.data["metrics"]["latency"]["direction"] == "lower"
    assert "elapsed" in made.data["metrics"]
    assert made.definition.phases == ("fill",)
    assert made.data["metrics"]["fill"]["unit"] == "ns"


def test_one_of_a_fuzzer_may_end_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "repro.c"
    path.write_text(
        "// autogenerated by syzkaller (https://github.com/google/syzkaller)\n"
        "int main(void){for(;;);}\n"
    )
    made = one(workloads=str(path))
    assert parameters(made)["fails"] == "none"
    assert made.definition.primary is None
    assert parameters(one(workloads=str(path), expect="status=139"))["fails"] == "139"
    assert one(workloads=f"{path}:primary=fault_rate").definition.primary == "fault_rate"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workloads": "./not-there.c"}, "there is no program"),
        ({"workloads": "{source}:preset=full"}, "unknown key 'preset'"),
        ({"workloads": "{source}:memcg=lots"}, "memcg limit 'lots' is no size"),
        ({"workloads": "{source}:timeout=0"}, "'timeout' is '0'; it must be"),
        ({"workloads": "{source}:primary=elapse"}, "did you mean 'elapsed'?"),
        ({"workloads": "{source}", "expect": "deadlock"}, "'deadlock' is none of them"),
        ({"workloads": "{source}", "expect": "console=("}, "a regular expression"),
        ({"workloads": "{source}", "expect": "status=most"}, "none, nonzero, or statuses"),
        ({"workloads": "{source}", "memcg": "lots"}, "'memcg': 'lots' is not a size"),
        ({"expect": "status=1"}, "EXPECT is of a program of your own, and none is named"),
        ({"packages": "stress-ng"}, "PACKAGES is of a program of your own"),
        ({"suite": "quick", "cmd": "true"}, "CMD is of WORKLOADS; a suite has its own"),
        ({"suite": "quick", "memcg": "64M"}, "MEMCG is of WORKLOADS"),
    ],
)
def test_a_mistake_is_one_sentence(source: Path, given: dict[str, Any], said: str) -> None:
    placed = {key: one.replace("{source}", str(source)) for key, one in given.items()}
    text = refused(**placed)
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metric: {}", "unknown key 'metric'"),
        ("metrics: {a: {match: 'no group'}}", "with one group, which is the number"),
        ("metrics: {elapsed: }", "there is another metric 'elapsed'"),
        ("phases: {cpu: {begin: a, end: b}}", "there is another metric 'cpu'"),
        ("phases: {fill: {begin: a}}", "key 'end' is missing"),
        ("memcg: [1]", "'memcg' is a list"),
        ("- 1", "it must be a mapping"),
    ],
)
def test_a_mistake_beside_it_names_the_file(source: Path, text: str, said: str) -> None:
    beside = source.with_suffix(".yaml")
    beside.write_text(text)
    found = refused(workloads=str(source))
    assert said in found
    assert "race" in found


def test_a_folder_needs_a_file_and_not_too_many(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").touch()
    assert "has no file" in refused(workloads=f"{folder}/")
    with (folder / "large").open("wb") as stream:
        stream.truncate(65 << 20)
    assert "has 65 MiB" in refused(workloads=f"{folder}/")


def test_a_path_of_a_spec_file_is_beside_it(source: Path) -> None:
    path = source.with_name("spec.yaml")
    path.write_text("backends: zram\nworkloads: [./race.c: {memcg: 64M}]\n")
    (cell,) = spec.load(path, {}).cells()
    assert cell.name == "zram.race"
    assert cell.workload.memory_max == str(64 << 20)


def test_what_is_kept_of_an_entry_names_the_copy(source: Path) -> None:
    made = one(workloads=str(source))
    assert made.own is not None
    folder = f"./programs/race.{made.own.digest}/race.c"
    assert program.kept(str(source)) == {folder: {"name": "race"}}
    named = program.kept({str(source): {"memcg": "64M", "name": "mine"}})
    assert named == {folder: {"memcg": "64M", "name": "mine"}}
    assert program.kept("pageio") == "pageio"
    assert program.kept({"x": {"command": "true"}}) == {"x": {"command": "true"}}
