# SPDX-License-Identifier: GPL-2.0-only
"""Inputs for a target: from hypothesis (also in the tests), or from atheris, guided by coverage.

`python -m tests.fuzz.engine NAME SECONDS FOLDER` runs one target under atheris: it is libFuzzer,
which ends its process at the first finding and leaves the input in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import strategies as st

MOST = 1 << 16
"""Bytes of one input; larger ones are cases of their own, in tests/fuzz/test_bombs.py."""


def inputs(seeds: tuple[bytes, ...], words: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Seeds cut to pieces, put together in other orders, with words and noise between them."""
    pieces = sorted({line for seed in seeds for line in seed.splitlines(True)} | {b""})
    noise = st.binary(max_size=12)
    piece = st.one_of(
        st.sampled_from(pieces), st.sampled_from([*words, b"\n"]), noise, st.integers().map(_digits)
    )
    mixed = st.lists(piece, max_size=20).map(b"".join)
    return st.one_of(mixed, st.sampled_from(seeds).flatmap(_damaged))


def _digits(number: int) -> bytes:
    return b"%d" % number


def _damaged(seed: bytes) -> st.SearchStrategy[bytes]:
    """A seed with one stretch replaced."""
    place = st.integers(0, len(seed))
    return st.tuples(place, st.integers(0, 40), st.binary(max_size=20)).map(
        lambda at: seed[: at[0]] + at[2] + seed[at[0] + at[1] :]
    )


def _guided(name: str, seconds: int, folder: Path) -> None:
    import atheris  # noqa: PLC0415 (it is no need of the harness or its tests)

    with atheris.instrument_imports(include=["harness", "email", "yaml"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 (after the instrumentation)

    target = next(one for one in TARGETS if one.name == name)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    escaped = ["".join(f"\\x{byte:02x}" for byte in word) for word in target.words]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
    argv = [
        name, str(corpus), f"-max_total_time={seconds}",
        *([f"-dict={folder / 'words'}"] if escaped else []),  # one without words is an error
        f"-max_len={MOST}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
        f"-artifact_prefix={folder}/finding-", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup(argv, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    _guided(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
