# SPDX-License-Identifier: GPL-2.0-only
"""The pages of comparisons, cells, base kernels and series, each with its JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.board import chunks, tables
from harness.board.chunks import Chunk
from harness.board.record import BoardComparison, BoardKernel, Row
from harness.board.significance import Fences
from harness.board.site import BoardSite
from harness.report.table import Table, columns
from harness.results import address

Placed = tuple[BoardComparison, Row]


@dataclass(frozen=True, slots=True)
class Board:
    """All that is shown.  comparisons: oldest first; fences: of the cells; gone: addresses"""

    comparisons: Sequence[BoardComparison]
    fences: Fences
    gone: frozenset[str] = frozenset()
    cells: dict[str, list[Placed]] = field(default_factory=dict)
    bases: dict[str, list[BoardComparison]] = field(default_factory=dict)
    series: dict[str, list[BoardComparison]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.comparisons:
            for row in one.rows:
                self.cells.setdefault(row.address, []).append((one, row))
            for arm in {one.base.key: one.base, one.patch.key: one.patch}.values():
                if not arm.series:
                    self.bases.setdefault(arm.address, []).append(one)
            if one.patch.series:
                self.series.setdefault(tables.series_slug(one.patch), []).append(one)

    def bars(self, rows: Iterable[Row]) -> list[Any]:
        """The fences of rows, as plain values."""
        keys = sorted({(row.address, row.metric) for row in rows} & self.fences.keys())
        return [(*key, self.fences[key].low, self.fences[key].high) for key in keys]

    def inputs(self, found: Sequence[BoardComparison]) -> list[Any]:
        """What a list of comparisons is made of, as plain values."""
        return [
            (one.address, one.sums, one.patch.series, one.patch.revision,
             tables.beyond(one, self.fences))
            for one in found
        ]  # fmt: skip


def comparison_list(
    site: BoardSite, board: Board, place: str, title: str, found: Sequence[BoardComparison],
    *, skip_front: bool = False,
) -> None:  # fmt: skip
    """A list of comparisons and its pages below ``place``; ``found`` is oldest first.

    skip_front: the newest have a page of another kind
    """
    for chunk in chunks.chunks(found):
        if not skip_front or chunk.name != "index":
            _list_page(site, board, f"{place}{chunk.name}", title, chunk, len(found))


def _list_page(
    site: BoardSite, board: Board, path: str, title: str, chunk: Chunk[BoardComparison], count: int
) -> None:
    up = "../" * path.count("/")
    more = chunks.links(count)
    inputs = [title, board.inputs(chunk.items), len(more) if chunk.name == "index" else 0]
    site.html(
        f"{path}.html", "list.html.j2", inputs,
        lambda: {
            "title": title, "opening": [], "chunks": more,
            "made": tables.comparisons(chunk.items, up, board.fences),
        },
    )  # fmt: skip
    site.json(f"{path}.json", inputs, lambda: [brief(one) for one in chunk.items])


def brief(one: BoardComparison) -> dict[str, Any]:
    """A comparison in a list's JSON."""
    return {
        "address": f"comparison/{one.address}/", "name": one.name, "begun": one.begun,
        "ended": one.ended, "clock": one.clock, "base": one.base.label, "patch": one.patch.label,
        "verdicts": one.verdicts, "failed": one.failed, "boots": one.boots,
    }  # fmt: skip


def comparison(site: BoardSite, board: Board, one: BoardComparison) -> None:
    """The page of a comparison, made of its record, which lies beside it."""
    place = f"comparison/{one.address}/"
    is_gone = one.address in board.gone
    inputs = [one.sums, one.bundle, is_gone, board.bars(one.rows),
              [one.patch.series, one.patch.revision]]  # fmt: skip
    site.html(
        f"{place}index.html", "comparison.html.j2", inputs,
        lambda: _comparison(site.root / place, board, one, is_gone),
    )  # fmt: skip


