# SPDX-License-Identifier: GPL-2.0-only
"""Boots that fail are a result, too: which kernel fails more often, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from harness.report.lost import ExcludedBoot, Failing
from harness.report.model import BootPair
from harness.results.console import Outcome
from harness.results.frames import ARMS, CONTROL
from harness.results.manifest import Manifest

_NOT_THE_KERNEL = frozenset({"missing", Outcome.INFRA.value})
"""A boot that was not run, or that the host spoilt, says nothing of the kernel."""


def gather(blocks: Iterable[BootPair], lost: Sequence[ExcludedBoot] = ()) -> Failing | None:
    """How often either kernel fails, in all cells together; None if no boot did.

    ``lost`` are the boots that failed. Blocks without a boot of both kernels are left out. The test
    is exact and conditional: given how many boots of each block failed, a patch that changes
    nothing is as likely to have been any one of its boots. For blocks of two it is McNemar's exact
    test; the third boot, control, only adds to what is known of the base. The two-sided p
    sums all outcomes that are no likelier than the one seen, as R's fisher.test does.
    """
    shares, patch_failed, base_failed, base_boots = [], 0, 0, 0
    for block in blocks:
        ran = [(arm, outcome) for arm, outcome, _ in block.boots if outcome not in _NOT_THE_KERNEL]
        if ARMS[1] not in (arm for arm, _ in ran) or len(ran) == 1:
            continue
        bad = [arm for arm, outcome in ran if outcome != Outcome.OK]
        shares.append(len(bad) / len(ran))
        patch_failed += ARMS[1] in bad
        base_failed += len(bad) - (ARMS[1] in bad)
        base_boots += len(ran) - 1
    if not base_failed and not patch_failed:
        return None
    return Failing(
        base=base_failed,
        base_boots=base_boots,
        patch=patch_failed,
        patch_boots=len(shares),
        p=_p(shares, patch_failed),
        first=tuple(_first(lost)),
    )


def known(manifest: Manifest, workload: str, backend: str, arm: str, outcome: str) -> str:
    """What the workload declared of boots that end like this one, as sentences; "" for nothing."""
    version = manifest.arm(ARMS[0] if arm == CONTROL else arm).version
    there = manifest.backends.get(backend)
    return " ".join(
        f"{one.sentence}."
        for one in manifest.workload(workload).known_failures
        if there and one.holds(backend=there.kind, version=version, outcome=outcome)
    )


def _first(lost: Sequence[ExcludedBoot]) -> Iterator[str]:
    """A sentence on the first boot of either kernel that failed."""
    mine = [boot for boot in lost if boot.outcome not in _NOT_THE_KERNEL]
    for is_patch in (True, False):
        found = [boot.sentence for boot in mine if (boot.arm == ARMS[1]) is is_patch]
        yield from (f"First of {ARMS[is_patch]}: {one.rstrip('.')}." for one in found[:1])


def _p(shares: Iterable[float], seen: int) -> float:
    """The p of ``seen`` failures of patch. shares: of each block, of its boots that failed."""
    chance = np.ones(1)
    for mine in shares:
        wider = np.zeros(len(chance) + 1)
        wider[:-1] += chance * (1 - mine)
        wider[1:] += chance * mine
        chance = wider
    # Outcomes that are as likely may differ in the last bit.
    return float(min(1.0, chance[chance <= chance[seen] * (1 + 1e-9)].sum()))
