# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel's structures should take: kernels/models/<name>.yaml.

Two answers from one file. `plain` multiplies the terms as a cover letter does. `rounded` also
knows how the memory is allocated: whole pages and their pointer arrays, size classes, whole
clusters, tree nodes; it predicts what /proc/allocinfo shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from harness.experiment.arch import HERE
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Amount, Count, Items, Text, at_least, one_of

MODELS = REPO / "kernels" / "models"
AREAS = ("swapfile", "zswap", "zram")
"""Back-ends with a swap area; a term that names none has them all."""
ALONE = "zswap-alone"
"""zswap with no swap area: there are entries but no slots."""
BACKENDS = (*AREAS, ALONE)
CLUSTER = HERE.huge_slots
"""Slots of a cluster: the pages of a huge page."""
_PAGE = 4096
_TREE = 1 << 14  # slots of one tree of the swap cache or of zswap
_LARGEST = 4 << 20  # bytes of the largest block of the page allocator
_CLASSES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True)
class Term(yamlfile.Model):
    """One structure of one kernel.

    name: of the structure; site: the structure of sites.yaml that it is measured as, "" for the
        one of its own name
    backends: those that have it; in_claim: whether the published claim counts it
    per_slot, per_entry, per_cluster: bytes for each slot of the area, each page in swap, each
        cluster of the area
    allocated: how the memory is got, a key of `_ROUNDED`
    object: bytes of one object, for "used_clusters", "used_objects", "used_areas", "header" and
        "tree"; header: slots of a cluster in use that no page gets, as the area's header;
        fanout: pointers in a tree's node; columns: clusters of a tree that are taken in turn with
        those of the other trees; absolute: its indices count from the area's start: see
        `spread_nodes`
    source: file:function where that is seen
    """

    name: Text
    allocated: Annotated[str, one_of(_ROUNDED)]
    source: Text
    site: str = ""
    backends: Items[Annotated[str, one_of(BACKENDS)]] = AREAS
    in_claim: bool = False
    per_slot: Amount = 0.0
    per_entry: Amount = 0.0
    per_cluster: Amount = 0.0
    object: Count = 0
    header: Count = 0
    fanout: Annotated[int, at_least(2)] = 64
    columns: Annotated[int, at_least(1)] = 1
    absolute: bool = False
    note: str = ""

    @property
    def measured_as(self) -> str:
        """The structure of sites.yaml."""
        return self.site or self.name

    def plain(self, slots: float, entries: float) -> float:
        """Bytes by multiplication alone."""
        per_slot = self.per_slot + self.per_cluster / CLUSTER
        return per_slot * slots + self.per_entry * entries

    def rounded(self, slots: int, entries: int, touched: int) -> float:
        """Bytes as they are allocated for so many usable slots.

        touched: the most entries since swapon; what is allocated by cluster or node stays
        until all of it is free.
        """
        return _ROUNDED[self.allocated](self, slots, entries, max(touched, entries))


@dataclass(frozen=True, slots=True)
class MetadataModel(yamlfile.Model):
    """The terms of one kernel.

    name: of the file; title: for reports; like: the model whose terms it has, but for those that
    it names itself
    """

    name: str
    title: Text
    like: str = ""
    structures: Items[Term] = ()

    def of(self, backend: str, *, claim: bool = False) -> tuple[Term, ...]:
        """The terms of a back-end; claim: only those that the claim counts."""
        return tuple(
            one
            for one in self.structures
            if backend in one.backends and (one.in_claim or not claim)
        )

    def plain(self, backend: str, slots: float, entries: float, *, claim: bool = False) -> float:
        """Bytes of a back-end by multiplication alone."""
        return math.fsum(one.plain(slots, entries) for one in self.of(backend, claim=claim))

    def rounded(
        self,
        backend: str,
        slots: int,
        entries: int,
        *,
        touched: int = 0,
        claim: bool = False,
    ) -> float:
        """Bytes of a back-end as they are allocated; slots without the header's."""
        terms = self.of(backend, claim=claim)
        return math.fsum(one.rounded(slots, entries, touched) for one in terms)

    def sites(self, backend: str, *, claim: bool = False) -> frozenset[str]:
        """The structures of sites.yaml that the terms are measured as."""
        return frozenset(one.measured_as for one in self.of(backend, claim=claim))

    def by_site(
        self, backend: str, slots: int, entries: int, *, touched: int = 0
    ) -> Mapping[str, float]:
        """Rounded bytes by structure of sites.yaml."""
        found: dict[str, float] = {}
        for one in self.of(backend):
            rounded = one.rounded(slots, entries, touched)
            found[one.measured_as] = found.get(one.measured_as, 0.0) + rounded
        return found


def kmalloc(size: float) -> int:
    """What kmalloc() gives for a size: its size class, above 8 KiB a power of two of pages."""
    need = math.ceil(size)
    if need <= 0:
        return 0
    for size_class in _CLASSES:
        if need <= size_class:
            return size_class
    return _PAGE << (math.ceil(need / _PAGE) - 1).bit_length()


def vmalloc(size: float) -> int:
    """What vmalloc() takes: whole pages, and the array of pointers to them."""
    need = math.ceil(size)
    if need <= 0:
        return 0
    pages = math.ceil(need / _PAGE)
    array = pages * 8
    return pages * _PAGE + (vmalloc(array) if array > _PAGE else kmalloc(array))


