# SPDX-License-Identifier: GPL-2.0-only
"""/proc/slabinfo, version 2.1: one slab cache a line.

Blind to large kmalloc blocks, bare pages and vmalloc'ed arrays: see allocinfo and vmallocinfo.
"""

from __future__ import annotations

from harness.results.probes.record import Line, Record, Records, lines

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


def parse(text: str, path: str = "") -> Records:
    """Records keyed by cache name.

    A cache's memory in bytes is num_slabs * pagesperslab * page size.
    """
    for line in lines(NAME, text):
        if line.text.startswith("slabinfo - version:"):
            if line.text.split()[-1] not in ("2.0", "2.1"):
                raise line.malformed()
        elif not line.text.startswith("#"):
            yield from _cache(line)


def _cache(line: Line) -> Records:
    main, *sections = line.text.split(" : ")
    # From the right: a cache name may contain spaces.
    words = main.rsplit(maxsplit=len(_MAIN))
    if len(words) != len(_MAIN) + 1:
        raise line.malformed()
    key = words[0].strip()
    yield from line.columns(key, " ".join(words[1:]), _MAIN)
    for section in sections:
        title, _, rest = section.strip().partition(" ")
        if title in _SECTIONS:
            yield from line.columns(key, rest, _SECTIONS[title])
        else:
            for one in line.columns(key, rest):
                yield Record(NAME, key, f"{title}.{one.field}", one.value, "")
