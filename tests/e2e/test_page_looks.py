"""The page for the eye and for those who do without: light, dark, narrow, read aloud; and how much of it is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Request

from tests.e2e.browser import Server, VoicePage

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
FIRST_LOAD = 300_000
SCHEMES = ("light", "dark")


def background(page: VoicePage) -> str:
    return str(page.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def unfold(page: VoicePage) -> None:
    """Show all that the panel can hold."""
    page.audio_settings()
    for kind in ("reverb", "equalizer", "compressor"):
        page.add_effect(kind)
    page.second_voice("whisper")


def dialogs(page: VoicePage) -> Iterator[str]:
    """Open every dialog in turn; gives its name."""
    for name in ("Import", "Convert a file", "Recordings", "Settings"):
        page.tool(name).get_by_role("heading").first.wait_for()
        yield name
        page.page.keyboard.press("Escape")
    page.page.get_by_role("button", name="Keys", exact=True).click()
    page.page.get_by_role("heading", name="Keys").wait_for()
    yield "Keys"
    page.page.keyboard.press("Escape")
    page.part("Effects")
    page.page.get_by_role("button", name="Save as my voice").click()
    page.page.get_by_role("heading", name="Save as my voice").wait_for()
    yield "Save"
    page.page.keyboard.press("Escape")


def test_light_and_dark_follow_the_system_or_the_choice_which_is_kept(voice_page: VoicePage) -> None:
    page = voice_page.page
    seen = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        seen[scheme] = background(voice_page)
    assert seen["light"] != seen["dark"]
    button = page.get_by_role("button", name="Theme")
    button.click()  # light, where the system is dark
    assert background(voice_page) == seen["light"]
    voice_page.reload()
    assert background(voice_page) == seen["light"]
    button.click()
    page.emulate_media(color_scheme="light")
    voice_page.reload()
    assert background(voice_page) == seen["dark"]
    button.click()
    assert background(voice_page) == seen["light"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360), ("light", 320)])
def test_nothing_is_cut_off(browser: Browser, server: Server, tmp_path: Path, scheme: Any, width: int) -> None:
    narrow = width < 600
    page = VoicePage.open(
        browser,
        server.url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        is_mobile=narrow,
        has_touch=narrow,
    )
    fits = "document.documentElement.scrollWidth <= innerWidth && visualViewport.scale === 1"
    assert page.page.get_by_role("button", name="Start", exact=True).is_visible()
    assert page.page.evaluate(fits)
    unfold(page)
    page.start()
    page.page.screenshot(path=tmp_path / "running.png", full_page=True)
    assert page.page.evaluate(fits)
    page.stop()
    for name in dialogs(page):
        page.page.screenshot(path=tmp_path / f"{name}.png")
        assert page.page.evaluate(fits), name
        within = "(dialog) => dialog.scrollWidth <= dialog.clientWidth && dialog.getBoundingClientRect().left >= 0"
        assert page.page.locator("dialog[open]").evaluate(within), name
    page.close()


def violations(page: VoicePage, where: str) -> list[str]:
    """What axe finds there that keeps people out."""
    found = page.page.evaluate("(where) => axe.run(where, { resultTypes: ['violations'] })", where)
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if rule["impact"] in ("serious", "critical")
    ]


def test_axe_finds_nothing_that_keeps_people_out(voice_page: VoicePage) -> None:
    page = voice_page
    assert AXE.is_file(), "axe-core is missing: run npm --prefix web ci"
    page.page.evaluate(AXE.read_text())
    unfold(page)
    page.start()
    page.page.emulate_media(reduced_motion="reduce")
    found = {}
    for scheme in SCHEMES:
        page.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait("document.getAnimations().every(({ playState }) => playState !== 'running')")  # colours that fade
        found[scheme] = violations(page, "html")
        for name in dialogs(page):
            found[f"{scheme}: {name}"] = violations(page, "dialog[open]")
    assert {where: what for where, what in found.items() if what} == {}
    page.stop()


def test_the_first_load_is_at_most_300_kb_over_the_wire(browser: Browser, server: Server) -> None:
    context = browser.new_context(permissions=["microphone"])
    loading = context.new_page()
    requests: list[Request] = []

    def finished(request: Request) -> None:
        requests.append(request)

    loading.on("requestfinished", finished)
    page = VoicePage(loading, server.url)
    loading.wait_for_load_state("networkidle")
    sizes = {}
    for request in requests:
        parts = request.sizes()
        sizes[request.url] = parts["responseBodySize"] + parts["responseHeadersSize"]
    print(sum(sizes.values()), sizes)  # noqa: T201
    assert all(url.startswith(server.url) for url in sizes)
    assert {"js", "css"} <= {url.rsplit(".", 1)[-1] for url in sizes}
    assert any("worker" in url for url in sizes)
    assert sum(sizes.values()) <= FIRST_LOAD
    page.close()
