# SPDX-License-Identifier: GPL-2.0-only
"""The calibration series: what their data files promise is what the patches do.

Nothing is built here.  The instructions of the patches are executed by a small
interpreter, so that a wrong constant, or a changed loop, is found.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

SERIES = Path(__file__).parents[3] / "kernels" / "series"
NAMES = sorted(p.stem for p in SERIES.glob("calibration*.yaml"))
INSNS = "SWAP_CALIBRATION_INSNS"
ENTRY_BYTES = "SWAP_CALIBRATION_ENTRY_BYTES"
SLOT_BYTES = "SWAP_CALIBRATION_SLOT_BYTES"
SIGNED = "Signed-off-by: Swap Harness <harness@localhost>"
KNOWN_KEYS = {"metric", "direction", "amount", "unit", "tolerance", "clock", "constant", "derived"}
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk: its file, the line it starts at, git's function name, its lines."""

    file: str
    start: int
    counts: tuple[int, int]
    function: str
    lines: tuple[str, ...]

    def old(self) -> list[str]:
        return [line[1:] for line in self.lines if line[0] != "+"]


@dataclass(frozen=True, slots=True)
class Patch:
    path: Path
    text: str
    hunks: tuple[Hunk, ...]

    @property
    def subject(self) -> str:
        match = re.search(r"^Subject: \[PATCH[^]]*\] (.+)\n\n", self.text, re.M)
        assert match, f"{self.path}: no subject, or one folded over two lines"
        return match[1]

    def added(self, file: str = "") -> str:
        return "".join(
            line[1:] + "\n"
            for h in self.hunks
            if file in ("", h.file)
            for line in h.lines
            if line[0] == "+"
        )


def _hunks(diff: str) -> Iterator[Hunk]:
    """Split a diff by its own line counts; any line outside a hunk must be a diff header."""
    file = ""
    lines = iter(diff.splitlines())
    for line in lines:
        if line.startswith("+++ b/"):
            file = line.removeprefix("+++ b/")
        elif match := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@ ?(.*)", line):
            old, new = int(match[2] or 1), int(match[3] or 1)
            body: list[str] = []
            while sum(b[0] != "+" for b in body) < old or sum(b[0] != "-" for b in body) < new:
                body.append(next(lines))
            yield Hunk(file, int(match[1]), (old, new), match[4], tuple(body))
        else:
            assert re.match(r"diff --git |index |new file mode |--- ", line), f"junk: {line!r}"


def _load(path: Path) -> Patch:
    text = path.read_text(encoding="ascii")
    return Patch(path, text, tuple(_hunks(text[text.index("\ndiff --git ") + 1 :])))


