"""The voices that come with menura: data only, no weights.

Realistic voices aim at a register (medians of adults' speech: men about 110 Hz, women about 205 Hz; Titze, Principles
of Voice Production, 1994) and let the formants follow by the power 0.27 of the pitch ratio, which takes a man's vocal
tract to a woman's: 1.17 for 1.8 (Peterson and Barney 1952, averages over vowels). Each moves the formants by a share
of its own besides, so that a speaker of the same register is disguised as well.
"""

from functools import cache
from typing import Any

from menura.errors import VoiceNotFoundError
from menura.voices.voice import Category, StageSpec, Voice

__all__ = ["builtin_voices", "find_voice"]

FOLLOW = 0.27


def _stage(kind: str, **params: Any) -> StageSpec:
    return StageSpec(kind, params)


def _band(kind: str, freq_hz: float, gain_db: float = 0.0, q: float = 0.7071) -> dict[str, Any]:
    return {"kind": kind, "freq_hz": freq_hz, "gain_db": gain_db, "q": q}


def _equalizer(*bands: dict[str, Any]) -> StageSpec:
    return _stage("equalizer", bands=list(bands))


def _register(target_hz: float, formant: float, intonation: float = 1.0) -> StageSpec:
    return _stage("shift", target_hz=target_hz, formant=formant, formant_follow=FOLLOW, intonation=intonation)


def _realistic(voice_id: str, name: str, description: str, *stages: StageSpec) -> Voice:
    return Voice(voice_id, name, Category.REALISTIC, description, stages)


def _character(voice_id: str, name: str, description: str, *stages: StageSpec) -> Voice:
    return Voice(voice_id, name, Category.CHARACTER, description, stages)


