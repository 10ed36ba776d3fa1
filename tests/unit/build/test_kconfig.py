# SPDX-License-Identifier: GPL-2.0-only
"""Fragments in, checked configurations out; and the parity of two arms."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.build import kconfig, pair
from harness.build.kconfig import Option
from harness.util.errors import UserError
from harness.util.paths import REPO

FRAGMENTS = sorted((REPO / "kernels" / "config").glob("*.config"))
VERSIONS = ["6.1", "6.12", "7.3"]
VALUES = st.sampled_from(["y", "n", "7", '"text"'])
CONFIGS = st.dictionaries(st.sampled_from([f"CONFIG_{c}" for c in "ABCDEFGH"]), VALUES)


def fragment(folder: Path, text: str, name: str = "x.config") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def values(options: tuple[Option, ...]) -> dict[str, str]:
    return {item.symbol: item.value for item in options}


def option(symbol: str, value: str = "y") -> Option:
    return Option(symbol, value, "", "x.config:1")


# Fragments


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_every_fragment_can_be_read_and_says_why(path: Path, version: str) -> None:
    options = kconfig.read_fragment(path, version=version)
    assert any(kconfig.read_fragment(path, version=one) for one in VERSIONS)
    assert all(item.why for item in options), "each option says who needs it"
    assert all(item.origin.startswith(f"{path.name}:") for item in options)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_default_fragments_do_not_contradict_each_other(version: str) -> None:
    seen: dict[str, Option] = {}
    for path in pair.fragment_paths(()):
        for item in kconfig.read_fragment(path, version=version):
            first = seen.setdefault(item.symbol, item)
            assert first.value == item.value, f"{first.origin} and {item.origin}"
    assert "CONFIG_SWAP" in seen


def test_lines_are_limited_to_versions(tmp_path: Path) -> None:
    path = fragment(
        tmp_path, "CONFIG_OLD=y # [<6.10] old\nCONFIG_NEW=y # [>=6.10] new\nCONFIG_ALL=y # both\n"
    )
    assert values(kconfig.read_fragment(path, version="6.1.9")) == {
        "CONFIG_OLD": "y",
        "CONFIG_ALL": "y",
    }
    assert values(kconfig.read_fragment(path, version="6.10")) == {
        "CONFIG_NEW": "y",
        "CONFIG_ALL": "y",
    }


def test_kinds_of_lines(tmp_path: Path) -> None:
    path = fragment(
        tmp_path,
        '# comment\n\nCONFIG_A=y\nCONFIG_S="a # b" # why\n# CONFIG_N is not set\nCONFIG_I=42 # i\n',
    )
    assert values(kconfig.read_fragment(path, version="6.12")) == {
        "CONFIG_A": "y",
        "CONFIG_S": '"a # b"',
        "CONFIG_N": "n",
        "CONFIG_I": "42",
    }


@pytest.mark.parametrize("line", ["CONFIG_A", "A=y", "CONFIG_A=y why", "CONFIG_A = y"])
def test_a_wrong_line_is_named_with_file_and_number(tmp_path: Path, line: str) -> None:
    path = fragment(tmp_path, f"CONFIG_GOOD=y\n{line}\n")
    with pytest.raises(UserError, match=r"x\.config:2: expected CONFIG_NAME=value"):
        kconfig.read_fragment(path, version="6.12")


def test_a_missing_fragment_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.config"):
        kconfig.read_fragment(tmp_path / "nowhere.config", version="6.12")


def test_later_overrides_earlier_and_the_user_overrides_all(tmp_path: Path) -> None:
    paths = [
        fragment(tmp_path, "CONFIG_A=y\nCONFIG_B=1\nCONFIG_C=y\n", "one.config"),
        fragment(tmp_path, "CONFIG_A=n\nCONFIG_B=2\n", "two.config"),
    ]
    options = kconfig.request(paths, version="6.12", extra=["B=3", "CONFIG_D=y"])
    assert values(options) == {
        "CONFIG_A": "n",
        "CONFIG_B": "3",
        "CONFIG_C": "y",
        "CONFIG_D": "y",
    }


@pytest.mark.parametrize("text", ["LOCKDEP", "LOCK DEP=y", "=y", "A-B=y"])
def test_an_unreadable_assignment_of_the_user_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"must be written NAME=value"):
        kconfig.request([], version="6.12", extra=[text])


# Configurations


@given(CONFIGS)
def test_what_allconfig_says_is_what_parse_reads(wanted: dict[str, str]) -> None:
    options = [option(symbol, value) for symbol, value in wanted.items()]
    config = kconfig.parse(kconfig.allconfig_text(options))
    assert config == {symbol: value for symbol, value in wanted.items() if value != "n"}
    assert kconfig.dropped(options, config) == ()


@given(CONFIGS, CONFIGS)
def test_dropped_is_what_is_not_as_requested(wanted: dict[str, str], have: dict[str, str]) -> None:
    options = [option(symbol, value) for symbol, value in wanted.items()]
    lost = {item.symbol for item in kconfig.dropped(options, have)}
    assert lost == {s for s, v in wanted.items() if have.get(s, "n") != v}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    files = {
        "Kconfig": "config MMU\n\tbool\n",
        "mm/Kconfig": (
            "menuconfig SWAP\n\tbool \"Support\"\n\tdepends on MMU && BLOCK\n\n"
            "if SWAP\nconfig ZSWAP\n\tbool \"zswap\"\n\tdepends on CRYPTO=y # comment\n"
            "endif\n\nconfig FREE\n\tbool\n"
        ),
        "arch/x86/Kconfig": "config X86_THING\n\tdepends on PCI\n",
        "arch/arm/Kconfig": "config SWAP\n\tdepends on ARM\nconfig ARM_THING\n\tbool\n",
        "arch/Kconfig": "config GENERIC\n\tbool\n",
        "tools/testing/selftests/t/Kconfig": "config SWPA\n\tbool\nconfig TEST_THING\n\tbool\n",
        "scripts/kconfig/tests/t/Kconfig": "config B\n\tbool\n",
        "Documentation/kbuild/Kconfig.recursion-issue-01": "config CORE\n\ttristate\n",
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_dropped_symbol_is_explained_by_what_it_depends_on(tree: Path) -> None:
    config = {"CONFIG_MMU": "y"}
    with pytest.raises(UserError) as told:
        kconfig.check([option("CONFIG_SWAP")], config, tree=tree)
    message = str(told.value)
    assert "CONFIG_SWAP=y (from x.config:1) did not take: it is n" in message
    assert "mm/Kconfig:1" in message
    assert "MMU=y, BLOCK=n" in message
    assert "\n" not in message


def test_a_symbol_that_nobody_can_set_is_told_so(tree: Path) -> None:
    with pytest.raises(UserError, match="mm/Kconfig:11 without a prompt"):
        kconfig.check([option("CONFIG_FREE")], {}, tree=tree)
    with pytest.raises(UserError) as told:
        kconfig.check([option("CONFIG_SWAP")], {}, tree=tree)
    assert "without a prompt" not in str(told.value)


def test_enclosing_ifs_are_dependencies_too(tree: Path) -> None:
    with pytest.raises(UserError, match=r"SWAP=n, CRYPTO=n"):
        kconfig.check([option("CONFIG_ZSWAP")], {}, tree=tree)


def test_an_if_ends_with_its_endif(tree: Path) -> None:
    with pytest.raises(UserError, match="without a visible dependency"):
        kconfig.check([option("CONFIG_FREE")], {}, tree=tree)


def test_a_symbol_that_no_tree_has_is_told_as_that(tree: Path) -> None:
    with pytest.raises(UserError, match=r"CONFIG_SWPA=y.*no Kconfig file of this tree defines it"):
        kconfig.check([option("CONFIG_SWPA")], {}, tree=tree)


def test_what_took_passes(tree: Path) -> None:
    kconfig.check([option("CONFIG_SWAP"), option("CONFIG_X", "n")], {"CONFIG_SWAP": "y"}, tree=tree)


def test_an_option_that_no_kernel_file_defines_is_told_by_name() -> None:
    def undefined(symbol: str) -> str | None:
        return None if symbol == "SWAP" else f"; nearest to {symbol}"

    def told(*options: Option) -> str:
        with pytest.raises(UserError) as error:
            kconfig.require_defined(options, version="6.12.7", undefined=undefined)
        return str(error.value)

    mine = kconfig.request((), version="6.12", extra=["SWAP=y", "SWPA=y"])
    said = "CONFIG: Linux 6.12.7 has no option CONFIG_SWPA; nearest to SWPA"
    assert told(*mine) == said
    # "n" is as good as no such option, but a typo all the same where it was typed.
    assert told(*kconfig.request((), version="6.12", extra=["SWPA=n"])) == said
    assert told(option("CONFIG_SWPA")) == said.replace("CONFIG:", "x.config:1:", 1)
    kconfig.require_defined(
        [option("CONFIG_SWPA", "n"), option("CONFIG_SWAP")], version="6.12", undefined=undefined
    )


def test_other_architectures_and_selftests_do_not_count(tree: Path) -> None:
    assert kconfig.defined_symbols(tree) == {
        "MMU", "SWAP", "ZSWAP", "FREE", "X86_THING", "GENERIC",
    }  # fmt: skip


def test_dependencies_of_a_menu_are_not_those_of_the_symbol_before_it(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text(
        'config A\n\tbool "a"\n\nmenu "M"\n\tdepends on NET\n\ncomment "c"\n\tdepends on PCI\n'
        "endmenu\n",
        encoding="utf-8",
    )
    found = kconfig.find_definitions(tmp_path, ["CONFIG_A"])
    assert found["CONFIG_A"].depends == ()


# Parity

NONE: frozenset[str] = frozenset()


@given(CONFIGS)
def test_a_configuration_is_on_a_par_with_itself(config: dict[str, str]) -> None:
    assert kconfig.parity(config, config, alone=NONE, same_tree=True) == ()


def test_in_one_tree_only_added_symbols_may_differ() -> None:
    base, patch = {"CONFIG_A": "y"}, {"CONFIG_A": "y", "CONFIG_VSWAP": "y"}
    allowed = kconfig.parity(base, patch, alone=frozenset({"CONFIG_VSWAP"}), same_tree=True)
    assert [(d.symbol, d.base, d.patch) for d in allowed] == [("CONFIG_VSWAP", "n", "y")]
    with pytest.raises(UserError, match=r"CONFIG_VSWAP \(n -> y\)"):
        kconfig.parity(base, patch, alone=NONE, same_tree=True)


@given(CONFIGS, CONFIGS)
def test_in_one_tree_nothing_differs_without_a_reason(
    base: dict[str, str], patch: dict[str, str]
) -> None:
    differs = set(kconfig.difference(base, patch))
    allowed = kconfig.parity(base, patch, alone=frozenset(differs), same_tree=True)
    assert {item.symbol for item in allowed} == differs
    for symbol in sorted(differs)[:1]:
        with pytest.raises(UserError, match=symbol):
            kconfig.parity(base, patch, alone=frozenset(differs - {symbol}), same_tree=True)


def test_between_versions_defaults_may_move_but_not_what_was_asked_alike() -> None:
    base, patch = {"CONFIG_DEFAULT": "3"}, {"CONFIG_DEFAULT": "4", "CONFIG_ASKED": "y"}
    allowed = kconfig.parity(base, {"CONFIG_DEFAULT": "4"}, alone=NONE, same_tree=False)
    assert allowed[0].reason.startswith("differs between the versions")
    asked = [option("CONFIG_ASKED")]
    with pytest.raises(UserError, match=r"CONFIG_ASKED \(n -> y\)"):
        kconfig.parity(base, patch, alone=NONE, same_tree=False, requested=asked)


def test_what_the_user_sets_for_one_kernel_alone_may_differ_and_is_told() -> None:
    base, patch = {"CONFIG_A": "y", "CONFIG_B": "y"}, {"CONFIG_B": "n"}
    (found,) = kconfig.parity(
        base, {"CONFIG_B": "y"}, alone=NONE, same_tree=False, chosen=frozenset({"CONFIG_A"})
    )
    assert (found.symbol, found.base, found.patch) == ("CONFIG_A", "y", "n")
    assert found.reason == "asked for by HEAD_CONFIG"
    asked = [Option("CONFIG_B", "y", "", "")]
    with pytest.raises(UserError, match="CONFIG_B"):
        kconfig.parity(
            base,
            patch,
            alone=NONE,
            same_tree=False,
            requested=asked,
            chosen=frozenset({"CONFIG_A"}),
        )


def test_what_follows_from_an_option_of_the_patched_kernel_alone_may_differ() -> None:
    base, patch = {"CONFIG_ASKED": "y"}, {"CONFIG_ASKED": "y", "CONFIG_A": "y", "CONFIG_B": "y"}
    asked = [option("CONFIG_ASKED")]
    found = kconfig.parity(
        base,
        patch,
        alone=NONE,
        same_tree=True,
        requested=asked,
        chosen=frozenset({"CONFIG_A"}),
    )
    assert [(one.symbol, one.reason) for one in found] == [
        ("CONFIG_A", "asked for by HEAD_CONFIG"),
        ("CONFIG_B", "follows from HEAD_CONFIG"),
    ]
    with pytest.raises(UserError, match=r"CONFIG_ASKED \(y -> n\)"):
        kconfig.parity(
            base,
            {"CONFIG_A": "y"},
            alone=NONE,
            same_tree=True,
            requested=asked,
            chosen=frozenset({"CONFIG_A"}),
        )


def test_what_the_tool_chain_decides_may_differ() -> None:
    base, patch = {"CONFIG_GCC_VERSION": "120200"}, {"CONFIG_GCC_VERSION": "140200"}
    assert kconfig.parity(base, patch, alone=NONE, same_tree=False)


@pytest.mark.parametrize("same_tree", [True, False])
def test_the_optimisation_level_is_not_the_tool_chains_to_decide(same_tree: bool) -> None:
    base = {"CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE": "y"}
    patch = {"CONFIG_CC_OPTIMIZE_FOR_SIZE": "y"}
    with pytest.raises(UserError, match="CC_OPTIMIZE"):
        kconfig.parity(
            base,
            patch,
            alone=NONE,
            same_tree=same_tree,
            requested=[option("CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE")],
        )
