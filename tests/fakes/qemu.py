# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU that only pretends: it plays a script to the console and answers on its monitor.

Run as ``qemu-system-x86_64`` it takes the options the harness gives (files of the chardevs, QMP's
socket) and does what the JSON file named by FAKE_QEMU says:
    {"console": [[seconds, text], ...], "samples": [[seconds, text], ...], "stderr": text,
     "exit": status or null (stay until killed), "port": SSH port told on the monitor}
It appends its process id to the file named by FAKE_QEMU_PIDS.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

USERNET = (
    "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ\r\n"
    "  TCP[HOST_FORWARD]  13       127.0.0.1 %d       10.0.2.15    22     0     0\r\n"
)


def install(folder: Path, scenario: dict[str, Any]) -> str:
    """Put the fake into ``folder``; returns the PATH with which it is found."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "scenario.json"
    script.write_text(json.dumps(scenario), encoding="utf-8")
    # The harness cleans the environment of what it runs; so the program brings its own.
    variables = f"FAKE_QEMU='{script}' FAKE_QEMU_PIDS='{folder / 'pids'}'"
    program = folder / "qemu-system-x86_64"
    line = f'#!/bin/sh\n{variables} exec {sys.executable} -S -E {__file__} "$@"\n'
    program.write_text(line, encoding="utf-8")
    program.chmod(0o755)
    path = os.environ["PATH"]
    return path if path.startswith(f"{folder}:") else f"{folder}:{path}"


def running(folder: Path) -> list[int]:
    """The fakes started from ``folder`` that still run."""
    pids = folder / "pids"
    started = [int(word) for word in pids.read_text("utf-8").split()] if pids.exists() else []
    return [pid for pid in started if Path(f"/proc/{pid}").exists()]


def _play(path: str, script: list[list[Any]]) -> None:
    with Path(path).open("ab", buffering=0) as stream:
        for seconds, text in script:
            time.sleep(seconds)
            stream.write(text.encode())


def _monitor(path: str, port: int) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    while True:
        client, _ = server.accept()
        with client, contextlib.suppress(OSError):
            version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
            _send(client, {"QMP": {"version": version, "capabilities": []}})
            received = b""
            while chunk := client.recv(4096):
                received += chunk
                try:  # a request ends where its JSON does, with or without a line end
                    request = json.loads(received)
                except ValueError:
                    continue
                received = b""
                is_hmp = request["execute"] == "human-monitor-command"
                answer: Any = USERNET % port if is_hmp else {}
                known = {"id": request["id"]} if "id" in request else {}
                _send(client, {"return": answer, **known})


def _send(client: socket.socket, message: dict[str, Any]) -> None:
    client.sendall(json.dumps(message).encode() + b"\r\n")


def _chardev(line: str, name: str) -> str:
    found = re.search(rf"file,id={name},path=(\S+)", line)
    return found[1] if found else os.devnull


def main() -> int:
    """Play the scenario."""
    scenario = json.loads(Path(os.environ["FAKE_QEMU"]).read_text("utf-8"))
    if "--version" in sys.argv:
        print(scenario.get("version", "QEMU emulator version 0.0 (fake)"))
        return 0
    with Path(os.environ["FAKE_QEMU_PIDS"]).open("a", encoding="utf-8") as pids:
        pids.write(f"{os.getpid()} ")
    print(scenario.get("stderr", ""), file=sys.stderr, end="", flush=True)
    line = " ".join(sys.argv)
    monitor = re.search(r"unix:([^, ]+),server=on", line)
    if monitor:
        port = int(scenario.get("port", 9))
        threading.Thread(target=_monitor, args=(monitor[1], port), daemon=True).start()
    for name in ("console", "samples"):
        Path(_chardev(line, name)).open("ab").close()
    samples = (_chardev(line, "samples"), scenario.get("samples", []))
    threading.Thread(target=_play, args=samples, daemon=True).start()
    _play(_chardev(line, "console"), scenario.get("console", []))
    if scenario.get("exit") is None:
        time.sleep(600)
    return int(scenario["exit"])


if __name__ == "__main__":
    sys.exit(main())
