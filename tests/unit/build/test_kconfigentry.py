# SPDX-License-Identifier: GPL-2.0-only
"""Where the entries of a Kconfig file begin and end."""

from __future__ import annotations

from harness.build import kconfigentry
from harness.build.kconfigentry import KconfigEntry

TEXT = """\
mainmenu "Toy"

config PLAIN
    bool "Plain"
    default y if X86 ||
        if NEVER
    depends on SWAP
    help
      config NOT_ONE
      if you have one,
      endif of a sentence
source "mm/Kconfig"

if BLOCK
menu "More"
menuconfig INNER
    tristate

if SWAP
config BOTH
    help
    As far in as the word above.
    config NOR_THIS
endif

comment "no entry"
    depends on NOTHING
config AFTER
    int
endmenu
endif
config LAST
""".replace("    ", "\t")


def test_an_entry_has_its_lines_and_the_conditions_around_it() -> None:
    found = list(kconfigentry.entries(TEXT))
    assert [(one.name, one.line, one.blocks) for one in found] == [
        ("PLAIN", 3, ()),
        ("INNER", 16, ("BLOCK",)),
        ("BOTH", 20, ("BLOCK", "SWAP")),
        ("AFTER", 28, ("BLOCK",)),
        ("LAST", 32, ()),
    ]
    assert found[0].body[-1] == "\tdepends on SWAP" and "\t\tif NEVER" in found[0].body
    assert not any("NOT" in line for one in found for line in one.body)
    assert found[-1] == KconfigEntry("LAST", 32, (), ())


def test_what_is_no_kconfig_has_no_entries() -> None:
    assert list(kconfigentry.entries("")) == []
    assert list(kconfigentry.entries("endif\nendif\nhelp\n\tconfig X\n")) == []
