# SPDX-License-Identifier: GPL-2.0-only
"""The tree shows the architecture: packages alone at its top, imports downwards, a licence."""

from __future__ import annotations

import ast
import fnmatch
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.util.paths import REPO

TAG = "SPDX-License-Identifier: GPL-2.0-only"


def tracked() -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split("\0") if name and (REPO / name).is_file()]


def test_every_file_says_its_licence() -> None:
    data = tomllib.loads((REPO / "REUSE.toml").read_text(encoding="utf-8"))
    patterns = [path for item in data["annotations"] for path in item["path"]]
    without = [
        name
        for name in tracked()
        if name not in {"LICENSE", "REUSE.toml"}
        and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        and TAG not in (REPO / name).read_bytes()[:400].decode(errors="replace")
    ]
    assert without == []


def test_packages_alone_stand_at_the_top_of_the_harness() -> None:
    files = {name for name in tracked() if name.count("/") == 1 and name.startswith("harness/")}
    assert files == {"harness/__init__.py", "harness/__main__.py"}


def test_every_package_says_what_it_does_and_what_it_must_not_know() -> None:
    packages = [name for name in tracked() if fnmatch.fnmatch(name, "harness/*/__init__.py")]
    assert packages
    for name in packages:
        text = (REPO / name).read_text(encoding="utf-8")
        docstring = text.partition('"""')[2].partition('"""')[0]
        assert docstring.count(".") >= 2, name


def test_a_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((REPO / "harness").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.name)
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize(
    ("place", "line", "contract"),
    [
        ("util/planted.py", "import harness.cli.main", "packages in layers"),
        ("report/planted.py", "import harness.util.command", "analysis runs nothing"),
    ],
)
def test_a_planted_import_against_the_order_is_found(
    place: str, line: str, contract: str, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "data")
    shutil.copytree(REPO / "harness", tmp_path / "harness", ignore=ignored)
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    argv = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    for status, words in ((0, f"{contract} KEPT"), (1, f"{contract} BROKEN")):
        done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status and words in done.stdout, done.stdout
        (tmp_path / "harness" / place).write_text(f"{line}\n", encoding="utf-8")
