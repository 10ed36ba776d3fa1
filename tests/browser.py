# SPDX-License-Identifier: GPL-2.0-only
"""Chromium with real keys, driven by its own protocol over a pipe: nothing to install."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE = 60.0
"""Seconds to wait for an answer or for something on the page: the machine may be busy."""
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowUp": 38,
         "ArrowDown": 40}  # fmt: skip


class Page:
    """The one tab of a browser."""

    def __init__(self, ask: Callable[..., dict[str, Any]]) -> None:
        self.ask = ask
        self.complaints: list[str] = []

    def shape(self, width: int, height: int, scheme: str = "light") -> None:
        """Give the window a size in CSS pixels and a colour scheme, light or dark."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", features=[feature])

    def scripts(self, run: bool) -> None:
        """Whether pages opened from now on may run their own scripts."""
        self.ask("Emulation.setScriptExecutionDisabled", value=not run)

    def open(self, address: str) -> None:
        self.run("window.opened = true")
        self.ask("Page.navigate", url=address)
        self.until("!window.opened && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What a script is worth on the page, a promise when it is kept."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True,
                        awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until a script is worth something, and return that."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            # A page that is on its way out answers nothing.
            with contextlib.suppress(AssertionError):
                if value := self.run(script):
                    return value
            time.sleep(0.02)
        raise AssertionError(f"never: {script}")

    def press(self, key: str, *, shift: bool = False) -> None:
        code = _KEYS[key]
        more = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=8 * shift,
                     windowsVirtualKeyCode=code, **(more if kind == "keyDown" else {}))  # fmt: skip

    def type(self, text: str) -> None:
        for letter in text:
            self.ask("Input.dispatchKeyEvent", type="keyDown", key=letter, text=letter)
            self.ask("Input.dispatchKeyEvent", type="keyUp", key=letter)


@contextlib.contextmanager
def page(home: Path) -> Iterator[Page]:
    """Start a browser that reaches nothing but this machine; home: for what it keeps."""
    ends = [*os.pipe(), *os.pipe()]
    # Numbers from 10 on, for the browser has 3 and 4.
    ours_in, theirs_out, theirs_in, ours_out = (
        fcntl.fcntl(ends[place], fcntl.F_DUPFD, 10) for place in (2, 3, 0, 1)
    )
    for end in ends:
        os.close(end)
    command = [str(PROGRAM), "--headless=new", "--no-sandbox", "--disable-gpu",
               "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
               "--no-first-run", "--allow-file-access-from-files", "--remote-debugging-pipe",
               "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
               f"--user-data-dir={home / 'browser'}", "about:blank"]  # fmt: skip
    with subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command],
        pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(home)},
    ) as browser:  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        killer = threading.Timer(10 * _PATIENCE, browser.kill)
        killer.start()
        try:
            with os.fdopen(ours_in, "rb") as answers, os.fdopen(ours_out, "wb", 0) as questions:
                yield _tab(_Asking(answers, questions))
        finally:
            killer.cancel()
            browser.terminate()


class _Asking:
    def __init__(self, answers: Any, questions: Any) -> None:
        self._answers, self._questions = answers, questions
        self._number, self._rest = 0, b""
        self.told: Callable[[dict[str, Any]], None] = lambda event: None

    def __call__(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        if session:
            asked["sessionId"] = session
        self._questions.write(json.dumps(asked).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.told(answer)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = self._answers.read1(1 << 16)
            assert more, "the browser ended"
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(text)
        return answer


def _tab(asking: _Asking) -> Page:
    target = next(one["targetId"] for one in asking("Target.getTargets")["targetInfos"]
                  if one["type"] == "page")  # fmt: skip
    session = asking("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    made = Page(functools.partial(asking, session=session))

    def told(event: dict[str, Any]) -> None:
        params = event.get("params", {})
        entry = params.get("entry", {})
        if event.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error":
            made.complaints.append(json.dumps(params))

    asking.told = told
    for domain in ("Page", "Runtime", "Log"):
        made.ask(f"{domain}.enable")
    return made


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone; the address, without a slash."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
