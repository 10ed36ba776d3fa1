"""Every parser of hostile input: records, or the error that it documents, and never another one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS, Target

_FEW = settings(max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_seeds_are_read(target: Target) -> None:
    for seed in target.seeds:
        target.run(seed)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_hostile_input_gives_records_or_the_documented_error(target: Target) -> None:
    @_FEW
    @given(engine.inputs(target.seeds, target.words))
    def hold(data: bytes) -> None:
        target.run(data)

    hold()


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(TARGETS))
def test_any_bytes_go_to_any_parser(data: bytes, target: Target) -> None:
    target.run(data)
