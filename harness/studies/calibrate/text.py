# SPDX-License-Identifier: GPL-2.0-only
"""calibration.txt: ASCII, at most 72 columns: whether the checks hold, each check, the method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report import layout, table
from harness.report.layout import listed, paragraphs, section
from harness.report.table import Table, columns
from harness.results.manifest import Manifest
from harness.results.pairing import Measurement
from harness.studies.calibrate import profiled, weights
from harness.studies.calibrate.profiled import PlacedWeight
from harness.studies.calibrate.weights import WeightCheck

_METHOD = (
    "Known: the machine code that the series adds, counted. What loads its operands comes on top "
    "(about 4 instructions); a step between two series has none of that.",
    "A check fails if the known value is outside its interval, which is wider than the 95 % "
    "interval shown: all checks together fail by chance in one of twenty calibrations. The check "
    f"of a null series fails if it is not equivalent to no change within {weights.EQUIVALENT_PCT} "
    "%.",
)


_PROFILED = (
    "Found: by one profile boot of each kernel, patch minus base, at the source line or the lock "
    "alone. It has to round to what is known; what a lock is held longer for is the compiler's.",
)


def render(
    name: str,
    any_series: Measurement,
    checks: Sequence[WeightCheck],
    found: tuple[PlacedWeight, ...] = (),
) -> str:
    """The whole text.  any_series: one of them, for the facts that all share."""
    method = (*_METHOD, *(_PROFILED if found else ()), _counted(any_series))
    return layout.page(
        (
            paragraphs([*_outcome(name, any_series.manifest, checks, found)]),
            table.text(results(checks)),
            table.text(places(found)),
            section("How to read this", listed(method)),
        )
    )


def places(found: Sequence[PlacedWeight]) -> Table:
    """One weight that profiles look for a row."""
    if not found:
        return Table("", (), ())
    heads = ("series", "back-end", "what", "at", "known", "found", "")
    return Table(
        "Known weights found by profiles, for each page swapped in",
        columns(*heads, names=4),
        tuple(
            (
                one.series.replace("calibration-", ""),
                one.cell.rpartition(".")[0],
                one.what,
                one.place,
                profiled.known(one),
                "-" if one.found is None else f"{one.found:.3f}",
                "" if one.holds else "NO",
            )
            for one in found
        ),
    )


def results(checks: Sequence[WeightCheck]) -> Table:
    """One check a row."""
    heads = ("series", "back-end", "way", "known", "measured", "95 % interval", "n", "")
    return Table(
        "Known weights against measured ones, in instructions for each page",
        columns(*heads, names=3),
        tuple(
            (
                one.weight.series.replace("calibration-", ""),
                one.cell.rpartition(".")[0],
                one.weight.metric.removeprefix("swap"),
                f"{one.weight.known:+.0f}" if one.weight.known else "0",
                f"{one.difference:+.2f}",
                f"[{one.low:+.2f}, {one.high:+.2f}]",
                str(one.n),
                "" if one.holds else "NO",
            )
            for one in checks
        ),
        tuple(
            f"Below resolution: {one.weight.series} on {one.cell}."
            for one in checks
            if not one.weight.is_null and not one.seen
        ),
    )


def _outcome(
    name: str, facts: Manifest, checks: Sequence[WeightCheck], found: tuple[PlacedWeight, ...]
) -> Iterator[str]:
    failed = [*weights.failures(checks), *profiled.failures(found)]
    count = len(checks) + len(found)
    if failed:
        yield f"{len(failed)} of {count} checks fail:"
        yield from (f"- {one}" for one in failed)
    else:
        yield f"All {count} checks hold."
    base = facts.arm("base")
    yield f"Calibration '{name}': known weights on {base.name} ({base.version})"


def _counted(one: Measurement) -> str:
    """On which back-ends all instructions are counted because pages wait there."""
    backends = sorted({cell.rpartition(".")[0] for cell in one.cells})
    waiting = [name for name in backends if one.manifest.waits_io(name)]
    rest = [name for name in backends if name not in waiting]
    found = (("All instructions of the guest", waiting), ("Elapsed instructions", rest))
    return " ".join(f"{what}: {', '.join(names)}." for what, names in found if names)
