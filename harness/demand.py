"""What a comparison takes of this machine: guests' memory and cores, disk for what it writes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import admission, disk
from harness.arms import Site
from harness.cell import Cell
from harness.spec import Experiment


def admitted(
    experiment: Experiment,
    cells: Sequence[Cell],
    clock: str,
    kind: str,
    site: Site,
    written: int | None,
    *,
    to_make: Mapping[str, int],
) -> admission.Admitted:
    """How many guests run side by side: one under wall time; else one a CPU, as memory goes.

    Raises what `admission.admit` does where the comparison does not fit.  ``to_make`` are bytes to
    be written in the cache, by what they are.
    """
    folder, temporary = site.results / experiment.title, Path(tempfile.gettempdir())
    blocks = len(cells) * experiment.pairs
    done = len(list(folder.glob("boots/*/*/boot.json")))
    # Swap disks are sparse, but a series may fill them.
    kinds = [(one.backend, one.disk_on(kind)) for one in cells]
    on_host = [disk.disk_bytes(one, experiment.swap) for one, where in kinds if where == "host"]
    swap = max(on_host, default=0)
    swap = swap if written is None else min(swap, written)
    on_top = max(disk.guest_bytes(one, where, experiment.swap) for one, where in kinds)
    limit = 1 if clock == "wall" else min(admission.cores(), blocks)
    is_here = site.scheduler is None  # guests of a cluster take nothing of this machine
    needs = admission.Needs(
        guest=experiment.memory + on_top if is_here else 0,
        cpus=experiment.cpus if is_here else 0,
        most=(experiment.parallel or limit) if is_here else 1,
        asked=is_here and experiment.parallel > 0,
        disk=admission.disk_shares(
            cache=site.cache.root,
            results=folder,
            temporary=temporary,
            boots=max(0, blocks * (3 if experiment.aa else 2) - done),
            swap=swap if is_here else 0,
            to_make=to_make,
        ),
    )
    return admission.admit(needs, admission.probe((site.cache.root, folder, temporary)))
