# SPDX-License-Identifier: GPL-2.0-only
"""A redis server of two commands, put beside a benchmark that prints one line, for a PATH."""

from __future__ import annotations

import sys
from pathlib import Path

_SERVER = """#!{python}
import os, socket, sys
words = sys.argv[1:]
path = words[words.index("--unixsocket") + 1]
how = os.environ.get("FAKE_REDIS", "")
if how == "dies":
    sys.exit("no such option")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(5)
store = {{}}
while True:
    peer, _ = listener.accept()
    stream = peer.makefile("rwb")
    while head := stream.readline():
        parts = []
        for _ in range(int(head[1:])):
            size = int(stream.readline()[1:])
            parts.append(stream.read(size + 2)[:-2])
        if parts[0] == b"SET":
            store[parts[1]] = parts[2]
            stream.write(b"-OOM command not allowed\\r\\n" if how == "full" else b"+OK\\r\\n")
        else:
            value = store[parts[1]]
            if how == "corrupt" and parts[1].endswith(b"3"):
                value = value[:100] + bytes([value[100] ^ 1]) + value[101:]
            stream.write(b"$%d\\r\\n%s\\r\\n" % (len(value), value))
        stream.flush()
"""
_BENCHMARK = """#!/bin/sh
echo '"test","rps","avg_latency_ms","min_latency_ms","p50","p95","p99","max_latency_ms"'
good='"GET","20618.56","0.044","0.008","0.023","0.031","1.5","9.2"'
echo "${FAKE_LINE-$good}"
echo "$@" >&2
"""


def install(folder: Path) -> Path:
    """``folder`` with redis-server and redis-benchmark in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("redis-server", _SERVER.format(python=sys.executable)),
        ("redis-benchmark", _BENCHMARK),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder
