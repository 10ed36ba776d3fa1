# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: axes of guest settings, what names mean, and why a cell is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build import kconfig
from harness.build import pair as arms
from harness.experiment import cell, spec, suite, workload
from harness.experiment.cell import Ability, Cell, Skipped, halves, runnable
from harness.studies import ability
from harness.util.errors import UserError

BACKENDS = yaml.safe_load((Path(cell.__file__).parent / "backends.yaml").read_text("utf-8"))
VERSIONS = ("6.1.192", "6.12.117", "6.19.0", "7.3.4")


def matrix(backends: Any, workloads: Any = ("pageio",), **more: Any) -> tuple[Cell, ...]:
    return cell.matrix(backends=backends, workloads=workloads, **more)


def asked(version: str, *more: str) -> dict[str, str]:
    """What the fragments ask for, as a configuration in which all of it took."""
    options = kconfig.request(arms.fragment_paths(more), version=version)
    return {item.symbol: item.value for item in options if item.value != "n"}


# Axes


def test_a_guest_setting_with_several_values_is_an_axis() -> None:
    made = matrix(["zram", "zswap"], guest={"mglru": ["y", "n"], "swappiness": 60})
    assert [one.backend.name for one in made] == [
        "zram-mglru-y", "zram-mglru-n", "zswap-mglru-y", "zswap-mglru-n",
    ]  # fmt: skip
    assert [dict(one.backend.settings)["mglru"] for one in made] == ["y", "n"] * 2
    assert {dict(one.backend.settings)["swappiness"] for one in made} == {"60"}
    cell.require_distinct(made)


def test_two_axes_make_every_combination() -> None:
    made = matrix(["zram"], guest={"mglru": [True, False], "thp": ["always", "never"]})
    assert [one.backend.name for one in made] == [
        "zram-mglru-Y-thp-always", "zram-mglru-Y-thp-never",
        "zram-mglru-N-thp-always", "zram-mglru-N-thp-never",
    ]  # fmt: skip


def test_what_a_back_end_sets_for_itself_is_no_axis() -> None:
    own = {"zram": {"mglru": "y", "name": "mine"}}
    (made,) = matrix([own], guest={"mglru": ["y", "n"]})
    assert made.backend.name == "mine" and dict(made.backend.settings)["mglru"] == "y"


@pytest.mark.parametrize("guest", [{"mglru": []}, {"mglur": ["y"]}, ["mglru"], 7])
def test_a_wrong_axis_is_refused(guest: object) -> None:
    with pytest.raises(UserError, match="guest"):
        spec.load(None, {"guest": guest})


@pytest.mark.parametrize("value", ["a b", "$(id)", {"x": 1}])
def test_a_value_of_an_axis_is_a_word(value: object) -> None:
    with pytest.raises(UserError, match="it must be one of always, madvise, never"):
        matrix(["zram"], guest={"thp": ["never", value]})


# Names


def test_sizes_of_back_ends_reach_the_guest_in_bytes() -> None:
    (made,) = matrix([{"tiered": {"fast": "64M", "size": "1G", "name": "two"}}])
    assert dict(made.backend.settings) == {
        "compressor": "lz4", "fast": str(64 << 20), "size": str(1 << 30),
    }  # fmt: skip
    (plain,) = matrix(["tiered"])
    assert dict(plain.backend.settings)["fast"] == str(16 << 20)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (matrix(["zram"]), matrix(["zram"]), "cell 'zram.pageio' is in the matrix twice"),
        (
            matrix(["zram"]),
            matrix([{"zram": {"compressor": "zstd", "name": "zram"}}], ["fill"]),
            "back-end 'zram' has other settings",
        ),
        (matrix(["zram"]), matrix(["zswap"], preset="full"), "workload 'pageio' has other"),
    ],
)
def test_one_name_means_one_thing(
    first: tuple[Cell, ...], second: tuple[Cell, ...], what: str
) -> None:
    with pytest.raises(UserError, match=what):
        cell.require_distinct([*first, *second])


# What can be run


@pytest.mark.parametrize("version", VERSIONS)
def test_our_configurations_bring_what_every_back_end_and_workload_wants(version: str) -> None:
    needs = [data.get("functions") or () for data in BACKENDS.values()]
    functions = frozenset(name for names in needs for name in names)
    there = [item for item in workload.names() if item not in {"overhead"}]
    made = matrix(sorted(BACKENDS), there)
    for more in ((), ("watchdog", "debug")):
        ability = Ability("base", asked(version, *more), functions)
        _, skipped = runnable(made, [ability], memory=768 << 20)
        wrong_backend = {item.cell for item in skipped if "it needs the back-end" in item.reason}
        assert {item.cell for item in skipped} == wrong_backend, skipped