def _comparison(folder: Path, board: Board, one: BoardComparison, is_gone: bool) -> dict[str, Any]:
    data = json.loads((folder / "index.json").read_text("utf-8"))
    links = [
        tables.link(name, text)
        for name, text in (("report.html", "The whole report"), ("report.txt", "as text"),
                           ("estimates.csv", "all estimates"), ("metrics.csv", "each boot"),
                           ("profile.txt", "profile"), (one.bundle, "bundle with all evidence"))
        if name and (folder / name).is_file()
    ]  # fmt: skip
    links.append(tables.link("index.json", "JSON"))
    up = "../../"
    machine = data["machine"]
    return {
        "title": f"{one.patch.label} on {one.base.label}",
        "opening": data["opening"][:3],
        "failed": one.failed > 0,
        "gone": is_gone,
        "measured": tables.of_comparison(one, up, board.fences),
        "links": Markup(" | ").join(links),
        "why": tables.functions(one),
        "compared": [
            ("Result", one.name),
            ("Base", tables.to_kernel(one.base, up)),
            ("Patched", tables.to_kernel(one.patch, up)),
            ("Trees", f"{one.base.tree[:12]}, {one.patch.tree[:12]}"),
            ("Measured", f"{tables.when(one.begun)} to {tables.when(one.ended)} UTC"),
            ("Boots", f"{one.boots}, of which {one.failed} failed; {one.pairs} pairs"),
            ("Beyond noise", tables.beyond(one, board.fences)),
            *([("Message-id", one.patch.message_id)] if one.patch.message_id else []),
        ],
        "patches": data["patches"],
        "method": [
            ("Method", one.method),
            *((key, _said(value)) for key, value in data["method"].items() if value),
            ("host", ", ".join(f"{key} {value}" for key, value in machine.items() if value)),
        ],
        "command": data["command"],
        "bundle": one.bundle,
    }  # fmt: skip


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def cell(site: BoardSite, board: Board, place: str, found: Sequence[Placed]) -> None:
    """The pages of a cell: each comparison that ran it, and what it runs."""
    name = found[0][1].cell
    fences = {row.metric: board.fences.get((place, row.metric)) for _, row in found}
    opening = [
        f"{metric}: a change beyond {fence.low:g} % is more than the noise of this cell "
        f"(higher bar: {fence.high:g} %), by base against base in {fence.n} comparisons."
        if fence else f"{metric}: too few comparisons to tell the cell's own noise."
        for metric, fence in fences.items()
    ]  # fmt: skip
    # The count of comparisons moves with each one; the older pages shall not.
    bars = [(metric, fence and (fence.low, fence.high)) for metric, fence in fences.items()]
    for chunk in chunks.chunks(found):
        first = chunk.name == "index"
        more = chunks.links(len(found))
        inputs = [name, [(one.address, one.sums) for one, _ in chunk.items],
                  [bars, len(more)] if first else []]  # fmt: skip
        _cell_page(site, f"cell/{place}/", chunk, inputs, opening if first else [], more)


def _cell_page(
    site: BoardSite, place: str, chunk: Chunk[Placed], inputs: Any, opening: Sequence[str],
    more: Sequence[tuple[str, str]],
) -> None:  # fmt: skip
    name = chunk.items[0][1].cell
    site.html(
        f"{place}{chunk.name}.html", "cell.html.j2", inputs,
        lambda: {
            "title": f"Cell {name}",
            "opening": opening,
            "data": f"{chunk.name}.json",
            "measured": tables.of_cell(chunk.items, "../../"),
            "chunks": more,
            "settings": _settings(site, chunk.items[0]),
        },
    )  # fmt: skip
    site.json(f"{place}{chunk.name}.json", inputs, lambda: _all_metrics(site, name, chunk.items))


def _record(site: BoardSite, one: BoardComparison) -> dict[str, Any]:
    path = site.root / "comparison" / one.address / "index.json"
    return dict(json.loads(path.read_text("utf-8")))


def _settings(site: BoardSite, newest: Placed) -> list[tuple[str, str]]:
    one, row = newest
    data = _record(site, one)
    never = {key: data["method"].get(key) for key in ("clock", "disk", "memory", "swap", "cpus")}
    return [(key, str(value)) for key, value in (data["cells"].get(row.cell, {}) | never).items()]


_COLUMNS = ("comparison", "metric", "unit", "direction", "n", "base", "patch", "change_pct",
            "low_pct", "high_pct", "verdict")  # fmt: skip


def _all_metrics(site: BoardSite, name: str, found: Sequence[Placed]) -> dict[str, Any]:
    """A cell's figures of all metrics that are better somehow, one list a row."""
    rows = []
    for one in {one.address: one for one, _ in found}.values():
        data = _record(site, one)
        for values in (*data["summary"]["rows"], *data["secondary"]):
            row = Row(*values)
            if row.cell == name:
                rows.append([one.address, row.metric, row.unit, row.direction, row.n, row.base,
                             row.patch, row.change, row.low, row.high, row.verdict])  # fmt: skip
    return {"cell": name, "columns": _COLUMNS, "rows": rows}


