"""``make bench``: what observing costs the observed.

The same kernel is booted with the sampler and without it, in pairs, and the workloads' own figures
are compared: the difference is what the sampler, its marks and its samples add to a measurement.
The result is kept beside the kernel in the cache, and every later comparison on that kernel with
the same guest programs prints it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness import compare, frames, observer, publish, stats
from harness.arms import Site
from harness.boot import Ticket
from harness.errors import Exit, UserError
from harness.report import manifest
from harness.report.manifest import Manifest
from harness.report.pairing import by_pair
from harness.spec import Experiment


@dataclass(frozen=True, slots=True)
class Effect:
    """What the sampler adds to one primary metric.

    n: pairs; the rest in per cent of the boots without it, with its 95 % interval (None where
    there is none)
    """

    cell: str
    metric: str
    n: int
    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None


@dataclass(frozen=True, slots=True)
class Bench:
    """A finished measurement of the observer."""

    folder: Path
    text: str
    status: Exit


def bench(experiment: Experiment, site: Site) -> Bench:
    """Measure the observer on the base kernel.  Raises the harness's typed errors."""
    if experiment.patch not in {None, "calibration"} or experiment.head:
        raise UserError("bench looks at the base alone: leave PATCH and HEAD out")
    one = replace(
        experiment,
        patch=None,
        head=experiment.base,
        name=experiment.name or f"bench-{experiment.base}",
        aa=False,
    )
    with compare.measured(one, site, change=_unobserved) as (folder, ran):
        data = frames.load(folder, counters=False)
        effects = effects_of(data, manifest.load(folder))
        facts = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
        key = observer.place(site.cache, facts["kernels"]["base"], facts["tools"], facts["clock"])
        key.parent.mkdir(parents=True, exist_ok=True)
        publish.text(key, publish.json_text([asdict(item) for item in effects]))
        text = render(effects, data)
        publish.text(folder / "bench.txt", text)
    return Bench(folder, text, Exit.KERNEL if ran.failed else Exit.OK)


def _unobserved(ticket: Ticket) -> Ticket:
    """The arm that would be the patched one runs without a sampler."""
    return replace(ticket, observed=ticket.arm != "patch")


def effects_of(data: frames.Frames, facts: Manifest) -> tuple[Effect, ...]:
    """The effect on each cell's primary metric, from the boots that `bench` made."""
    clock = facts.text("clock")
    made = []
    for cell in sorted(set(data.boots["cell"])):
        backend, _, workload = cell.rpartition(".")
        metric = facts.primary(workload, backend, clock)
        if metric is None:
            continue
        seen, unseen = (by_pair(data, cell, metric, arm) for arm in frames.ARMS)
        pairs = sorted(set(seen.index) & set(unseen.index))
        # Observed over unobserved: the other way round than the arms are named.
        change = stats.paired([unseen[i] for i in pairs], [seen[i] for i in pairs])
        effect = Effect(
            cell, metric, change.n, change.estimate_pct, change.low_pct, change.high_pct
        )
        made.append(effect)
    return tuple(made)


def render(effects: tuple[Effect, ...], data: frames.Frames) -> str:
    """The table, 72 columns, plain text."""
    lines = [
        "What the sampler adds to each primary metric (same kernel with and",
        "without it, paired, 95 % interval):",
        "",
    ]
    lines += [f"  {observer.sentence(asdict(item))}" for item in effects]
    for name, size in observer.footprint(data).items():
        lines.append(f"  {name}: {size / (1 << 20):.1f} MiB of guest memory (resident set)")
    return "\n".join(lines) + "\n"
