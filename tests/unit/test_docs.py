# SPDX-License-Identifier: GPL-2.0-only
"""The documentation names only what exists: files, anchors, make targets, modules."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        ROOT / "results" / "README.md",
        *(
            page
            for folder in ("docs", "contrib", "kernels", "workloads", "tests")
            for page in (ROOT / folder).rglob("*.md")
        ),
    ]
)
WIDTH = 100
README_LINES = 200
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`]+)`")
_TARGET = re.compile(r"\bmake ((?:[a-z]+-)*[a-z]+)\b")
_MODULE = re.compile(r"python -m (harness|tests)((?:\.\w+)*)")
# Folders of the repository whose files a page may name; results/ holds what runs leave.
_FOLDERS = (".ci", "contrib", "docs", "harness", "kernels", "tests", "vm-images", "workloads")
_PATH = re.compile(
    rf"(?:{'|'.join(re.escape(name) for name in _FOLDERS)})/[\w./-]*|requirements[\w.-]+|\w+\.toml"
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text(page: Path) -> str:
    """What a reader sees: comments are not part of it."""
    return _COMMENT.sub("", page.read_text(encoding="utf-8"))


def anchor(title: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    words = re.sub(r"[^\w\- ]", "", title.strip().lower())
    return words.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.+)$", text(page), re.MULTILINE)
    return {anchor(title) for title in titles}


def broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(text(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            yield link


def missing_paths(page: Path) -> Iterator[str]:
    """Paths of the repository in backticks, without placeholders, that do not exist."""
    for span in _SPAN.findall(text(page)):
        if _PATH.fullmatch(span) and not (ROOT / span).exists():
            yield span


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def code(page: Path) -> str:
    """Code spans and indented blocks: elsewhere "make" is a verb."""
    lines = [line for line in text(page).splitlines() if line.startswith("    ")]
    return "\n".join([*lines, *(" ".join(span.split()) for span in _SPAN.findall(text(page)))])


def missing_modules(page: Path) -> Iterator[str]:
    for package, rest in _MODULE.findall(code(page)):
        path = ROOT / package / rest.replace(".", "/").lstrip("/")
        if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
            yield package + rest


def test_the_readme_fits() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= README_LINES
    assert [line for line in lines if len(line) > WIDTH] == []


def test_the_run_that_the_readme_shows_is_the_example() -> None:
    """The verdicts of its block, line by line, are those of the report that it links to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("<!-- quick start output -->")[2]
    block = block.partition("<!-- end of quick start output -->")[0]
    shown = textwrap.dedent(block.strip("\n")).splitlines()
    report = (ROOT / "docs" / "example" / "report.txt").read_text(encoding="utf-8")
    first, second, _, *verdicts = report.partition("\n\nReport: ")[0].splitlines()
    assert verdicts[0].startswith("cell ") and verdicts[-1].startswith("Instruction clock: ")
    wanted = [line for line in (first, second, *verdicts) if line]
    assert len(wanted) > 12
    mine = [line for line in shown[shown.index(first) :] if line]
    assert mine[: len(wanted)] == wanted


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_narrow(page: Path) -> None:
    wide = [
        line
        for line in page.read_text(encoding="utf-8").splitlines()
        if len(line) > WIDTH and not line.startswith("|") and "://" not in line
    ]
    assert wide == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []
    assert list(missing_paths(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_and_modules_exist(page: Path) -> None:
    assert set(_TARGET.findall(code(page))) - targets() == set()
    assert list(missing_modules(page)) == []


def test_each_mistake_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: with `code`\n[good](#a-title-with-code) [bad](#other) [gone](no.md)\n"
        "`docs/no-page.md` `docs/architecture.md` `requirements.in` `results/gone` `make nothing`\n"
        "`python -m tests.nothing` <!-- [in a comment](no.md) -->\n\n    make comparee X=y\n",
        encoding="utf-8",
    )
    assert list(broken_links(page)) == ["#other", "no.md"]
    assert list(missing_paths(page)) == ["docs/no-page.md", "requirements.in"]
    assert set(_TARGET.findall(code(page))) - targets() == {"nothing", "comparee"}
    assert list(missing_modules(page)) == ["tests.nothing"]
