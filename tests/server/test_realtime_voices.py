"""Other voices while a session of ``/v1/realtime`` runs, chosen by the official client."""

import asyncio
from typing import Any

import numpy as np
import pytest

from menura.audio import g711
from menura.client.options import ConnectionOptions
from tests.client.faults import FaultServer, Peer
from tests.server.realtime_peer import Agent, answer, begin, run
from tests.server.relaying import serving
from tests.speech import speech

OWN = speech("am_michael_u1")[:48_000]
PCM = (OWN[:, 0] * 32767).astype("<i2").tobytes()


def floats(audio: bytes) -> np.ndarray:
    return (np.frombuffer(audio, "<i2") / 32768.0).astype(np.float32)


def saying(audio: bytes):
    """A provider that gives this answer whenever it is asked for one, under ids of its own."""

    async def script(peer: Peer) -> None:
        await begin(peer)
        number = 0
        while True:
            event = await peer.hear()
            if event["type"] == "session.update":
                await peer.say("session.updated", session={"id": "sess_p", "type": "realtime"} | event["session"])
            elif event["type"] == "response.create":
                number += 1
                await answer(peer, audio, 4800, response_id=f"resp_{number}", item_id=f"item_{number}")

    return script


async def answered(agent: Agent) -> bytes:
    """The audio of one more answer."""
    await agent.connection.response.create()
    item = (await agent.until("response.output_audio.done"))["item_id"]
    # a client that leaves with more than a few events unread waits 10 s to be let go
    await agent.until("response.done")
    return agent.audio(item)


def updates(peer: Peer) -> list[dict[str, Any]]:
    return [event["session"] for event in peer.events if event["type"] == "session.update"]


def test_the_provider_hears_what_is_said_after_it_in_another_voice() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(PCM)
            session = await agent.update(menura={"voice_up": "natural-woman"})
            plain = {"pitch_st": 0.0, "formant": 1.0, "mix": 1.0}
            named = {"voice_up": "natural-woman", "voice_down": "none"}
            assert session["menura"] == named | {"parameters_up": plain, "parameters_down": plain}
            await agent.speak(PCM)
            await agent.connection.input_audio_buffer.commit()
            await asyncio.to_thread(provider.until, lambda: "input_audio_buffer.commit" in provider.peers[0].types)

    with FaultServer(saying(b"")) as provider, serving(provider.url) as relay:
        run(job)
        [peer] = provider.peers
    assert len(updates(peer)) == 1, "the provider has no part in it"
    assert peer.audio[: len(PCM)] == PCM
    rest = peer.audio[len(PCM) :]
    pieces = {PCM[i : i + 32] for i in range(0, len(PCM) - 32, 2) if any(PCM[i : i + 32])}
    loud = [rest[i : i + 32] for i in range(0, len(rest) - 32, 2) if np.abs(floats(rest[i : i + 32])).max() > 0.01]
    assert loud
    assert not pieces & set(loud)


def test_answers_come_in_another_voice_from_the_next_one_on_and_in_their_own_again() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            assert await answered(agent) == PCM
            await agent.update(menura={"voice_down": "robot"})
            robot = await answered(agent)
            await agent.update(menura={"voice_down": "helium"})
            helium = await answered(agent)
            session = await agent.update(menura={"voice_down": None})
            assert session["menura"]["voice_down"] == "none"
            assert await answered(agent) == PCM
            assert len(robot) == len(helium) == len(PCM)
            assert len({robot, helium, PCM}) == 3
            assert "error" not in agent.types

    with FaultServer(saying(PCM)) as provider, serving(provider.url) as relay:
        run(job)


def test_settings_of_voices_are_turned_both_ways() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            voices = {"voice_up": "robot", "voice_down": "robot"}
            session = await agent.update(menura=voices | {"parameters_up": {"mix": 0}, "parameters_down": {"mix": 0}})
            assert session["menura"]["parameters_up"] == {"pitch_st": 0.0, "formant": 1.0, "mix": 0.0}
            assert levels(await answered(agent), PCM) < 0.01  # nothing of the robot
            session = await agent.update(menura={"parameters_down": {"mix": 1, "pitch_st": 3}})
            assert session["menura"]["parameters_down"] == {"pitch_st": 3.0, "formant": 1.0, "mix": 1.0}
            assert session["menura"]["voice_down"] == "robot"
            assert levels(await answered(agent), PCM) > 0.1
            session = await agent.update(menura={"voice_down": "helium"})
            assert session["menura"]["parameters_down"]["pitch_st"] == 3.0, "it has none of its own"
            await agent.speak(PCM)
            await agent.connection.input_audio_buffer.commit()
            await asyncio.to_thread(provider.until, lambda: "input_audio_buffer.commit" in provider.peers[0].types)

    def levels(heard: bytes, spoken: bytes) -> float:
        """How far two are from each other, as a share of the second."""
        x, y = floats(heard), floats(spoken)
        assert len(x) == len(y)
        return float(np.sqrt(np.mean((x - y) ** 2) / np.mean(y**2)))

    with FaultServer(saying(PCM)) as provider, serving(provider.url) as relay:
        run(job)
        heard = provider.peers[0].audio
        late = len(heard) - len(PCM)  # by what the voice takes
        assert levels(heard[late:], PCM) < 0.01


