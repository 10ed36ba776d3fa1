# SPDX-License-Identifier: GPL-2.0-only
"""How large both kernels are, and which functions grew: as scripts/bloat-o-meter counts."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.numbers import exact
from harness.report.table import Table, columns, heading_row
from harness.results.sizes import FunctionSize, Sizes

TITLE = "Size of the kernels"
NOT_RECORDED = "Size of the kernels: not recorded."
_MOST = 10
_KINDS = ("text", "data", "bss")
_METHOD = (
    "Sums over the symbols of vmlinux, as scripts/bloat-o-meter counts: static functions of one "
    "name are one, and what has no symbol is left out. Data has the read-only ones in it."
)


def table(found: Sizes) -> Table:
    """text, data and bss of both kernels in bytes; below them the functions that grew most."""
    rows: list[tuple[str, ...]] = [
        (kind, str(getattr(found.base, kind)), str(getattr(found.patch, kind)), _more(found, kind))
        for kind in _KINDS
    ]
    grew = [one for one in found.changed if one.change > 0][:_MOST]
    heads = columns("bytes", "base", "patch", "change")
    if grew:
        rows.append(heading_row(f"{counted(found.changed)}; grew most:", len(heads)))
        rows += [
            (one.name, _bytes(one.base), _bytes(one.patch), f"{one.change:+d}") for one in grew
        ]
    else:
        rows.append(heading_row(counted(found.changed), len(heads)))
    return Table(TITLE, heads, tuple(rows), (_METHOD,))


def line(found: Sizes) -> str:
    """The same in one sentence."""
    sums = ", ".join(f"{kind} {_more(found, kind)}" for kind in _KINDS)
    return f"Size: {sums} bytes; {counted(found.changed)}."


def counted(changed: Sequence[FunctionSize]) -> str:
    """How many functions grew, shrank, are new and are gone; what none does is left out."""
    added = sum(one.base is None for one in changed)
    removed = sum(one.patch is None for one in changed)
    grew = sum(one.change > 0 for one in changed) - added
    shrank = len(changed) - added - removed - grew
    counts = {"grew": grew, "shrank": shrank, "new": added, "gone": removed}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"functions: {said or 'none changed'}"


def _more(found: Sizes, kind: str) -> str:
    return exact(getattr(found.patch, kind) - getattr(found.base, kind), sign=True)


def _bytes(size: int | None) -> str:
    return "-" if size is None else str(size)
