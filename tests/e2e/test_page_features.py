"""What the page offers beside speaking: models, recordings, effects, files, voices of one's own."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import BrowserContext, Locator, sync_playwright

from tests.e2e.browser import SPEECH, Server, VoicePage, launch, speech
from tests.neural.model_files import RVC, Op, hostile

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    folder = tmp_path_factory.mktemp("features")
    speech(folder / "microphone.wav", "am_michael")
    with sync_playwright() as playwright:
        context = launch(playwright, folder / "profile", folder / "microphone.wav")
        yield context
        context.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def voice_page(browser: BrowserContext, server: Server) -> Iterator[VoicePage]:
    page = VoicePage(browser.new_page(), server.url)
    yield page
    page.page.close()
    assert not [text for text in page.problems if "status of 4" not in text]  # the browser tells refusals itself


def tool(page: VoicePage, name: str) -> Locator:
    """Open a dialog of the header's."""
    page.page.get_by_role("navigation", name="Tools").get_by_role("button", name=name, exact=True).click()
    return page.page.locator("dialog[open]")


def card(page: VoicePage, name: str) -> Locator:
    return page.page.locator(".card").filter(has=page.page.get_by_role("button", name=f"More for {name}", exact=True))


def choose(page: VoicePage, name: str, item: str) -> None:
    """An entry of a voice's menu."""
    card(page, name).get_by_role("button", name=f"More for {name}", exact=True).click()
    page.page.get_by_role("menuitem", name=item).click()


def downloaded(page: VoicePage, button: Locator) -> tuple[np.ndarray, int]:
    with page.page.expect_download() as waiting:
        button.click()
    sound, rate = soundfile.read(io.BytesIO(Path(waiting.value.path()).read_bytes()), dtype="float32")
    return sound, rate


def playable_s(player: Locator) -> float:
    """Length that an audio element finds once it has loaded."""
    return float(
        player.evaluate(
            """(audio) => new Promise((resolve, reject) => {
                audio.onloadedmetadata = () => resolve(audio.duration);
                audio.onerror = () => reject(new Error(audio.error.message || "it does not load"));
                audio.preload = "auto";
                audio.load();
            })"""
        )
    )


def test_a_model_becomes_a_voice_in_the_cards(voice_page: VoicePage) -> None:
    dialog = tool(voice_page, "Import")
    dialog.locator("input[type=file]").set_input_files(RVC / "v2_48k_f0.pth")
    dialog.get_by_label("Name").fill("Singer")
    dialog.get_by_role("button", name="Import", exact=True).click()
    dialog.get_by_text("Singer is among your voices").wait_for()
    dialog.get_by_text("menura models pull").first.wait_for()  # the command, where base models are missing
    voice_page.page.keyboard.press("Escape")
    card(voice_page, "Singer").wait_for()


def test_a_hostile_file_is_refused_with_its_reason(voice_page: VoicePage, tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(hostile(Op.call("posix", "system", Op.text("true"))))
    dialog = tool(voice_page, "Import")
    dialog.locator("input[type=file]").set_input_files(tmp_path / "bad.pth")
    dialog.get_by_role("button", name="Import", exact=True).click()
    told = dialog.locator(".failure").inner_text()
    assert "bad.pth was refused" in told
    assert "posix" in told
    assert "Internal error" not in told


def test_a_recording_is_listed_plays_and_is_downloaded(voice_page: VoicePage) -> None:
    voice_page.pick("Robot")
    voice_page.start()
    voice_page.page.get_by_role("button", name="Record", exact=True).click()
    stop = voice_page.page.get_by_role("button", name="Stop recording")
    stop.wait_for()
    voice_page.page.wait_for_timeout(2000)
    stop.click()
    voice_page.page.get_by_role("button", name="Record", exact=True).wait_for()
    voice_page.stop()
    row = tool(voice_page, "Recordings").locator(".row-card").first
    for at in range(2):
        sound, rate = downloaded(voice_page, row.get_by_role("button", name="Download").nth(at))
        assert 1.5 < len(sound) / rate < 20
        assert np.abs(sound).max() > 0.02
        assert playable_s(row.locator("audio").nth(at)) == pytest.approx(len(sound) / rate, abs=0.1)


def test_a_file_is_converted_and_downloaded(voice_page: VoicePage) -> None:
    file = min(SPEECH.glob("*.flac"))
    dialog = tool(voice_page, "Convert a file")
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_role("button", name="Convert", exact=True).click()
    dialog.get_by_text("Done:").wait_for(timeout=30_000)
    sound, rate = downloaded(voice_page, dialog.get_by_role("button", name="Download"))
    assert len(sound) / rate == pytest.approx(soundfile.info(file).duration, abs=0.05)
    assert np.abs(sound).max() > 0.02
    assert playable_s(dialog.locator("audio")) == pytest.approx(len(sound) / rate, abs=0.1)


def test_a_voice_is_duplicated_renamed_and_deleted(voice_page: VoicePage) -> None:
    before = voice_page.page.locator(".card").count()
    choose(voice_page, "Robot", "Duplicate")
    voice_page.page.wait_for_function("(n) => document.querySelectorAll('.card').length > n", arg=before)
    labels = [
        button.get_attribute("aria-label") or "" for button in voice_page.page.locator(".card .menu-button").all()
    ]
    name = next(text for text in labels if "Robot" in text and text != "More for Robot").removeprefix("More for ")
    choose(voice_page, name, "Rename")
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("Tin man")
    dialog.get_by_role("button", name="Save").click()
    card(voice_page, "Tin man").wait_for()
    choose(voice_page, "Tin man", "Delete")
    dialog.get_by_role("button", name="Delete for good").click()
    card(voice_page, "Tin man").wait_for(state="detached")


def test_a_saved_voice_is_among_the_cards(voice_page: VoicePage) -> None:
    voice_page.pick("Helium")
    voice_page.page.get_by_role("button", name="Save as my voice").click()
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("Balloon")
    dialog.get_by_role("button", name="Save", exact=True).click()
    card(voice_page, "Balloon").wait_for()
