"""A headless Chromium by its own protocol over a pipe: no driver, no socket, nothing to install beside it."""

import json
import os
import select
import shutil
import subprocess
import time

import pytest

# a pipe's ends are handed on by their numbers, which Windows does not have
CHROMIUM = None if os.name == "nt" or shutil.which("bash") is None else next(
    (p for p in map(shutil.which, ("google-chrome", "chromium", "chromium-browser")) if p), None
)  # fmt: skip


class Browser:
    """One page. What it writes to its console as errors, and what fails to load, is kept in `errors`.

    The test is skipped where no Chromium is installed, or where what is called so does not start.
    """

    def __init__(self, profile):
        if CHROMIUM is None:
            pytest.skip("no Chromium is installed here, in which the page could be opened")
        (theirs, self._out), (self._in, answers) = os.pipe(), os.pipe()
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}"]  # fmt: skip
        line = f'exec "$@" 3<&{theirs} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", line, "chromium", *command], pass_fds=(theirs, answers),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(answers)
        self._number, self._rest, self.errors, self._session = 0, b"", [], None
        try:
            self.call("Browser.getVersion")
        except (RuntimeError, TimeoutError) as error:
            self.close()
            pytest.skip(f"{CHROMIUM} does not start: {error}")
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **parameters):
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters}
        said |= {"sessionId": self._session} if self._session else {}
        try:
            os.write(self._out, json.dumps(said).encode() + b"\0")
        except BrokenPipeError:
            raise RuntimeError("the browser has ended") from None
        end = time.monotonic() + 120
        while (message := self._read(end)).get("id") != self._number:
            self._heard(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def _read(self, end):
        while b"\0" not in self._rest:
            ended = self._process.poll() is not None  # before the wait: what it said last is read
            if not select.select([self._in], [], [], min(1.0, max(0.0, end - time.monotonic())))[0]:
                if ended:
                    raise RuntimeError("the browser has ended")
                if time.monotonic() > end:
                    raise TimeoutError("the browser does not answer")
                continue
            if not (chunk := os.read(self._in, 1 << 16)):
                raise RuntimeError("the browser has ended")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _heard(self, message):
        what, said = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown" or (what == "Runtime.consoleAPICalled" and said["type"] == "error"):
            self.errors.append(said)
        if what == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])

    def run(self, script):
        """The value of an expression; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, script, seconds=90):
        """Wait until an expression is true. **Raises** `TimeoutError` with what it is instead."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"Boolean({script})")):
            if time.monotonic() > end:
                raise TimeoutError(f"{script} is still {value!r}")
            time.sleep(0.1)

    def open(self, url, width=1280, height=900):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url=url)
