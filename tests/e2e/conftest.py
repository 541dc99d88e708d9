"""One server and one browser for all journeys through the page; each has a profile of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.e2e.browser import Server, VoicePage, speech, start_browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys last: as long as Playwright runs, no other test may have an event loop of its own."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake microphone repeats."""
    path = tmp_path_factory.mktemp("microphone") / "microphone.wav"
    speech(path, "am_michael")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright, microphone: Path) -> Iterator[Browser]:
    started = start_browser(playwright, microphone)
    yield started
    started.close()


@pytest.fixture
def voice_page(browser: Browser, server: Server) -> Iterator[VoicePage]:
    """The page, opened for the first time; what the browser complains of fails the test."""
    page = VoicePage.open(browser, server.url)
    yield page
    page.close()
