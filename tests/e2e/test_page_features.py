"""What the page offers beside speaking: models, recordings, files, voices of one's own, favourites."""

import base64
import io
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator
from scipy.signal import resample_poly

from tests.e2e.browser import SPEECH, VoicePage
from tests.e2e.sound import RATE, Signal, lag, level_db, raised_st
from tests.neural.model_files import RVC, Op, hostile

pytestmark = pytest.mark.browser

HELIUM_ST = 3.0
REFUSAL = "status of 4"
"""In what the browser tells itself of a refusal."""
SHARES = """() => {
    window.shares = [];
    const look = () => document.querySelectorAll("progress").forEach(({ value, position }) => {
        if (position >= 0 && shares.at(-1) !== value) shares.push(value);
    });
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
}"""


def card(page: VoicePage, name: str) -> Locator:
    return page.page.locator(".card").filter(has=page.page.get_by_role("button", name=f"More for {name}", exact=True))


def choose(page: VoicePage, name: str, item: str) -> None:
    """An entry of a voice's menu."""
    card(page, name).get_by_role("button", name=f"More for {name}", exact=True).click()
    page.page.get_by_role("menuitem", name=item).click()


def downloaded(page: VoicePage, button: Locator) -> tuple[Signal, int]:
    with page.page.expect_download() as waiting:
        button.click()
    file = io.BytesIO(Path(waiting.value.path()).read_bytes())
    sound, rate = soundfile.read(file, dtype="float32")
    assert sound.ndim == 1
    return sound, rate


def at_48_khz(sound: Signal, rate: int) -> Signal:
    return resample_poly(sound, RATE, rate).astype(np.float32)


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