def kvmalloc(size: float) -> int:
    """What kvmalloc() takes where the page allocator has a block that large."""
    return kmalloc(size) if size <= _LARGEST else vmalloc(size)


def tree_nodes(entries: int, fanout: int = 64, *, absolute: bool = False) -> int:
    """Nodes of xarrays of 16384 indices each, one filled after the other.

    absolute: an entry's index counts from the area's start, not from its tree's
    """
    full, rest = divmod(entries, _TREE)
    whole = sum(_nodes(_TREE, fanout, tree * absolute) for tree in range(full))
    # Swap fills the last one somewhere, so it is taken to have all its levels.
    return whole + _nodes(rest, fanout, full * absolute, room=_TREE)


def spread_nodes(
    entries: int, slots: int, columns: int, fanout: int = 64, *, absolute: bool = False
) -> int:
    """Nodes where the clusters of all trees are taken in turn, so that CPUs meet in no tree.

    In Linux 6.1 and 6.12 mm/swapfile.c:setup_clusters puts the first cluster of each tree on the
    free list, then the second of each, and so on (it begins with a random one of the ``columns``;
    here with the first).  So a nearly empty area has more nodes for its pages than a full one.
    """
    trees = max(math.ceil(_clusters(slots) / columns), 1)
    used, rest = divmod(entries, CLUSTER)
    column, begun = divmod(used, trees)
    total = 0
    for tree in range(trees):
        pages = CLUSTER * (column + (tree < begun)) + (rest if tree == begun else 0)
        total += _nodes(pages, fanout, tree * absolute)
    return total


def _nodes(pages: int, fanout: int, tree: int, *, room: int = 0) -> int:
    """Of the tree of that number, with so many pages in it: from its leaves to its root.

    It is as tall as ``room`` indices need, if those are more than the pages.
    """
    if pages == 0:
        return 0
    first, last, total = tree * _TREE, tree * _TREE + pages - 1, 0
    most = tree * _TREE + max(room, pages) - 1
    while most:
        first, last, most = first // fanout, last // fanout, most // fanout
        total += last - first + 1
    return max(total, 1)


def _clusters(slots: int) -> int:
    return math.ceil((slots + 1) / CLUSTER)


def _pages_and_pointers(term: Term, slots: int) -> float:
    pages = math.ceil(term.per_slot * (slots + 1) / _PAGE)
    return pages * _PAGE + vmalloc(pages * 8)


def _longs(size: float) -> float:
    """Whole 8-byte words, as bitmaps have them."""
    return 8 * math.ceil(size / 8)


def _used_clusters(term: Term, slots: int, touched: int) -> float:
    used = math.ceil((touched + term.header) / CLUSTER)
    return min(used, _clusters(slots)) * kvmalloc(term.object)


def _virtual_clusters(term: Term, touched: int) -> int:
    """No swap area bounds them."""
    return math.ceil((touched + term.header) / CLUSTER) if touched else 0


def _tree(term: Term, slots: int, touched: int) -> float:
    if term.columns > 1:
        nodes = spread_nodes(touched, slots, term.columns, term.fanout, absolute=term.absolute)
    else:
        nodes = tree_nodes(touched, term.fanout, absolute=term.absolute)
    return nodes * term.object


_ROUNDED: Mapping[str, Callable[[Term, int, int, int], float]] = {
    # Slab objects: /proc/allocinfo counts each with the size of its class.
    "objects": lambda t, s, e, m: t.per_slot * s + t.per_entry * e,
    "vmalloc": lambda t, s, e, m: vmalloc(t.per_slot * (s + 1)),
    "kvmalloc": lambda t, s, e, m: kvmalloc(_longs(t.per_slot * (s + 1))),
    "pages": lambda t, s, e, m: _pages_and_pointers(t, s),
    "clusters": lambda t, s, e, m: kvmalloc(t.per_cluster * _clusters(s)),
    "used_clusters": lambda t, s, e, m: _used_clusters(t, s, m),
    "used_objects": lambda t, s, e, m: _virtual_clusters(t, m) * t.object,
    "used_areas": lambda t, s, e, m: _virtual_clusters(t, m) * vmalloc(t.object),
    "header": lambda t, s, e, m: t.header * kvmalloc(t.object),
    "tree": lambda t, s, e, m: _tree(t, s, m),
}


def names(folder: Path = MODELS) -> tuple[str, ...]:
    """The names of all models."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "sites"))


def load(name: str, folder: Path = MODELS) -> MetadataModel:
    """The model of a kernel version or series. UserError names file and key, or the models."""
    if name not in names(folder):
        known = ", ".join(names(folder)) or "none"
        raise UserError(f"there is no model {name} in {folder} (known: {known})")
    path = folder / f"{name}.yaml"
    model = yamlfile.load(path, MetadataModel, name=name)
    if model.like:
        model = _alike(model, path, folder)
    found = [one.name for one in model.structures]
    twice = sorted({one for one in found if found.count(one) > 1})
    if twice:
        raise UserError(f"{path}: structures has '{twice[0]}' more than once")
    return model


def _alike(model: MetadataModel, path: Path, folder: Path) -> MetadataModel:
    other = model
    if model.like in names(folder):
        other = yamlfile.load(folder / f"{model.like}.yaml", MetadataModel, name=model.like)
    if other.like:
        raise UserError(f"{path}: like names no model with terms of its own: '{model.like}'")
    own = {one.name for one in model.structures}
    kept = tuple(one for one in other.structures if one.name not in own)
    return replace(model, structures=model.structures + kept)
