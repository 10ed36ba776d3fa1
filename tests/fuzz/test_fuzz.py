# SPDX-License-Identifier: GPL-2.0-only
"""Every parser of hostile input: records, or the error that it documents, and never another one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import engine, targets
from tests.fuzz.targets import TARGETS, Target

# The same inputs each time: what nobody has changed does not fail.  `make fuzz` looks for new ones.
_FEW = settings(
    max_examples=60, deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
_FOUND = (
    (
        "mail",
        b'From: a@b\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="xx"\n\n'
        b"--xx\nContent-Type: text/plain; charset=a\0b\n\n\xff\n--xx--\n",
    ),
    (
        "letter",
        b"From: a@b\nMIME-Version: 1.0\nContent-Type: text/plain; charset=a\0b\n\nA word.\n",
    ),
    ("folder", b"series\0" + b"a" * 300 + b".patch\n\xffa.patch\0b"),
    ("folder", b"."),
    ("probe-sys.fs.cgroup.w.memory.stat", b"max\x0b"),
)
"""What fuzzing found, by parser."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_some_seed_is_read_to_its_end(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that refuses every input would pass all other tests here."""
    refused: list[BaseException] = []
    monkeypatch.setattr(targets, "_one_sentence", refused.append)
    read = 0
    for seed in target.seeds:
        refused.clear()
        target.run(seed)
        read += not refused
    assert read, f"no seed of {target.name} is accepted; the last one: {refused}"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_input_gives_records_or_the_documented_error(target: Target) -> None:
    @_FEW
    @given(engine.inputs(target.seeds, target.words))
    def hold(data: bytes) -> None:
        target.run(data)

    hold()


@pytest.mark.parametrize(("name", "data"), _FOUND)
def test_what_was_found_is_not_found_again(name: str, data: bytes) -> None:
    next(target for target in TARGETS if target.name == name).run(data)


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.sampled_from(TARGETS))
def test_any_bytes_go_to_any_parser(data: bytes, target: Target) -> None:
    target.run(data)
