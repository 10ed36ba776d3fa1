# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configuration: fragments in, a checked configuration out.

Pure: nothing is run here (`harness.build.kbuild` runs make).  What this module guards is that a
kernel under test has exactly what was asked for, and that the two arms of a comparison
differ in nothing but what the series itself adds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build import kconfigentry
from harness.source import kconfigfiles
from harness.util.errors import UserError
from harness.util.versions import in_range

_LINE = re.compile(
    r"""(?P<symbol>CONFIG_\w+)=(?P<value>"[^"]*"|[^\s#]+)\s*
        (?:\#\s*(?:\[(?P<range>[^\]]*)\])?\s*(?P<why>.*))?$""",
    re.VERBOSE,
)
_SET = re.compile(r"(CONFIG_\w+)=(.*)")
_UNSET = re.compile(r"# (CONFIG_\w+) is not set")
_DEPENDS = re.compile(r"\s+depends on\s+(.+?)\s*(?:#.*)?$")
_PROMPT = re.compile(r"\s+(?:bool|tristate|string|int|hex|prompt)\s+[\"']")
# What a compiler, assembler or tool version decides; never a matter of the series.
_TOOLCHAIN = re.compile(
    r"CONFIG_(CC_(?!OPTIMIZE)|GCC_|CLANG_|AS_|LD_|LLD_|RUSTC?_|PAHOLE_|BINDGEN_|TOOLCHAIN_|TOOLS_|HAVE_|ARCH_)"
)


BY_HAND = "command line"
"""The origin of an option that CONFIG= or HEAD_CONFIG= asks for."""


@dataclass(frozen=True, slots=True)
class Option:
    """One requested symbol: its value ("y", "n", a number, a quoted string) and who needs it."""

    symbol: str
    value: str
    why: str
    origin: str


@dataclass(frozen=True, slots=True)
class SymbolDifference:
    """A symbol that differs between two configurations; "n" stands for unset."""

    symbol: str
    base: str
    patch: str
    reason: str


def read_fragment(path: Path, *, version: str) -> tuple[Option, ...]:
    """The options of one fragment file that apply to kernel ``version``.

    Raises UserError naming file and line for a line that is neither comment nor option.
    """
    if not path.is_file():
        raise UserError(f"config fragment '{path}' is not a file")
    options = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        unset = _UNSET.fullmatch(line.strip())
        if unset:
            options.append(Option(unset[1], "n", "", f"{path.name}:{number}"))
            continue
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise UserError(
                f"{path}:{number}: expected CONFIG_NAME=value, then '# [version range] why': "
                f"'{line.strip()}'"
            )
        if in_range(version, match["range"] or ""):
            origin = f"{path.name}:{number}"
            options.append(Option(match["symbol"], match["value"], match["why"] or "", origin))
    return tuple(options)


def request(
    fragments: Sequence[Path], *, version: str, extra: Sequence[str] = ()
) -> tuple[Option, ...]:
    """All requested options; a later fragment overrides an earlier one, ``extra`` overrides all.

    ``extra`` holds assignments as typed by the user (``CONFIG_X=y`` or ``X=y``).
    Raises UserError for an assignment that cannot be read.
    """
    wanted: dict[str, Option] = {}
    for fragment in fragments:
        for option in read_fragment(fragment, version=version):
            wanted[option.symbol] = option
    for text in extra:
        match = _SET.fullmatch(text if text.startswith("CONFIG_") else f"CONFIG_{text}")
        if not match:
            raise UserError(f"config option '{text}' must be written NAME=value, e.g. LOCKDEP=y")
        wanted[match[1]] = Option(match[1], match[2], "asked for by the user", BY_HAND)
    return tuple(wanted.values())


def require_defined(
    options: Iterable[Option], *, version: str, undefined: Callable[[str], str | None]
) -> None:
    """Raise UserError for an option that the tree does not define; told before it is checked out.

    undefined: symbol -> the end of a sentence that names the nearest one; None if it is defined
    """
    for item in options:
        # A fragment may switch off what some versions have.
        if item.value == "n" and item.origin != BY_HAND:
            continue
        hint = undefined(item.symbol.removeprefix("CONFIG_"))
        if hint is not None:
            place = "CONFIG" if item.origin == BY_HAND else item.origin
            raise UserError(f"{place}: Linux {version} has no option {item.symbol}{hint}")


def allconfig_text(options: Iterable[Option]) -> str:
    """The file for ``KCONFIG_ALLCONFIG``: what allnoconfig is to set."""
    lines = (
        f"# {item.symbol} is not set" if item.value == "n" else f"{item.symbol}={item.value}"
        for item in options
    )
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """A ``.config`` as symbol -> value; unset symbols are left out."""
    found = (_SET.fullmatch(line) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match}


def dropped(options: Iterable[Option], config: Mapping[str, str]) -> tuple[Option, ...]:
    """The requested options that the configuration does not have as requested."""
    return tuple(item for item in options if config.get(item.symbol, "n") != item.value)


