# SPDX-License-Identifier: GPL-2.0-only
"""What a comparison tells before a kernel is compiled."""

from __future__ import annotations

import pytest

from harness.experiment import spec
from harness.studies import ability
from harness.util.errors import UserError

CONFIG = dict.fromkeys(
    (
        "CONFIG_SWAP", "CONFIG_ADVISE_SYSCALLS", "CONFIG_UNIX", "CONFIG_ZRAM",
        "CONFIG_ZRAM_BACKEND_LZO", "CONFIG_ZRAM_BACKEND_LZ4",
    ),
    "y",
)  # fmt: skip


def test_a_cell_that_the_configuration_rules_out_is_told_once(
    heard: pytest.LogCaptureFixture,
) -> None:
    wanted = spec.load(None, {"backends": "zram,zram:lz4hc", "workloads": "pageio"})
    watch = ability.watcher(wanted)
    watch("base", CONFIG)
    watch("patch", CONFIG)
    said = [line for line in heard.messages if "is skipped" in line]
    assert said == [
        "zram-lz4hc.pageio is skipped: base: the kernel is built without "
        "CONFIG_ZRAM_BACKEND_LZ4HC, which the compressor lz4hc needs: "
        "CONFIG=ZRAM_BACKEND_LZ4HC=y adds it"
    ]


def test_a_matrix_without_a_cell_left_is_an_error_then() -> None:
    wanted = spec.load(None, {"backends": "zram:lz4hc", "workloads": "pageio"})
    with pytest.raises(UserError, match=r"no cell of the matrix can run; zram-lz4hc.pageio: base:"):
        ability.watcher(wanted)("base", CONFIG)
