# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the user's own, built: a C file, scripts, folders, a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.build import program
from harness.experiment import spec
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.util.sandbox import OFF

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'


def built(tmp_path: Path, workload: str = "", cmd: str | None = None) -> Path:
    """The program that the runner would run."""
    cells = spec.load(None, {"backends": "zram", "cmd": cmd, "workloads": workload or None}).cells()
    (found,) = program.build_all(cells, cache=Cache(tmp_path / "cache"), sandbox=OFF).values()
    own = cells[0].workload.own
    assert own is not None
    assert cells[0].workload.argv[1] == f"--entry={own.folder}/{own.entry}"
    return found / own.entry


def says(entry: Path) -> str:
    return subprocess.run(
        [entry], cwd=entry.parent, check=True, capture_output=True, text=True
    ).stdout


def is_static(entry: Path) -> bool:
    argv = ["readelf", "--program-headers", str(entry)]
    return "INTERP" not in subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_a_c_file_is_static_and_the_same_each_time(tmp_path: Path) -> None:
    source = tmp_path / "race.c"
    source.write_text(
        '// CFLAGS: -DWORD="threads" -lm\n#include <pthread.h>\n#include <stdio.h>\n'
        "#define TEXT(x) #x\n#define SHOWN(x) TEXT(x)\n"
        "static void *say(void *a) { puts(SHOWN(WORD)); return a; }\n"
        "int main(void) { pthread_t t; pthread_create(&t, 0, say, 0); pthread_join(t, 0); "
        "unused_and_undeclared: return 0; }\n"
    )
    entry = built(tmp_path, str(source))
    assert entry.name == "race"
    assert says(entry) == "threads\n"
    assert is_static(entry)
    first = entry.read_bytes()
    shutil.rmtree(tmp_path / "cache")
    assert built(tmp_path, str(source)).read_bytes() == first


def test_what_does_not_compile_is_said_in_the_compiler_s_words(tmp_path: Path) -> None:
    source = tmp_path / "race.c"
    source.write_text("int main(void) { return nothing; }\n")
    with pytest.raises(UserError) as caught:
        built(tmp_path, str(source))
    assert "race.c' does not build (gcc;" in str(caught.value)
    assert "race.c:1:25: error:" in str(caught.value)
    assert "undeclared (first use in this function)" in str(caught.value)
    assert not list((tmp_path / "cache").glob("tools/program-*/race"))  # nothing half-made


def test_a_script_is_run_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "test.sh"
    source.write_text("#!/bin/sh\necho hello\n")  # not executable
    entry = built(tmp_path, str(source))
    assert entry.name == "test.sh"
    assert says(entry) == "hello\n"


def test_a_command_line_is_a_script(tmp_path: Path) -> None:
    assert says(built(tmp_path, cmd="for i in 1 2; do echo $i; done")) == "1\n2\n"


def folder(tmp_path: Path, **files: str) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    for name, text in files.items():
        (made / name.replace("_", ".")).write_text(text)
    return made


def test_the_one_c_file_of_a_folder_is_compiled(tmp_path: Path) -> None:
    made = folder(tmp_path, hello_c=HELLO, data_txt="1")
    entry = built(tmp_path, f"{made}/")
    assert says(entry) == "hello\n"
    assert (entry.parent / "data.txt").read_text() == "1"


def test_the_one_script_of_a_folder_is_run(tmp_path: Path) -> None:
    assert (
        says(
            built(
                tmp_path,
                f"{folder(tmp_path, go_sh='#!/bin/sh' + chr(10) + 'cat data.txt', data_txt='1')}/",
            )
        )
        == "1"
    )


def test_a_makefile_makes_the_program(tmp_path: Path) -> None:
    makefile = "all: hello\nhello: hello.c\n\t$(CC) $(CFLAGS) -o $@ $< $(LDFLAGS)\n"
    made = folder(tmp_path, Makefile=makefile, hello_c=HELLO, helper_sh="#!/bin/sh\n")
    entry = built(tmp_path, f"{made}/")
    assert says(entry) == "hello\n"
    assert is_static(entry)
    assert not (made / "hello").exists()  # the user's folder is left alone


def test_of_several_programs_the_file_beside_them_says_which(tmp_path: Path) -> None:
    made = folder(tmp_path, a_sh="#!/bin/sh\necho a\n", b_sh="#!/bin/sh\necho b $1\n")
    with pytest.raises(UserError, match=r"must have one program, and has: a\.sh, b\.sh; say in"):
        built(tmp_path, f"{made}/")
    (made / "repro.yaml").write_text(
        "run: ./b.sh 7\nphases: {fill: {begin: filling, end: filled up}}\n"
    )
    entry = built(tmp_path, f"{made}/")
    assert says(entry) == "b 7\n"
    assert not (entry.parent / "repro.yaml").exists()
    assert (entry.parent / ".phases").read_text() == "fill\tfilling\tfilled up\n"
    assert os.access(entry.parent / "a.sh", os.X_OK)


def test_a_makefile_that_fails_is_said(tmp_path: Path) -> None:
    made = folder(tmp_path, Makefile="all:\n\t@echo no good >&2; false\n")
    with pytest.raises(UserError, match="does not build \\(make;"):
        built(tmp_path, f"{made}/")
