"""The page of a server that asks for a token."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.e2e.browser import VoicePage, launch
from tests.serving import running_server

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-the-page_4711"


def test_page_brings_the_token_out_of_sight_and_survives_a_reload(tmp_path: Path) -> None:
    environment = os.environ | {"MENURA_TOKEN": TOKEN}
    with running_server("--no-relay", environment=environment) as address, sync_playwright() as playwright:
        context = launch(playwright, tmp_path / "profile")
        voice_page = VoicePage(context.new_page(), f"{address}?token={TOKEN}")
        page = voice_page.page
        assert page.url == address
        page.reload()
        voice_page.until(lambda stats: stats["connected"])
        voice_page.pick("Robot")
        voice_page.start()
        voice_page.stop()
        assert not voice_page.problems

        other = context.new_page()  # the cookie opens the page, the token is not in this tab
        other.goto(address)
        notice = other.locator("#notice-text", has_text="asks for its token")
        notice.wait_for()
        other.goto(f"{address}?token={TOKEN}")
        other.locator("#connection[data-state=open]").wait_for()
        context.close()