def kernels(site: BoardSite, board: Board) -> None:
    """kernel/KEY.json of each kernel, and the list of all: what any two are compared from."""
    found: dict[str, list[tuple[BoardComparison, str]]] = {}
    arms: dict[str, BoardKernel] = {}
    for one in board.comparisons:
        for side in ("base", "patch"):
            arm: BoardKernel = getattr(one, side)
            arms[arm.key] = arm
            found.setdefault(arm.key, []).append((one, side))
    for key, many in found.items():
        _kernel(site, arms[key], many)
    listed = [[address.slug(key), arms[key].label, arms[key].tree[:12]] for key in sorted(arms)]
    site.json("kernels.json", listed, lambda: listed)
    methods: dict[str, dict[str, Any]] = {}
    for one in board.comparisons:
        methods.setdefault(one.method, {"of": one.address})
    shown = {key: value["of"] for key, value in methods.items()}
    site.json("methods.json", shown, lambda: _methods(site, board, shown))
    site.html("compare/index.html", "compare.html.j2", "", dict)


def _kernel(
    site: BoardSite, arm: BoardKernel, found: Sequence[tuple[BoardComparison, str]]
) -> None:
    site.json(
        f"kernel/{address.slug(arm.key)}.json",
        [arm.label, [(one.address, one.sums, side) for one, side in found]],
        lambda: {"key": arm.key, "label": arm.label, "rows": _of(found)},
    )


def _methods(site: BoardSite, board: Board, shown: Mapping[str, str]) -> dict[str, Any]:
    by_address = {one.address: one for one in board.comparisons}
    return {key: _record(site, by_address[place])["method"] for key, place in shown.items()}


def _of(found: Sequence[tuple[BoardComparison, str]]) -> list[list[Any]]:
    """A kernel's newest figure of each cell, method and metric."""
    newest: dict[tuple[str, str, str], list[Any]] = {}
    for one, side in found:
        for row in one.rows:
            median, spread = (
                (row.base, row.base_cv) if side == "base" else (row.patch, row.patch_cv)
            )
            newest[row.address, one.method, row.metric] = [
                row.address, row.cell, one.method, one.clock, row.metric, row.unit, row.direction,
                median, spread, row.n, one.address,
            ]  # fmt: skip
    return [newest[key] for key in sorted(newest)]


def overview(board: Board, up: str) -> dict[str, Table]:
    """The lists of series, base kernels and cells."""
    series = [
        (
            tables.link(f"{up}series/{name}/", many[-1].patch.series),
            many[-1].patch.title, str(len({one.patch.revision for one in many})), str(len(many)),
            tables.when(many[-1].ended), tables.verdicts(many[-1]),
        )
        for name, many in sorted(board.series.items(), key=lambda each: each[1][-1].ended)[::-1]
    ]  # fmt: skip
    bases = [
        (
            tables.link(f"{up}base/{name}/", arm_at(many[-1], name).label), str(len(many)),
            tables.when(many[-1].ended),
        )
        for name, many in sorted(board.bases.items(), key=lambda each: each[1][-1].ended)[::-1]
    ]  # fmt: skip
    cells = [
        (
            tables.link(f"{up}cell/{name}/", many[-1][1].cell), many[-1][1].backend,
            ", ".join(sorted({row.metric for _, row in many})), many[-1][0].clock,
            str(len({one.address for one, _ in many})), tables.when(many[-1][0].ended),
        )
        for name, many in sorted(board.cells.items(), key=lambda one: (one[1][0][1].cell, one[0]))
    ]  # fmt: skip
    return {
        "series": Table(
            "",
            (*columns("series", "title", names=2), *columns("revisions", "comparisons", names=0),
             *columns("newest, UTC", "its verdicts", names=2)),
            tuple(series),
        ),
        "base": Table("", columns("kernel", "comparisons", "newest, UTC"), tuple(bases)),
        "cell": Table(
            "",
            (*columns("cell", "back-end", "metric", "clock", names=4),
             *columns("comparisons", "newest, UTC", names=0)),
            tuple(cells),
        ),
    }  # fmt: skip


def arm_at(one: BoardComparison, place: str) -> BoardKernel:
    """The arm of a comparison whose page is at a place."""
    return one.base if one.base.address == place else one.patch