@cache
def _spec(name: str) -> dict[str, Any]:
    spec = yaml.safe_load((SERIES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(spec, dict)
    return spec


@cache
def _patches(name: str, version: str) -> list[Patch]:
    folder = SERIES / str(_spec(name)["folder"]).format(major_minor=version)
    on_top = [SERIES / _spec(name)["on_top"]] if "on_top" in _spec(name) else []
    return [_load(path) for place in (folder, *on_top) for path in sorted(place.iterdir())]


FOLDERS = [(name, str(version)) for name in NAMES for version in _spec(name)["applies_to"]]
EVERY = [(name, version, p) for name, version in FOLDERS for p in _patches(name, version)]
each_folder = pytest.mark.parametrize(("name", "version"), FOLDERS)
each_patch = pytest.mark.parametrize(
    "patch", [p for _, _, p in EVERY], ids=[f"{n}-{v}-{p.path.name[:4]}" for n, v, p in EVERY]
)


def _constants(patches: list[Patch]) -> dict[str, int]:
    """Every weight that the patches define; LOOPS is derived and written as an expression."""
    added = "".join(p.added() for p in patches)
    pairs = re.findall(r"^#define (SWAP_CALIBRATION_\w+)\s+(\d+)$", added, re.M)
    return {name: int(value) for name, value in pairs}


def _assembly(header: str) -> list[str]:
    """The instructions of the one asm block, labels included, one a line."""
    block = re.search(r"asm volatile\((.*?)\n\t\t     :", header, re.S)
    assert block, "no asm volatile block"
    source = "".join(re.findall(r'"([^"]*)"', block[1]))
    return [line.strip() for line in re.sub(r"\\t", " ", source).split("\\n") if line.strip()]


def _executed(source: list[str], *, pages: int, count: int) -> int:
    """Run the block and count instructions.  Knows mov, nop, dec and jnz, and nothing else."""
    labels: dict[str, int] = {}
    program: list[str] = []
    for line in source:
        label, _, rest = line.rpartition(":")
        if label:
            labels[label] = len(program)
        program.append(rest.strip())
    registers = {"%[pages]": pages}
    zero, at, done = False, 0, 0
    while at < len(program):
        op, *operands = program[at].replace(",", " ").split()
        at, done = at + 1, done + 1
        assert done < 2_000_000, "the block does not end"
        if op == "movl":
            assert operands[0] == "%[count]"
            registers[operands[1]] = count
        elif op in ("decl", "decq"):
            registers[operands[0]] -= 1
            zero = registers[operands[0]] == 0
        elif op == "jnz":
            at = at if zero else labels[operands[0].removesuffix("b")]
        else:
            assert op == "nop", op
    return done


def _loops(header: str, insns: int) -> int:
    match = re.search(rf"_LOOPS\t\(\({INSNS} - (\d+)\) / (\d+)\)\n", header)
    assert match, "LOOPS is not derived from INSNS"
    assert (insns - int(match[1])) % int(match[2]) == 0
    return (insns - int(match[1])) // int(match[2])


def test_all_the_series_are_there() -> None:
    ways = {f"-{way}{amount}" for way in ("in", "out") for amount in (10, 100, 300, 1000, 3000)}
    others = {"", "-null", "-slot24", "-entry16", "-lock500", "-miss1", "-option"}
    assert set(NAMES) == {f"calibration{w}" for w in others | ways}
    folders = {p.relative_to(SERIES) for p in SERIES.glob("calibration*/*")}
    named = {_spec(name)["folder"].format(major_minor=version) for name, version in FOLDERS}
    named |= {_spec(name)["on_top"] for name in NAMES if "on_top" in _spec(name)}
    assert folders == {Path(one) for one in named}


@pytest.mark.parametrize("name", NAMES)
def test_data_file_is_well_formed(name: str) -> None:
    spec = _spec(name)
    assert set(spec) - {"on_top", "arms", "profiled"} == {
        "title",
        "description",
        "folder",
        "applies_to",
        "known",
    }
    own = re.sub(r"\d+$", "1000", name) if "on_top" in spec else name
    assert spec["folder"] == f"{own}/{{major_minor}}"
    assert all(re.fullmatch(r"\d+\.\d+", v) for v in spec["applies_to"])
    assert spec["known"]
    for known in spec["known"]:
        assert set(known) - {"site"} == KNOWN_KEYS
        assert known["direction"] == ("worse" if known["amount"] > 0 else "none")
        assert known["clock"] == ("insn" if known["unit"] == "insn/page" else "any")
        assert 0 <= known["tolerance"] <= 16
        assert (known["constant"] is None) == (known["amount"] == 0)


@pytest.mark.parametrize("name", NAMES)
def test_same_subjects_and_order_in_all_versions(name: str) -> None:
    lists = {tuple(p.subject for p in _patches(n, v)) for n, v in FOLDERS if n == name}
    assert len(lists) == 1


@each_folder
def test_known_amounts_are_the_constants_of_the_patches(name: str, version: str) -> None:
    known = [k["constant"] for k in _spec(name)["known"] if k["constant"]]
    patches = _patches(name, version)
    assert _constants(patches) == {k["name"]: k["value"] for k in known}
    subjects = " ".join(p.subject for p in patches)
    assert all(re.search(rf"\b{k['value']}\b", subjects) for k in known)


@each_folder
def test_instructions_executed_are_the_known_amount(name: str, version: str) -> None:
    known = [k for k in _spec(name)["known"] if k["unit"] == "insn/page" and k["amount"]]
    for k in known:
        patch, *more = _patches(name, version)
        on_top = more if "on_top" in _spec(name) else []
        header = patch.added("mm/swap_calibration.h")
        loops = _loops(header, _constants([patch, *on_top])[INSNS])
        for pages in (1, 2, 512):
            executed = _executed(_assembly(header), pages=pages, count=loops)
            assert executed == pages * k["constant"]["value"]
        # What a folio takes around the weight is part of the amount where it was disassembled.
        assert k["amount"] - k["constant"]["value"] == (5 if name == "calibration-option" else 0)
        assert on_top or f"{loops} times dec and jnz" in " ".join(patch.text.split())
        assert f"{loops} x (dec, jnz)" in k["derived"]


@each_folder
def test_weight_lies_once_on_the_right_path(name: str, version: str) -> None:
    wanted = {"swapin": r"\bswap_read(_folio|page)\(", "swapout": r"\bswap_write(page|out)\("}
    known = [k for k in _spec(name)["known"] if k["unit"] == "insn/page" and k["amount"]]
    calls = [
        (h.function, line)
        for p in _patches(name, version)
        for h in p.hunks
        for line in h.lines
        if h.file == "mm/page_io.c" and "swap_calibration_burn" in line
    ]
    assert len(calls) == len(known)
    for (function, line), k in zip(calls, known, strict=True):
        assert re.search(wanted[k["metric"]], function)
        assert re.search(r"burn\((folio|thp)_nr_pages\((folio|page)\)\);$", line)


@each_folder
def test_what_a_profile_is_to_find_stands_there(name: str, version: str) -> None:
    """At the line of a file that the series adds, and of the amount that its constant says."""
    series = _patches(name, version)
    for effect in _spec(name).get("profiled", []):
        if effect["of"] != "misses":
            assert effect["amount"] == _constants(series)[INSNS]
        if "data" in effect:
            added = "".join(
                series[0].added(f"mm/{name}") for name in ("page_io.c", "swap_calibration.h")
            )
            assert re.search(rf"(\}} |\(){effect['data']}\b", added), "it is defined there"
            continue
        if "line" not in effect:
            assert "spin_lock(&swap_calibration_lock);" in series[0].added("mm/page_io.c")
            continue
        file, _, number = effect["line"].partition(":")
        code = series[0].added(file).splitlines()
        statement = {"insns": "\tasm volatile(", "misses": "\t\tat = (at + "}[effect["of"]]
        assert code[int(number) - 1].startswith(statement)
        function = [line for line in code[: int(number)] if line.startswith("static __always")][-1]
        assert f" {effect['function']}(" in function


@each_folder
def test_bytes_per_slot(name: str, version: str) -> None:
    known = [k for k in _spec(name)["known"] if k["unit"] == "B/slot" and k["amount"]]
    code = "".join(p.added("mm/swapfile.c") for p in _patches(name, version))
    assert code.count(f"vzalloc(array_size(slots, {SLOT_BYTES}))") == len(known)
    assert len(re.findall(r"= swap_calibration_alloc\(\w+->type, maxpages\)", code)) == len(known)
    assert len(re.findall(r"\tswap_calibration_free\(\w+->type\);", code)) == 2 * len(known)
    for k in known:  # vmalloc keeps a pointer for each page that it maps
        assert k["amount"] == k["constant"]["value"] * (1 + 8 / 4096)
        assert k["site"] == "mm/swapfile.c func:swap_calibration_alloc"


@each_folder
def test_bytes_per_entry(name: str, version: str) -> None:
    """Taken where slots are taken, given back where they are freed, once each."""
    known = [k for k in _spec(name)["known"] if k["unit"] == "B/entry"]
    hunks = [h for p in _patches(name, version) for h in p.hunks if h.file == "mm/swapfile.c"]
    code = "".join(p.added("mm/swapfile.c") for p in _patches(name, version))
    assert code.count(f"kmalloc({ENTRY_BYTES},") == code.count("kfree(*map)") == len(known)
    for k in known:
        assert k["amount"] == k["constant"]["value"]
        assert k["site"] == "mm/swapfile.c func:swap_calibration_get"
        assert k["amount"] in (8, 16, 32, 64, 96, 128, 192, 256), "not a size class of kmalloc"
        for call in ("get", "put"):
            calls = [
                line[1:].strip()
                for h in hunks
                for line in h.lines
                if line.startswith(f"+\tswap_calibration_{call}(")
            ]
            assert len(calls) == 1 and calls[0].startswith(f"swap_calibration_{call}(si->type, ")
        # Not where a slot is merely counted: with the slot's own number.
        assert "swap_calibration_put(si->type, offset, nr_entries);" in code


@each_folder
def test_null_changes_one_line_of_comment(name: str, version: str) -> None:
    changed = [x for p in _patches(name, version) for h in p.hunks for x in h.lines if x[0] != " "]
    is_null = [x[0] for x in changed] == ["-", "+"] and all(x[1:4] == " * " for x in changed)
    assert is_null == (name == "calibration-null")


@pytest.mark.parametrize("version", sorted({v for _, v in FOLDERS}))
def test_swapin_weights_differ_in_one_constant(version: str) -> None:
    names = ("calibration", "calibration-in10", "calibration-in100", "calibration-in1000")
    first = [_patches(name, version)[0].hunks for name in names]
    for name in (one for one in NAMES if "on_top" in _spec(one)):
        (hunk,) = _patches(name, version)[1].hunks
        changed = [line for line in hunk.lines if line[0] != " "]
        amount = _spec(name)["known"][0]["amount"]
        assert changed == [f"-#define {INSNS}\t1000", f"+#define {INSNS}\t{amount}"]
    assert first[0] == first[3]
    masked = {re.sub(rf"({INSNS}\\t)\d+", r"\1N", str(hunks)) for hunks in first}
    assert len({str(h) for h in first}) == 3
    assert len(masked) == 1


@each_patch
def test_patch_is_a_clean_mail(patch: Patch) -> None:
    head, _, diffstat = patch.text.partition("\n---\n")
    assert head.startswith(f"From {'0' * 40} Mon Sep 17 00:00:00 2001\n")
    assert "\nFrom: Swap Harness <harness@localhost>\n" in head
    assert head.endswith(f"\n\n{SIGNED}")
    assert len(head.split("\n\n")) >= 4, "headers, why, what, sign-off"
    assert patch.text.endswith("\n")
    assert not patch.text.endswith("\n\n")
    assert not re.search(r"[ \t]$", patch.added(), re.M)
    lines = [x for h in patch.hunks for x in h.lines]
    assert all(x[0] in "+- " for x in lines)
    for sign, word in (("+", "insertion"), ("-", "deletion")):
        match = re.search(rf"(\d+) {word}s?\(", diffstat)
        assert sum(x[0] == sign for x in lines) == int(match[1] if match else 0)


@each_patch
def test_patch_carries_no_more_of_the_kernel_than_git_needs(patch: Patch) -> None:
    assert patch.hunks
    for hunk in patch.hunks:
        marks = "".join(line[0] for line in hunk.lines)
        runs = re.split(r"[+-]+", marks)
        assert len(runs[0]) <= CONTEXT
        assert len(runs[-1]) <= CONTEXT
        assert all(len(run) <= 2 * CONTEXT for run in runs[1:-1])


@each_folder
def test_git_applies_the_patches(name: str, version: str, tmp_path: Path) -> None:
    """On stand-in files that hold the context lines at their places and nothing else."""
    files: dict[str, list[str]] = {}
    assert _patches(name, version)
    made: set[str] = set()
    for patch in _patches(name, version):
        for hunk in patch.hunks:
            made |= set() if hunk.counts[0] else {hunk.file}
            if hunk.file not in made:
                lines = files.setdefault(hunk.file, [])
                lines += [f"filler {n}" for n in range(len(lines), hunk.start - 1)]
                lines += hunk.old()
    for file, lines in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    for patch in _patches(name, version):
        done = subprocess.run(
            ["git", "apply", "--whitespace=error-all", str(patch.path)],
            cwd=tmp_path,
            env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for hunk in patch.hunks:
            after = (tmp_path / hunk.file).read_text(encoding="ascii").splitlines()
            assert {line[1:] for line in hunk.lines if line[0] == "+"} <= set(after)


def test_the_interpreter_counts() -> None:
    source = ["1: movl %[count], %[loops]", "2: decl %[loops]", "jnz 2b", "decq %[pages]", "jnz 1b"]
    assert _executed(source, pages=1, count=1) == 5
    assert _executed(source, pages=1, count=7) == 3 + 14
    assert _executed(source, pages=3, count=7) == 3 * (3 + 14)
    assert _executed([source[0], "nop", *source[1:]], pages=2, count=1) == 12


def test_the_option_is_off_by_default_and_its_arms_switch_it() -> None:
    """Without it no code is added, and what is said to prove it is what the weight sets."""
    (patch,) = _patches("calibration-option", "6.12")
    kconfig = patch.added("mm/Kconfig")
    assert re.search(r"^config SWAP_CALIBRATION\n\tbool \"", kconfig) and "default" not in kconfig
    header = patch.added("mm/swap_calibration.h")
    off = header.partition("#else /* CONFIG_SWAP_CALIBRATION */")[2]
    assert re.search(r"swap_calibration_burn\(unsigned long pages\)\n\{\n\}\n", off)
    arms = _spec("calibration-option")["arms"]
    assert arms["off"] == {"options": ["SWAP_CALIBRATION=n"]}
    assert arms["on"]["options"] == ["SWAP_CALIBRATION=y"]
    name = Path(arms["on"]["proof"]["file"]).name
    assert f"module_param({name}, bool, 0444);" in header
    assert f"WRITE_ONCE({name}, true);" in header
