# SPDX-License-Identifier: GPL-2.0-only
"""The cache's limit: the least recently used go first, nothing in use ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import main as cli
from harness.run import eviction
from harness.run.eviction import Item
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.paths import REPO, Cache

MIB = 1 << 20
DAY = 86400
sizes = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 9), st.booleans()), max_size=12)


@given(rows=sizes, most=st.integers(0, 500))
def test_only_what_must_go_goes_and_oldest_first(
    rows: list[tuple[int, int, bool]], most: int
) -> None:
    found = [Item("k", Path(f"/{n}"), size, used) for n, (size, used, _) in enumerate(rows)]
    needed = {item.path for item, row in zip(found, rows, strict=True) if row[2]}
    gone = eviction.choose(found, most=most, needed=needed)
    left = [item for item in found if item not in gone]
    total = sum(item.size for item in left)
    assert not needed & {item.path for item in gone}
    assert total <= most or all(item.path in needed for item in left)
    if gone:  # without the last one it would have been too much
        assert total + gone[-1].size > most
    kept = [item for item in left if item.path not in needed]
    assert not gone or all(item.used >= gone[-1].used for item in kept)


def _fill(cache: Cache) -> dict[str, Path]:
    """A kernel of each age, an image and a workspace; a MiB each."""
    places = {
        "old": cache.kernels / "old",
        "new": cache.kernels / "new",
        "image": cache.images / "image",
        "workspace": cache.build / "ws",
    }
    for days, path in zip((9, 1, 5, 3), places.values(), strict=True):
        (path / "sub").mkdir(parents=True)
        (path / "sub" / "file").write_bytes(os.urandom(MIB))
        (path.parent / f"{path.name}.lock").touch()
        os.utime(path, (0, time.time() - days * DAY))
    for name in ("linux.git", "downloads", "ccache"):
        (cache.root / name).mkdir()
        (cache.root / name / "file").write_bytes(b"x")
    return places


def _there(places: dict[str, Path]) -> set[str]:
    return {name for name, path in places.items() if path.is_dir()}


def test_a_cache_over_its_limit_loses_what_was_not_used_for_longest(
    tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    places = _fill(cache)
    eviction.keep_below(cache, 100 * MIB, needed=())
    assert len(_there(places)) == 4 and heard.text == ""
    eviction.keep_below(cache, 3 * MIB - 1, needed=[places["old"]])
    assert _there(places) == {"old", "new"}
    assert "removed images/image (1 MiB)" in heard.text and "build/ws" in heard.text
    assert (cache.root / "linux.git").is_dir() and not list(cache.root.glob("*/.gone*"))
    eviction.keep_below(cache, 0, needed=list(places.values()))
    assert _there(places) == {"old", "new"} and "more than CACHE_LIMIT=" in heard.text


HOLDER = """
import sys, time
from pathlib import Path
from harness.util import atomic
atomic.hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_what_another_run_holds_stays_until_it_ends(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    places = _fill(cache)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(places["old"])], stdout=subprocess.PIPE, cwd=REPO
    ) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        with atomic.locked(cache.build / "ws.lock"):  # somebody builds there
            eviction.keep_below(cache, 0, needed=())
            assert _there(places) == {"old", "workspace"}
            found = eviction.cleanable(cache)
            assert {item.path for item in found.held} == {places["old"], places["workspace"]}
            assert eviction.clean(cache, found) == ()
            assert (cache.root / "linux.git").is_dir(), "not under a run's feet"
        other.kill()
    eviction.clean(cache, eviction.cleanable(cache))
    assert not tmp_path.exists()


def test_what_is_taken_into_use_after_it_was_shown_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    places = _fill(cache)
    found = eviction.cleanable(cache)
    assert found.whole and not found.held
    with atomic.locked(cache.build / "ws.lock"):
        assert [item.path for item in eviction.clean(cache, found)] == [places["workspace"]]
    assert _there(places) == {"workspace"}
    assert (cache.root / "linux.git").is_dir(), "not under a run's feet"


def test_using_a_folder_makes_it_recent(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    places = _fill(cache)
    atomic.hold(places["old"])
    used = {item.path: item.used for item in eviction.items(cache)}
    assert max(used, key=lambda path: used[path]) == places["old"]


def test_a_workspace_is_counted_once_for_each_build(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    place = _fill(cache)["workspace"]
    assert next(item.size for item in eviction.items(cache) if item.path == place) >= MIB
    (cache.build / "ws.size").write_text("7\n")
    assert [item.size for item in eviction.items(cache) if item.path == place] == [7]
    os.utime(place, (0, time.time() + 10))
    assert next(item.size for item in eviction.items(cache) if item.path == place) >= MIB


def test_clean_cache_shows_before_it_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = Cache.from_environment()
    places = _fill(cache)
    assert cli.main(["clean-cache", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert str(cache.root) in out and "kernels             2" in out and "linux.git" in out
    # Nobody is there to be asked.
    assert cli.main(["clean-cache"]) == 2
    assert "nothing was removed; YES=yes" in capsys.readouterr().out
    assert len(_there(places)) == 4 and (cache.root / "linux.git").is_dir()
    assert cli.main(["clean-cache", "--older-than", "4", "--yes"]) == 0
    assert _there(places) == {"new", "workspace"} and (cache.root / "linux.git").is_dir()
    with pytest.raises(SystemExit, match="2"):
        cli.main(["clean-cache", "--older-than", "-1"])
    assert "'older_than' is '-1'; it counts days" in capsys.readouterr().err
    assert cli.main(["clean-cache", "--yes"]) == 0
    assert not cache.root.exists()
    assert cli.main(["clean-cache"]) == 0


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("", False), ("what", False)])
def test_clean_cache_asks_who_sits_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _fill(Cache.from_environment())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert cli.main(["clean-cache"]) == (0 if gone else 2)
    assert Cache.from_environment().root.exists() == (not gone)


def test_the_limit_is_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CACHE_LIMIT", raising=False)
    assert eviction.limit() == 40 << 30
    monkeypatch.setenv("CACHE_LIMIT", "20G")
    assert eviction.limit() == 20 << 30
    monkeypatch.setenv("CACHE_LIMIT", "much")
    with pytest.raises(UserError, match="CACHE_LIMIT"):
        eviction.limit()
