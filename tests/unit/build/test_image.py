# SPDX-License-Identifier: GPL-2.0-only
"""Disk images: real ext4 made without a mount, the same every time, or one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harness.build import image
from harness.build.image import Recipe
from harness.util.errors import InfraError, UserError
from harness.util.paths import REPO, Cache

RECIPE = REPO / "vm-images" / "guest" / "recipe.yaml"
ADMIN = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}


def tool(*argv: str) -> str:
    done = subprocess.run(argv, env=ADMIN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The recipe


@pytest.fixture
def recipe() -> Recipe:
    return image.read_recipe()


def test_the_recipe_says_why_each_package_is_there(recipe: Recipe) -> None:
    assert recipe.packages == tuple(sorted(recipe.packages))
    assert all(why for _, why in recipe.packages)
    assert {"openssh-server", "e2fsprogs"} <= {name for name, _ in recipe.packages}
    assert recipe.init.startswith("#!")


def test_the_key_changes_with_what_goes_in(recipe: Recipe) -> None:
    others = (
        replace(recipe, size="2G"),
        replace(recipe, init=recipe.init + "\n"),
        replace(recipe, packages=recipe.packages[1:]),
        replace(recipe, suite="trixie"),
    )
    assert len({recipe.key, *(item.key for item in others)}) == 5
    assert image.read_recipe().key == recipe.key


def changed(folder: Path, text: str) -> Path:
    (folder / "init").write_text("#!/bin/sh\n", encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("key", ["suite", "packages", "size"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    data = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    del data[key]
    with pytest.raises(UserError, match=rf"recipe\.yaml: key '{key}' is missing"):
        image.read_recipe(changed(tmp_path, yaml.safe_dump(data)))


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    text = RECIPE.read_text(encoding="utf-8") + "\nsiez: 1G\n"
    with pytest.raises(UserError, match=r"recipe\.yaml: unknown key 'siez'; did you mean 'size'"):
        image.read_recipe(changed(tmp_path, text))


@pytest.mark.parametrize("text", ["", "- a\n", "word\n", "a: ["])
def test_a_recipe_that_is_no_mapping_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"recipe\.yaml"):
        image.read_recipe(changed(tmp_path, text))


def test_the_bootstrap_needs_no_root(recipe: Recipe) -> None:
    lines = {
        is_root: image.bootstrap_argv(
            recipe, Path("/x/root.tar"), mirror="http://mirror.invalid/debian", is_root=is_root
        )
        for is_root in (True, False)
    }
    assert "--mode=root" in lines[True]
    assert "--mode=unshare" in lines[False]
    assert lines[True][-3:] == [recipe.suite, "/x/root.tar", "http://mirror.invalid/debian"]
    (include,) = [word for word in lines[False] if word.startswith("--include=")]
    assert set(include.removeprefix("--include=").split(",")) == {n for n, _ in recipe.packages}
    for pattern in recipe.exclude:
        assert f"--dpkgopt=path-exclude={pattern}" in lines[False]


def test_an_image_that_is_there_is_not_made_again(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    target = cache.images / recipe.key
    target.mkdir(parents=True)
    (target / "root.img").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path))
    made = image.build(recipe, cache=cache, mirror="")
    assert made.root == target / "root.img"


def test_a_changed_image_is_made_again(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    target = cache.images / recipe.key
    target.mkdir(parents=True)
    (target / "root.img").write_bytes(b"x")
    image.build(recipe, cache=cache, mirror="")  # made before hashes were kept
    (target / "root.img").write_bytes(b"y")

    def make(_: Recipe, scratch: Path, **__: object) -> None:
        (scratch / "root.img").write_bytes(b"x")

    monkeypatch.setattr(image, "_make_root", make)
    monkeypatch.setattr(image, "SPACE", 1)
    assert image.build(recipe, cache=cache, mirror="").root.read_bytes() == b"x"
    assert "is not as it was made" in heard.text
    heard.clear()
    image.build(recipe, cache=cache, mirror="")
    assert "already made" in heard.text


def test_a_failed_bootstrap_leaves_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "mmdebstrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'E: cannot reach mirror' >&2\nexit 25\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(image, "SPACE", 1)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(InfraError, match="cannot reach mirror"):
        image.build(recipe, cache=cache, mirror="http://mirror.invalid")
    assert [path.name for path in cache.images.glob("[!.]*")] == [f"{recipe.key}.lock"]


# Disks


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    (folder / "bin").mkdir(parents=True)
    for number in range(20):
        (folder / f"file{number}").write_text(f"{number}\n", encoding="utf-8")
    (folder / "bin" / "tool").write_text("#!/bin/sh\n", encoding="utf-8")
    (folder / "bin" / "tool").chmod(0o755)
    return folder


def test_a_disk_is_a_clean_ext4_with_the_files_in_it(tmp_path: Path, content: Path) -> None:
    disk = tmp_path / "disk.img"
    image.make_disk(disk, content, size="16M", label="tools")
    tool("e2fsck", "-fn", str(disk))
    assert tool("debugfs", "-R", "cat /file7", str(disk)) == "7\n"
    status = tool("debugfs", "-R", "stat /bin/tool", str(disk))
    assert "Mode:  0755" in status
    header = tool("dumpe2fs", "-h", str(disk))
    assert "Filesystem volume name:   tools" in header
    assert "Filesystem state:         clean" in header
    assert "extent" in header and "has_journal" in header
    assert disk.stat().st_size == 16 << 20
    assert disk.stat().st_blocks * 512 < 8 << 20, "sparse"


def test_the_root_folder_of_a_disk_belongs_to_root(tmp_path: Path, content: Path) -> None:
    disk = tmp_path / "disk.img"
    image.make_disk(disk, content, size="16M", label="tools")
    status = tool("debugfs", "-R", "stat /", str(disk)).split()
    assert (status[status.index("User:") + 1], status[status.index("Group:") + 1]) == ("0", "0")


def test_nothing_is_left_to_initialise_after_mounting(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    image.make_disk(disk, None, size="300M", label="swap")
    groups = tool("dumpe2fs", str(disk))
    assert "Group 1:" in groups
    assert "ITABLE_ZEROED" in groups
    lines = [line for line in groups.splitlines() if line.startswith("Group ")]
    assert all("ITABLE_ZEROED" in line for line in lines if "[" in line)


@pytest.mark.parametrize("is_empty", [True, False])
def test_the_same_content_gives_the_same_bytes(
    tmp_path: Path, content: Path, is_empty: bool
) -> None:
    # mke2fs copies the times of files, and reading a new file sets its time of access once.
    for path in (content, *content.rglob("*")):
        os.utime(path, (time.time() + 60, path.stat().st_mtime))
    disks = [tmp_path / "one.img", tmp_path / "two.img"]
    for disk in disks:
        image.make_disk(disk, None if is_empty else content, size="8M", label="tools")
    assert disks[0].read_bytes() == disks[1].read_bytes()


def test_an_old_disk_is_replaced(tmp_path: Path, content: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"garbage" * 1000)
    image.make_disk(disk, content, size="16M", label="tools")
    tool("e2fsck", "-fn", str(disk))


def test_content_that_does_not_fit_is_one_sentence(tmp_path: Path, content: Path) -> None:
    (content / "big").write_bytes(os.urandom(8 << 20))
    disk = tmp_path / "disk.img"
    with pytest.raises(InfraError) as told:
        image.make_disk(disk, content, size="4M", label="tools")
    assert str(disk) in str(told.value) and "4M" in str(told.value)
    assert "\n" not in str(told.value)
    assert not disk.exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "nowhere" / "disk.img"
    with pytest.raises(InfraError) as told:
        image.make_disk(disk, None, size="4M", label="swap")
    assert str(disk) in str(told.value) and "\n" not in str(told.value)


def test_the_tools_disk_has_programs_and_keys(tmp_path: Path, content: Path) -> None:
    keys = [tmp_path / "host_key", tmp_path / "authorized_keys"]
    for key in keys:
        key.write_text("key", encoding="utf-8")
        key.chmod(0o600)
    disk = tmp_path / "tools.img"
    image.make_tools_disk(disk, content, ssh=keys)
    tool("e2fsck", "-fn", str(disk))
    assert {"tool"} <= set(tool("debugfs", "-R", "ls -p /bin", str(disk)).replace("/", " ").split())
    ssh = tool("debugfs", "-R", "ls -p /ssh", str(disk))
    assert all(name in ssh for name in ("host_key", "authorized_keys", "sshd_config"))
    status = tool("debugfs", "-R", "stat /ssh/host_key", str(disk))
    assert "Mode:  0600" in status, "sshd refuses a key that others can read"
    assert not list(tmp_path.glob("tools.*/")), "nothing is left beside the disk"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("workloads/a/described.json is not what the program prints; write it", UserError),
        ("a.c:1: error: expected ';'", InfraError),
    ],
)
def test_programs_that_do_not_build_say_whose_mistake_it_is(
    said: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 2, "", f"{said}\nmake: *** [Makefile:34] Error 1\n")
    monkeypatch.setattr(image, "run", lambda *_, **__: failed)
    with pytest.raises(error, match=said.split(":", maxsplit=1)[0]):
        image.build_tools(cache=Cache(tmp_path))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_the_guest_programs_are_built_once_and_are_static(
    tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    tools = image.build_tools(cache=cache)
    names = {path.name for path in (tools / "bin").iterdir()}
    assert {"sampler", "pageio", "fill", "pressure", "prepare", "run-workload"} <= names
    # A program that asks for an interpreter needs the host's libraries in the guest.
    assert b"ld-linux" not in (tools / "bin" / "sampler").read_bytes()[:4096]
    assert image.build_tools(cache=cache) == tools
    assert heard.text.count("$ make") == 1
    (tools / "bin" / "pageio").write_bytes(b"half")
    assert image.build_tools(cache=cache) == tools
    assert heard.text.count("$ make") == 2 and "not as they were built" in heard.text
    assert (tools / "bin" / "pageio").stat().st_size > 4096
