# SPDX-License-Identifier: GPL-2.0-only
"""What allocation profiling keeps of slab objects, where /proc/allocinfo does not count it.

With profiling on, each slab has a vector with a record for each of its objects, a kmalloc object
itself. 6.12 counts vectors at their site. v6.19 allocates them with __GFP_NO_OBJ_EXT, and then
slab_post_alloc_hook() leaves them out: the site stays at zero bytes. What they take follows from
/proc/slabinfo: 28 bytes for a zswap_entry (73 a slab: 1168 bytes, from kmalloc-2k), 16 for a
handle of zsmalloc. A kernel without profiling has none of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from harness.studies.overhead.model import kmalloc

SITE = ("mm/slub.c", "alloc_slab_obj_exts")
_RECORD = 16
"""sizeof(struct slabobj_ext): of the memcg and of the allocation site, a pointer each."""
_NONE = ("kmem_cache", "kmem_cache_node")  # SLAB_NO_OBJ_EXT

Slabs = Mapping[tuple[str, str], float]
"""Numbers of /proc/slabinfo by (cache, field)."""


def untagged(sites: Mapping[tuple[str, str, int], int], slabs: Slabs) -> int:
    """Bytes of vectors that no site counts; 0 on a kernel that counts them, or has none.

    Slabs of kmalloc are left out: those that hold vectors have none, and the others hardly grow.
    No more are counted of a size than kmalloc has objects of it.
    """
    found = [count for (file, func, _), count in sites.items() if (file, func) == SITE]
    if not found or any(found):
        return 0
    wanted: dict[int, int] = defaultdict(int)
    for (name, field), count in slabs.items():
        if field == "num_slabs" and not name.startswith("kmalloc-") and name not in _NONE:
            wanted[kmalloc(_RECORD * slabs.get((name, "objperslab"), 0))] += int(count)
    there: dict[int, int] = defaultdict(int)
    for (name, field), count in slabs.items():
        if field == "active_objs" and name.startswith("kmalloc-"):
            there[int(slabs.get((name, "objsize"), 0))] += int(count)
    return sum(size * min(count, there[size]) for size, count in wanted.items())