@cache
def builtin_voices() -> tuple[Voice, ...]:
    """The built-in voices, realistic ones first."""
    return (
        _realistic(
            "natural-man",
            "Natural Man",
            "An everyday man's voice, whoever speaks",
            _register(110.0, 0.84),
            _equalizer(
                _band("high_pass", 60),
                _band("peak", 200, 3.0, 0.9),
                _band("peak", 900, -3.0, 0.9),
                _band("peak", 2400, 3.0, 0.9),
                _band("high_shelf", 6000, -4.0),
            ),
        ),
        _realistic(
            "natural-woman",
            "Natural Woman",
            "An everyday woman's voice, whoever speaks",
            _register(210.0, 1.16),
            _equalizer(
                _band("high_pass", 140),
                _band("low_shelf", 320, -4.0),
                _band("peak", 1100, -3.0, 1.0),
                _band("peak", 2900, 5.0, 0.8),
                _band("high_shelf", 7000, 3.0),
            ),
        ),
        _realistic(
            "professional-speaker",
            "Professional Speaker",
            "A calm, full voice close to the microphone, as on the radio news",
            _register(98.0, 0.87, intonation=0.9),
            _equalizer(
                _band("high_pass", 55),
                _band("low_shelf", 170, 5.0),
                _band("peak", 450, -4.0, 1.0),
                _band("peak", 3500, 5.0, 0.9),
            ),
            _stage("compressor", threshold_db=-26.0, ratio=3.5, knee_db=8.0, makeup_db=7.0),
        ),
        _realistic(
            "older-man",
            "Older Man",
            "A man past seventy: thinner, a little shaky",
            _register(134.0, 0.88, intonation=0.85),
            _stage("vibrato", rate_hz=5.2, depth_st=0.22),
            _stage("tremolo", rate_hz=4.7, depth=0.12),
            _equalizer(_band("low_shelf", 200, -3.0), _band("peak", 1500, 2.5, 0.8), _band("high_shelf", 5000, -5.0)),
        ),
        _realistic(
            "younger-woman",
            "Younger Woman",
            "A bright, lively voice of about eighteen",
            _register(238.0, 1.15, intonation=1.15),
            _equalizer(_band("high_pass", 150), _band("low_shelf", 300, -2.0), _band("high_shelf", 5500, 3.0)),
        ),
        _realistic(
            "younger-man",
            "Younger Man",
            "A light man's voice of about eighteen",
            _register(140.0, 1.15, intonation=1.05),
            _equalizer(
                _band("high_pass", 90),
                _band("low_shelf", 250, -4.0),
                _band("peak", 1000, -3.0, 1.0),
                _band("peak", 2600, 4.0, 0.8),
            ),
        ),
        _character(
            "robot",
            "Robot",
            "One pitch, metal throat",
            _stage("shift"),
            _stage("robot", pitch_hz=110.0),
            _equalizer(_band("high_pass", 120), _band("peak", 2400, 4.0, 1.0)),
            _stage("compressor", threshold_db=-24.0, ratio=3.0, makeup_db=3.0),
        ),
        _character(
            "cartoon",
            "Cartoon Character",
            "Small, quick and cheerful",
            _stage("shift", target_hz=330.0, formant=1.32, intonation=1.35),
            _equalizer(_band("high_pass", 200), _band("peak", 3200, 3.0, 0.9)),
        ),
        _character(
            "movie-trailer",
            "Movie Trailer",
            "In a world … the deepest voice of the cinema",
            _stage("shift", target_hz=80.0, formant=0.84, intonation=0.8),
            _equalizer(_band("low_shelf", 140, 6.0), _band("peak", 450, -3.0, 1.0), _band("peak", 3200, 4.0, 0.9)),
            _stage("compressor", threshold_db=-30.0, ratio=4.5, knee_db=8.0, makeup_db=10.5),
            _stage("reverb", room=0.35, damping=0.5, wet=0.12),
        ),
        _character(
            "giant",
            "Giant",
            "Slow mountains speak like this",
            _stage("shift", target_hz=72.0, formant=0.74),
            _stage("chorus", rate_hz=0.4, depth_ms=2.5, delay_ms=14.0, mix=0.35),
            _equalizer(_band("low_shelf", 160, 5.0), _band("high_shelf", 4500, -3.0)),
            _stage("reverb", room=0.5, damping=0.5, wet=0.14),
        ),
        _character(
            "helium",
            "Helium",
            "The balloon trick: the throat shrinks, and the pitch rises a little",
            _stage("shift", pitch_st=3.0, formant=1.48),
            _equalizer(_band("high_pass", 180), _band("high_shelf", 8000, -3.0)),
        ),
        _character(
            "whisper",
            "Whisper",
            "No tone, only breath",
            _stage("shift"),
            _stage("whisper"),
            _equalizer(_band("high_pass", 250), _band("high_shelf", 4000, 3.0)),
            _stage("gain", gain_db=2.0),
        ),
        _character(
            "radio",
            "Radio",
            "A walkie-talkie on a bad day",
            _stage("shift"),
            _equalizer(
                _band("high_pass", 420), _band("high_pass", 420), _band("low_pass", 2900), _band("low_pass", 2900)
            ),
            _stage("drive", drive_db=14.0),
            _stage("hiss", level_db=-46.0),
            _equalizer(_band("high_pass", 350), _band("low_pass", 3200), _band("peak", 1500, 4.0, 0.8)),
            _stage("gain", gain_db=-4.5),
        ),
        _character(
            "alien",
            "Alien",
            "Two throats that never quite agree",
            _stage("shift", pitch_st=-2.0, formant=1.2),
            _stage("ring_modulator", freq_hz=62.0, mix=0.55),
            _stage("chorus", rate_hz=2.7, depth_ms=3.0, delay_ms=9.0, mix=0.5),
            _stage("gain", gain_db=9.0),
        ),
        _character(
            "cave",
            "Cave",
            "Your own words, coming back from the dark",
            _stage("shift"),
            _stage("echo", delay_ms=310.0, feedback=0.34, mix=0.26),
            _stage("reverb", room=0.8, damping=0.4, wet=0.22),
        ),
    )


def find_voice(voice_id: str) -> Voice:
    """The built-in voice of this id.

    Raises:
        VoiceNotFoundError: There is none.
    """
    for voice in builtin_voices():
        if voice.id == voice_id:
            return voice
    raise VoiceNotFoundError(f"Voice not found: {voice_id}")
