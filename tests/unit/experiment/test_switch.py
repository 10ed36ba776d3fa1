# SPDX-License-Identifier: GPL-2.0-only
"""How a kernel is switched in the guest: what is taken, refused, and counts as proof."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment import switch
from harness.experiment.switch import Proof
from harness.util.errors import UserError
from tests.unit.experiment.test_spec import load

PROOF = {"file": "/sys/kernel/debug/vswap/used", "above": 0}


def test_what_is_set_where() -> None:
    data = {
        "sysctls": {"vm.swap_feature": True},
        "params": {"zswap.enabled": "N"},
        "files": {"/sys/kernel/mm/lru_gen/enabled": 7},
        "words": ["swapaccount=1"],
        "proof": PROOF,
    }
    made = switch.of(data)
    assert made.writes == (
        ("/proc/sys/vm/swap_feature", "Y"),
        ("/sys/kernel/mm/lru_gen/enabled", "7"),
    )
    assert made.expected == (("/sys/module/zswap/parameters/enabled", "N"),)
    assert made.append == ("zswap.enabled=N", "swapaccount=1")
    assert made.shown == (
        "vm.swap_feature=Y, /sys/kernel/mm/lru_gen/enabled=7, zswap.enabled=N, swapaccount=1, "
        "proof /sys/kernel/debug/vswap/used: above 0"
    )
    assert load(patch="mine", head_guest=data).kernels.head_guest == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"sysctl": {}}, "unknown key 'sysctl'; did you mean 'sysctls'?"),
        ({"sysctls": {"swappiness": 1}}, "key 'swappiness' must be a sysctl like vm.swappiness"),
        ({"sysctls": {"vm.swappiness": "a b"}}, "'vm.swappiness' is 'a b'; it must be a value"),
        ({"params": {"enabled": 1}}, "must be a module and its parameter, like zswap.enabled"),
        ({"files": {"/etc/passwd": 1}}, "must be a file below /proc or /sys"),
        ({"files": {"/proc/../etc/passwd": 1}}, "must be a file below /proc or /sys"),
        ({"words": ["a b"]}, "it must be one word of the kernel's command line"),
        ({"proof": {"file": "/proc/vmstat"}}, "one condition: 'above' with a number, or 'is'"),
        ({"proof": {**PROOF, "is": "1"}}, "one condition: 'above' with a number, or 'is'"),
        ({"proof": {**PROOF, "when": "never"}}, "it must be one of running, done"),
        ({"proof": {**PROOF, "file": "/sys/kernel/debug/mine"}},
         "the sampler does not read /sys/kernel/debug/mine: say 'when: done', or add it to "
         "vm-images/sampler/files.list"),
    ],
)  # fmt: skip
def test_what_is_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as told:
        load(patch="mine", head_guest=data)
    assert "head_guest" in str(told.value) and said in str(told.value)


@pytest.mark.parametrize(
    ("wanted", "text", "is_same"),
    [
        ("1", "1\n", True), ("Y", "1", True), ("1", "Y", True), ("N", "0", True),
        ("always", "[always] madvise never", True), ("always", "always [never]", False),
        ("1", "10", False), ("1", "", False),
    ],
)  # fmt: skip
def test_what_is_read_back(wanted: str, text: str, is_same: bool) -> None:
    assert switch.same(wanted, text) is is_same


@pytest.mark.parametrize(
    ("proof", "text", "holds"),
    [
        (Proof("/proc/x", above=0), "12 kB\n", True),
        (Proof("/proc/x", above=0), "0\n", False),
        (Proof("/proc/x", above=0), "many\n", False),
        (Proof("/proc/x", is_="Y"), "1\n", True),
        (Proof("/proc/x", key="b", above=3), "a 9\nb 4\n", True),
        (Proof("/proc/x", key="b", above=3), "a: 9\nb: 3\n", False),
        (Proof("/proc/x", key="c", above=3), "a 9\n", False),
    ],
)
def test_what_proves_that_it_ran(proof: Proof, text: str, holds: bool) -> None:
    value = proof.value(text)
    assert (value is not None and proof.holds(value)) is holds


def test_a_damaged_record_is_unknown() -> None:
    assert switch.told({"sysctls": 3}) == "unknown"
