# SPDX-License-Identifier: GPL-2.0-only
"""Inputs to begin with: written here, or files of this repository that are not hostile."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from harness.util.paths import REPO
from tests.fakes import elf

_GOLDEN = Path(__file__).parent.parent / "golden"

_DIFF = b"""\
diff --git a/mm/page.c b/mm/page.c
index 0123456..89abcde 100644
--- a/mm/page.c
+++ b/mm/page.c
@@ -1,3 +1,4 @@
 one
-two
+2
+two and a half
 three
--\x20
2.43.0
"""
_PLAIN = (
    b"""\
From: A Person <a@mail.example>
Date: Mon, 5 Jan 2026 10:00:00 +0100
Subject: [PATCH v2 1/2] mm: swap: count
Message-ID: <1-1@mail.example>
In-Reply-To: <1-0@mail.example>
References: <0-0@mail.example> <1-0@mail.example>

Because.
---
 mm/page.c | 2 +-

"""
    + _DIFF
)
_COVER = b"""\
From: A Person <a@mail.example>
To: list@mail.example, "B, C" <b@mail.example>
Cc: =?utf-8?q?D=C3=A9?= <d@mail.example>
Date: Mon, 5 Jan 2026 10:00:00 +0100
Subject: [PATCH v2 0/2] =?utf-8?b?bW06IHN3YXA=?=
Message-ID: <1-0@mail.example>

base-commit: 05f7e89ab9731565d8a62e3b5d1ec206485eeb0b
change-id: 20260105-swap-0123456789ab
"""
_PARTS = (
    b"""\
From: A Person <a@mail.example>
Date: Mon, 5 Jan 2026 10:00:00 +0100
Subject: [PATCH v2 2/2] mm: in parts
Message-ID: <1-2@mail.example>
References: <1-0@mail.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="xx"

--xx
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Caf=E9.

--xx
Content-Type: application/octet-stream; name*=utf-8''x.patch
Content-Disposition: attachment; filename="x.patch"

"""
    + _DIFF
    + b"--xx--\n"
)
_CODED = b"""\
From: a@mail.example
Subject: =?utf-8?q?=5BPATCH=5D_?=
 =?unknown-8bit?b?/w==?=
Date: Thu, 01 Jan 1970 00:00:00 +0000
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: base64

