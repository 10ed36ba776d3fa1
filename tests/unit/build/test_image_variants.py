# SPDX-License-Identifier: GPL-2.0-only
"""Workloads that ask for packages get an image that has them, and nobody else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build import image
from harness.build.image import Image
from harness.build.pair import Context
from harness.experiment import cell, workload
from harness.experiment.spec import Experiment
from harness.run import manifest
from harness.series.mail.lore import MailSource
from harness.studies import methods, needs
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.util.sandbox import OFF
from harness.vm import boot
from harness.vm.watch import Deadlines
from tests.fakes.things import boot_request, host

DEADLINES = Deadlines(boot=8, command=8, workload=8, silence=5)


def test_packages_make_another_image_and_their_order_does_not() -> None:
    plain = image.read_recipe()
    one = image.with_packages(plain, ["redis-server", "stress-ng"])
    assert image.with_packages(plain, []) == plain
    assert one == image.with_packages(plain, ["stress-ng", "redis-server"])
    assert one.key != plain.key
    assert set(dict(plain.packages)) < set(dict(one.packages)) >= {"redis-server", "stress-ng"}
    argv = image.bootstrap_argv(one, Path("t"), mirror="m", is_root=True)
    (include,) = [word for word in argv if word.startswith("--include=")]
    assert {"redis-server", "openssh-server"} <= set(include.removeprefix("--include=").split(","))


def test_a_package_of_the_recipe_keeps_its_reason() -> None:
    plain = image.read_recipe()
    assert dict(image.with_packages(plain, ["kmod"]).packages) == dict(plain.packages)


def test_each_cell_is_booted_from_its_image(tmp_path: Path) -> None:
    (asking,) = cell.matrix(backends=["zram"], workloads=["redis"])
    where = host(tmp_path, deadlines=DEADLINES)
    plain = boot_request(tmp_path)
    where = replace(where, variants={("redis-server",): tmp_path / "redis.img"})
    assert boot.machine(plain, where, tmp_path, tmp_path).root == where.root
    other = boot.machine(replace(plain, cell=asking), where, tmp_path, tmp_path)
    assert other.root == tmp_path / "redis.img"


def test_only_the_images_that_cells_ask_for_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[image.Recipe] = []

    def build(recipe: image.Recipe, **_: Any) -> Image:
        made.append(recipe)
        return Image(recipe.key, tmp_path)

    monkeypatch.setattr(image, "build", build)
    cells = cell.matrix(backends=["zram", "zswap"], workloads=["pageio", "redis", "stress"])
    mails = MailSource(cache=tmp_path)
    context = Context(
        cache=Cache(tmp_path), results=tmp_path, sandbox=OFF, mails=mails, mirror="http://mirror"
    )
    found = needs.images(methods.recipes(cells), context)
    assert set(found) == {(), ("redis-server",), ("stress-ng",)}
    assert [recipe.key for recipe in made] == [one.key for one in found.values()]
    assert len(needs.images(methods.recipes(cells[:2]), context)) == 1


def test_the_manifest_names_the_images(tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("redis 7\n", encoding="utf-8")
    said = manifest._image(Image("key", tmp_path), ("redis-server",))
    assert said.key == "key" and said.on_top == ("redis-server",)
    assert len(said.packages_sha256) == 64


@pytest.mark.parametrize("name", ["a,b", "Redis", "-o", "a b", "../x", 7, ""])
def test_what_cannot_be_a_package_is_refused(name: object) -> None:
    data = yaml.safe_load((workload.FOLDER / "redis/workload.yaml").read_text(encoding="utf-8"))
    data["requires"]["packages"] = [name]
    with pytest.raises(UserError, match=r"requires\.packages: entry 1 is .*; it must be a"):
        yamlfile.check(data, workload.WorkloadDefinition, "workload.yaml")


def test_no_default_cell_asks_for_a_larger_image() -> None:
    assert {one.workload.packages for one in Experiment().cells()} == {()}