def test_other_settings_in_the_same_event_go_to_the_provider_alone() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            session = await agent.update(menura={"voice_down": "robot"}, instructions="Be brief.")
            assert (session["menura"]["voice_down"], session["instructions"]) == ("robot", "Be brief.")
            session = await agent.update(instructions="Be brief and kind.")
            assert session["menura"]["voice_down"] == "robot"

    with FaultServer(saying(b"")) as provider, serving(provider.url) as relay:
        run(job)
        assert [session.get("instructions") for session in updates(provider.peers[0])[1:]] == [
            "Be brief.",
            "Be brief and kind.",
        ]
        assert not any("menura" in session for session in updates(provider.peers[0]))


def test_a_client_that_does_not_wait_is_told_after_the_session_is_there() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.send("session.update", session={"type": "realtime", "menura": {"voice_down": "robot"}})
            await agent.until("session.updated")
            assert agent.types[:2] == ["session.created", "session.updated"]
            assert await answered(agent) != PCM

    with FaultServer(saying(PCM)) as provider, serving(provider.url) as relay:
        run(job)


def test_a_telephone_may_have_other_voices_too() -> None:
    telephone = {"type": "audio/pcmu"}
    said = g711.encode_ulaw((OWN[::3, 0] * 32767).astype(np.int16))

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.update(audio={"input": {"format": telephone}, "output": {"format": telephone}})
            assert await answered(agent) == said
            await agent.update(menura={"voice_up": "natural-woman", "voice_down": "robot"})
            changed = await answered(agent)
            assert len(changed) == len(said)
            assert changed != said
            await agent.speak(said, 160)
            await agent.connection.input_audio_buffer.commit()
            await asyncio.to_thread(provider.until, lambda: "input_audio_buffer.commit" in provider.peers[0].types)

    with FaultServer(saying(said)) as provider, serving(provider.url) as relay:
        run(job)
        heard = provider.peers[0].audio
    assert len(said) <= len(heard) < len(said) + 8000
    assert said[800:1600] not in heard


@pytest.mark.parametrize(
    ("wish", "code", "param"),
    [
        ({"voice_up": "nobody"}, "voice_not_found", "session.menura.voice_up"),
        ({"voice_up": "robot", "voice_down": "nobody"}, "voice_not_found", "session.menura.voice_down"),
        ({"voice_up": 5}, "invalid_value", "session.menura.voice_up"),
        ({"voice_sideways": "robot"}, "unknown_parameter", "session.menura.voice_sideways"),
        ({"voice_up": "robot", "parameters_up": {"pitch_st": 99}}, "invalid_value", "session.menura.parameters_up"),
        ({"parameters_up": {"volume": 1}}, "unknown_parameter", "session.menura.parameters_up.volume"),
        ({"parameters_down": {"mix": "1"}}, "invalid_value", "session.menura.parameters_down.mix"),
        ("robot", "invalid_value", "session.menura"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(wish: object, code: str, param: str) -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.send("session.update", event_id="mine", session={"type": "realtime", "menura": wish})
            error = await agent.error()
            assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
            assert await answered(agent) == PCM
            await agent.speak(PCM)
            await agent.connection.input_audio_buffer.commit()
            await asyncio.to_thread(provider.until, lambda: "input_audio_buffer.commit" in provider.peers[0].types)
            assert provider.peers[0].audio == PCM

    with FaultServer(saying(PCM)) as provider, serving(provider.url) as relay:
        run(job)


def test_a_required_voice_cannot_be_switched_off() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.send("session.update", session={"type": "realtime", "menura": {"voice_up": "none"}})
            error = await agent.error()
            assert error["param"] == "session.menura.voice_up"
            own = {"voice_up": "helium", "parameters_up": {"mix": 0.5}}
            await agent.send("session.update", session={"type": "realtime", "menura": own})
            error = await agent.error()
            assert error["param"] == "session.menura.parameters_up"
            session = await agent.update(menura={"voice_up": "helium"})
            assert session["menura"]["voice_up"] == "helium"

    settings = {"voice_up": "robot", "require_voice": True}
    with FaultServer(saying(b"")) as provider, serving(provider.url, settings=settings) as relay:
        run(job)


def test_a_provider_that_does_not_answer_is_told_to_the_client() -> None:
    async def silent(peer: Peer) -> None:
        await begin(peer)
        while True:
            await peer.hear()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.connection.response.create()
            error = await agent.error()
            assert (error["code"], error["type"]) == ("response_timeout", "server_error")

    connection = ConnectionOptions(answer_timeout_s=0.05, tick_s=0.01)
    with FaultServer(silent) as provider, serving(provider.url, connection=connection) as relay:
        run(job)