ZGlmZiAtLWdpdCBhL3ggYi94Ci0tLSBhL3gKKysrIGIveApAQCAtMSArMSBAQAotYQorYgo=
"""
MAILS = (_PLAIN, _COVER, _PARTS, _CODED, _DIFF)
_ENVELOPE = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
_MBOX = b"".join(_ENVELOPE + mail + b"\n" for mail in (_COVER, _PLAIN, _PARTS))
MBOXES = (_MBOX, gzip.compress(_MBOX, mtime=0), _ENVELOPE + b">From x\n>>From y\n", _PLAIN)
MAIL_WORDS = (
    b"From: ", b"Subject: ", b"Date: ", b"Message-ID: <", b"References: ", b"=?utf-8?b?", b"=?q?",
    b"?=", b"multipart/mixed", b"message/rfc822", b"boundary=", b"charset=", b"base64",
    b"quoted-printable", b"x-uuencode", b"[PATCH v3 2/3] ", b"@@ -1,2 +1,2 @@", b"diff --git ",
    b"GIT binary patch", b"--xx", b"name*0*=", b"utf-8''%ff", _ENVELOPE, b"\r\n", b"\0",
    b"Content-Transfer-Encoding: ", b"Content-Type: ", b"idna", b"unknown-8bit", b"\xff",
)  # fmt: skip

FOLDERS = (
    b"0001-a.patch\0" + _PLAIN + b"\xff0002-b.patch\0" + _DIFF,
    b"series\0a.patch -p1\n# no\nb.patch\n\xffa.patch\0" + _DIFF + b"\xffb.patch\0" + _DIFF,
)
ADDRESSES = (
    b"20260208215839.87595-1-nphamcs@gmail.com@v3",
    b"https://lore.kernel.org/linux-mm/1-0@mail.example/T/#u",
    b"mail:<1-0@mail.example>@latest",
    b"https://[::1/1-0@mail.example/",
)
REVISIONS = (
    b"v6.19", b"refs/heads/..lock", b"https://user:word@mail.example:99999/x.git", b"http://[",
    b"VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\n",
)  # fmt: skip

KTAPS = (
    b"TAP version 13\n1..2\n# [RUN] x\nok 1 a # SKIP no\nnot ok 2 - b # exit=1\n",
    b"KTAP version 1\n1..1\n  KTAP version 1\n  1..1\n  ok 1 in\nok 1 out\n",
    b"TAP version 13\n1..9\n# selftests: mm: cow\n# TAP version 13\n# ok 1 x\nBail out! no\n",
)
KTAP_WORDS = (
    b"TAP version 13\n", b"  KTAP version 1\n", b"# ", b"1..", b"ok ", b"not ok ", b" # SKIP ",
    b"[RUN] ", b"Bail out!", b"# selftests: ", b"99999999999999999999", "\u0663".encode(),
)  # fmt: skip

STREAMS = (
    b"@sample 0 5 mark:before\n@file /proc/vmstat 9\npswpin 1\n\n@miss /a ENOENT\n@end 0 6 7\n"
    b"@sample 1 8 mark:in:1:begin\n@file /proc/meminfo 21\nMemTotal: 1000000 kB\n\n@end 1 9 9\n",
    gzip.compress(b"@sample 0 5 interval\n@end 0 6 7\n", mtime=0),
)
STREAM_WORDS = (
    b"\n@sample ", b"@file /proc/", b"@miss ", b"@end 0 1 2\n", b"mark:in:begin ", b"in:2:end",
    b"allocinfo", b"slabinfo", b"vmallocinfo", b"zoneinfo", b"mark:filled:999999999999999",
    b"mark:filled:\xd9\xa3", b"swaps",
)  # fmt: skip

CONSOLES = (
    *(path.read_bytes() for path in sorted((_GOLDEN / "console").glob("*.txt"))),
    b"[    1.0] Kernel panic - not syncing: \x1b]0;x\x07\r\n[ 2.0] BUG: \xe2\x80\xae\n",
)

_HIST = {"type": "hist", "name": "in", "unit": "ns", "sub_bits": 5, "counts": [[1, 2], [40, 3]]}
JSON_LINES = (
    b"".join(
        json.dumps(line).encode() + b"\n"
        for line in (
            {"type": "param", "name": "size", "value": 4096, "unit": "B"},
            {"type": "metric", "name": "swapin", "value": 1.5, "unit": "ns/page", "round": 1},
            {"type": "phase", "name": "in", "begin_ns": 1, "end_ns": 2, "cpu_ns": 1},
            {"type": "verify", "pages": 5, "bad": 0},
            {"type": "test", "name": "x", "result": "pass"},
            _HIST,
            {"type": "done"},
        )
    ),
    b'{"type": "metric", "name": "x", "value": 1e999, "round": "7"}\n',
    b'{"type": ["x"], "name": {}, "round": 9223372036854775808, "value": NaN}\n',
)
JSON_WORDS = (
    b"1e999", b"-Infinity", b"NaN", b"null", b"[[", b"{}", b'"round":', b'"value":', b"\\ud800",
    b"99999999999999999999", b"true", b'"metric"', b'"phase"', b'"hist"', b'"verify"', b"\n",
    b'"type":', b'"pairs":', b'"cells":',
)  # fmt: skip
HISTOGRAMS = (
    json.dumps(_HIST).encode(),
    b'{"sub_bits": true, "counts": [[0, 1], [0, 99999999999999999999999]]}',
)
VMLINUX = (
    elf.vmlinux([("f.0", elf.TEXT, elf.FUNCTION, 9), ("f.1", elf.TEXT, elf.FUNCTION, 1)]),
    elf.vmlinux([("a", elf.BSS, elf.OBJECT, 4096), ("b", elf.ABSOLUTE, 0, 1)]),
)
BOOTS = (
    b'{"outcome": "ok", "wall_s": {"boot": 1, "x": 1e999}, "backend_readback": {"a": "b"}, '
    b'"position": [1], "pairs": 2, "cells": ["zram.pageio", "\\u0000", "../x"], "aa": true}',
    b"sampler 1234\nsshd 99\n",
)

_PROBE_FILES = {
    "/proc/pressure/memory": "psi-memory",
    "/sys/kernel/debug/zswap/pool_total_size": "zswap-pool_total_size",
    "/sys/block/zram0/mm_stat": "zram-mm_stat",
    "/sys/block/vda/stat": "blockstat",
    "/proc/lock_stat": "lockstat",
    "/sys/fs/cgroup/w/memory.stat": "memcg-memory.stat",
}
_ZONES = b"""\
Node 0, zone    DMA32
  per-node stats
      nr_inactive_anon 5
  pages free     3840
        min      66
        protection: (0, 500, 500)
  pagesets
    cpu: 0
              count:    7
              high:     14
  vm stats threshold: 4