def test_a_kernel_without_what_a_back_end_needs_skips_its_cells() -> None:
    made = matrix(["zram", "pmem", "zswap-alone"])
    config = asked("6.12.117")
    abilities = [
        Ability("base", config, frozenset()),
        Ability("patch", {**config, "CONFIG_ZRAM": "n"}, frozenset({"vswap_init"})),
    ]
    good, skipped = runnable(made, abilities)
    assert [one.name for one in good] == ["pmem.pageio"]
    assert skipped == (
        Skipped("zram.pageio", "patch: the kernel is built without CONFIG_ZRAM"),
        Skipped(
            "zswap-alone.pageio",
            "base: this kernel keeps nothing in zswap without a swap area behind it (there is no "
            "vswap_init() in it)",
        ),
    )
    for one in abilities:
        able = Ability(one.arm, config, frozenset({"vswap_init"}))
        assert runnable(made, [able])[1] == ()


def test_what_one_kernel_alone_can_run_is_half_a_cell() -> None:
    made = matrix(["zram", "zswap-alone"])
    config = asked("6.12.117")
    old, new = (
        Ability("base", config, frozenset()),
        Ability("patch", config, frozenset({"vswap_init"})),
    )
    (half,) = halves(made, [old, new], memory=768 << 20, command="compare")
    assert (half.cell, half.arm) == ("zswap-alone.pageio", "patch")
    assert half.reason.startswith("base: this kernel keeps nothing in zswap without")
    for pair in ([old, old], [new, new], []):
        assert halves(made, pair, memory=768 << 20, command="compare") == ()
    assert halves(made, [old, new], memory=1 << 20, command="compare") == ()


def test_a_cell_that_wants_more_memory_or_another_command_is_skipped() -> None:
    made = matrix(["zram"], ["pageio", "overhead"])
    _, skipped = runnable(made, memory=100 << 20)
    assert [item.cell for item in skipped] == ["zram.pageio", "zram.overhead"]
    assert "the guest has 100 MiB" in skipped[0].reason
    good, _ = runnable(made, memory=768 << 20, command="overhead")
    assert [one.name for one in good] == ["zram.pageio", "zram.overhead"]


def test_a_matrix_of_which_nothing_can_run_is_a_mistake() -> None:
    experiment = spec.load(None, {"backends": "zram", "workloads": "zswap-writeback"})
    with pytest.raises(UserError, match=r"no cell .* zram\.zswap-writeback: it needs the back-end"):
        ability.runnable(experiment, "compare")


# Suites as a matrix


def test_a_suite_is_an_experiments_matrix() -> None:
    experiment = spec.load(None, {"suite": "vswap"})
    assert experiment.cells() == suite.load("vswap").cells
    assert experiment.title.endswith("-vswap")
    quick = spec.load(
        None, {"suite": "standard", "preset": "quick", "guest": {"mglru": ["y", "n"]}}
    )
    assert len(quick.cells()) == 2 * len(suite.load("standard").cells)


@pytest.mark.parametrize("key", ["backends", "workloads"])
def test_a_suite_and_a_matrix_exclude_each_other(key: str) -> None:
    with pytest.raises(UserError, match=f"SUITE and {key.upper()} were both given"):
        spec.load(None, {"suite": "quick", key: "zram" if key == "backends" else "pageio"})


def test_an_unknown_suite_is_named() -> None:
    with pytest.raises(UserError, match="there is no suite 'vswp'; did you mean 'vswap'"):
        spec.load(None, {"suite": "vswp"})


# The debug variant


def test_debug_is_a_word_for_two_fragments() -> None:
    made = spec.load(None, {"debug": "y", "fragments": "mine"})
    assert made.kernels.fragments == ("mine", "watchdog", "debug")
    both = spec.load(None, {"debug": True, "fragments": "debug"})
    assert both.kernels.fragments == ("debug", "watchdog")
    assert spec.load(None, {"debug": "no"}) == spec.load(None, {})
    with pytest.raises(UserError, match="'debug' is 'maybe'; it must be yes or no"):
        spec.load(None, {"debug": "maybe"})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plain_kernel_has_no_option_that_spoils_figures(version: str) -> None:
    plain, debug = asked(version), asked(version, "watchdog", "debug")
    known = {item.symbol for item in kconfig.read_fragment(
        arms.fragment_paths(["debug"])[-1], version=version)}  # fmt: skip
    assert not known & plain.keys()
    assert {"CONFIG_PROVE_LOCKING", "CONFIG_DEBUG_VM", "CONFIG_DEBUG_LIST"} <= known & debug.keys()
