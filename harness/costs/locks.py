# SPDX-License-Identifier: GPL-2.0-only
"""What the locks plugin wrote: which locks are taken where, how often, and for how long.

`vm-images/plugins/locks.c` says what its lines are and what it does not see.  A hold is counted in
instructions, without those of interrupts.  Counts are kept for each sum that the workload asked
for, by the number of its line.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.costs.caches import sums

SEQCOUNT = "seqcount"
"""A write section; the plugin's are increments that may be of anything, see `only_sections`."""
KINDS = ("spin", "read", "write", "mutex", "rwsem-read", "rwsem-write", SEQCOUNT)
SHARED = frozenset({"read", "rwsem-read"})
"""Readers hold a lock together: that sets no limit to them."""

_FIRST_CHUNK = 32 << 10
"""Bytes of dynamic per-CPU memory that follow the static one in its first chunk."""


@dataclass(frozen=True, slots=True)
class Hold:
    """acquired: how often; held, longest: instructions, of all and of one."""

    kind: str
    acquired: int
    held: int
    longest: int


@dataclass(frozen=True, slots=True)
class Site:
    """A place that takes locks: the address of the call, 0 if it is not known."""

    address: int
    hold: Hold
    objects: int


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock, by its address, and its holds by the places that take it."""

    address: int
    holds: Mapping[int, tuple[Hold, ...]]

    @property
    def exclusive(self) -> int:
        """Instructions for which nobody else can have it."""
        return sum(
            hold.held for holds in self.holds.values() for hold in holds if hold.kind not in SHARED
        )


@dataclass(frozen=True, slots=True)
class Inside:
    """What a lock is a part of: the data structure by kerneldata.c's word, and where in it."""

    data: str
    offset: int


@dataclass(frozen=True, slots=True)
class NamedHold:
    """The holds of one place, of all locks that are the same part of such data structures."""

    inside: Inside
    site: int
    hold: Hold
    objects: int


@dataclass(frozen=True, slots=True)
class LockCounts:
    """One sum.  executed: instructions; locks: those that were held longest.

    named: all holds by what the locks are in, ``inside``: the same of ``locks``; neither is there
    in results of before it was told
    offset is what is added to the address of a per-CPU symbol, None if it is not known.  lost and
    unmatched count, since the guest began, what the plugin saw one end of only.
    """

    executed: int
    sites: tuple[Site, ...]
    locks: tuple[Lock, ...]
    lost: int
    unmatched: int
    offset: int | None = None
    named: tuple[NamedHold, ...] = ()
    inside: Mapping[int, Inside] = field(default_factory=dict)

    def is_per_cpu(self, address: int, bounds: tuple[int, int] | None) -> bool:
        """Whether a lock is one CPU's; ``bounds`` of `harness.build.lockfunctions.per_cpu`."""
        if self.offset is None or bounds is None:
            return False
        place = (address - self.offset) % (1 << 64)
        return bounds[0] <= place < bounds[1] + _FIRST_CHUNK

    def _is_private(
        self, address: int, bounds: tuple[int, int] | None, private: Container[str]
    ) -> bool:
        inside = self.inside.get(address)
        if inside is None or inside.data == "unknown":
            return self.is_per_cpu(address, bounds)
        return inside.data.startswith("percpu") or inside.data in private

    def ceiling(
        self, bounds: tuple[int, int] | None = None, private: Container[str] = ()
    ) -> Ceiling | None:
        """The lock that all CPUs would share and that is held longest; None without any.

        private: kerneldata.c's words for what each CPU has of its own, beside those of per-CPU data
        """
        shared = [
            lock
            for lock in self.locks
            if lock.exclusive and not self._is_private(lock.address, bounds, private)
        ]
        if not shared:
            return None
        longest = max(shared, key=lambda lock: (lock.exclusive, -lock.address))
        return Ceiling(longest, longest.exclusive, self.executed)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The limit that one lock sets where all CPUs do the same and use that lock."""

    lock: Lock
    held: int
    executed: int

    @property
    def cpus(self) -> float:
        """CPUs at which the lock is held all the time."""
        return self.executed / self.held


@dataclass(frozen=True, slots=True)
class SiteChange:
    """Base against patch, of all places in one function that take one kind of lock.

    acquired, held: for each operation; longest: instructions of one hold
    objects: distinct locks of the place that has most
    """

    function: str
    kind: str
    acquired: tuple[float, float]
    held: tuple[float, float]
    longest: tuple[int, int] = (0, 0)
    objects: tuple[int, int] = (0, 0)

    @property
    def change(self) -> float:
        """Instructions an operation."""
        return self.held[1] - self.held[0]


def parse(text: str) -> Mapping[int, LockCounts]:
    """Sums by line number; one that the guest's death cut off is left out.

    Raises ValueError for what is no such output.
    """
    return sums(text, _counts)


def merged(counts: Sequence[LockCounts]) -> LockCounts:
    """The sum of several, such as those of a metric's rounds; at least one."""
    sites: dict[tuple[int, str], Site] = {}
    locks: dict[int, dict[tuple[int, str], Hold]] = {}
    named: dict[tuple[Inside, int, str], NamedHold] = {}
    for one in counts:
        for row in one.named:
            where = row.inside, row.site, row.hold.kind
            before = named.get(where)
            named[where] = NamedHold(
                row.inside,
                row.site,
                _both(before.hold if before else None, row.hold),
                max(row.objects, before.objects if before else 0),
            )
        for site in one.sites:
            key = site.address, site.hold.kind
            old = sites.get(key)
            objects = max(site.objects, old.objects if old else 0)
            sites[key] = Site(site.address, _both(old.hold if old else None, site.hold), objects)
        for lock in one.locks:
            mine = locks.setdefault(lock.address, {})
            for address, holds in lock.holds.items():
                for hold in holds:
                    mine[address, hold.kind] = _both(mine.get((address, hold.kind)), hold)
    return LockCounts(
        sum(one.executed for one in counts),
        tuple(sites.values()),
        tuple(Lock(address, _by_site(holds)) for address, holds in locks.items()),
        max(one.lost for one in counts),
        max(one.unmatched for one in counts),
        next((one.offset for one in counts if one.offset is not None), None),
        tuple(named.values()),
        {place: inside for one in counts for place, inside in one.inside.items()},
    )


