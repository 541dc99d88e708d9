"""A real server, a real headless Chromium, and the page as a person uses it."""

import base64
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright
from scipy.signal import resample_poly

from tests.e2e.sound import RATE, Signal
from tests.virtual_audio import BUSY, PROMPT

SPEECH = Path(__file__).parents[1] / "fixtures" / "speech"
EARS = Path(__file__).with_name("ears.js")
CHROMIUM = Path(__file__).with_name("chromium.sh")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Server:
    """``menura serve`` as a process of its own."""

    def __init__(self, port: int = 0, environment: Mapping[str, str] | None = None) -> None:
        command = [*PROMPT, sys.executable, "-m", "menura", "serve", "--port", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.search(r"menura is at (http://127\.0\.0\.1:(\d+)/)", line):
                self.url, self.port = found[1], int(found[2])
                self._wait()
                return
        raise AssertionError(f"the server ended with status {self._process.wait()}")

    def _wait(self) -> None:
        """Until it takes connections: the address is printed a moment before."""
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait(10)
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def speech(path: Path, speaker: str) -> Signal:
    """Write a speaker's utterances one after the other for the browser's fake microphone, which repeats them."""
    parts: list[Signal] = []
    for file in sorted(SPEECH.glob(f"{speaker}_u*.flac")):
        x, rate = soundfile.read(file, dtype="float32")
        parts += [resample_poly(x, RATE // rate, 1).astype(np.float32), np.zeros(RATE // 5, np.float32)]
    whole = np.concatenate(parts)
    whole += np.random.default_rng(1).normal(0, 0.0005, len(whole)).astype(np.float32)  # a quiet room, never zero
    soundfile.write(path, whole, RATE, subtype="PCM_16")
    return whole


def start_browser(
    playwright: Playwright, microphone: Path | None = None, environment: Mapping[str, str] | None = None
) -> Browser:
    """A browser whose microphone repeats a file; without one it has the machine's devices, and can be heard."""
    arguments, without = [*ARGUMENTS], ["--mute-audio"]
    if microphone:
        arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
        without = []
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=arguments,
        ignore_default_args=without,
        env={**environment} if environment is not None else None,
    )


class VoicePage:
    """The page as a person uses it, with an ear at both of its ends."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.expected: list[str] = []
        """Parts of what the browser may complain of."""
        self.shown = np.zeros((2, 0))
        """Seconds of the last recording, and the delay that the page showed then, in ms."""
        self._problems: list[str] = []
        page.context.set_default_timeout(30_000)
        page.context.add_init_script(path=EARS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        page.goto(url)
        page.locator(".card").first.wait_for()
        self.until(lambda stats: stats["connected"])

    @classmethod
    def open(cls, browser: Browser, url: str, **options: Any) -> Self:
        """Open it in a profile of its own, which may use the microphone."""
        given: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}, "permissions": ["microphone"], **options}
        return cls(browser.new_context(**given).new_page(), url)

    def close(self) -> None:
        """Close the profile; what the browser complained of fails the test."""
        self.page.context.close()
        assert not self.problems

    @property
    def problems(self) -> list[str]:
        """What the browser complained of, and nobody expected."""
        return [text for text in self._problems if not any(part in text for part in self.expected)]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._problems.append(message.text)

    def stats(self) -> dict[str, Any]:
        """What the page measures."""
        found = self.page.evaluate("menura.stats()")
        assert isinstance(found, dict)
        return found

    def until(self, condition: Callable[[dict[str, Any]], object], seconds: float = 40.0) -> dict[str, Any]:
        """Wait until the page's figures fulfil a condition."""
        end = time.monotonic() + seconds
        while not condition(stats := self.stats()):
            assert time.monotonic() < end, f"waited {seconds} s in vain: {stats}; the page says {self.notice()!r}"
            self.page.wait_for_timeout(30)
        return stats

    def wait(self, expression: str, arg: object = None, seconds: float = 40.0) -> None:
        """Wait until an expression in the page is true; Playwright's own wait is what the page's policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression, arg):
            assert time.monotonic() < end, f"waited {seconds} s in vain: {expression}"
            self.page.wait_for_timeout(30)

    def reload(self) -> None:
        """Load it again, as it was left."""
        self.page.reload()
        self.page.locator(".card").first.wait_for()
        self.until(lambda stats: stats["connected"])

    def notice(self) -> str:
        """The message at the top, if one is shown."""
        return self.page.locator("#notice-text").inner_text()

    def pick(self, name: str) -> None:
        """Click on a voice's card."""
        self.part("Voices")
        exact = self.page.locator("b").get_by_text(name, exact=True)
        self.page.locator(".card").filter(has=exact).locator("label").click()

    def start(self) -> dict[str, Any]:
        """Press Start and wait for sound."""
        self.page.get_by_role("button", name="Start", exact=True).click()
        return self.sounding()

    def sounding(self) -> dict[str, Any]:
        """Wait for sound."""
        return self.until(lambda stats: stats["state"] == "running" and stats["loop_ms"])

    def stop(self) -> None:
        """Press Stop and wait until all is let go."""
        self.page.get_by_role("button", name="Stop", exact=True).click()
        self.until(lambda stats: stats["state"] == "idle")

    def tool(self, name: str) -> Locator:
        """Open a dialog of the toolbar's."""
        self.page.get_by_role("navigation", name="Tools").get_by_role("button", name=name, exact=True).click()
        return self.page.locator("dialog[open]")

    def part(self, name: str) -> None:
        """Turn to a part of the page, where it is too narrow for all: Voices, Adjust, Effects or Sound."""
        tab = self.page.get_by_role("navigation", name="Parts of the page").get_by_role("button", name=name)
        if tab.is_visible():
            tab.click()

    def audio_settings(self) -> Locator:
        """The settings of the audio, unfolded."""
        self.part("Sound")
        folded = self.page.locator("details.audio")
        if folded.get_attribute("open") is None:
            folded.locator("summary").click()
        return folded

    def add_effect(self, kind: str) -> Locator:
        """Add an effect; gives its card."""
        self.part("Effects")
        before = self.page.locator(".effect").count()
        self.page.get_by_label("Add an effect").select_option(kind)
        card = self.page.locator(".effect").nth(before)
        card.wait_for()
        return card

    def second_voice(self, voice_id: str) -> None:
        """Mix the voice with another; empty for none."""
        self.part("Adjust")
        self.page.get_by_label("Second voice").locator("select").select_option(voice_id)

    def listen(self) -> int:
        """Begin to record the microphone and what goes to the loudspeaker; gives their rate."""
        return int(self.page.evaluate("testEars.listen()"))

    def heard(self) -> tuple[Signal, Signal]:
        """What the microphone gave and what was played, since ``listen`` or the last ``heard``."""
        said, played = (np.frombuffer(base64.b64decode(text), "<f4") for text in self.page.evaluate("testEars.take()"))
        return said, played

    def record(self, seconds: float) -> tuple[Signal, Signal]:
        """Record both ends, from now on and without a gap.

        The machine may be busy for a moment: what was recorded up to a gap that the page has counted does not count.
        What the page tells of the delay meanwhile is in ``shown``.
        """
        end = time.monotonic() + 3 * seconds + 20
        self.heard()
        lost, parts = self._lost(), []
        while True:
            self.page.wait_for_timeout(500)
            parts.append((self.heard(), self.stats()["loop_ms"]))
            if self._lost() != lost:
                lost, parts = self._lost(), []
            frames = np.cumsum([len(said) for (said, _), _ in parts])
            if parts and frames[-1] >= seconds * RATE:
                now = self.page.evaluate("testEars.time()")
                self.wait("(after) => testEars.time() >= after", now + 0.15)  # a gap is told a little later
                if self._lost() == lost:
                    break
            if time.monotonic() > end and os.getloadavg()[0] > BUSY:
                pytest.skip(
                    f"{os.getloadavg()[0]:.0f} programs want to run: too many to play {seconds} s without a gap"
                )
            assert time.monotonic() < end, f"no {seconds} s without a gap: {self.stats()}"
        self.shown = np.array([frames / RATE, [shown for _, shown in parts]])
        said, heard = (np.concatenate([both[side] for both, _ in parts]) for side in (0, 1))
        return said, heard

    def _lost(self) -> tuple[float, ...]:
        stats = self.stats()
        return stats["underruns"], stats["send_dropped_ms"], stats["play_dropped_ms"]

    def microphone_settings(self) -> dict[str, Any]:
        """What the browser says about the microphone in use."""
        found = self.page.evaluate(
            "(() => { const [track] = testEars.now().stream.getAudioTracks();"
            " return { label: track.label, ...track.getSettings() }; })()"
        )
        assert isinstance(found, dict)
        return found
