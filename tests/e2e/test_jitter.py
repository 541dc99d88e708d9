"""The playback buffer by itself, on a clock of its own, in the browser that runs it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.browser import Signal, launch

pytestmark = pytest.mark.browser

PAGE = Path(__file__).parents[2] / "src" / "menura" / "server" / "page"
ORIGIN = "http://menura.test/"
DRIVE = """async ({ seconds, arrives }) => {
    const { JitterBuffer } = await import("/jitter.js");
    const buffer = new JitterBuffer(48000);
    const out = new Float32Array(48000 * seconds);
    let block = 0;
    const log = [];
    for (let frame = 0; frame + 128 <= out.length; frame += 128) {
        for (; block < arrives.length && arrives[block] <= frame; block++) {
            const at = 480 * block;
            const tone = (_, i) => Math.sin((2 * Math.PI * 220 * (at + i)) / 48000);
            const samples = Float32Array.from({ length: 480 }, tone);
            buffer.push(samples, { captured: at, posted: at + 480, arrived: frame });
        }
        buffer.pull(out.subarray(frame, frame + 128), frame);
        if (frame % 48000 === 0) log.push(buffer.stats());
    }
    let text = "";
    const bytes = new Uint8Array(out.buffer);
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return { audio: btoa(text), log, last: buffer.stats() };
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with sync_playwright() as playwright:
        context = launch(playwright, tmp_path_factory.mktemp("browser"))
        page = context.new_page()
        page.route(ORIGIN, lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        page.route(ORIGIN + "jitter.js", lambda route: route.fulfill(path=PAGE / "jitter.js"))
        page.goto(ORIGIN)
        yield page
        context.close()


def drive(page: Page, arrives: Any, seconds: int) -> tuple[Signal, dict[str, Any]]:
    """Push block k at frame ``arrives[k]``; what is played, and the figures at the end."""
    found = page.evaluate(DRIVE, {"seconds": seconds, "arrives": np.asarray(arrives).astype(float).tolist()})
    return np.frombuffer(base64.b64decode(found["audio"]), "<f4"), found["last"]


def steepest(x: Signal) -> float:
    """The greatest step from sample to sample."""
    return float(np.abs(np.diff(x)).max())


TONE_STEP = 2 * np.pi * 220 / 48_000


def test_steady_blocks_are_played_as_they_came(page: Page) -> None:
    out, last = drive(page, 480 * np.arange(1, 200), 1)
    start = int(np.flatnonzero(out)[0])
    tone = np.sin(2 * np.pi * 220 * np.arange(40_000) / 48_000).astype(np.float32)
    begin = start - 1 + 240  # the first faded sample is zero; then 5 ms of fade
    np.testing.assert_array_equal(out[begin : begin + 20_000], tone[240:20_240])
    assert last["underruns"] == 0
    assert last["delay"]["loop"] == start - 1
    assert last["delay"]["loop"] <= 0.045 * 48_000


def test_late_blocks_fade_and_never_click(page: Page) -> None:
    arrives = 480.0 * np.arange(1, 600)
    arrives[100:] += 9_600  # the network stops for 200 ms
    arrives[300:320] = arrives[320]  # 200 ms come at once
    out, last = drive(page, arrives, 6)
    assert last["underruns"] == 2
    assert steepest(out) <= 2.5 * TONE_STEP


@pytest.mark.parametrize("drift", [-0.002, -0.0003, 0.0003, 0.002])
def test_a_drifting_clock_is_followed(page: Page, drift: float) -> None:
    out, last = drive(page, 480 * (1 + drift) * np.arange(1, 6000), 40)
    assert last["underruns"] == 0
    assert last["dropped_ms"] == 0
    assert 10 <= last["fill_ms"] <= 45
    assert steepest(out) <= 1.1 * TONE_STEP


def test_delay_is_bounded_after_a_flood(page: Page) -> None:
    arrives = 480.0 * np.arange(1, 1200)
    arrives[200:] -= 480 * 40  # 400 ms more than are played
    out, last = drive(page, np.maximum(arrives, 0), 9)
    assert last["fill_ms"] <= 60
    assert last["dropped_ms"] >= 250
    assert steepest(out) <= 2.5 * TONE_STEP


def test_an_unsteady_network_raises_the_margin_once(page: Page) -> None:
    late = np.random.default_rng(1).uniform(0, 480 * 5, 3000)  # up to 50 ms late
    out, last = drive(page, np.maximum.accumulate(480.0 * np.arange(1, 3001) + late), 25)
    assert last["underruns"] <= 6
    assert last["fill_ms"] <= 130
    assert steepest(out) <= 2.5 * TONE_STEP
