# SPDX-License-Identifier: GPL-2.0-only
"""calibration.txt: ASCII, at most 72 columns: whether the checks hold, each check, the method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report import layout, table
from harness.report.layout import listed, paragraphs, section
from harness.report.table import Table, columns
from harness.results.manifest import Manifest
from harness.results.pairing import Measurement
from harness.studies.calibrate import weights
from harness.studies.calibrate.weights import WeightCheck

_METHOD = (
    "Known: the machine code that the series adds, counted. What loads its operands comes on top "
    "(about 4 instructions); a step between two series has none of that.",
    "A check fails if the known value is outside its interval, which is wider than the 95 % "
    "interval shown: all checks together fail by chance in one of twenty calibrations. The check "
    f"of a null series fails if it is not equivalent to no change within {weights.EQUIVALENT_PCT} "
    "%.",
)


def render(name: str, any_series: Measurement, checks: Sequence[WeightCheck]) -> str:
    """The whole text.  any_series: one of them, for the facts that all share."""
    return layout.page(
        (
            paragraphs([*_outcome(name, any_series.manifest, checks)]),
            table.text(results(checks)),
            section("How to read this", listed((*_METHOD, _counted(any_series)))),
        )
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


def _outcome(name: str, facts: Manifest, checks: Sequence[WeightCheck]) -> Iterator[str]:
    failed = weights.failures(checks)
    if failed:
        yield f"{len(failed)} of {len(checks)} checks fail:"
        yield from (f"- {one}" for one in failed)
    else:
        yield f"All {len(checks)} checks hold."
    base = facts.arm("base")
    yield f"Calibration '{name}': known weights on {base.name} ({base.version})"


def _counted(one: Measurement) -> str:
    """On which back-ends all instructions are counted because pages wait there."""
    backends = sorted({cell.rpartition(".")[0] for cell in one.cells})
    waiting = [name for name in backends if one.manifest.waits_io(name)]
    rest = [name for name in backends if name not in waiting]
    found = (("All instructions of the guest", waiting), ("Elapsed instructions", rest))
    return " ".join(f"{what}: {', '.join(names)}." for what, names in found if names)
