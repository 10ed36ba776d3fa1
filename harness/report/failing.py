# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel fails more often: boots that fail are a result, too, with a test of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from harness.report.model import BootPair, Failing
from harness.results.console import Outcome
from harness.results.frames import ARMS

_NOT_THE_KERNEL = frozenset({"missing", Outcome.INFRA.value})
"""A boot that was not run, or that the host spoilt, says nothing of the kernel."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """The boots of one block that were run, and how many of them failed."""

    boots: int
    failed: int
    patch_failed: bool


def gather(blocks: Iterable[BootPair]) -> Failing | None:
    """How often either kernel fails, in all cells together; None if no boot did.

    Blocks without a boot of both kernels are left out. The test is exact and conditional: given
    how many boots of each block failed, a patch that changes nothing is as likely to have been
    any one of its boots. For blocks of two it is McNemar's exact test; the third boot, of base
    again, only adds to what is known of the base. The two-sided p sums all outcomes that are no
    likelier than the one seen, as R's fisher.test does.
    """
    pairs, base_failed, base_boots = [], 0, 0
    for block in blocks:
        ran = [(arm, outcome) for arm, outcome, _ in block.boots if outcome not in _NOT_THE_KERNEL]
        if ARMS[1] not in (arm for arm, _ in ran) or len(ran) == 1:
            continue
        bad = [arm for arm, outcome in ran if outcome != Outcome.OK]
        pairs.append(_Pair(len(ran), len(bad), ARMS[1] in bad))
        base_failed += len(bad) - (ARMS[1] in bad)
        base_boots += len(ran) - 1
    patch_failed = sum(pair.patch_failed for pair in pairs)
    if not base_failed and not patch_failed:
        return None
    return Failing(
        base=base_failed,
        base_boots=base_boots,
        patch=patch_failed,
        patch_boots=len(pairs),
        p=_p(pairs, patch_failed),
    )


def _p(pairs: Iterable[_Pair], seen: int) -> float:
    chance = np.ones(1)
    for pair in pairs:
        mine = pair.failed / pair.boots
        wider = np.zeros(len(chance) + 1)
        wider[:-1] += chance * (1 - mine)
        wider[1:] += chance * mine
        chance = wider
    # Outcomes that are as likely may differ in the last bit.
    return float(min(1.0, chance[chance <= chance[seen] * (1 + 1e-9)].sum()))
