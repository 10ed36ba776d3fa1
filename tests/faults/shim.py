# SPDX-License-Identifier: GPL-2.0-only
"""Stands before QEMU: breaks the first guests as a plan says, then becomes QEMU.

Run as a program by a script of ``room``, with the plan's path before QEMU's own words; it is no
module of the harness and uses nothing but the standard library.  The plan is a JSON object:
    real: the QEMU to become          pids: a file that gets a line for each guest
    boots: how many guests to break   append: words for the kernel's command line
    options: words for QEMU           files: place on the tools disk -> file that goes there
    address_space: bytes that QEMU may map
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def changed(argv: list[str], plan: dict[str, Any], tools: Path) -> list[str]:
    """QEMU's words with the plan's changes; ``tools`` is where a changed tools disk goes."""
    words = list(argv)
    if plan.get("append"):
        words[words.index("-append") + 1] += f" {plan['append']}"
    if plan.get("files"):
        at = next(i for i, word in enumerate(words) if "id=tools,file=" in word)
        before, _, rest = words[at].partition("file=")
        # A comma in a path is doubled; the next option starts at a single one.
        path, _, options = rest.replace(",,", "\0").partition(",")
        shutil.copyfile(path.replace("\0", ","), tools)
        _replace(tools, plan["files"])
        words[at] = f"{before}file={str(tools).replace(',', ',,')},{options}"
    return [*words, *plan.get("options", [])]


def _replace(disk: Path, files: dict[str, str]) -> None:
    """Put files into an ext4 image, executable, root's; debugfs needs no mount and no root."""
    lines = []
    for place, source in files.items():
        lines += [f"rm {place}", f"write {source} {place}"]
        lines += [
            f"set_inode_field {place} {field}" for field in ("mode 0100755", "uid 0", "gid 0")
        ]
    argv = ["debugfs", "-w", "-f", "-", str(disk)]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path}
    text = "\n".join(lines) + "\n"
    subprocess.run(argv, input=text, text=True, capture_output=True, check=True, env=environment)


def main() -> None:
    """Become QEMU."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    words = sys.argv[2:]
    os.environ.pop("LD_PRELOAD", None)  # what bends the harness's clock must not bend QEMU's
    if "-append" in words:  # a guest, and no question of QEMU's version
        pids = Path(plan["pids"])
        count = len(pids.read_text(encoding="utf-8").split()) if pids.exists() else 0
        with pids.open("a", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()}\n")
        if count < plan.get("boots", 0):
            words = changed(words, plan, pids.with_name(f"tools-{os.getpid()}.img"))
            if plan.get("address_space"):
                resource.setrlimit(resource.RLIMIT_AS, (plan["address_space"],) * 2)
    os.execv(plan["real"], [Path(plan["real"]).name, *words])


if __name__ == "__main__":
    main()
