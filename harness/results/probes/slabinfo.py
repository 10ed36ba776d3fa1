# SPDX-License-Identifier: GPL-2.0-only
"""/proc/slabinfo, version 2.1: one slab cache a line.

Blind to large kmalloc blocks, bare pages and vmalloc'ed arrays: see allocinfo and vmallocinfo.
"""

from __future__ import annotations

from harness.results.probes.record import Record, columns, lines, malformed

NAME = "slabinfo"

_MAIN = (
    ("active_objs", "count"),
    ("num_objs", "count"),
    ("objsize", "B"),
    ("objperslab", "count"),
    ("pagesperslab", "pages"),
)
_SECTIONS = {
    "tunables": (("limit", "count"), ("batchcount", "count"), ("sharedfactor", "count")),
    "slabdata": (("active_slabs", "count"), ("num_slabs", "count"), ("sharedavail", "count")),
}


def parse(text: str, path: str = "") -> tuple[Record, ...]:
    """Records keyed by cache name.

    A cache's memory in bytes is num_slabs * pagesperslab * page size.
    """
    records: list[Record] = []
    for number, line in lines(text):
        if line.startswith("slabinfo - version:"):
            if line.split()[-1] not in ("2.0", "2.1"):
                raise malformed(NAME, number, line)
        elif not line.startswith("#"):
            records += _cache(number, line)
    return tuple(records)


def _cache(number: int, line: str) -> list[Record]:
    main, *sections = line.split(" : ")
    # From the right: a cache name may contain spaces.
    words = main.rsplit(maxsplit=len(_MAIN))
    if len(words) != len(_MAIN) + 1:
        raise malformed(NAME, number, line)
    key = words[0].strip()
    records = [*columns(NAME, key, (number, " ".join(words[1:])), _MAIN)]
    for section in sections:
        title, _, rest = section.strip().partition(" ")
        if title in _SECTIONS:
            records += columns(NAME, key, (number, rest), _SECTIONS[title])
        else:
            unknown = columns(NAME, key, (number, rest), ())
            records += [Record(NAME, key, f"{title}.{r.field}", r.value, "") for r in unknown]
    return records
