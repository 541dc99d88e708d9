import numpy as np
import pytest

from menura import builtin_voices, find_voice, make_stage
from menura.audio.files import read_audio
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, ModelError, VoiceNotFoundError
from menura.units import ratio_to_st
from menura.voices.voice import Category, StageSpec, Voice, VoiceParameters
from tests.listen import clicks, median_f0

VOICES = [voice.id for voice in builtin_voices()]
REALISTIC = [voice.id for voice in builtin_voices() if voice.category is Category.REALISTIC]
SPEAKERS = ["af_heart", "bf_emma", "am_michael", "bm_george"]


def speech(speaker: str) -> tuple[np.ndarray, int]:
    parts = [read_audio(f"tests/fixtures/speech/{speaker}_u{n}.flac") for n in (1, 2, 3)]
    return np.concatenate([x for x, _ in parts]), parts[0][1]


def test_there_are_enough_of_each_kind_and_ids_are_unique() -> None:
    kinds = [voice.category for voice in builtin_voices()]
    assert kinds.count(Category.REALISTIC) >= 5
    assert kinds.count(Category.CHARACTER) >= 7
    assert len(set(VOICES)) == len(VOICES)


@pytest.mark.parametrize("voice_id", VOICES)
@pytest.mark.parametrize("speaker", ["af_heart", "bm_george"])
def test_voice_speaks_at_a_like_level_without_clicks_or_overs(voice_id: str, speaker: str) -> None:
    x, rate = speech(speaker)
    y = process_whole(make_stage(find_voice(voice_id), rate), x, block=480)
    assert y.shape == x.shape
    change_db = 20 * np.log10(np.sqrt((y**2).mean()) / np.sqrt((x**2).mean()))
    assert -6 < change_db < 6
    assert np.abs(y).max() <= 1.0
    assert clicks(y * 10 ** (-change_db / 20), rate) <= clicks(x, rate) + 2  # plosives may count, equally loud


@pytest.mark.parametrize("voice_id", REALISTIC)
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_realistic_voice_lands_within_two_semitones_of_its_register(voice_id: str, speaker: str) -> None:
    x, rate = speech(speaker)
    voice = find_voice(voice_id)
    assert voice.register_hz is not None
    y = process_whole(make_stage(voice, rate), x, block=480)
    assert abs(ratio_to_st(median_f0(y[2 * rate :], rate) / voice.register_hz)) < 2.0


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_keeps_the_cadence_and_the_length(rate: int, channels: int) -> None:
    stage = make_stage(find_voice("natural-woman"), rate, channels)
    rng = np.random.default_rng(1)
    x = (0.1 * rng.standard_normal((rate // 4 + 13, channels))).astype(np.float32)
    done = 0
    for n in (0, 1, 7, 160, 511, len(x)):
        part = x[done : done + n]
        assert stage.process(part).shape == part.shape
        done += len(part)
    assert stage.flush().shape == (stage.latency, channels)


def test_unknown_voice_is_named() -> None:
    with pytest.raises(VoiceNotFoundError, match=r"^Voice not found: nobody$"):
        find_voice("nobody")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (StageSpec("teleport"), "unknown kind of stage 'teleport'"),
        (StageSpec("shift", {"colour": 3}), "stage 'shift'"),
        (StageSpec("shift", {"pitch_st": 99}), "pitch_st"),
        (StageSpec("equalizer", {"bands": [{"kind": "odd", "freq_hz": 3}]}), "stage 'equalizer'"),
        (StageSpec("equalizer", {"bands": [{"freq_hz": 100.0}]}), "^stage 'equalizer': 'kind' is missing$"),
    ],
)
def test_voice_that_makes_no_chain_says_why(spec: StageSpec, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        make_stage(Voice("x", "X", Category.CUSTOM, "", (spec,)), 48000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"pitch_st": 25}, "pitch_st"), ({"formant": 0}, "formant"), ({"mix": float("nan")}, "mix"), ({"x": 1}, r"'x'")],
)
def test_parameters_out_of_range_are_named(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        VoiceParameters().changed(changes)


def test_pitch_parameter_moves_the_voice() -> None:
    x, rate = speech("af_heart")
    low = median_f0(process_whole(make_stage(find_voice("natural-man"), rate), x)[rate:], rate)
    stage = make_stage(find_voice("natural-man"), rate, parameters=VoiceParameters(pitch_st=5.0))
    high = median_f0(process_whole(stage, x)[rate:], rate)
    assert abs(ratio_to_st(high / low) - 5.0) < 0.7
