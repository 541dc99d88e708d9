"""What a voice sounds with: its own parameters, or those that the client has turned."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest

from menura.live.session import VoiceSession
from menura.protocol.control_actions import MixPart
from menura.server.catalogue import Catalogue
from menura.server.control_voice import ControlVoice
from menura.store.library import VoiceLibrary
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from menura.voices.mix import VoiceMix
from menura.voices.voice import VoiceParameters
from tests.server.conftest import Served
from tests.serving import Client

RATE = 16_000
SAVED = {"name": "Low", "stages": [{"kind": "shift", "params": {}}]}
LOW = {"pitch_st": -4.0, "formant": 0.9}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ControlVoice]:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    with VoiceLibrary(tmp_path) as library:
        voice_id = library.create(SAVED | {"parameters": LOW}).id
    with ThreadPoolExecutor(1) as pool:
        catalogue = Catalogue()
        yield voice_id, ControlVoice(catalogue, pool)
        catalogue.close()


def test_a_saved_voice_brings_its_own_parameters_and_what_is_turned_afterwards_wins(
    own: tuple[str, ControlVoice],
) -> None:
    voice_id, voice = own

    async def run() -> None:
        session = VoiceSession(make_stage(find_voice("robot"), RATE))
        voice.turn({"pitch_st": 7.0}, session)
        assert not await voice.select("robot", session)
        assert voice.parameters == VoiceParameters(pitch_st=7.0)
        assert await voice.select(voice_id, session)
        assert voice.parameters == VoiceParameters(pitch_st=-4.0, formant=0.9)
        assert (await voice.stage(voice_id, RATE)).parameters == voice.parameters
        voice.turn({"pitch_st": 2.0}, session)
        stage = await voice.stage(voice_id, RATE)
        assert stage.parameters == voice.parameters == VoiceParameters(pitch_st=2.0, formant=0.9)
        assert await voice.select(voice_id, session), "chosen again, it is as it was saved"
        assert voice.parameters == VoiceParameters(pitch_st=-4.0, formant=0.9)
        assert await voice.select("robot", session), "the client is told that they are others now"
        assert voice.parameters == VoiceParameters()

    asyncio.run(run())


def test_the_first_voice_of_a_mix_is_turned_and_the_other_keeps_its_distance(own: tuple[str, ControlVoice]) -> None:
    voice_id, voice = own
    low = VoiceParameters(**LOW)

    async def found(rate: int = RATE) -> dict[str, VoiceParameters]:
        mixed = await voice.stage("robot", rate)
        assert isinstance(mixed, VoiceMix)
        return {stage.voice.id: stage.parameters for stage in mixed.stages}

    async def run() -> None:
        await voice.select("robot", None)
        voice.turn({"pitch_st": 1.0}, None)
        parts = [MixPart(voiceId="robot"), MixPart(voiceId=voice_id)]
        assert not await voice.mix(parts, None)
        assert await found() == {"robot": VoiceParameters(pitch_st=1.0), voice_id: replace(low, pitch_st=-3.0)}
        voice.turn({"mix": 0.0}, None)  # held to compare
        assert {parameters.mix for parameters in (await found()).values()} == {0.0}
        voice.turn({"mix": 1.0}, None)
        assert not await voice.mix(parts[::-1], None), "the same two: only gains"
        assert await found() == {"robot": VoiceParameters(pitch_st=1.0), voice_id: replace(low, pitch_st=-3.0)}
        assert await voice.select(voice_id, None)
        assert not await voice.mix(parts[::-1], None)
        assert await found() == {voice_id: low, "robot": VoiceParameters()}
        voice.turn({"pitch_st": -3.5}, None)
        assert await found() == {voice_id: replace(low, pitch_st=-3.5), "robot": VoiceParameters(pitch_st=0.5)}

    asyncio.run(run())


def test_a_mix_chooses_its_first_voice_and_a_running_session_is_turned_so(own: tuple[str, ControlVoice]) -> None:
    voice_id, voice = own

    async def run() -> None:
        session = VoiceSession(make_stage(find_voice("robot"), RATE))
        await voice.select("robot", session)
        assert await voice.mix([MixPart(voiceId=voice_id), MixPart(voiceId="robot")], session)
        assert voice.parameters == VoiceParameters(**LOW)
        session.process(np.zeros((480, 1), np.float32))
        mixed = session.stage
        assert isinstance(mixed, VoiceMix)
        voice.turn({"pitch_st": 0.0}, session)
        session.process(np.zeros((480, 1), np.float32))
        assert [stage.parameters.pitch_st for stage in mixed.stages] == [0.0, 4.0]
        assert not await voice.mix([MixPart(voiceId=voice_id, gain=1.0), MixPart(voiceId="robot", gain=0.0)], session)
        assert mixed.gains == (1.0, 0.0)

    asyncio.run(run())


def test_the_client_is_told_a_saved_voices_parameters_when_it_chooses_it(served: Served) -> None:
    made = httpx.post(f"{served.address}api/voices", json=SAVED | {"parameters": LOW})
    voice_id = made.json()["id"]
    with Client(served.address) as client:
        voices = {voice["id"]: voice for voice in client.ask("getVoices")["voices"]}
        assert voices[voice_id]["parameters"] == {**LOW, "mix": 1.0}
        assert voices["robot"]["parameters"] == {"pitch_st": 0.0, "formant": 1.0, "mix": 1.0}
        assert client.ask("setParameters", parameters={"pitch_st": 5})["parameters"]["pitch_st"] == 5.0
        assert client.ask("selectVoice", voiceId=voice_id)["type"] == "voiceSelected"
        assert client.reply() == {"type": "parametersSet", "parameters": {**LOW, "mix": 1.0}}
        assert client.ask("setParameters", parameters={"mix": 0.5})["parameters"] == {**LOW, "mix": 0.5}
        assert client.ask("start", audio={"source": "client"})["status"]["processing"] is True
        assert client.ask("selectVoice", voiceId="robot")["type"] == "voiceSelected"
        assert client.reply()["parameters"] == {"pitch_st": 0.0, "formant": 1.0, "mix": 0.5}
        assert client.ask("selectVoice", voiceId="whisper")["type"] == "voiceSelected"
        assert client.ask("stop")["type"] == "status"


def test_the_same_two_voices_in_another_order_keep_the_chosen_one(served: Served) -> None:
    with Client(served.address) as client:
        parts = [{"voiceId": "robot", "gain": 0.8}, {"voiceId": "whisper", "gain": 0.2}]
        assert client.ask("mixVoices", voices=parts)["type"] == "voicesMixed"
        answer = client.ask("mixVoices", voices=parts[::-1])
        assert [(one["id"], one["gain"]) for one in answer["voices"]] == [("robot", 0.8), ("whisper", 0.2)]
