# SPDX-License-Identifier: GPL-2.0-only
"""The output of the locks plugin: holds, changes and ceilings."""

from __future__ import annotations

import pytest

from harness.costs import locks
from harness.costs.locks import Hold, Inside, NamedChange, SiteChange

TEXT = """\
put 7 0
executed 9000
percpu ffff888020000000
site ffffffff81000010 spin 10 600 90 1
site ffffffff81000020 spin 5 300 80 1
site ffffffff81000100 read 10 5000 700 3
site 0 mutex 1 10 10 1
object ffff888030000000 ffffffff81000100 read 10 5000 700
object ffff888020000040 ffffffff81000010 spin 10 700 90
object ffff888040000000 ffffffff81000010 spin 1 500 90
object ffff888040000000 ffffffff81000020 spin 5 100 80
object ffff888040000000 ffffffff81000020 read 1 900 900
lost 2
unmatched 1
end
"""
PER_CPU = (0, 0x1000)


def function(address: int) -> str:
    return "early" if address < 0xFFFF_FFFF_8100_0100 else "late"


def test_the_lock_that_all_share_sets_the_ceiling() -> None:
    counts = locks.parse(TEXT)[7]
    # Readers share, and a per-CPU lock is one CPU's.
    ceiling = counts.ceiling(PER_CPU)
    assert ceiling is not None
    assert (ceiling.lock.address, ceiling.held, ceiling.cpus) == (0xFFFF_8880_4000_0000, 600, 15)
    assert (counts.lost, counts.unmatched) == (2, 1)
    # Where nothing is known of per-CPU memory, it cannot be told.
    unknown = counts.ceiling()
    assert unknown is not None and unknown.held == 700


def test_what_a_lock_is_in_tells_whether_it_is_one_cpu_s() -> None:
    def ceiling(data: str, *, base: int = 0xFFFF_8880_4000_0000, private: str = "") -> int | None:
        line = f"in {base:x} {data} 8\nobject {base:x}"
        counts = locks.parse(TEXT.replace(f"object {base:x}", line, 1))[7]
        found = counts.ceiling(PER_CPU, {private})
        return found.held if found else None

    assert ceiling("slab:kmalloc-1k") == 600
    assert ceiling("percpu-more") is None and ceiling("percpu:40") is None
    assert ceiling("vmalloc:1234") == 600
    assert ceiling("vmalloc:1234", private="vmalloc:1234") is None
    # By its address it would be per-CPU data, and it is not.
    near = 0xFFFF_8880_2000_0040
    assert ceiling("slab:kmalloc-1k", base=near) == 700 and ceiling("unknown", base=near) == 600


def test_readers_alone_set_none() -> None:
    text = "put 1 0\nexecuted 10\nobject 40 1 read 1 9 9\nlost 0\nunmatched 0\nend\n"
    assert locks.parse(text)[1].ceiling(PER_CPU) is None


def test_dynamic_per_cpu_memory_follows_the_static() -> None:
    counts = locks.parse(TEXT)[7]
    base = 0xFFFF_8880_2000_0000
    assert [counts.is_per_cpu(base + at, PER_CPU) for at in (-1, 0, 0x1000, 0x8FFF, 0x9000)] == [
        False, True, True, True, False,
    ]  # fmt: skip
    # Since 6.15 per-CPU symbols lie in the image, and what is added to them wraps.
    moved = locks.parse(TEXT.replace("ffff888020000000", "ffff88809e000000"))[7]
    assert moved.is_per_cpu(base, (0xFFFF_FFFF_8200_0000, 0xFFFF_FFFF_8202_0000))


def test_functions_by_what_changed_most() -> None:
    base = locks.parse(TEXT)[7]
    more = TEXT.replace("ffffffff81000020 spin 5 300", "ffffffff81000020 spin 5 5300")
    patch = locks.parse(more.replace("site 0 mutex 1 10 10 1\n", ""))[7]
    found = locks.changes(base, patch, (10, 20), (function, function))
    assert found == [
        SiteChange("late", "read", (1, 0.5), (500, 250), (700, 700), (3, 3)),
        SiteChange("early", "spin", (1.5, 0.75), (90, 295), (90, 90), (1, 1)),
        SiteChange("(unknown)", "mutex", (0.1, 0), (1, 0), (10, 0), (1, 0)),
    ]


NAMED = """\
named slab:kmalloc-1k 250 ffffffff81000010 spin 10 600 90 2
sequence slab:mm_struct d0 ffffffff81000020 seqcount 4 40 12 1
sequence image:ffffffff81a00000 0 ffffffff81000100 seqcount 900 90000 100 1
in ffff888040000000 slab:kmalloc-1k 250
site 0 mutex"""


def test_only_increments_that_begin_a_section_are_told() -> None:
    both = locks.parse(TEXT.replace("site 0 mutex", NAMED))[7]
    assert len(both.named) == 3 and len(both.sites) == 4
    told = locks.only_sections(both, {0xFFFF_FFFF_8100_0020})
    assert [(row.inside, row.hold.kind) for row in told.named] == [
        (Inside("slab:kmalloc-1k", 0x250), "spin"),
        (Inside("slab:mm_struct", 0xD0), "seqcount"),
    ]
    assert told.sites[:4] == both.sites
    assert told.sites[4] == locks.Site(0xFFFF_FFFF_8100_0020, Hold("seqcount", 4, 40, 12), 1)
    assert locks.only_sections(both, ()).sites == both.sites
    assert both.inside == {0xFFFF_8880_4000_0000: Inside("slab:kmalloc-1k", 0x250)}


def test_locks_of_one_name_are_one() -> None:
    one = locks.parse(TEXT.replace("site 0 mutex", NAMED))[7]
    twice = locks.merged([one, one])
    assert (twice.named[0].hold, twice.named[0].objects) == (Hold("spin", 20, 1200, 90), 2)
    old = locks.parse(TEXT)[7]
    found = locks.by_name(
        [old, twice], (10, 20), (function, function), (lambda inside: inside.data,) * 2
    )
    assert found[1] == NamedChange("slab:kmalloc-1k", ("early",), (0, 1), (0, 60), (0, 90), (0, 2))


def test_rounds_are_summed() -> None:
    one = locks.parse(TEXT)[7]
    both = locks.merged([one, one])
    assert (both.executed, both.lost, both.offset) == (18000, 2, one.offset)
    found = {site.address: site for site in both.sites}[0xFFFF_FFFF_8100_0010]
    assert (found.hold, found.objects) == (locks.Hold("spin", 20, 1200, 90), 1)
    first, again = one.ceiling(PER_CPU), both.ceiling(PER_CPU)
    assert first and again and (again.held, again.cpus) == (2 * first.held, first.cpus)


@pytest.mark.parametrize(
    "line",
    ["site 10 spin 1 2", "site 10 lease 1 2 3 4", "object 1 2 spin 3 4", "lost", "percpu q"],
)
def test_what_is_no_output_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="of a plugin's output"):
        locks.parse(f"put 1 0\nexecuted 10\n{line}\nlost 0\nunmatched 0\nend\n")
