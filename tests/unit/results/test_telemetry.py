# SPDX-License-Identifier: GPL-2.0-only
"""The sampler's stream: nothing in it may stop the reader, and nothing complete may be lost."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.results import telemetry
from harness.results.telemetry import File, Miss, Sample, read

_path = st.sampled_from(["/proc/vmstat", "kthreads", "/a b/c", "@end", "9"])
_content = st.binary(max_size=20) | st.sampled_from(
    [b"", b"pswpin 1\n", b"@end 1 2 3\n", b"@file a 3\n", b"\n\n", b"@sample"]
)
_number = st.sampled_from([0, 7, 10**17])


@st.composite
def _samples(draw: st.DrawFn, at_least: int = 0) -> list[Sample]:
    count = draw(st.integers(at_least, 4))
    return [
        Sample(
            seq=seq,
            t_ns=draw(_number),
            reason=draw(st.sampled_from(["interval", "mark:in.begin", "mark:out.end"])),
            files=tuple(
                File(path, data)
                for path, data in draw(st.lists(st.tuples(_path, _content), max_size=3))
            ),
            misses=tuple(Miss(path, "ENOENT") for path in draw(st.lists(_path, max_size=2))),
            end_ns=draw(_number),
            cpu_ns=draw(_number),
        )
        for seq in range(count)
    ]


def _bytes(sample: Sample) -> bytes:
    """What the sampler writes, straight from the format's definition."""
    parts = [f"@sample {sample.seq} {sample.t_ns} {sample.reason}\n".encode()]
    for file in sample.files:
        parts.append(f"@file {file.path} {len(file.data)}\n".encode() + file.data + b"\n")
    parts += [f"@miss {miss.path} {miss.errno}\n".encode() for miss in sample.misses]
    parts.append(f"@end {sample.seq} {sample.end_ns} {sample.cpu_ns}\n".encode())
    return b"".join(parts)


@given(_samples())
def test_a_whole_stream_gives_all_its_samples(samples: list[Sample]) -> None:
    stream = read(b"".join(map(_bytes, samples)))
    assert list(stream.samples) == samples
    assert not stream.torn
    assert stream.defects == ()


@given(_samples(), st.data())
def test_a_cut_stream_gives_exactly_its_complete_samples(
    samples: list[Sample], data: st.DataObject
) -> None:
    pieces = [_bytes(sample) for sample in samples]
    whole = b"".join(pieces)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    stream = read(whole[:cut])
    assert list(stream.samples) == [s for s, end in zip(samples, ends, strict=True) if end <= cut]
    assert stream.torn == (cut != 0 and cut not in ends)
    assert stream.defects == ()


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    read(data)


@given(st.lists(st.sampled_from(
    [b"@sample 1 2 interval\n", b"@sample ", b"@file a 3\n", b"@file a 999\n", b"abc\n", b"\n",
     b"@miss a ENOENT\n", b"@end 1 2 3\n", b"@end 2 2 3\n", b"@", b"9" * 30]
), max_size=20))  # fmt: skip
def test_no_mixture_of_true_pieces_raises(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    stream = read(data)
    assert stream.samples or stream.torn or stream.defects or not data


@given(_samples(at_least=3), st.binary(min_size=1, max_size=40))
def test_garbage_in_the_middle_costs_only_the_sample_it_hits(
    samples: list[Sample], garbage: bytes
) -> None:
    # "?" cannot begin any line of the format, whatever follows it.
    noise = b"?" + garbage.replace(b"@", b"?") + b"\n"
    first, second, *rest = (_bytes(sample) for sample in samples)
    at = second.rindex(b"@end")
    broken = second[:at] + noise + second[at:]
    stream = read(first + broken + b"".join(rest))
    assert list(stream.samples) == [samples[0], *samples[2:]]
    assert any("left out" in defect for defect in stream.defects)
    assert any("sample 2 follows sample 0" in defect for defect in stream.defects)


def test_a_garbled_length_does_not_swallow_the_next_sample() -> None:
    stream = read(
        b"@sample 0 1 interval\n@file /proc/vmstat 9999\nabc\n@end 0 2 0\n"
        b"@sample 1 3 mark:in.begin\n@file /proc/vmstat 3\nabc\n@end 1 4 0\n"
    )
    assert [sample.seq for sample in stream.samples] == [1]
    assert stream.samples[0].mark == "in.begin"
    assert len(stream.defects) == 1
    assert "runs past the end" in stream.defects[0]


def test_a_file_may_be_empty_or_not_end_in_a_newline() -> None:
    stream = read(b"@sample 0 1 interval\n@file a 0\n\n@file b 2\nxy\n@end 0 2 7\n")
    assert stream.samples[0].files == (File("a", b""), File("b", b"xy"))
    assert stream.samples[0].mark is None
    assert stream.samples[0].cpu_ns == 7


def test_mismatched_end_is_a_defect() -> None:
    stream = read(b"@sample 0 1 interval\n@end 1 2 0\n")
    assert stream.samples == ()
    assert "differ" in stream.defects[0]


def test_bytes_that_are_not_utf8_stay_visible() -> None:
    assert File("a", b"caf\xe9").text == "caf\\xe9"


def test_a_kept_stream_comes_back_whole_and_a_damaged_one_up_to_the_damage() -> None:
    stream = bytes(random.Random(1).randbytes(1 << 16)).hex().encode()
    packed = telemetry.pack(stream)
    assert telemetry.unpack(packed) == stream
    assert packed == telemetry.pack(stream)
    half = telemetry.unpack(packed[: len(packed) // 2])
    assert stream.startswith(half)
    assert len(half) > len(stream) // 3
    broken = packed[: len(packed) // 2] + b"\xff" * 99 + packed[len(packed) // 2 + 99 :]
    assert telemetry.unpack(broken)[:1000] == stream[:1000]