def only_sections(counts: LockCounts, begins: Container[int]) -> LockCounts:
    """With those write sections of seqcounts that begin at one of these instructions."""
    kept = [row for row in counts.named if row.hold.kind != SEQCOUNT or row.site in begins]
    sites = [Site(row.site, row.hold, row.objects) for row in kept if row.hold.kind == SEQCOUNT]
    return replace(counts, named=tuple(kept), sites=(*counts.sites, *sites))


def _both(old: Hold | None, new: Hold) -> Hold:
    if old is None:
        return new
    return Hold(
        new.kind, old.acquired + new.acquired, old.held + new.held, max(old.longest, new.longest)
    )


def _by_site(holds: Mapping[tuple[int, str], Hold]) -> Mapping[int, tuple[Hold, ...]]:
    found: dict[int, tuple[Hold, ...]] = {}
    for (site, _), hold in holds.items():
        found[site] = (*found.get(site, ()), hold)
    return found


def changes(
    base: LockCounts,
    patch: LockCounts,
    per: tuple[float, float],
    function: tuple[Callable[[int], str], Callable[[int], str]],
) -> Sequence[SiteChange]:
    """All functions that take locks, those first whose holds change most.

    ``per``: operations of base and patch; ``function``: the name that an address has in each.
    """
    sides = [
        _by_function(counts, count, name)
        for counts, count, name in zip((base, patch), per, function, strict=True)
    ]
    none = (0.0, 0.0, 0, 0)
    made = []
    for key in {**sides[0], **sides[1]}:
        old, new = (side.get(key, none) for side in sides)
        made.append(
            SiteChange(*key, (old[0], new[0]), (old[1], new[1]), (old[2], new[2]), (old[3], new[3]))
        )
    return sorted(made, key=lambda one: (-abs(one.change), one.function, one.kind))


