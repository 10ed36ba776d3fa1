# SPDX-License-Identifier: GPL-2.0-only
"""Variables of a kernel by address."""

from __future__ import annotations

import re
from pathlib import Path

from harness.build import datasymbols

ROOT = Path(__file__).resolve().parents[3]
MAP = """\
0000000000000000 D __per_cpu_start
0000000000000000 D fixed_percpu_data
0000000000000040 d counters
0000000000001000 D __per_cpu_end
ffffffff81000000 T _text
ffffffff81000200 t function
ffffffff81a00000 D _sdata
ffffffff81a00000 D zeta
ffffffff81a00008 b beta
ffffffff81a00100 B slab_caches
ffffffff81a00200 B _end
"""


def test_a_variable_is_found_by_what_is_in_it() -> None:
    wanted = [0x44, 0xFFFF_FFFF_81A0_0007, 0xFFFF_FFFF_81A0_0108]
    assert datasymbols.find(MAP, wanted) == {
        0x40: "counters",
        0xFFFF_FFFF_81A0_0000: "zeta",
        0xFFFF_FFFF_81A0_0100: "slab_caches",
    }


def test_bounds_of_sections_give_way_to_variables() -> None:
    assert datasymbols.symbols(MAP)[0] == "fixed_percpu_data"


def test_the_plugin_gets_data_in_order_and_what_it_asks_for() -> None:
    rows = datasymbols.lines(MAP).splitlines()
    assert [row for row in rows if row.startswith("symbol")] == [
        "symbol __per_cpu_start 0000000000000000",
        "symbol __per_cpu_end 0000000000001000",
        "symbol _text ffffffff81000000",
        "symbol slab_caches ffffffff81a00100",
        "symbol _end ffffffff81a00200",
    ]
    data = [int(row.split()[1], 16) for row in rows if row.startswith("data")]
    assert data == sorted(set(data)) and 0xFFFF_FFFF_8100_0200 not in data


def test_both_sides_ask_for_the_same_symbols() -> None:
    text = (ROOT / "vm-images/plugins/kerneldata.c").read_text(encoding="utf-8")
    names = text.partition("symbol_names[] = {")[2].partition("};")[0]
    asked = set(re.findall(r'"(\w+)"', names))
    every = "".join(f"{number + 4096:016x} D {name}\n" for number, name in enumerate(asked))
    found = re.findall(r"^symbol (\w+) ", datasymbols.lines(every), re.MULTILINE)
    assert set(found) == asked
