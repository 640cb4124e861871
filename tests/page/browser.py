"""Debian's Chromium without a screen, told what to do by the DevTools protocol through a pipe.

Nothing but the standard library: a message is JSON with a zero byte behind it. What goes wrong in a
page, be it an exception, an error on the console, or something that its own policy forbids, is
kept, so that a test can say that there was nothing.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PATIENCE = 60.0
KEYS = {
    "ArrowDown": 40,
    "ArrowUp": 38,
    "End": 35,
    "Enter": 13,
    "Escape": 27,
    "Home": 36,
    "PageDown": 34,
    "Tab": 9,
}
FLAGS = [
    "--headless=new",
    "--remote-debugging-pipe",
    # The pages are ours, and in a container there may be neither a sandbox nor much shared memory.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-component-update",
    "--disable-background-networking",
    "--force-color-profile=srgb",
]


class Browser:
    """One Chromium with a profile of its own."""

    def __init__(self, profile: Path) -> None:
        assert shutil.which("chromium"), "these tests need chromium, of Debian"
        (told, self._out), (self._in, tells) = os.pipe(), os.pipe()
        command = ["chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with open(profile.with_suffix(".log"), "wb") as log:
            self._process = subprocess.Popen(
                # There its ends are to be 3 and 4, which may be anybody's here.
                [
                    "bash",
                    "-c",
                    f'exec 98<&{told} 99>&{tells} 3<&98 4>&99; exec "$@"',
                    "-",
                    *command,
                ],
                pass_fds=(told, tells),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for end in (told, tells):
            os.close(end)
        self._ids = itertools.count(1)
        self._read = b""
        self.pages: dict[str, Page] = {}

    def page(self, **options: Any) -> Page:
        """Open a page that shares nothing with others."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, session["sessionId"], context)
        self.pages[session["sessionId"]] = page
        page.begin(**options)
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask the browser, or a page of it, and wait for the answer."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self._out, data) :]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._next(deadline, method)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            if page := self.pages.get(answer.get("sessionId", "")):
                page.hear(answer["method"], answer["params"])

    def _next(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not within {PATIENCE:.0f} seconds: the answer to {what}"
            read = os.read(self._in, 1 << 20)
            assert read, f"the browser ended before it answered {what}"
            self._read += read
        line, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for end in (self._in, self._out):
            os.close(end)


class Page:
    """A tab, as wide as a desk's screen unless it is told otherwise."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._context = context
        self.problems: list[str] = []
        self._passed = False

    def begin(self, width: int = 1280, height: int = 900, **media: str) -> None:
        """Set the screen's size and the user's preferences (``scheme``, ``motion``)."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.prefer(**media)

    def resize(self, width: int, height: int, scale: int = 1) -> None:
        """Give it a screen of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.call("Emulation.setDeviceMetricsOverride", mobile=False, **size)

    def prefer(self, scheme: str = "light", motion: str = "no-preference") -> None:
        """Say what the user prefers."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def scripts(self, allowed: bool) -> None:
        """Turn JavaScript off, or on again, for what is opened next."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the page by the protocol."""
        return self._browser.call(method, self._session, **params)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Keep what the page complains of."""
        if method == "Emulation.virtualTimeBudgetExpired":
            self._passed = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", details).get("description", str(details)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
            self.problems.append(str([one.get("value") for one in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, url: str) -> None:
        """Go there, and wait until the page is loaded."""
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'", url)

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass in the page, in as little as that needs; then its clock stands."""
        self._passed = False
        policy = {"policy": "pauseIfNetworkFetchesPending", "budget": seconds * 1000}
        self.call("Emulation.setVirtualTimePolicy", **policy)
        deadline = time.monotonic() + PATIENCE
        while not self._passed:
            assert time.monotonic() < deadline, "time does not pass"
            # Any answer brings what the page has to say meanwhile.
            self.call("Page.getFrameTree")

    def evaluate(self, script: str) -> Any:
        """Give what an expression, or the promise that it makes, comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, what: str = "") -> Any:
        """Wait until an expression comes to something, and give that."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.evaluate(script)):
            seen = self.evaluate("document.body?.innerText.slice(0, 2000)")
            assert time.monotonic() < deadline, f"not so: {what or script}; the page says:\n{seen}"
            time.sleep(0.05)
        return found

    def text(self, selector: str = "body") -> str:
        """Give the text that can be seen of the first element that the selector finds."""
        found: str = self.wait(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")
        return found

    def sees(self, text: str, selector: str = "body") -> None:
        """Wait until a text can be seen in an element."""
        inner = f"document.querySelector({json.dumps(selector)})?.innerText"
        self.wait(f"{inner}?.includes({json.dumps(text)})", f"{selector} has {text!r}")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other: a name of `KEYS`, or a character."""
        for key in keys:
            known: dict[str, Any] = (
                {"windowsVirtualKeyCode": KEYS[key]} if key in KEYS else {"text": key}
            )
            if key == "Enter":
                known["text"] = "\r"
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **known)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.press(*text)

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element, once it is there."""
        found = json.dumps(selector)
        x, y = self.wait(
            f"(() => {{ const one = document.querySelector({found}); if (!one) return null;"
            " one.scrollIntoView({block: 'nearest'}); const box = one.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()",
            f"there is {selector}",
        )
        for event in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def focused(self) -> str:
        """Give the accessible name, or the text, of what has the focus."""
        script = "document.activeElement.ariaLabel || document.activeElement.innerText"
        found: str = self.evaluate(script)
        return found

    def picture(self, path: Path) -> None:
        """Take a picture of the screen."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """Close it, with all that it knew."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)
        self._browser.pages.pop(self._session)
