"""The page in a browser, while somebody speaks: how evenly it draws, and what that costs.

    python -m benchmarks.page [--quick]

The server, the page and Chromium without a GPU share this machine, as they would not elsewhere; the microphone repeats
speech. For each of what the page can draw:

- *frames a second*, *p95*: how often a frame is drawn, and the interval that 95 % of them keep, ms.
- *script*: what the page's own code takes of a frame, ms, mean; a frame has 16.7 ms.
- *gaps*: how often the player had nothing left.
- *delay*: as the page shows it, ms.

Needs Playwright and Chromium, as the tests do, and a page that is built.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.tables import machine, number, table
from tests.e2e.browser import Server, VoicePage, speech, start_browser

VIEWS = ("Off", "Waveform", "Spectrogram")
COUNTER = """() => {
    const request = window.requestAnimationFrame;
    window.frames_ms = new Map();  // script time by frame
    window.requestAnimationFrame = (draw) => request((now) => {
        const before = performance.now();
        draw(now);
        frames_ms.set(now, (frames_ms.get(now) ?? 0) + performance.now() - before);
    });
}"""


def drawn(page: VoicePage, view: str, seconds: float) -> list[str]:
    """A row of the table."""
    page.page.get_by_role("radiogroup", name="What is drawn").get_by_text(view, exact=True).click()
    page.page.wait_for_timeout(1000)
    before = page.stats()["underruns"]
    page.page.evaluate("frames_ms.clear()")
    page.page.wait_for_timeout(1000 * seconds)
    frames = page.page.evaluate("[...frames_ms]")
    stats = page.stats()
    intervals = np.diff([at for at, _ in frames])
    return [
        view,
        number(1000 / float(np.mean(intervals)), 1),
        number(float(np.percentile(intervals, 95)), 1),
        number(statistics.fmean(cost for _, cost in frames), 2),
        str(stats["underruns"] - before),
        number(stats["loop_ms"], 0),
    ]


def main() -> None:
    """Print the table."""
    seconds = 4.0 if "--quick" in sys.argv else 15.0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["MENURA_HOME"] = folder
        microphone = Path(folder) / "microphone.wav"
        speech(microphone, "am_michael")
        with Server() as server:
            browser = start_browser(playwright, microphone)
            context = browser.new_context(viewport={"width": 1280, "height": 860}, permissions=["microphone"])
            context.add_init_script(f"({COUNTER})()")
            page = VoicePage(context.new_page(), server.url)
            page.pick("Natural Woman")
            page.start()
            page.page.wait_for_timeout(3000)
            rows = [drawn(page, view, seconds) for view in VIEWS]
            browser.close()
    print(machine())
    print(table(["drawn", "frames a second", "p95 ms", "script ms", "gaps", "delay ms"], rows))


if __name__ == "__main__":
    main()
