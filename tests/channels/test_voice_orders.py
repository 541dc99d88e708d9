"""A voice between two channels is given others by messages."""

import asyncio

import pytest

from menura.channels.manager import ChannelManager
from menura.channels.voice import ChannelVoice
from menura.channels.voice_orders import obey
from menura.errors import VoiceNotFoundError
from menura.voices.builtin import find_voice
from menura.voices.voice import Voice, VoiceParameters
from tests.channels.test_voice import streams
from tests.speech import NAMES, speech

RATE = 24_000
OWN = VoiceParameters(pitch_st=-2.0)


def find(wanted: str) -> tuple[Voice, VoiceParameters]:
    if wanted == "mine":
        return find_voice("robot"), OWN
    return find_voice(wanted), VoiceParameters()


def follow(*orders: object) -> tuple[list[str], ChannelVoice]:
    """What a running voice says to orders, and the voice."""

    async def main() -> tuple[list[str], ChannelVoice]:
        said: list[str] = []
        async with ChannelManager() as channels:
            asked = channels.subscribe("orders", policy="block")
            voice = ChannelVoice(channels, "in", "out", "natural-woman")
            running = asyncio.create_task(voice.run())
            heard = channels.subscribe("out")
            for stream in streams(speech(NAMES[0], RATE)[:4800]):
                await channels.publish("in", stream)
            await heard.get(timeout_s=60.0)
            for order in orders:
                await channels.publish("orders", order)
            await channels.close_channel("orders")
            await obey(asked, voice, find, said.append)
            await channels.close_channel("in")
            await running
        return said, voice

    return asyncio.run(main())


def test_a_voice_is_chosen_with_its_own_settings() -> None:
    said, voice = follow({"action": "selectVoice", "voiceId": "mine"})
    assert said == ["the voice is Robot"]
    assert (voice.voice.id, voice.parameters) == ("robot", OWN)


def test_settings_are_turned_one_by_one() -> None:
    said, voice = follow(
        {"action": "setParameters", "parameters": {"pitch_st": 2}},
        {"action": "setParameters", "parameters": {"mix": 0.5}},
    )
    assert said[-1] == "pitch_st 2, formant 1, mix 0.5"
    assert voice.parameters == VoiceParameters(pitch_st=2, mix=0.5)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"action": "selectVoice", "voiceId": "nobody"}, str(VoiceNotFoundError("Voice not found: nobody"))),
        ({"action": "setParameters", "parameters": {"pitch_st": 99}}, "pitch_st must be a number"),
        ({"action": "setParameters", "parameters": {"speed": 1}}, "unknown parameter 'speed'"),
        ({"action": "stop"}, "an order is selectVoice or setParameters, not stop"),
        ({"action": "dance"}, "dance"),
        ("robot", "must be a JSON object"),
        (b"robot", "an order is a JSON object"),
        ({"action": "setParameters", "parameters": {"pitch_st": float("nan")}}, ""),
    ],
)
def test_what_cannot_be_followed_is_told_and_changes_nothing(order: object, says: str) -> None:
    said, voice = follow(order, {"action": "setParameters", "parameters": {"formant": 1.1}})
    assert len(said) == 2
    assert says in said[0]
    assert (voice.voice.id, voice.parameters) == ("natural-woman", VoiceParameters(formant=1.1))
