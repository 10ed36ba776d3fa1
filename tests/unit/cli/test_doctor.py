# SPDX-License-Identifier: GPL-2.0-only
"""The doctor tells everything that is wrong, not only the first thing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.cli import doctor
from harness.util.errors import InfraError
from harness.util.paths import REPO, Cache
from harness.vm import accel
from harness.vm.accel import AccelCheck
from tests.fakes.things import kernel

PACKAGES = REPO / "harness" / "cli" / "packages.yaml"


def test_every_package_says_why_and_how_it_shows() -> None:
    table = yaml.safe_load(PACKAGES.read_text(encoding="utf-8"))
    assert "qemu-system-x86" in table
    for name, item in table.items():
        assert item["why"], name
        assert set(item) - {"why", "when"} in ({"command"}, {"file"}, {"python"}), name
        assert item.get("when", "user") in ("user", "clusters"), name


def _written(folder: Path, table: dict[str, dict[str, str]]) -> Path:
    path = folder / "packages.yaml"
    path.write_text(yaml.safe_dump(table, sort_keys=False), encoding="utf-8")
    return path


def test_what_is_missing_is_found_by_command_file_or_module(tmp_path: Path) -> None:
    there = tmp_path / "there.h"
    there.touch()
    table = {
        "shell": {"command": "sh"},
        "no-program": {"command": "no-such-program-here"},
        "header": {"file": str(there)},
        "no-header": {"file": str(tmp_path / "gone.h")},
        "module": {"python": "json"},
        "no-module": {"python": "no_such_module_here"},
    }
    found = doctor.missing_packages(_written(tmp_path, table))
    assert found == ["no-program", "no-header", "no-module"]


@pytest.mark.parametrize(("user", "missing"), [(0, []), (1000, ["newuidmap"])])
def test_what_only_a_user_needs_root_does_not_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, missing: list[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    table = {
        "newuidmap": {"command": "no-such-program-here", "when": "user"},
        "slurm-wlm": {"command": "no-such-program-here", "when": "clusters"},
    }
    assert doctor.missing_packages(_written(tmp_path, table)) == missing


def works(patch: pytest.MonkeyPatch, **verdicts: bool) -> None:
    def check(name: str, **_: object) -> AccelCheck:
        return AccelCheck(name, verdicts[name], 0.5, f"{name} because")

    patch.setattr(accel, "check", check)


def topics(cache: Path) -> dict[str, tuple[bool, str]]:
    found = doctor.examine(cache=Cache(cache))
    return {item.topic: (item.ok, item.text) for item in found}


def test_a_machine_without_kvm_is_still_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(monkeypatch, kvm=False, tcg=True)
    found = topics(tmp_path)
    ok, text = found["accelerator"]
    assert ok and text.startswith("tcg") and "kvm because" in text
    assert "instruction clock is the default" in text


def test_a_machine_without_any_accelerator_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(monkeypatch, kvm=False, tcg=False)
    assert not topics(tmp_path)["accelerator"][0]


def test_without_qemu_everything_else_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(name: str, **_: object) -> AccelCheck:
        raise InfraError("qemu-system-x86_64 is not installed")

    monkeypatch.setattr(accel, "check", check)
    found = topics(tmp_path)
    assert found["accelerator"] == (False, "qemu-system-x86_64 is not installed")
    assert {"packages", "disk", "memory"} <= set(found)


def test_missing_packages_come_as_the_command_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(monkeypatch, kvm=False, tcg=True)
    monkeypatch.setattr(doctor, "missing_packages", lambda: ["bc", "flex"])
    ok, text = topics(tmp_path)["packages"]
    assert not ok and "apt-get install -y bc flex" in text


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works(monkeypatch, kvm=False, tcg=True)
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 1 << 30)
    ok, text = topics(tmp_path)["disk"]
    assert not ok and str(tmp_path) in text


def test_broken_kernels_in_the_cache_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works(monkeypatch, kvm=False, tcg=True)
    kernel(Cache(tmp_path).kernels / "half")
    assert topics(tmp_path)["kernels"][1].startswith("0 built")
