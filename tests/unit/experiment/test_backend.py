# SPDX-License-Identifier: GPL-2.0-only
"""Settings of a back-end: their values, and what they need of a kernel's configuration."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.experiment import axes, backend, cell, condition, spec
from harness.experiment.cell import Ability
from harness.experiment.settings import GUEST_SETTINGS
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.versions import in_range

NEW = {"CONFIG_ZRAM", "CONFIG_ZSWAP", "CONFIG_ZRAM_BACKEND_LZO", "CONFIG_ZRAM_BACKEND_LZ4"}
OLD = {"CONFIG_ZRAM", "CONFIG_ZSWAP", "CONFIG_CRYPTO_LZO", "CONFIG_CRYPTO_LZ4"}


@pytest.mark.parametrize(
    ("item", "guest", "message"),
    [
        ({"zram": {"compressor": "zstdd"}}, {}, "'compressor' is 'zstdd'; it must be one of lzo"),
        ({"zswap": {"pool": 101}}, {}, "'pool' is '101'; it must be a whole number from 1 to 100"),
        ({"zswap": {"shrinker": "maybe"}}, {}, "'shrinker' is 'maybe'; it must be one of Y, N"),
        ({"zram": {"size": "20T"}}, {}, "'size' is '20T'; it must be from 1M to 16T"),
        ({"tiered": {"fast": "1K"}}, {}, "'fast' is '1K'; it must be from 1M to 16T"),
        ("zram", {"thp": "sometimes"}, "guest: 'thp' is 'sometimes'; it must be one of always, "),
        ("zram", {"swappiness": 500}, "guest: 'swappiness' is '500'; it must be a whole number"),
        ("zram", {"page_cluster": 32}, "from 0 to 31"),
        ("zram", {"mglru": ["y", "what"]}, "guest: 'mglru' is 'what'; it must be one of"),
        ({"zram": {"swappiness": -1}}, {}, "back-end 'zram': 'swappiness' is '-1'"),
    ],
)
def test_a_value_that_the_guest_would_refuse(
    item: Any, guest: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as told:
        spec.load(None, {"backends": [item], "guest": guest})
    assert message in str(told.value)


@pytest.mark.parametrize("value", ["16T", 16 << 40, "1M"])
def test_a_swap_area_is_as_large_as_swapon_takes_it(value: Any) -> None:
    assert spec.load(None, {"swap": value}).guest.swap
    for wrong in ("999T", "17592186044417", "1K"):
        with pytest.raises(UserError, match=r"'swap' is '.*'; it must be from 1M to 16T"):
            spec.load(None, {"swap": wrong})


def lacks(item: Any, on: set[str], **guest: Any) -> list[str]:
    (one,) = cell.matrix(backends=[item], workloads=["pageio"], guest=guest)
    return list(one.backend.lacks(dict.fromkeys(on, "y")))


def test_what_a_compressor_needs_follows_from_the_configuration() -> None:
    assert lacks("zram", NEW) == [] and lacks({"zram": {"compressor": "lzo-rle"}}, NEW) == []
    assert lacks({"zram": {"compressor": "zstd"}}, NEW) == [
        "the kernel is built without CONFIG_ZRAM_BACKEND_ZSTD, which the compressor zstd needs: "
        "CONFIG=ZRAM_BACKEND_ZSTD=y adds it"
    ]
    # Before 6.12, zram takes its compressors from the crypto API, as zswap does.
    assert lacks("zram", OLD) == []
    assert "CONFIG_CRYPTO_LZ4HC" in lacks({"zram": {"compressor": "lz4hc"}}, OLD)[0]
    assert "CONFIG_CRYPTO_LZ4," in lacks("zswap", NEW)[0]
    assert lacks("zswap", OLD) == []
    assert "CONFIG_ZRAM_BACKEND_842" in lacks({"tiered": {"compressor": 842}}, NEW)[0]


def test_a_setting_of_the_guest_needs_its_option() -> None:
    assert lacks("swapfile", set(), thp="always") == [
        "the kernel is built without CONFIG_TRANSPARENT_HUGEPAGE, which thp=always needs"
    ]
    assert lacks("swapfile", {"CONFIG_LRU_GEN"}, mglru="y") == []


def test_a_kernel_that_is_only_configured_is_judged_by_its_options() -> None:
    cells = cell.matrix(backends=["zram", {"zram": {"compressor": "lz4hc"}}], workloads=["pageio"])
    on = dict.fromkeys(NEW | set(cells[0].workload.definition.requires.kernel), "y")
    good, skipped = cell.runnable(cells, [Ability("base", on)])
    assert [one.name for one in good] == ["zram.pageio"]
    assert [one.cell for one in skipped] == ["zram-lz4hc.pageio"]
    assert skipped[0].reason.startswith("base: the kernel is built without CONFIG_ZRAM_BACKEND_L")


def test_each_setting_that_the_guest_knows_has_its_values() -> None:
    script = (REPO / "vm-images" / "guest" / "prepare").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^\t(size\|[^)]*)\)$", script, re.MULTILINE)
    told = {"disk", "bare", "seed"}  # by `harness.vm.disk`
    ours = set(re.findall(r"\w+", listed)) - told
    known = {key for name in backend.known() for key in backend.taken(name)} | set(GUEST_SETTINGS)
    assert known == ours
    for key in known:
        for name in backend.known():
            if key in backend.taken(name):
                with pytest.raises(UserError, match=f"'{key}' is"):
                    backend.make(name, name, {key: "no such value"}, {})


def test_every_condition_is_listed() -> None:
    made = axes.load()
    assert set(made.guest) == set(GUEST_SETTINGS)
    assert set(made.settings) == {key for name in backend.known() for key in backend.taken(name)}
    for path in made.files:
        condition.switch({path: 0})
    text = axes.listing()
    assert max(map(len, text.splitlines())) <= 100
    for name, axis in {**made.guest, **made.settings, **made.files}.items():
        assert re.search(rf"^  {re.escape(name)}$", text, re.MULTILINE), name
        assert in_range("7.3", axis.kernels), name
    assert "ext4, xfs, btrfs (builds kernels with btrfs.config, xfs.config)" in text


@pytest.mark.parametrize(
    ("item", "guest", "fragments", "packages"),
    [
        ("swapfile", {}, set(), ()),
        ("swapfile", {"cgroup": "v2", "numa": 1}, set(), ()),
        ("swapfile", {"cgroup": "v1", "numa": "memoryless"}, {"cgroup1", "numa"}, ()),
        ({"swapfile": {"fs": "xfs", "crypt": True}}, {}, {"xfs", "dm-crypt"},
         ("cryptsetup-bin", "xfsprogs")),
        ({"zswap": {"fs": "btrfs", "scheduler": "bfq"}}, {}, {"btrfs", "queue"}, ("btrfs-progs",)),
        ({"zram": {"recompress": "zstd", "writeback": "64M"}}, {}, {"zram"}, ()),
    ],
)  # fmt: skip
def test_only_what_needs_a_fragment_or_a_package_asks_for_it(
    item: Any, guest: dict[str, Any], fragments: set[str], packages: tuple[str, ...]
) -> None:
    (one,) = cell.matrix(backends=[item], workloads=["pageio"], guest=guest)
    assert one.backend.fragments == fragments
    assert one.packages == packages
    assert all((REPO / "kernels" / "config" / f"{name}.config").is_file() for name in fragments)


def test_a_kernel_without_the_file_system_is_told() -> None:
    assert lacks({"swapfile": {"fs": "xfs"}}, set()) == [
        "the kernel is built without CONFIG_XFS_FS, which fs=xfs needs"
    ]
    assert lacks({"swapfile": {"fs": "ext4"}}, set()) == []


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"swapfile": {"latency": "8"}}, "'latency' is '8'; it must be a time with its unit"),
        ({"swapfile": {"latency": "8ns"}}, "'latency' is '8ns'; it must be from 1us to 10s"),
        ({"swapfile": {"areas": "10"}}, "the priorities of 2 to 16 areas from 0 to 32767"),
        ({"swapfile": {"areas": "1-40000"}}, "the priorities of 2 to 16 areas from 0 to 32767"),
        ({"swapfile": {"fs": "ntfs"}}, "'fs' is 'ntfs'; it must be one of ext4, xfs, btrfs"),
        ({"swappart": {"fs": "xfs"}}, "back-end 'swappart' has no setting 'fs'"),
        ({"zram": {"latency": "8ms"}}, "back-end 'zram' has no setting 'latency'"),
        ({"zram": {"vm.stat_interval": 1}}, "vm/stat_interval is no condition: the harness sets"),
    ],
)
def test_a_wrong_setting_of_a_disk_is_named(item: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        cell.matrix(backends=[item], workloads=["pageio"])
    assert message in str(told.value)
