# SPDX-License-Identifier: GPL-2.0-only
"""The body of an answer to a mailed series that was measured patch by patch.

See `parts` for what a line must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report import layout
from harness.report.layout import Block
from harness.results.manifest import UNKNOWN, Manifest
from harness.studies.reply import parts
from harness.studies.reply.parts import Evidence, lined, wrap
from harness.studies.walk import text
from harness.studies.walk.analysis import Walk

_ROWS = 20
_FAILURES = 8
_CLOCK = "The instruction clock does not see caches, TLB, lock contention or device time."
_NEIGHBOURS = (
    "'own' is what a patch changes against the one before it, pair by pair, with 95 % intervals; "
    "all patches share the boots of the base."
)


def body(
    walk: Walk, manifest: Manifest, evidence: Sequence[Evidence], *, long: bool = False
) -> str:
    """The whole body; long: with the table of each metric over all patches."""
    blocks = _blocks(walk, manifest, evidence, long=long)
    return layout.page([line.rstrip() for line in block] for block in blocks)


def derived(said: str, walk: Walk) -> list[str]:
    """The lines with numbers that a mail which ``said`` so has of a walk."""
    tables = [line for one in walk.lines for line in lined(text.metric(walk, one))]
    long = bool(tables) and f"\n{tables[0]}\n" in said
    blocks = _derived(walk, long=long)
    return [line for block in blocks for line in block if any(c.isdigit() for c in line)]


def _blocks(
    walk: Walk, manifest: Manifest, evidence: Sequence[Evidence], *, long: bool
) -> Iterator[Block]:
    base = manifest.arm("base")
    on = f"{walk.base if base.name == UNKNOWN else parts.called(base)} ({walk.version})"
    yield wrap(f"Cost of each patch of {walk.series} on {on}, in fresh QEMU guests.")
    yield from _derived(walk, long=long)
    yield [*wrap(_NEIGHBOURS), *wrap(_CLOCK)]
    series = manifest.arm("patch").series
    ids = [one.get("message_id") for one in (series.letter or {}, series.origin)] if series else []
    known = next((one for one in ids if one), UNKNOWN)
    if known != UNKNOWN:
        yield list(parts.bullets([f"series: {walk.title}, message-id <{known}>"]))
    yield ["To repeat it:", *parts.repeat([walk.command], evidence)]
    made = evidence[0].made.partition(",")[0]
    yield [*parts.proof(evidence), *wrap(f"Tables made with {made}.")]


def _derived(walk: Walk, *, long: bool) -> Iterator[Block]:
    """The blocks whose numbers follow from the raw files."""
    said = [text.outcome(walk), *layout.capped(text.failures(walk), _FAILURES)]
    yield [line for one in (*said, text.conclusion(walk)) for line in wrap(one)]
    yield lined(text.own_changes(walk, _ROWS))
    for one in walk.lines if long else ():
        yield lined(text.metric(walk, one))
