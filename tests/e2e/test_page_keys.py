"""The page without a mouse."""

import time

import pytest
from playwright.sync_api import Locator

from tests.e2e.browser import VoicePage

pytestmark = pytest.mark.browser

FAR = 90
"""Presses of the Tab key from one end of the page to the other, at most."""


def focused(element: Locator) -> bool:
    return bool(element.evaluate("(element) => element === document.activeElement"))


def wait_for_focus(page: VoicePage, element: Locator) -> None:
    """Wait until it is there."""
    end = time.monotonic() + 20
    while not focused(element):
        assert time.monotonic() < end, page.page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        page.page.wait_for_timeout(20)


def tab_to(page: VoicePage, element: Locator, key: str = "Tab") -> None:
    """Press Tab until the focus is there; wherever it is on the way, it can be seen."""
    for _ in range(FAR):
        page.page.keyboard.press(key)
        seen = page.page.evaluate(
            """() => {
                const at = document.activeElement;
                if (!at || at === document.body) return true;
                const own = getComputedStyle(at);
                const card = at.closest(".card, label");
                const outlined = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
                return outlined(own) || (card !== null && outlined(getComputedStyle(card)));
            }"""
        )
        name = page.page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        assert seen, f"the focus cannot be seen on {name}"
        if focused(element):
            return
    raise AssertionError(f"{FAR} times {key} do not lead to {element}")


def test_a_voice_is_picked_started_turned_and_stopped_by_keys_alone(voice_page: VoicePage) -> None:
    page = voice_page.page
    radios = page.get_by_role("group", name="Realistic").get_by_role("radio")
    names = [radios.nth(at).get_attribute("value") for at in range(3)]
    tab_to(voice_page, page.locator(".card input:checked"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    voice_page.until(lambda stats: stats["voice"] == names[2])
    assert radios.nth(2).is_checked()
    tab_to(voice_page, page.get_by_role("button", name="Start", exact=True))
    page.keyboard.press("Enter")
    voice_page.sounding()
    tab_to(voice_page, page.locator("#pitch_st"))
    page.keyboard.press("ArrowRight")
    voice_page.until(lambda stats: stats["parameters"]["pitch_st"] == 0.5)
    assert page.locator("#pitch_st").get_attribute("aria-valuetext") == "+0.5 st"
    tab_to(voice_page, page.get_by_role("button", name="Stop", exact=True), "Shift+Tab")
    page.keyboard.press("Enter")
    voice_page.until(lambda stats: stats["state"] == "idle")


def test_a_dialog_keeps_the_focus_and_gives_it_back(voice_page: VoicePage) -> None:
    page = voice_page.page
    opener = page.get_by_role("navigation", name="Tools").get_by_role("button", name="Convert a file", exact=True)
    tab_to(voice_page, opener)
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    wait_for_focus(voice_page, opener)


def test_the_menu_of_a_voice_is_walked_by_keys(voice_page: VoicePage) -> None:
    page = voice_page.page
    button = page.get_by_role("button", name="More for Robot", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    first, second = (page.get_by_role("menuitem").nth(at) for at in range(2))
    first.wait_for()
    wait_for_focus(voice_page, first)
    page.keyboard.press("ArrowDown")
    wait_for_focus(voice_page, second)
    page.keyboard.press("End")
    wait_for_focus(voice_page, page.get_by_role("menuitem").last)
    page.keyboard.press("Escape")
    first.wait_for(state="detached")
    wait_for_focus(voice_page, button)


def test_a_hotkey_starts_and_stops_and_may_be_another(voice_page: VoicePage) -> None:
    page = voice_page.page
    page.keyboard.press("s")
    voice_page.sounding()
    page.keyboard.press("s")
    voice_page.until(lambda stats: stats["state"] == "idle")
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("button", name="Key for: Start and stop").click()
    page.keyboard.press("g")
    assert page.get_by_role("button", name="Key for: Start and stop").inner_text() == "G"
    page.keyboard.press("Escape")
    voice_page.reload()
    page.keyboard.press("s")
    page.wait_for_timeout(200)
    assert voice_page.stats()["state"] == "idle"
    page.keyboard.press("g")
    voice_page.sounding()
    page.get_by_role("searchbox", name="Search voices").click()
    page.keyboard.type("gsm")
    assert voice_page.stats()["state"] == "running"
    voice_page.stop()
