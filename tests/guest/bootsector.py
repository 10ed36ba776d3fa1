# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is one boot sector, run by the QEMU that is here under one of the plugins.

The code is in 64-bit mode where a kernel's is: the first 2 MiB of memory are mapped from
`IMAGE`, too.  The accelerator check's boot sector gets it there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.experiment.arch import HERE
from harness.vm import accel, instrument, qemu

ROOT = Path(__file__).resolve().parents[2]
IMAGE = 0xFFFF_FFFF_8000_0000
CLEAR, BEGIN, END, PUT = range(4)
_LOOP = "\tmovl\t$LOOPS, %ecx\n1:\tmovl\t%ecx, 0x4000\n\tdecl\t%ecx\n\tjnz\t1b\n"
_MAPPED = "\tmovw\t$0x0083, 0x3000"
# 0x0ff8 and 0x0ff0: the last entry but none, and the last but one, of the same tables.
_HIGH = f"\tmovw\t$0x2003, 0x1ff8\n\tmovw\t$0x3003, 0x2ff0\n{_MAPPED}"
_JUMP = """\
	movl	$0x7000, %esp
	movq	$high, %rax
	orq	$-0x80000000, %rax
	jmp	*%rax
high:
"""
_END = "\tjmp\tdone\n{functions}done:\n"


def built(out: Path, plugin: str) -> Path:
    """``out``, with that plugin in it for both versions of QEMU's interface."""
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}"]
    argv += [f"{out}/plugins/{plugin}-{api}.so" for api in (1, 4)]
    subprocess.run(argv, check=True, capture_output=True)
    return out


def mark(operation: int, channel: int = 0) -> str:
    """The workloads' instruction for it, as a line of assembly."""
    return f"\t.byte 0x0f, 0x1f, 0x80\n\t.long 0x{0x53570000 + operation * 4 + channel:x}\n"


def marked(code: str) -> str:
    """The code as one stretch of channel 0, which is written out."""
    return mark(CLEAR) + mark(BEGIN) + code + mark(END) + mark(PUT)


def assemble(folder: Path, code: str, functions: str = "") -> tuple[Path, Mapping[str, int]]:
    """The disk, and where each symbol is.  ``functions`` is code that is only called."""
    text = (ROOT / "vm-images/accel-check/accel-check.S").read_text(encoding="ascii")
    assert _LOOP in text and _MAPPED in text
    text = text.replace(_MAPPED, _HIGH)
    text = text.replace(_LOOP, _JUMP + code + _END.format(functions=functions))
    source, made, image = (folder / f"sector.{kind}" for kind in ("S", "o", "img"))
    source.write_text(text, encoding="ascii")
    subprocess.run([*HERE.assemble, "-o", made, source], check=True)
    subprocess.run([*HERE.link, "-o", image, made], check=True)
    assert image.stat().st_size == 512
    done = subprocess.run(["nm", made], check=True, capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return image, {name: IMAGE + 0x7C00 + int(place, 16) for place, _, name in rows}


def run(
    built: Path, folder: Path, image: Path, name: str, options: Mapping[str, Path]
) -> list[list[str]]:
    """What a plugin writes, as words by line.  ``built`` is the folder of built tools."""
    api = instrument.interface(accel.qemu_version())
    assert api is not None
    out = folder / "out"
    words = [f"file={instrument.plugin(built, name, api)}", f"out={out}"]
    words += [f"{key}={value}" for key, value in options.items()]
    argv = [
        HERE.qemu, *HERE.check_machine, "-accel", "tcg", "-cpu", HERE.cpus["tcg"], "-m", "64",
        "-icount", qemu.ICOUNT, "-plugin", ",".join(words),
        "-nodefaults", "-no-user-config", "-display", "none",
        "-drive", f"file={image},format=raw,if=ide,snapshot=on",
    ]  # fmt: skip
    done = subprocess.run(argv, check=False, capture_output=True, timeout=120)
    assert done.returncode == HERE.check_passed, done.stderr
    return [line.split() for line in out.read_text(encoding="ascii").splitlines()]
