# SPDX-License-Identifier: GPL-2.0-only
"""SET= and CMDLINE=: what is taken, what it comes to in a cell, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment import spec, switch
from harness.experiment.condition import by_sysctl, on_command_line
from harness.experiment.spec import Experiment
from harness.util.errors import UserError

TTL = "/sys/kernel/mm/lru_gen/min_ttl_ms"


def load(**given: Any) -> Experiment:
    return spec.load(None, {"backends": "zram", "workloads": "pageio", **given})


def test_sysctls_files_and_guest_settings_are_settings_of_every_back_end() -> None:
    one = load(set=f"vm.swappiness=180 {TTL}=1000 thp=never", guest={"mglru": "y", "thp": "always"})
    (cell,) = one.cells()
    assert cell.name == "zram.pageio"
    assert dict(cell.backend.settings) == {
        "vm.swappiness": "180", TTL: "1000", "thp": "never", "mglru": "y", "compressor": "lz4",
    }  # fmt: skip
    assert cell.backend.conditions.writes == (("/proc/sys/vm/swappiness", "180"), (TTL, "1000"))
    assert cell.backend.own_settings == {"thp": "never", "mglru": "y", "compressor": "lz4"}
    again = load(**{"set": one.as_data()["set"], "guest": one.as_data()["guest"]})
    assert again.cells() == one.cells()


def test_several_values_are_a_cell_each_named_by_the_end_of_the_name() -> None:
    names = [cell.backend.name for cell in load(set=f"vm.swappiness=60+180 {TTL}=0+9").cells()]
    assert names == [
        f"zram-swappiness-{value}-min_ttl_ms-{ttl}"
        for value in (60, 180) for ttl in (0, 9)
    ]  # fmt: skip


def test_a_back_end_may_have_its_own() -> None:
    one = load(backends=[{"zram": {"vm.swappiness": 1}}], set="vm.swappiness=180 vm.page-cluster=0")
    (cell,) = one.cells()
    assert cell.backend.conditions.sysctls == {"vm.page-cluster": "0", "vm.swappiness": "1"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("swapiness=3", "'swapiness' is no sysctl, no file below /proc or /sys, and no guest "
         "setting; did you mean 'swappiness'?"),
        ("vm.swappiness", "'vm.swappiness' must be NAME=VALUE, e.g. vm.swappiness=180"),
        ("vm.swappiness=", "'vm.swappiness=' must be NAME=VALUE"),
        ("vm.swappiness=1+", "'vm.swappiness=1+' has an empty value"),
        ("vm.swappiness=1 vm.swappiness=2", "'vm.swappiness' is there twice; write "
         "vm.swappiness=A+B for two values"),
        ("/etc/passwd=1", "key '/etc/passwd' must be a file below /proc or /sys"),
        ("/sys/../etc/passwd=1", "must be a file below /proc or /sys"),
        ("vm.swappiness=$(id)", "it must be a value without blanks"),
        ("thp=sometimes", "guest: 'thp' is 'sometimes'; it must be one of always"),
    ],
)  # fmt: skip
def test_a_wrong_word_of_set_is_named(text: str, said: str) -> None:
    with pytest.raises(UserError) as told:
        load(set=text)
    assert said in str(told.value)


def test_a_value_may_have_commas_and_words_of_the_command_line_too() -> None:
    one = load(set="kernel.x=256,32", cmdline="crashkernel=1,2 nosmt")
    assert one.matrix.set == ("kernel.x=256,32",)
    assert one.guest.cmdline == ("crashkernel=1,2", "nosmt")
    with pytest.raises(UserError, match=r"'cmdline': .* one word of the kernel's command line"):
        load(cmdline="ä")


def test_what_of_the_command_line_can_be_read_back() -> None:
    made = on_command_line(("zswap.enabled=0", "nosmt", "sysctl.vm.swappiness=10", "a=b"))
    assert made.expected == (("/sys/module/zswap/parameters/enabled", "0"),)
    assert set(made.append) == {"zswap.enabled=0", "nosmt", "sysctl.vm.swappiness=10", "a=b"}
    assert by_sysctl(made.append) == {"/proc/sys/vm/swappiness": "10"}


@pytest.mark.parametrize(
    ("wanted", "said", "same"),
    [
        ("7", "0x0007\n", True),
        ("7", "0x0006\n", False),
        ("256M", "268435456\n", True),
        ("256M", "256\n", False),
        ("-1", "-1", True),
        ("never", "always madvise [never]", True),
        ("010", "10", True),
        ("max", "max\n", True),
        ("y", "0x0007", False),
    ],
)
def test_numbers_are_compared_as_numbers(wanted: str, said: str, same: bool) -> None:
    assert switch.same(wanted, said) is same
