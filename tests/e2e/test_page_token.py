"""The page of a server that asks for a token."""

import os

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import VoicePage
from tests.serving import running_server

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-the-page_4711"


def test_page_brings_the_token_out_of_sight_and_survives_a_reload(browser: Browser) -> None:
    environment = os.environ | {"MENURA_TOKEN": TOKEN}
    with running_server("--no-relay", environment=environment) as address:
        voice_page = VoicePage.open(browser, f"{address}?token={TOKEN}")
        page = voice_page.page
        assert page.url == address
        voice_page.reload()
        voice_page.pick("Robot")
        voice_page.start()
        voice_page.stop()
        assert not voice_page.problems

        other = page.context.new_page()  # the cookie opens the page, the token is not in this tab
        other.goto(address)
        notice = other.locator("#notice-text", has_text="asks for its token")
        notice.wait_for()
        other.goto(f"{address}?token={TOKEN}")
        other.locator("#connection[data-state=open]").wait_for()
        page.context.close()