def drag(page: VoicePage, event: str, files: Iterable[Path]) -> None:
    """What the browser tells the page while files are dragged over it, and when they are dropped."""
    given = [(file.name, base64.b64encode(file.read_bytes()).decode()) for file in files]
    transfer = page.page.evaluate_handle(
        """async (given) => {
            const transfer = new DataTransfer();
            for (const [name, text] of given) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        given,
    )
    page.page.locator("main").dispatch_event(event, {"dataTransfer": transfer})


def slowly(page: VoicePage, bytes_per_s: int) -> None:
    """Send no faster than that from now on; -1 lifts it."""
    session = page.page.context.new_cdp_session(page.page)
    session.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    session.send("Network.emulateNetworkConditions", limits)


def test_a_model_that_is_dropped_becomes_a_voice_while_progress_is_shown(voice_page: VoicePage) -> None:
    files = [RVC / "v2_48k_f0.pth", RVC / "added_IVF8_Flat_nprobe_1_rand_v2.index"]
    drag(voice_page, "dragenter", files)
    voice_page.page.get_by_text("Drop a model").wait_for()
    drag(voice_page, "drop", files)
    voice_page.page.get_by_text("Drop a model").wait_for(state="detached")
    dialog = voice_page.page.locator("dialog[open]")
    assert files[1].name in dialog.inner_text()
    dialog.get_by_label("Name").fill("Singer")
    voice_page.page.evaluate(SHARES)
    slowly(voice_page, 2_000_000)
    dialog.get_by_role("button", name="Import", exact=True).click()
    dialog.get_by_text("Singer is among your voices").wait_for()
    dialog.get_by_text("menura models pull").first.wait_for()  # the command, where base models are missing
    shares = voice_page.page.evaluate("shares")
    print(shares)  # noqa: T201
    assert sum(0 < share < 1 for share in shares) >= 3
    voice_page.page.keyboard.press("Escape")
    card(voice_page, "Singer").wait_for()
    slowly(voice_page, -1)
    choose(voice_page, "Singer", "Delete")
    voice_page.page.get_by_role("button", name="Delete for good").click()
    card(voice_page, "Singer").wait_for(state="detached")


def test_a_hostile_file_is_refused_with_its_reason(voice_page: VoicePage, tmp_path: Path) -> None:
    voice_page.expected.append(REFUSAL)
    (tmp_path / "bad.pth").write_bytes(hostile(Op.call("posix", "system", Op.text("true"))))
    drag(voice_page, "drop", [tmp_path / "bad.pth"])
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_role("button", name="Import", exact=True).click()
    told = dialog.get_by_role("alert").inner_text()
    assert "bad.pth was refused" in told
    assert "posix" in told
    assert "Internal error" not in told


def test_what_is_no_model_is_refused_with_its_reason(voice_page: VoicePage, tmp_path: Path) -> None:
    voice_page.expected.append(REFUSAL)
    (tmp_path / "song.menura").write_bytes(b"PK\x03\x04 and then nothing of the kind")
    drag(voice_page, "drop", [tmp_path / "song.menura"])
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_role("button", name="Import", exact=True).click()
    told = dialog.get_by_role("alert").inner_text()
    assert "song.menura was refused" in told
    assert len(told) > len("song.menura was refused. ") + 10
    assert "Internal error" not in told


def test_a_recording_is_listed_plays_and_both_sides_are_downloaded(voice_page: VoicePage) -> None:
    voice_page.pick("Helium")
    voice_page.start()
    voice_page.page.get_by_role("button", name="Record", exact=True).click()
    stop = voice_page.page.get_by_role("button", name="Stop recording")
    stop.wait_for()
    voice_page.page.wait_for_timeout(3000)
    stop.click()
    voice_page.page.get_by_role("button", name="Record", exact=True).wait_for()
    voice_page.stop()
    row = voice_page.tool("Recordings").locator(".row-card").first
    sides = []
    for at in range(2):
        sound, rate = downloaded(voice_page, row.get_by_role("button", name="Download").nth(at))
        assert 2.5 < len(sound) / rate < 20
        assert playable_s(row.locator("audio").nth(at)) == pytest.approx(len(sound) / rate, abs=0.1)
        sides.append(at_48_khz(sound, rate))
    late, likeness = lag(sides[0], sides[1])
    assert likeness > 0.7
    assert late < 0.05  # the output's file begins with what was heard of the input's first frame
    assert raised_st(sides[0], sides[1], late) == pytest.approx(HELIUM_ST, abs=0.5)


def test_a_file_is_converted_with_progress_and_downloaded(voice_page: VoicePage, tmp_path: Path) -> None:
    parts = [soundfile.read(file, dtype="float32") for file in sorted(SPEECH.glob("am_michael*.flac"))]
    said, rate = np.tile(np.concatenate([sound for sound, _ in parts]), 3), parts[0][1]
    soundfile.write(tmp_path / "long.wav", said, rate)
    voice_page.pick("Helium")
    drag(voice_page, "drop", [tmp_path / "long.wav"])
    voice_page.page.evaluate(SHARES)
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_role("button", name="Convert", exact=True).click()
    dialog.get_by_text("Done:").wait_for(timeout=60_000)
    shares = voice_page.page.evaluate("shares")
    print(shares)  # noqa: T201
    assert any(0 < share < 1 for share in shares)
    sound, made_rate = downloaded(voice_page, dialog.get_by_role("button", name="Download"))
    assert len(sound) / made_rate == pytest.approx(len(said) / rate, abs=0.05)
    seconds = 6 * RATE
    before, after = at_48_khz(said, rate)[:seconds], at_48_khz(sound, made_rate)[:seconds]
    assert raised_st(before, after, lag(before, after)[0]) == pytest.approx(HELIUM_ST, abs=0.5)
    assert playable_s(dialog.locator("audio")) == pytest.approx(len(sound) / made_rate, abs=0.1)


def test_a_file_that_holds_no_sound_is_refused_with_its_reason(voice_page: VoicePage, tmp_path: Path) -> None:
    voice_page.expected.append(REFUSAL)
    (tmp_path / "no.wav").write_bytes(b"this is no sound at all" * 50)
    drag(voice_page, "drop", [tmp_path / "no.wav"])
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_role("button", name="Convert", exact=True).click()
    told = dialog.get_by_role("alert").inner_text()
    assert len(told) > 10
    assert "Internal error" not in told


def test_a_voice_is_duplicated_renamed_and_deleted(voice_page: VoicePage) -> None:
    before = voice_page.page.locator(".card").count()
    choose(voice_page, "Robot", "Duplicate")
    voice_page.wait("(n) => document.querySelectorAll('.card').length > n", arg=before)
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


def test_a_voice_leaves_as_a_file_and_comes_back(voice_page: VoicePage, tmp_path: Path) -> None:
    with voice_page.page.expect_download() as waiting:
        choose(voice_page, "Alien", "Export")
    waiting.value.save_as(tmp_path / "visitor.menura")
    drag(voice_page, "drop", [tmp_path / "visitor.menura"])
    dialog = voice_page.page.locator("dialog[open]")
    dialog.get_by_role("button", name="Import", exact=True).click()
    dialog.get_by_text("is among your voices").wait_for()
    dialog.get_by_role("button", name="Use it").click()
    stats = voice_page.until(lambda stats: stats["voice"] not in ("alien", "natural-man"))
    own = voice_page.page.get_by_role("group", name="Your own").get_by_role("radio")
    assert stats["voice"] in [radio.get_attribute("value") for radio in own.all()]


def test_voices_are_searched_and_favourites_kept(voice_page: VoicePage) -> None:
    page = voice_page.page
    names = page.locator(".card b")
    page.get_by_role("searchbox", name="Search voices").fill("throat")
    voice_page.wait("document.querySelectorAll('.card').length <= 4")
    assert "Robot" in names.all_inner_texts()
    assert all("throat" in text.lower() for text in page.locator(".card .text").all_inner_texts())
    page.get_by_role("searchbox", name="Search voices").fill("nobody has this")
    page.get_by_text("No voice is found").wait_for()
    page.get_by_role("searchbox", name="Search voices").fill("")
    star = page.get_by_role("button", name="Cave is a favourite")
    star.click()
    voice_page.wait("document.querySelector('.star[aria-pressed=true]') !== null")
    voice_page.reload()
    page.get_by_role("button", name="Favourites").click()
    voice_page.wait("document.querySelectorAll('.card').length === 1")
    assert names.all_inner_texts() == ["Cave"]
    star.click()
    page.get_by_text("No voice is found").wait_for()
    page.get_by_role("button", name="Show all voices").click()
    voice_page.wait("document.querySelectorAll('.card').length > 10")


def test_a_preview_is_heard_and_ends_when_asked(voice_page: VoicePage) -> None:
    page = voice_page.page
    page.get_by_role("button", name="Preview Helium", exact=True).click()
    stop = page.get_by_role("button", name="Stop the preview of Helium")
    voice_page.wait("document.querySelector('.preview[data-state=playing]') !== null", seconds=30)
    voice_page.listen()
    end = time.monotonic() + 20
    while level_db(voice_page.heard()[1]) < -45:
        assert time.monotonic() < end, "nothing is heard"
        page.wait_for_timeout(250)
    other = page.get_by_role("button", name="Preview Giant", exact=True)
    other.click()  # one at a time
    stop.wait_for(state="detached")
    voice_page.wait("document.querySelector('.preview[data-state=playing]') !== null", seconds=30)
    page.get_by_role("button", name="Stop the preview of Giant").click()
    other.wait_for()
    voice_page.wait("testEars.now().context.state === 'suspended'")


def test_a_saved_voice_keeps_its_own_parameters_and_effects(voice_page: VoicePage) -> None:
    page = voice_page.page
    voice_page.pick("Radio")
    page.locator("#pitch_st").press("ArrowRight")
    voice_page.add_effect("gain")
    voice_page.page.get_by_role("button", name="Save as my voice").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("Trucker")
    dialog.get_by_role("button", name="Save", exact=True).click()
    card(voice_page, "Trucker").wait_for()
    voice_page.until(lambda stats: stats["voice"] not in ("radio", "robot"))
    assert page.locator(".effect").count() == 0  # it is in the voice now
    voice_page.pick("Robot")
    voice_page.until(lambda stats: stats["voice"] == "robot" and stats["parameters"]["pitch_st"] == 0)
    voice_page.pick("Trucker")
    voice_page.until(lambda stats: stats["voice"] != "robot" and stats["parameters"]["pitch_st"] == 0.5)
    voice_page.reload()
    assert voice_page.stats()["parameters"]["pitch_st"] == 0.5
    choose(voice_page, "Trucker", "Delete")
    page.get_by_role("button", name="Delete for good").click()
    card(voice_page, "Trucker").wait_for(state="detached")
