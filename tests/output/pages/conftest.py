"""Pages in a real browser: Chromium without a screen, led through the pipe of its own protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

#: Seconds that the browser may take for anything.
_PATIENCE = 60

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """A browser with one open page.

    Parameters
    ----------
    program : str
    profile : Path
        Folder for what it keeps.

    Attributes
    ----------
    said : list of str
        Errors and warnings on the console since the page was opened.
    asked_for : list of str
        Addresses of all requests since then.
    """

    def __init__(self, program: str, profile: Path):
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()

        def at_3_and_4() -> None:
            # Where the protocol wants its two ends; copied first, or one would hide the other.
            for place, end in zip((3, 4), map(os.dup, (commands, answers)), strict=True):
                os.dup2(end, place)

        self._process = subprocess.Popen(
            [
                program,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"),
                "about:blank",
            ],
            pass_fds=(3, 4),
            preexec_fn=at_3_and_4,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._number, self._buffer, self._events = 0, b"", []
        self._session = None
        self.said: list[str] = []
        self.asked_for: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path, width: int = 1280, height: int = 900) -> None:
        """Show a file in a window of this size, on a telephone's screen where it is narrow."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.said.clear()
        self.asked_for.clear()
        self._events.clear()
        self._call("Page.navigate", url=path.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def run(self, script: str):
        """The value of an expression in the page."""
        result = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def picture(self, path: Path, whole: bool = True) -> None:
        """A picture of the page as it is shown."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def _call(self, method: str, **parameters) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _wait_for(self, event: str) -> None:
        while event not in self._events:
            self._next()

    def _next(self) -> dict:
        """The next message; events are kept on the way."""
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            received = os.read(self._answers, 1 << 20) if ready else b""
            if not received:
                raise RuntimeError("the browser does not answer")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self._event(message["method"], message["params"])
        return message

    def _event(self, name: str, told: dict) -> None:
        self._events.append(name)
        if name == "Network.requestWillBeSent":
            self.asked_for.append(told["request"]["url"])
        elif name == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.said.append(told["entry"]["text"])
        elif name == "Runtime.exceptionThrown":
            self.said.append(told["exceptionDetails"]["text"])
        elif name == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.said.append(str(told["args"]))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium; where it is not there a test is skipped, unless everything must be there."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        reason = "needs a browser (on Debian: apt-get install chromium)"
        if os.environ.get("SPATGMM_REQUIRE_R") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    found = Browser(program, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture
def check_page(browser):
    """What every page must be: whole without a network, quiet, and readable on a telephone."""

    def check(path: Path) -> None:
        for width in (1280, 390):
            browser.open(path, width)
            assert browser.said == []
            asked_for = [url for url in browser.asked_for if not url.startswith("data:")]
            assert asked_for == [path.resolve().as_uri()]
            assert browser.run("document.documentElement.scrollWidth") <= width
            assert browser.run("document.querySelectorAll('h1').length") == 1
            ids = browser.run("Array.from(document.querySelectorAll('[id]'), e => e.id)")
            assert len(ids) == len(set(ids))
            targets = browser.run(
                "Array.from(document.querySelectorAll('a[href^=\"#\"]'), "
                "a => a.getAttribute('href').slice(1))"
            )
            assert set(targets) <= set(ids)

    return check
