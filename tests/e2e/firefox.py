"""A real headless Firefox, driven by WebDriver BiDi (W3C) over a socket: it needs no driver beside itself."""

import itertools
import json
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from tests.virtual_audio import PROMPT

PREFERENCES = {
    "media.navigator.permission.disabled": True,  # nobody is there to allow the microphone
    "remote.prefs.recommended": True,  # no updates, no first run, nothing sent
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#none",
}
START_S = 60.0


class Firefox:
    """One window with one page; what the page complains of is in ``problems``."""

    def __init__(self, profile: Path, environment: Mapping[str, str]) -> None:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (profile / "user.js").write_text("".join(lines))
        command = ["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port", "0"]
        self._process = subprocess.Popen(
            [*PROMPT, *command, "--profile", str(profile)],
            env={**environment, "HOME": str(profile)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.problems: list[str] = []
        self._numbers = itertools.count(1)
        self._ends = ExitStack()
        self._ends.callback(self._end)
        try:
            self._socket = self._connected(profile / "WebDriverBiDiServer.json")
            self.call("session.new", capabilities={})
            self.call("session.subscribe", events=["log.entryAdded"])
            self._window = self.call("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self._ends.close()
            raise

    def _connected(self, told: Path) -> ClientConnection:
        """Firefox writes into its profile where it listens."""
        end = time.monotonic() + START_S
        while True:
            assert self._process.poll() is None, f"Firefox ended with status {self._process.returncode}"
            try:
                address = json.loads(told.read_text())
                url = f"ws://{address['ws_host']}:{address['ws_port']}/session"
                return self._ends.enter_context(connect(url, max_size=None, compression=None))
            except (OSError, ValueError):
                assert time.monotonic() < end, f"Firefox does not answer within {START_S} s"
                time.sleep(0.05)

    def call(self, method: str, **parameters: Any) -> Any:
        """A command and its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(START_S))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] in ("error", "warn"):
                self.problems.append(message["params"]["text"])
            if message.get("id") == number:
                assert message["type"] == "success", f"{method}: {message}"
                return message["result"]

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""
        self.call("browsingContext.navigate", context=self._window, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON has it."""
        text = f"(async () => JSON.stringify(await ({expression}) ?? null))()"
        found = self.call("script.evaluate", expression=text, target={"context": self._window}, awaitPromise=True)
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return json.loads(found["result"]["value"])

    def until(self, expression: str, seconds: float = 60.0) -> None:
        """Wait until an expression in the page is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < end, f"waited {seconds} s in vain: {expression}; {self.problems}"
            time.sleep(0.05)

    def click(self, css: str) -> None:
        """Press an element with the mouse, as a person would."""
        locator = {"type": "css", "value": css}
        [node, *_] = self.call("browsingContext.locateNodes", context=self._window, locator=locator)["nodes"]
        self.evaluate(f"document.querySelector({json.dumps(css)}).scrollIntoView({{ block: 'center' }})")
        element = {"type": "element", "element": {"sharedId": node["sharedId"]}}
        steps = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": element},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        actions = [{"type": "pointer", "id": "mouse", "actions": steps}]
        self.call("input.performActions", context=self._window, actions=actions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