"""


_WRITTEN = {
    "pmu": b"cycles 12\ninstructions 7\ncache-misses 0\n",
    "/proc/zoneinfo": _ZONES,
    "/sys/fs/cgroup/w/io.stat": b"254:0 254:32 rbytes=4096 rios=1 cost.vrate=100.50 depth=max\n",
    "/sys/fs/cgroup/w/cpu.max": b"max 100000\n",
    "/sys/fs/cgroup/memory/w/memory.numa_stat": b"total=3 N0=1 N1=2\nfile=1 N0=1 N1=0\n",
}


def probe(path: str) -> tuple[bytes, ...]:
    """Heads of what kernels wrote (whole lines of 3 KB are enough), and oddities."""
    name = _PROBE_FILES.get(path, path.rsplit("/", 1)[-1])
    heads = [one.read_bytes()[:3000] for one in sorted(_GOLDEN.glob(f"*/{name}.txt"))]
    real = [one[: one.rfind(b"\n") + 1] or one for one in heads]
    made = [_WRITTEN[path]] if path in _WRITTEN else []
    return (*real, *made, b"x \xd9\xa3\n", b"1 2 3\n")


def _files(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(REPO.glob(pattern)))


_ODD_YAML = (
    b"title: 2026-13-45\n", b"a: !!python/object:os.system x\n", b"? [a]\n: 1\n", b"- " * 60,
    b"a: &a [*a]\n", b"<<: 1\n", b"seed: 1:99\n", b"a: \x00\n", b"x: !!binary =\n",
)  # fmt: skip
YAML_WORDS = (
    b": ", b"- ", b"[", b"]", b"{", b"}", b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!int ",
    b"!!timestamp ", b"!!set ", b"2026-02-30", b".inf", b".nan", b"null", b"~", b"'", b"|\n  ",
    b"9999999999999999999999", b"? ", b"\n", b"0x", b"1:60", b"true",
)  # fmt: skip
REGISTRY = (*_files("kernels/series/*.yaml"), b"mbox: ../x\n", *_ODD_YAML)
SPECS = (
    b"base: debian/6.12\nbackends: [zram, {zswap: {compressor: lzo}}]\nworkloads:\n"
    b"  - pageio: {size: 16M, name: x}\npairs: 3\nguest: {mglru: [y, n]}\nmemory: 1G\n",
    b"suite: quick\npreset: full\nconfig: NUMA=y THP=n\ndebug: yes\naa: no\n",
    b"workloads: [{pressure: {memcg: size / 0}}]\nguest: {1: 2}\n",
    *_ODD_YAML,
)
NIGHTLY = (
    *_files("kernels/nightly.yaml"),
    b"series: [1-0@mail.example]\nbudget: 99999999999h\nbackends: [zram]\nworkloads: [pageio]\n",
    b"branches: [{ref: x, git: y, bases: [v6.19]}]\nmirror: [a, b]\nsuites: [quick]\n",
    *_ODD_YAML,
)
RULES = (*_files("kernels/models/sites.yaml"), *_ODD_YAML)
MODELS = (*_files("kernels/models/[67]*.yaml")[:1], *_ODD_YAML)
WORKLOADS = (*_files("workloads/skeleton/skeleton.yaml"), *_ODD_YAML)
SUITES = (*_files("workloads/suites/quick.yaml"), *_ODD_YAML)
FAULTS = (*_files("tests/faults/faults.yaml"), *_ODD_YAML)
CLAIMS = (*_files("kernels/claims/*.yaml"), *_ODD_YAML)
PUBLISHED = (*_files("kernels/claims/times/*.yaml"), *_ODD_YAML)
CPUMODELS = (*_files("harness/experiment/cpumodels.yaml"), *_ODD_YAML)

PLUGIN_WORDS = (b"put 1 0\n", b"end\n", b"model ", b"site ", b"object ", b"executed ", b"lost ")
MISSES = (
    b"put 1 0\nexecuted 10\noperations 1\nlines 4\nmodel sapphire-rapids\n0 user 0 1 0 0 0 0 0\n"
    b"ffffffff81000000 direct 1 1 1 1 1 1 1\nmodel neoverse-n1\nend\nput 2 1\nexecuted 1\n",
)
LOCKS = (
    b"put 1 0\nexecuted 10\npercpu ffff888000000000\nsite ffffffff81000000 spin 1 5 5 1\n"
    b"object ffff888000000040 ffffffff81000000 spin 1 5 5\nlost 0\nunmatched 0\nend\nput 2 1\n",
)

TEXTS = (
    b"\x1b[2J\x1b]0;title\x07 [bold]x[/bold] [/] \\[x]",
    "</script><script>alert(1)</script> \u202e\u2066\u200f &amp; \" ' ` {{ 1 }} {% x %}".encode(),
    "\x9b31m \u2028 \ufeff \ud7ff".encode(),
    b"]]> --> <!-- \xed\xa0\x80 \xff",
)