@dataclass(frozen=True, slots=True)
class NamedChange:
    """Base against patch, of all locks of one name.

    takers: functions that take them; acquired, held: for each operation; longest: instructions of
    one hold; objects: distinct locks, of the place that has most
    """

    name: str
    takers: tuple[str, ...]
    acquired: tuple[float, float]
    held: tuple[float, float]
    longest: tuple[int, int]
    objects: tuple[int, int]


def by_name(
    counts: Sequence[LockCounts],
    per: tuple[float, float],
    function: Sequence[Callable[[int], str]],
    name: Sequence[Callable[[Inside], str]],
) -> Sequence[NamedChange]:
    """All names of locks of base and patch, those held longest first."""
    sides: list[dict[str, list[NamedHold]]] = []
    takers: dict[str, set[str]] = {}
    for mine, called, named in zip(counts, function, name, strict=True):
        found: dict[str, list[NamedHold]] = {}
        for row in mine.named:
            title = named(row.inside)
            found.setdefault(title, []).append(row)
            takers.setdefault(title, set()).add(called(row.site) if row.site else "(unknown)")
        sides.append(found)
    made = []
    for title, functions in takers.items():
        old, new = (side.get(title, []) for side in sides)
        made.append(
            NamedChange(
                title,
                tuple(sorted(functions)),
                (_sum(old, "acquired") / per[0], _sum(new, "acquired") / per[1]),
                (_sum(old, "held") / per[0], _sum(new, "held") / per[1]),
                (_most(old), _most(new)),
                (
                    max((one.objects for one in old), default=0),
                    max((one.objects for one in new), default=0),
                ),
            )
        )
    return sorted(made, key=lambda one: (-max(one.held), one.name))


def _sum(rows: Sequence[NamedHold], what: str) -> int:
    return sum(getattr(one.hold, what) for one in rows)


def _most(rows: Sequence[NamedHold]) -> int:
    return max((one.hold.longest for one in rows), default=0)


def _by_function(
    counts: LockCounts, per: float, name: Callable[[int], str]
) -> Mapping[tuple[str, str], tuple[float, float, int, int]]:
    """Acquired and held for each operation, longest hold, most objects: by function and kind."""
    found: dict[tuple[str, str], tuple[float, float, int, int]] = {}
    for site in counts.sites:
        key = name(site.address) if site.address else "(unknown)", site.hold.kind
        acquired, held, longest, objects = found.get(key, (0.0, 0.0, 0, 0))
        found[key] = (
            acquired + site.hold.acquired / per,
            held + site.hold.held / per,
            max(longest, site.hold.longest),
            max(objects, site.objects),
        )
    return found


def _counts(block: list[list[str]]) -> LockCounts:
    heads: dict[str, int] = {}
    sites: list[Site] = []
    locks: dict[int, dict[int, tuple[Hold, ...]]] = {}
    named: list[NamedHold] = []
    inside: dict[int, Inside] = {}
    offset = None
    for words in block:
        if words[0] == "site":
            sites.append(Site(int(words[1], 16), _hold(words[2:6]), int(words[6])))
        elif words[0] == "object":
            holds = locks.setdefault(int(words[1], 16), {})
            site = int(words[2], 16)
            holds[site] = (*holds.get(site, ()), _hold(words[3:7]))
        elif words[0] in {"named", "sequence"}:
            hold = _hold(words[4:8])
            named.append(NamedHold(_inside(words[1:3]), int(words[3], 16), hold, int(words[8])))
        elif words[0] == "in":
            inside[int(words[1], 16)] = _inside(words[2:4])
        elif words[0] == "percpu":
            offset = int(words[1], 16)
        else:
            heads[words[0]] = int(words[1])
    try:
        return LockCounts(
            heads["executed"],
            tuple(sites),
            tuple(Lock(address, holds) for address, holds in locks.items()),
            heads["lost"],
            heads["unmatched"],
            offset,
            tuple(named),
            inside,
        )
    except KeyError as error:
        raise ValueError(f"a sum has no line {error}") from error


def _inside(words: list[str]) -> Inside:
    data, offset = words
    return Inside(data, int(offset, 16))


def _hold(words: list[str]) -> Hold:
    if len(words) != 4 or words[0] not in KINDS:
        raise ValueError(f"'{' '.join(words)[:60]}' is no hold of a lock")
    return Hold(words[0], *map(int, words[1:]))
