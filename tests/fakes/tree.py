# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree of four source files, whose Makefile takes the orders that the harness gives.

It is configured from KCONFIG_ALLCONFIG with dependencies and defaults, compiles real C with the
compiler it is told, and leaves in ``O=`` what a kernel build leaves there.
"""

from __future__ import annotations

from pathlib import Path

KCONFIG = """\
mainmenu "Toy"
config BLOCK
	bool "Block"
config SWAP
	bool "Swap"
	depends on BLOCK
config MMU
	bool
	default y
"""

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 3
EXTRAVERSION =

objects := $(addprefix $(O)/,init/main.o mm/swap.o mm/page.o)
image := $(O)/arch/x86/boot/bzImage

allnoconfig:
	@awk -f scripts/conf.awk Kconfig $(KCONFIG_ALLCONFIG) >$(O)/.config
olddefconfig:
	@test -s $(O)/.config
bzImage: $(image)

$(O)/%.o: %.c include/swap.h
	@mkdir -p $(@D)
	@echo '  CC      $*.o'
	@$(CC) -Iinclude -c -o $@ $(CURDIR)/$<
$(O)/vmlinux: $(objects) $(O)/.config Makefile
	@echo '  LD      vmlinux'
	@$(LD) -r -o $@ $(objects)
	@nm $@ >$(O)/System.map
	@mkdir -p $(O)/include/config
	@echo 6.12.3-$(KBUILD_BUILD_USER) >$(O)/include/config/kernel.release
$(image): $(O)/vmlinux
	@mkdir -p $(@D)
	@(echo '$(KBUILD_BUILD_TIMESTAMP)'; cat $<) >$@
.PHONY: allnoconfig olddefconfig bzImage
"""

# Symbols of the Kconfig, then what is wanted of them; what a missing dependency forbids is off.
CONF = """\
FILENAME == "Kconfig" && $1 == "config" { name = $2; known[++n] = name }
FILENAME == "Kconfig" && $1 == "depends" { needs[name] = $3 }
FILENAME == "Kconfig" && $1 == "default" { value[name] = $2 }
FILENAME != "Kconfig" && /^CONFIG_/ { split(substr($0, 8), part, "="); value[part[1]] = part[2] }
END {
	for (i = 1; i <= n; i++) {
		name = known[i]
		if (value[name] == "" || (needs[name] != "" && value[needs[name]] != "y"))
			print "# CONFIG_" name " is not set"
		else
			print "CONFIG_" name "=" value[name]
	}
}
"""

# Answers for each line as the kernel's script does, without looking into any vmlinux.
DECODE = """\
while read -r word; do echo "${word%%+*} (mm/swap.c:4)"; done
"""

FILES = {
    "Makefile": MAKEFILE,
    "Kconfig": KCONFIG,
    "scripts/conf.awk": CONF,
    "scripts/decode_stacktrace.sh": DECODE,
    "include/swap.h": "int swap_in(int page);\n",
    "init/main.c": '#include "swap.h"\nint start(void)\n{\n\treturn swap_in(1);\n}\n',
    "mm/swap.c": '#include "swap.h"\nint swap_in(int page)\n{\n\treturn page + 1;\n}\n',
    "mm/page.c": "int page_of(int address)\n{\n\treturn address >> 12;\n}\n",
}


def write(folder: Path, changes: dict[str, str] | None = None) -> Path:
    """The tree in ``folder``, with some files other than they are."""
    for name, text in (FILES | (changes or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder
