"""The page in a browser: starting, stopping, coming back, and what is told when it cannot."""

import json

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser import Server, VoicePage

pytestmark = pytest.mark.browser


def test_stop_is_silent_and_start_works_again(voice_page: VoicePage) -> None:
    voice_page.pick("Robot")
    for _ in range(2):
        stats = voice_page.start()
        assert stats["voice"] == "robot"
        assert stats["status"]["processing"]
        voice_page.stop()
        assert voice_page.page.evaluate("menura.live.audio === null")
        assert not voice_page.stats()["status"]["processing"]
    voice_page.wait("document.querySelector('#total').innerText === '–'")


def test_settings_outlive_a_reload(voice_page: VoicePage) -> None:
    page = voice_page.page
    voice_page.pick("Alien")
    page.locator("#formant").press("ArrowRight")
    voice_page.add_effect("echo").get_by_label("Delay").press("End")
    voice_page.audio_settings().get_by_label("Input gain").press("ArrowLeft")
    page.get_by_text("Spectrogram").click()
    voice_page.reload()
    page.locator(".effect").wait_for()
    stats = voice_page.until(lambda stats: stats["voice"] == "alien")
    assert stats["parameters"] == {"pitch_st": 0, "formant": 1.01, "mix": 1}
    assert page.locator(".effect").get_by_label("Delay").input_value() == "2000"
    assert voice_page.audio_settings().get_by_label("Input gain").input_value() == "-1"
    assert page.get_by_role("radio", name="Spectrogram").is_checked()


def test_the_page_comes_back_with_the_server_and_its_settings(browser: Browser) -> None:
    with Server() as first:
        page = VoicePage.open(browser, first.url)
        page.expected += ["WebSocket connection", "net::ERR_CONNECTION_"]  # what a browser writes itself
        page.pick("Giant")
        page.page.locator("#pitch_st").press("ArrowRight")
        page.add_effect("chorus")
        page.second_voice("robot")
        page.start()
        first.kill()
        page.until(lambda stats: not stats["connected"])
        assert "connection to the server is lost" in page.notice()
        assert "server" in page.page.locator("#connection").inner_text().lower()
        page.page.evaluate("menura.live.listeners.add((message) => (window.told ??= []).push(message))")
        with Server(first.port):
            stats = page.until(lambda stats: stats["state"] == "running" and stats["loop_ms"], 30)
            assert stats["voice"] == "giant"
            assert page.notice() == ""
            page.wait("told.some(({ type }) => type === 'voicesMixed')")
            told = {message["type"]: message for message in json.loads(page.page.evaluate("JSON.stringify(told)"))}
            assert told["parametersSet"]["parameters"]["pitch_st"] == 0.5
            assert [effect["kind"] for effect in told["effectsSet"]["effects"]] == ["chorus"]
            assert [voice["id"] for voice in told["voicesMixed"]["voices"]] == ["giant", "robot"]
            page.listen()
            assert abs(page.record(1.5)[1]).max() > 0.02
            page.stop()
        page.close()


def test_a_refused_microphone_is_explained(browser: Browser, server: Server) -> None:
    page = VoicePage.open(browser, server.url, permissions=[])
    session = page.page.context.new_cdp_session(page.page)
    setting = {"permission": {"name": "microphone"}, "setting": "denied", "origin": server.url}
    session.send("Browser.setPermission", setting)
    page.page.get_by_role("button", name="Start", exact=True).click()
    page.until(lambda stats: stats["state"] == "idle" and page.notice())
    assert "may not use your microphone" in page.notice()
    page.close()


def test_a_microphone_that_is_unplugged_ends_it_with_a_word(voice_page: VoicePage) -> None:
    voice_page.pick("Robot")
    voice_page.start()
    voice_page.page.evaluate(
        """() => {
            const [track] = testEars.now().stream.getAudioTracks();
            track.stop();
            track.dispatchEvent(new Event("ended"));
        }"""
    )
    voice_page.until(lambda stats: stats["state"] == "idle")
    assert "microphone was disconnected" in voice_page.notice()
