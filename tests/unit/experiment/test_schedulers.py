# SPDX-License-Identifier: GPL-2.0-only
"""What SCHEDULER= may say, and what is wrong with the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.experiment import schedulers, spec
from harness.experiment.schedulers import ListedHost, SchedulerRequest
from harness.util.errors import UserError


def test_an_address_is_taken_as_it_is() -> None:
    for text in ("tcp://bench0:8786", "tls://10.0.0.1:1"):
        assert schedulers.parse(text) == SchedulerRequest(text[:3], address=text)


def test_slurm_has_options_with_defaults() -> None:
    found = schedulers.parse("slurm:partition=bench,jobs=10,cpus=4,memory=3G,time=1-02:00:00")
    assert found.kind == "slurm" and found.options == {
        "partition": "bench", "account": "", "jobs": "10", "cpus": "4", "memory": "3G",
        "time": "1-02:00:00",
    }  # fmt: skip
    assert schedulers.parse("slurm").options == schedulers.parse("slurm:").options
    assert schedulers.parse("slurm").options["jobs"] == "1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bench0:8786", "must begin like tcp://HOST:PORT, tls://"),
        ("slrum:partition=x", "did you mean 'slurm'"),
        ("tcp://bench0", "no address like tcp://HOST:8786"),
        ("tls:bench0:1", "no address like tls://HOST:8786"),
        ("ssh:", "ssh: needs a file with a host in each line"),
        ("slurm:partion=x", "'partion' is no option of it; did you mean 'partition'"),
        ("slurm:jobs=0", "'jobs=0' must be jobs= and a number of jobs"),
        ("slurm:cpus", "'cpus' must be cpus= and a number of guests"),
        ("slurm:memory=2", "'memory=2' must be memory= and a size"),
        ("slurm:partition=$(x)", "must be partition= and a name"),
        ("slurm:time=soon", "must be time= and a time like"),
    ],
)
def test_what_cannot_be_read_is_told_before_anything_starts(text: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        schedulers.parse(text)
    assert said in str(error.value)
    with pytest.raises(UserError, match="'scheduler'"):
        spec.load(None, {"scheduler": text})


def test_a_list_of_hosts(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# ours\nbench1\n\nme@bench2.example 4  # four guests\n")
    assert schedulers.hosts(path) == (ListedHost("bench1"), ListedHost("me@bench2.example", 4))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n-oProxyCommand=x\n", ":2: '-oProxyCommand=x' must be a host"),
        ("a 0\n", ":1: 'a 0' must be a host"),
        ("a 1 2\n", "must be a host, or a host and its number"),
        ("# none\n", "names no host"),
    ],
)
def test_a_wrong_list_of_hosts(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        schedulers.hosts(path)
    assert said in str(error.value)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no list of hosts"):
        schedulers.hosts(tmp_path / "none")
