# SPDX-License-Identifier: GPL-2.0-only
"""Which cells of a comparison its kernels can run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from harness.build.pair import Arm, Configured
from harness.experiment import cell
from harness.experiment.cell import Ability, ArmOnlyCell, Cell, Skipped
from harness.experiment.spec import Experiment
from harness.util.errors import UserError

_log = logging.getLogger(__name__)


def abilities(made: Mapping[str, Arm]) -> list[Ability]:
    """What the kernels can do, by arm."""
    return [Ability(name, arm.kernel.config, arm.kernel.functions) for name, arm in made.items()]


def runnable(
    experiment: Experiment,
    command: str,
    able: Sequence[Ability] = (),
    half: Sequence[ArmOnlyCell] = (),
) -> tuple[tuple[Cell, ...], tuple[Skipped, ...]]:
    """The cells that both kernels can run; with no kernels yet, those that some kernel could.

    ``half`` are taken, too.  Raises UserError when that is none.
    """
    every = experiment.cells()
    cells, skipped = cell.runnable(every, able, memory=experiment.guest.memory, command=command)
    taken = {one.cell for one in half}
    cells = tuple(one for one in every if one in cells or one.name in taken)
    skipped = tuple(one for one in skipped if one.cell not in taken)
    if not cells:
        raise UserError(
            f"no cell of the matrix can run; {skipped[0].cell}: {skipped[0].reason}; "
            "choose other BACKENDS or WORKLOADS"
        )
    return cells, skipped


def halves(
    experiment: Experiment, able: Sequence[Ability], command: str
) -> tuple[ArmOnlyCell, ...]:
    """The cells that one of the kernels cannot run, for the other alone."""
    found = cell.halves(experiment.cells(), able, memory=experiment.guest.memory, command=command)
    for one in found:
        _log.warning(f"{one.cell} runs on {one.arm} alone: {one.reason}")
    return found


def watcher(
    experiment: Experiment, *, command: str = "compare", told: set[str] | None = None
) -> Configured:
    """What tells the cells that an arm's kernel cannot run, before that is compiled.

    ``told`` are the names of cells that were told already; it grows.  What is returned raises
    UserError when no cell is left.
    """
    told = set() if told is None else told

    def watch(arm: str, config: Mapping[str, str]) -> None:
        tell(runnable(experiment, command, [Ability(arm, config)])[1], told)

    return watch


def tell(skipped: Sequence[Skipped], told: set[str]) -> None:
    """Warn of each cell that was not told yet; ``told`` grows."""
    for item in skipped:
        if item.cell not in told:
            _log.warning(f"{item.cell} is skipped: {item.reason}")
            told.add(item.cell)