def check(options: Iterable[Option], config: Mapping[str, str], *, tree: Path) -> None:
    """Raise UserError unless every requested option took; says what each depends on."""
    lost = dropped(options, config)
    if not lost:
        return
    definitions = find_definitions(tree, [item.symbol for item in lost])
    lines = [
        f"{item.symbol}={item.value} (from {item.origin}) did not take: it is "
        f"{config.get(item.symbol, 'n')}; {_explain(definitions.get(item.symbol), config)}"
        for item in lost
    ]
    raise UserError(
        "the kernel's configuration dropped what was asked for: "
        + "; ".join(lines)
        + "; correct the name, add what it depends on, or limit the line to versions that have it"
    )


@dataclass(frozen=True, slots=True)
class SymbolDefinition:
    """Where Kconfig defines a symbol, what that depends on, and whether a user can set it."""

    place: str
    depends: tuple[str, ...]
    prompt: bool


def find_definitions(tree: Path, symbols: Iterable[str]) -> dict[str, SymbolDefinition]:
    """Search the Kconfig files below ``tree`` for ``symbols`` (with their CONFIG_ prefix).

    A plain text search, good for an error message: it sees ``depends on`` lines and enclosing
    ``if`` blocks of the same file, not what including files add.
    """
    wanted = {symbol.removeprefix("CONFIG_") for symbol in symbols}
    found: dict[str, SymbolDefinition] = {}
    for path in _kconfig_files(tree):
        for entry in kconfigentry.entries(path.read_text(encoding="utf-8", errors="replace")):
            if entry.name in wanted and f"CONFIG_{entry.name}" not in found:
                place = f"{path.relative_to(tree)}:{entry.line}"
                needs = (match[1] for line in entry.body if (match := _DEPENDS.match(line)))
                prompt = any(map(_PROMPT.match, entry.body))
                depends = (*entry.blocks, *needs)
                found[f"CONFIG_{entry.name}"] = SymbolDefinition(place, depends, prompt)
    return found


def defined_symbols(tree: Path) -> frozenset[str]:
    """The names (without CONFIG_) that ``tree`` defines for this architecture."""
    return frozenset(
        entry.name
        for path in _kconfig_files(tree)
        for entry in kconfigentry.entries(path.read_text(encoding="utf-8", errors="replace"))
    )


def difference(base: Mapping[str, str], patch: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Symbols whose values differ, as symbol -> (base value, patch value)."""
    return {
        symbol: (base.get(symbol, "n"), patch.get(symbol, "n"))
        for symbol in sorted(base.keys() | patch.keys())
        if base.get(symbol, "n") != patch.get(symbol, "n")
    }


def parity(
    base: Mapping[str, str],
    patch: Mapping[str, str],
    *,
    alone: frozenset[str],
    same_tree: bool,
    requested: Iterable[Option] = (),
    chosen: frozenset[str] = frozenset(),
) -> tuple[SymbolDifference, ...]:
    """The differences between the arms' configurations, each with the reason it is allowed.

    ``alone`` are the symbols that only one of the trees defines.
    ``chosen`` are symbols that the user set for the second kernel alone.
    With ``same_tree`` (base against series) nothing else may differ, but for what follows from
    those.  Between two kernel versions defaults move.  What is *requested* alike for both arms
    never differs.
    Raises UserError listing what differs without a reason.
    """
    asked = {item.symbol for item in requested}
    allowed, refused = [], []
    for symbol, (old, new) in difference(base, patch).items():
        if symbol in alone:
            reason = "only one tree has it"
        elif symbol in chosen:
            reason = "asked for by HEAD_CONFIG"
        elif symbol not in asked and _TOOLCHAIN.match(symbol):
            reason = "set by the tree or the tool chain, not by hand"
        elif symbol in asked or (same_tree and not chosen):
            refused.append(f"{symbol} ({old} -> {new})")
            continue
        elif same_tree:
            reason = "follows from HEAD_CONFIG"
        elif chosen:
            reason = "follows from HEAD_CONFIG, or from the version"
        else:
            reason = "differs between the versions: a default, or what kernels/config asks of one"
        allowed.append(SymbolDifference(symbol, old, new, reason))
    if refused:
        raise UserError(
            f"the two kernels are not configured alike: {', '.join(refused)}; set them to the same "
            "value with CONFIG='NAME=value ...' or a fragment in kernels/config/"
        )
    return tuple(allowed)


def _explain(definition: SymbolDefinition | None, config: Mapping[str, str]) -> str:
    if definition is None:
        return "no Kconfig file of this tree defines it"
    place = f"defined at {definition.place}"
    if not definition.prompt:
        place += " without a prompt (nobody sets it by hand: its default and what selects it do)"
    if not definition.depends:
        return f"{place}, without a visible dependency"
    values = []
    for name in dict.fromkeys(re.findall(r"\b[A-Z][A-Z0-9_]+\b", " ".join(definition.depends))):
        values.append(f"{name}={config.get('CONFIG_' + name, 'n')}")
    wants = " && ".join(dict.fromkeys(definition.depends))
    return f"{place}, depends on {wants} (here {', '.join(values)})"


def _kconfig_files(tree: Path) -> list[Path]:
    # A link could lead out of the tree, to any file of the user.
    files = [path for path in tree.rglob("Kconfig*") if path.is_file() and not path.is_symlink()]
    return sorted(path for path in files if kconfigfiles.counts(path.relative_to(tree)))
