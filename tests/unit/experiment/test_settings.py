# SPDX-License-Identifier: GPL-2.0-only
"""A setting is declared once: a made-up one is found everywhere that settings are used."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from harness.cli import commands, variables
from harness.experiment import cell, settings, spec
from harness.experiment.cell import Cell
from harness.experiment.settings import Guest, Identity, Repeat
from harness.experiment.spec import Experiment
from harness.run import identity, manifest
from harness.studies.nightly import agenda, config, measure
from harness.util.errors import UserError
from harness.util.yamlfile import one_of


@dataclasses.dataclass(frozen=True)
class GuestWithColour(Guest):
    """A guest with one setting more."""

    colour: Annotated[str, one_of(("red", "blue"))] = settings.setting(
        "red", "of the guest: red (default), blue"
    )


@pytest.fixture
def colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declares the setting 'colour'; all tests below know it from nowhere else."""
    monkeypatch.setitem(settings.PARTS, "guest", GuestWithColour)


def load(**given: Any) -> Experiment:
    return spec.load(None, given)


@pytest.mark.usefixtures("colour")
def test_it_is_an_option_and_a_variable_of_make(capsys: pytest.CaptureFixture[str]) -> None:
    line = commands.build()
    for command in ("compare", "walk", "bench"):
        words = variables.arguments(line, command, {"COLOUR": "blue"})
        assert words == [command, "--colour=blue"]
        assert line.parse(words).colour == "blue"
    assert "  COLOUR=        of the guest: red (default), blue" in variables.listing(line)
    with pytest.raises(SystemExit):
        line.parse(["compare", "--help"])
    assert "--colour COLOUR" in capsys.readouterr().out


@pytest.mark.usefixtures("colour")
def test_it_is_a_checked_key_of_a_spec_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("colour: blue\n", encoding="utf-8")
    assert spec.load(path, {}).value("colour") == "blue"
    assert spec.load(path, {"colour": "red"}).value("colour") == "red"
    assert load().changed(colour="blue") == spec.load(path, {})
    path.write_text("color: blue\n", encoding="utf-8")
    with pytest.raises(UserError, match="unknown key 'color'; did you mean 'colour'"):
        spec.load(path, {})
    with pytest.raises(UserError, match="'colour' is 'green'; it must be one of red, blue"):
        load(colour="green")


@pytest.mark.usefixtures("colour")
def test_a_result_can_be_repeated_with_it(tmp_path: Path) -> None:
    one = load(colour="blue", pairs=3)
    assert " COLOUR=blue" in manifest.repeat_command(one)
    assert "COLOUR" not in manifest.repeat_command(load())
    manifest.write_spec(tmp_path, one)
    assert spec.load(tmp_path / "spec.yaml", {}) == one


@pytest.mark.usefixtures("colour")
def test_it_identifies_a_result_unless_it_is_the_default() -> None:
    assert identity.identifying(load(colour="blue"), "insn")["colour"] == "blue"
    assert "colour" not in identity.identifying(load(), "insn"), "older results go on"


@pytest.mark.usefixtures("colour")
def test_a_nightly_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text("series: [vswap]\nbackends: [zram]\nworkloads: [pageio]\ncolour: blue\n")
    ((_, unit),) = config.load(path, registry_folder=measure.REGISTRY).units
    assert agenda.unit_data(unit)["colour"] == "blue"


# What identifies a result is in files of results: another list is another format.

ALWAYS = {
    "base", "patch", "head", "config", "head_config", "fragments", "backends", "workloads",
    "suite", "preset", "guest", "memory", "cpus", "swap", "seed",
}  # fmt: skip


def test_what_identifies_a_result() -> None:
    assert set(identity.identifying(load(pairs=9, timeout=7), "insn")) == ALWAYS
    assert set(identity.identifying(load(), "wall")) == ALWAYS | {"parallel"}
    assert set(identity.identifying(load(upto=2), "insn")) == ALWAYS | {"upto"}
    resolved = {
        name for name, one in settings.stored().items() if one.identity is Identity.RESOLVED
    }
    assert resolved == {"clock", "accel", "disk"}


def test_what_a_command_always_says() -> None:
    always = [name for name, one in settings.stored().items() if one.repeat is Repeat.ALWAYS]
    assert always == ["base", "patch", "pairs", "seed"]


# The matrix


def test_the_matrix_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = cell.matrix

    def counted(**given: Any) -> tuple[Cell, ...]:
        made.append(given["preset"])
        return whole(**given)

    monkeypatch.setattr(cell, "matrix", counted)
    experiment = load(backends="zram")
    assert experiment.changed(pairs=4).cells() is experiment.cells()
    assert len(made) == 1
    assert len(experiment.changed(workloads=("fill",)).cells()) == 1
    assert len(made) == 2


def test_an_experiment_is_plain_data_again() -> None:
    given = {"backends": [{"zram": {"compressor": "lz4"}}], "config": "NUMA=y", "pairs": 4}
    one = load(**given, guest={"mglru": "y"})
    data = json.loads(json.dumps(one.as_data()))
    assert set(data) == set(settings.stored())
    assert spec.load(None, data) == one
