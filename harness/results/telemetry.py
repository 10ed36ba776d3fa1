# SPDX-License-Identifier: GPL-2.0-only
"""The sampler's stream: bytes in, samples out. Survives a torn tail and a garbled middle."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from itertools import pairwise

# 18 digits always fit 64 bits; 10**18 ns are 31 years.
_SAMPLE = re.compile(rb"@sample (\d{1,18}) (\d{1,18}) ([^\s]{1,256})\n")
_FILE = re.compile(rb"@file ([^\n]{1,4096}) (\d{1,12})\n")
_MISS = re.compile(rb"@miss ([^\n]{1,4096}) (\S{1,64})\n")
_END = re.compile(rb"@end (\d{1,18}) (\d{1,18}) (\d{1,18})\n")
_START = b"@sample "
_MOST = 256 << 20
_PIECE = 1 << 12
_RESYNC = b"\n" + _START


@dataclass(frozen=True, slots=True)
class File:
    """One file of a sample, as the guest's kernel gave it."""

    path: str
    data: bytes

    @property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 are kept visible as \\xNN."""
        return self.data.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Miss:
    """A file that the sampler could not read."""

    path: str
    errno: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One complete sample.

    t_ns, end_ns: CLOCK_MONOTONIC before and after reading, in ns
    reason: "interval", "mark:<text>", or "beat" (a sign of life without files)
    cpu_ns: CPU time that the sampler itself has used so far, in ns
    """

    seq: int
    t_ns: int
    reason: str
    files: tuple[File, ...]
    misses: tuple[Miss, ...]
    end_ns: int
    cpu_ns: int

    @property
    def mark(self) -> str | None:
        """The mark's text, or None for an interval sample."""
        return self.reason.removeprefix("mark:") if self.reason.startswith("mark:") else None


@dataclass(frozen=True, slots=True)
class Stream:
    """All complete samples, in order.

    torn: the last sample is cut off, as after a crash
    defects: one sentence for each place that could not be read, and for each gap in the sequence
    """

    samples: tuple[Sample, ...]
    torn: bool
    defects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Broken:
    """Why a sample could not be read; `ended`: the data ran out before anything was wrong."""

    why: str
    at: int
    ended: bool


def pack(data: bytes) -> bytes:
    """A stream as it is kept: gzip, the same bytes for the same stream."""
    return gzip.compress(data, 6, mtime=0)


def unpack(data: bytes) -> bytes:
    """A kept stream; of a damaged file, what comes before the damage.

    A file that unpacks to more than `_MOST` bytes is no sampler's: the rest of it is left out.
    """
    reader = zlib.decompressobj(wbits=31)
    stream = bytearray()
    try:
        # Piece by piece: what was read before an error is not lost.
        for start in range(0, len(data), _PIECE):
            stream += reader.decompress(data[start : start + _PIECE])
            if len(stream) > _MOST:
                break
    except zlib.error:
        pass
    return bytes(stream)


def read(data: bytes) -> Stream:
    """Read a stream; never raises, whatever the bytes.

    A sample counts only when its @end line is whole. After damage reading goes on at the
    next line that starts with "@sample ", so no file in a sample may have such a line.
    """
    samples: list[Sample] = []
    defects: list[str] = []
    position, torn = 0, False
    while position < len(data):
        result = _sample(data, position)
        if not isinstance(result, _Broken):
            sample, position = result
            samples.append(sample)
            continue
        following = data.find(_RESYNC, position)
        torn = following < 0 and result.ended
        if following < 0:
            following = len(data) - 1
        if not torn:
            defects.append(
                f"byte {result.at}: {result.why}; "
                f"{following + 1 - position} bytes from byte {position} on are left out"
            )
        position = following + 1
    return Stream(tuple(samples), torn, (*defects, *_gaps(samples)))


def _sample(data: bytes, start: int) -> tuple[Sample, int] | _Broken:
    """The sample at `start` and the position after it, or why there is none."""
    head = _SAMPLE.match(data, start)
    if head is None:
        return _broken(data, start, start, "a sample should begin here")
    files: list[File] = []
    misses: list[Miss] = []
    at = head.end()
    while True:
        if match := _FILE.match(data, at):
            first, size = match.end(), int(match[2])
            at = first + size + 1
            if at > len(data):
                return _Broken(f"a file of {size} bytes runs past the end", match.start(), True)
            if data[at - 1 : at] != b"\n":
                return _Broken(f"a file of {size} bytes does not end there", match.start(), False)
            files.append(File(_text(match[1]), data[first : at - 1]))
        elif match := _MISS.match(data, at):
            misses.append(Miss(_text(match[1]), _text(match[2])))
            at = match.end()
        elif match := _END.match(data, at):
            break
        else:
            return _broken(data, start, at, "no @file, @miss or @end line")
    if int(match[1]) != int(head[1]):
        return _Broken("the sequence numbers of @sample and @end differ", at, False)
    sample = Sample(
        seq=int(head[1]),
        t_ns=int(head[2]),
        reason=_text(head[3]),
        files=tuple(files),
        misses=tuple(misses),
        end_ns=int(match[2]),
        cpu_ns=int(match[3]),
    )
    return sample, match.end()


def _broken(data: bytes, start: int, at: int, why: str) -> _Broken:
    """Damage at `at`: a line that is merely cut off by the end of the data counts as torn."""
    begin = data[at : at + len(_START)]
    heads = (_START,) if at == start else (b"@file ", b"@miss ", b"@end ")
    ended = data.find(b"\n", at) < 0 and any(
        begin.startswith(head) or head.startswith(begin) for head in heads
    )
    return _Broken(why, at, ended)


def _gaps(samples: list[Sample]) -> list[str]:
    """A sentence for each place where the sequence number does not go up by one."""
    return [
        f"sample {after.seq} follows sample {before.seq}"
        for before, after in pairwise(samples)
        if after.seq != before.seq + 1
    ]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
