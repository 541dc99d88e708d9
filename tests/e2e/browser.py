"""A real server, a real headless Chromium, and what the page's audio does."""

import base64
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright
from scipy.signal import butter, correlate, correlation_lags, resample_poly, sosfiltfilt

RATE = 48_000
SPEECH = Path(__file__).parents[1] / "fixtures" / "speech"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
Signal = NDArray[np.float32]


class Server:
    """``menura serve`` as a process of its own."""

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "menura", "serve", "--port", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        for line in self._process.stdout:
            if found := re.search(r"menura is at (http://127\.0\.0\.1:(\d+)/)", line):
                self.url, self.port = found[1], int(found[2])
                self._wait()
                return
        raise AssertionError(f"the server ended with status {self._process.wait()}")

    def _wait(self) -> None:
        """Until it takes connections: the address is printed a moment before."""
        end = time.monotonic() + 10
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


def launch(playwright: Playwright, folder: Path, microphone: Path | None = None, ask: bool = False) -> BrowserContext:
    """A browser with a new profile; ``ask`` leaves the microphone to the context's permissions."""
    arguments = [*ARGUMENTS]
    if not ask:
        arguments.append("--use-fake-ui-for-media-stream")
    if microphone:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
    context = playwright.chromium.launch_persistent_context(
        folder, executable_path=CHROMIUM, args=arguments, viewport={"width": 1280, "height": 860}
    )
    context.set_default_timeout(10_000)
    return context


class VoicePage:
    """The page as a person uses it, with an ear at both of its ends."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(url)
        page.locator(".card").first.wait_for()
        self.until(lambda stats: stats["connected"])

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def stats(self) -> dict[str, Any]:
        """What the page measures."""
        found = self.page.evaluate("menura.stats()")
        assert isinstance(found, dict)
        return found

    def until(self, condition: Callable[[dict[str, Any]], object], seconds: float = 10.0) -> dict[str, Any]:
        """Wait until the page's figures fulfil a condition."""
        end = time.monotonic() + seconds
        while not condition(stats := self.stats()):
            assert time.monotonic() < end, f"waited {seconds} s in vain: {stats}; the page says {self.notice()!r}"
            self.page.wait_for_timeout(30)
        return stats

    def notice(self) -> str:
        """The message at the top, if one is shown."""
        return self.page.locator("#notice-text").inner_text()

    def pick(self, name: str) -> None:
        """Click on a voice's card."""
        self.page.locator(".card", has_text=name).first.click()

    def start(self) -> dict[str, Any]:
        """Press Start and wait for sound."""
        self.page.get_by_role("button", name="Start").click()
        return self.until(lambda stats: stats["state"] == "running" and stats["loop_ms"])

    def stop(self) -> None:
        """Press Stop and wait until all is let go."""
        self.page.get_by_role("button", name="Stop").click()
        self.until(lambda stats: stats["state"] == "idle")

    def listen(self) -> None:
        """Begin to record the microphone and the playback worklet, as two channels of one stream."""
        self.page.evaluate(
            """() => {
                const { context, source, playback } = menura.live.audio;
                const both = new ChannelMergerNode(context, { numberOfInputs: 2 });
                const mono = { channelCount: 1, channelCountMode: "explicit" };
                const tap = new MediaStreamAudioDestinationNode(context, { channelCount: 2 });
                source.connect(new GainNode(context, mono)).connect(both, 0, 0);
                playback.connect(both, 0, 1);
                both.connect(tap);
                const [track] = tap.stream.getAudioTracks();
                const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
                window.testBlocks = [];
                (async () => {
                    for (;;) {
                        const { value, done } = await reader.read();
                        if (done) return;
                        const block = [0, 1].map((planeIndex) => {
                            const plane = new Float32Array(value.numberOfFrames);
                            value.copyTo(plane, { planeIndex, format: "f32-planar" });
                            return plane;
                        });
                        value.close();
                        window.testBlocks.push(block);
                    }
                })();
            }"""
        )

    def heard(self) -> tuple[Signal, Signal]:
        """What the microphone gave and what was played, since ``listen`` or the last ``heard``."""
        texts = self.page.evaluate(
            """async () => {
                const blocks = testBlocks.splice(0);
                return Promise.all([0, 1].map(async (channel) => {
                    const bytes = new Uint8Array(await new Blob(blocks.map((block) => block[channel])).arrayBuffer());
                    let text = "";
                    for (let i = 0; i < bytes.length; i += 32768) {
                        text += String.fromCharCode(...bytes.subarray(i, i + 32768));
                    }
                    return btoa(text);
                }));
            }"""
        )
        microphone, played = (np.frombuffer(base64.b64decode(text), "<f4") for text in texts)
        return microphone, played


def envelope(x: Signal) -> Signal:
    """Level over time: rectified, below 25 Hz, at 1 kHz."""
    low = butter(2, 25, fs=RATE, output="sos")
    return np.asarray(sosfiltfilt(low, np.abs(x))[:: RATE // 1000], np.float32)


def lag(x: Signal, y: Signal, most: float = 0.3) -> tuple[float, float]:
    """By how much ``y`` comes after ``x`` in seconds, from the envelopes, and how alike they are (0–1)."""
    a, b = (envelope(v) - envelope(v).mean() for v in (x, y))
    lags = correlation_lags(len(b), len(a))
    likeness = correlate(b, a) / np.sqrt(np.dot(a, a) * np.dot(b, b))
    near = (lags >= 0) & (lags <= most * 1000)
    best = int(np.argmax(likeness[near]))
    return float(lags[near][best]) / 1000, float(likeness[near][best])


def pitch_hz(x: Signal) -> float:
    """Median pitch of the voiced parts, by autocorrelation over 40 ms."""
    x = np.asarray(resample_poly(x, 1, 3), np.float32)
    rate, size = RATE // 3, RATE // 3 // 25
    least, most = rate // 500, rate // 60
    found = []
    for start in range(0, len(x) - size - most, size // 2):
        a = x[start : start + size + most]
        if np.sqrt(np.mean(a * a)) < 0.03:
            continue
        ahead = np.array([np.dot(a[:size], a[k : k + size]) for k in range(least, most)])
        energy = np.array([np.dot(a[k : k + size], a[k : k + size]) for k in range(least, most)])
        near = ahead / np.sqrt(np.dot(a[:size], a[:size]) * energy + 1e-9)
        if near.max() > 0.8:  # the first peak that is nearly the highest, against octave errors
            first = int(np.argmax(near > 0.9 * near.max()))
            peak = first + int(np.argmax(near[first : first + least]))
            found.append(rate / (least + peak))
    return float(np.median(found))


def longest_zero_run(x: Signal) -> float:
    """Longest run of exact zeros between the first and the last sound, in seconds."""
    sound = np.flatnonzero(x)
    return float(np.diff(sound).max() - 1) / RATE if len(sound) > 1 else float("inf")


def worst_step(x: Signal) -> float:
    """Greatest second difference against the level around it: a click stands out, speech does not."""
    bend = np.abs(np.diff(x, 2))
    power = np.convolve(x[1:-1] ** 2, np.ones(960) / 960, "same")
    return float(np.max(bend / (np.sqrt(power) + 0.01)))
