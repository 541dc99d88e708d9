"""The official client through ``/v1/realtime`` to providers of every kind."""

import asyncio
import base64
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from menura.audio import g711
from tests.client.ears import KEY
from tests.client.faults import FaultServer, Peer
from tests.client.speech_server import ANSWER_MS, speech_server
from tests.listen import median_f0
from tests.server.realtime_peer import CLIENT_KEY, DELTA, MODEL, Agent, answer, begin, finish, run
from tests.server.relaying import serving
from tests.speech import speech

PCM, ULAW = {"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}


def pcm(x: np.ndarray) -> bytes:
    return (x[:, 0] * 32767).astype("<i2").tobytes()


def floats(audio: bytes) -> np.ndarray:
    return (np.frombuffer(audio, "<i2") / 32768.0).astype(np.float32)


def updates(peer: Peer) -> list[dict[str, Any]]:
    return [event["session"] for event in peer.events if event["type"] == "session.update"]


def saying(audio: bytes, part: int = 4800) -> Callable[[Peer], Awaitable[None]]:
    """A provider that gives this answer whenever it is asked for one."""

    async def script(peer: Peer) -> None:
        await begin(peer)
        while True:
            event = await peer.hear()
            if event["type"] == "session.update":
                await peer.say("session.updated", session={"id": "sess_p", "type": "realtime"} | event["session"])
            elif event["type"] == "response.create":
                await answer(peer, audio, part)

    return script


@pytest.fixture(scope="module")
def brain() -> Iterator[str]:
    with speech_server(sessions=1) as url:
        yield url


def test_conversation_with_a_real_provider_in_other_voices(brain: str) -> None:
    quiet = np.zeros((24_000, 1), np.float32)
    spoken = pcm(np.concatenate([quiet, speech("am_michael_u1"), quiet, quiet]))

    async def job() -> None:
        voices = {"voice_up": "natural-woman", "voice_down": "robot"}
        async with Agent(relay.url, extra_query=voices) as agent:
            assert (await agent.next())["type"] == "session.created"
            vad = {"type": "server_vad", "create_response": False}
            session = await agent.update(instructions="Be brief.", audio={"input": {"turn_detection": vad}})
            assert session["instructions"] == "Be brief."
            assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
            assert session["id"] == agent.events[0]["session"]["id"]
            await agent.speak(spoken)
            started = await agent.until("input_audio_buffer.speech_started")
            assert (await agent.until("input_audio_buffer.committed"))["item_id"] == started["item_id"]
            await agent.connection.response.create()
            response = (await agent.until("response.created"))["response"]
            done = (await agent.until("response.done"))["response"]
            assert (done["id"], done["status"]) == (response["id"], "completed")
            assert len(agent.audio()) == pytest.approx(ANSWER_MS * 48, abs=20 * 48)
            [item] = {event["item_id"] for event in agent.events if event["type"] == DELTA}
            places = [event for event in agent.events if event["type"].startswith("response.") and "item_id" in event]
            assert {event["item_id"] for event in places} == {item}
            order = [kind for kind in agent.types if kind.startswith("response.") or kind == DELTA]
            assert order.index("response.content_part.added") < order.index(DELTA)
            assert max(i for i, kind in enumerate(order) if kind == DELTA) < order.index("response.output_audio.done")
            assert "error" not in agent.types

    with serving(brain) as relay:
        run(job)


def test_provider_never_hears_the_speakers_own_voice_and_no_key_of_the_client() -> None:
    own = np.concatenate([speech("am_michael_u1")] * 2)
    spoken = pcm(own)

    async def job() -> None:
        async with Agent(relay.url, extra_headers={"Menura-Voice-Up": "natural-woman"}) as agent:
            await agent.until("session.created")
            await agent.speak(spoken, 4800)
            await agent.connection.input_audio_buffer.commit()
            await asyncio.to_thread(provider.until, lambda: "input_audio_buffer.commit" in provider.peers[0].types)

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        [peer] = provider.peers
    heard = peer.audio
    assert len(heard) > len(spoken), "the voice's delay is part of the turn"
    pieces = {spoken[i : i + 32] for i in range(0, len(spoken) - 32, 2) if any(spoken[i : i + 32])}
    loud = [heard[i : i + 32] for i in range(0, len(heard) - 32, 32) if np.abs(floats(heard[i : i + 32])).max() > 0.01]
    assert loud
    assert not [piece for piece in loud if piece in pieces], "not sixteen samples in a row"
    assert median_f0(own, 24_000) < 150.0
    assert median_f0(floats(heard)[:, None], 24_000) > 170.0
    assert peer.headers["Authorization"] == f"Bearer {KEY}"
    assert CLIENT_KEY not in str(peer.headers) + str(peer.events)
    assert "model=m" in peer.path, "the operator's model"
    assert MODEL not in peer.path


def test_pcm_passes_byte_for_byte_and_answers_come_at_once() -> None:
    spoken, said = random.Random(1).randbytes(48 * 400), random.Random(2).randbytes(48 * 5000)

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(spoken)
            await agent.connection.input_audio_buffer.commit()
            await agent.connection.response.create()
            await agent.until("response.done")
            assert agent.audio("item_a") == said
            deltas = [event for event in agent.events if event["type"] == DELTA]
            assert {(event["response_id"], event["output_index"]) for event in deltas} == {("resp_1", 0)}

    with FaultServer(saying(said)) as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].audio == spoken


def test_telephone_passes_as_it_is() -> None:
    spoken, said = random.Random(1).randbytes(8000), random.Random(2).randbytes(16_000)

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            session = await agent.update(audio={"input": {"format": ULAW}, "output": {"format": ULAW}})
            assert (session["audio"]["input"]["format"], session["audio"]["output"]["format"]) == (ULAW, ULAW)
            await agent.speak(spoken, 160)
            await agent.connection.response.create()
            await agent.until("response.done")
            assert agent.audio() == said

    with FaultServer(saying(said, 1600)) as provider, serving(provider.url) as relay:
        run(job)
        [peer] = provider.peers
        assert peer.audio == spoken
        assert [update["audio"]["input"]["format"] for update in updates(peer)] == [PCM, ULAW]
        assert updates(peer)[-1]["audio"]["output"]["format"] == ULAW


def test_telephone_in_other_voices_is_pcm_for_the_provider() -> None:
    own = speech("am_michael_u1")[::3]
    spoken = g711.encode_ulaw((own[:, 0] * 32767).astype(np.int16))
    said = speech("am_michael_u1")

    async def job() -> None:
        voices = {"voice_up": "natural-woman", "voice_down": "natural-woman"}
        async with Agent(relay.url, extra_query=voices) as agent:
            await agent.until("session.created")
            session = await agent.update(audio={"input": {"format": ULAW}, "output": {"format": ULAW}})
            assert (session["audio"]["input"]["format"], session["audio"]["output"]["format"]) == (ULAW, ULAW)
            await agent.speak(spoken, 160)
            await agent.connection.response.create()
            await agent.until("response.done")
            heard = agent.audio()
            assert len(heard) == len(said) // 3, "as long as it was"
            changed = (g711.decode_ulaw(heard) / 32768.0).astype(np.float32)[:, None]
            assert median_f0(changed, 8000) > 170.0

    with FaultServer(saying(pcm(said), 9600)) as provider, serving(provider.url) as relay:
        run(job)
        [peer] = provider.peers
        assert {str(update["audio"]["input"]["format"]) for update in updates(peer)} == {str(PCM)}
        assert len(peer.audio) == 6 * len(spoken)
        assert median_f0(floats(peer.audio)[:, None], 24_000) > 170.0


def test_formats_may_change_in_the_middle() -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(24_000)))[:, None]

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(pcm(tone))
            await agent.connection.response.create()
            await agent.until("response.done")
            assert len(agent.audio()) == 48_000
            await agent.update(audio={"input": {"format": ULAW}, "output": {"format": {"type": "audio/pcma"}}})
            assert relay.engines == 1
            before = len(agent.audio())
            await agent.speak(g711.encode_ulaw((tone[::3, 0] * 32767).astype(np.int16)), 160)
            await agent.connection.response.create()
            await agent.until("response.done")
            assert len(agent.audio()) - before == 48_000, "the provider's bytes, which it calls audio/pcma now"

    with FaultServer(saying(pcm(tone))) as provider, serving(provider.url) as relay:
        run(job)
        [peer] = provider.peers
        last = updates(peer)[-1]["audio"]
        assert last["input"]["format"] == PCM, "what was begun in one format goes on in it"
        assert last["output"]["format"] == {"type": "audio/pcma"}
        level = np.abs(floats(peer.audio)).reshape(-1, 480).max(axis=1)
        assert len(peer.audio) == 96_000
        assert np.median(level[60:]) == pytest.approx(0.3, rel=0.05)


def test_whole_recording_at_once_arrives_whole() -> None:
    spoken = random.Random(3).randbytes(48_000 * 100)

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(spoken, len(spoken))
            await agent.connection.input_audio_buffer.commit()
            await agent.connection.response.create()
            await agent.until("response.done")
            assert "error" not in agent.types

    with FaultServer(saying(bytes(960))) as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].audio == spoken


@pytest.mark.parametrize("voice", ["none", "natural-woman"])
def test_barge_in_ends_the_answer_here_and_tells_the_provider_nothing(voice: str) -> None:
    said = pcm(np.concatenate([speech("am_michael_u1")] * 3))

    async def script(peer: Peer) -> None:
        await begin(peer)
        await answer(peer, said, 48_000, done=False)
        while (await peer.hear())["type"] != "input_audio_buffer.append":
            pass
        await peer.say("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        await peer.say(DELTA, delta=base64.b64encode(said[:4800]).decode(), response_id="resp_1", item_id="item_a",
                       output_index=0, content_index=0)  # fmt: skip
        await finish(peer, "cancelled")
        while (await peer.hear())["type"] != "response.create":
            pass
        await answer(peer, bytes(9600), response_id="resp_2", item_id="item_b")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_down": voice}) as agent:
            await agent.until(DELTA)
            await agent.speak(bytes(960))
            await agent.until("input_audio_buffer.speech_started")
            heard = len(agent.audio())
            done = await agent.until("response.done")
            assert done["response"]["status"] == "cancelled"
            assert len(agent.audio()) == heard, "nothing of it comes after"
            await agent.connection.conversation.item.truncate(item_id="item_a", content_index=0, audio_end_ms=40)
            await agent.connection.response.cancel()
            await agent.connection.response.create()
            await agent.until("response.done")
            assert len(agent.audio("item_b")) == 9600

    with FaultServer(script) as provider, serving(provider.url) as relay:
        run(job)
        said_to = [event for event in provider.peers[0].events if event["type"].split(".")[0] != "input_audio_buffer"]
        assert [event["type"] for event in said_to] == [
            "session.update",
            "conversation.item.truncate",
            "response.cancel",
            "response.create",
        ]
        assert said_to[1]["audio_end_ms"] == 40


def test_answer_goes_on_where_the_client_wants_no_interruption() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        update = await peer.hear()
        await peer.say("session.updated", session={"id": "s", "type": "realtime"} | update["session"])
        await answer(peer, bytes(9600), done=False)
        await peer.say("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        await answer(peer, bytes(9600))
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            vad = {"type": "server_vad", "interrupt_response": False}
            await agent.until("session.created")
            await agent.update(audio={"input": {"turn_detection": vad}})
            await agent.until("response.done")
            assert len(agent.audio()) == 19_200

    with FaultServer(script) as provider, serving(provider.url) as relay:
        run(job)


def test_cancel_of_the_client_throws_away_what_waits() -> None:
    said = pcm(np.concatenate([speech("am_michael_u1")] * 8))

    async def script(peer: Peer) -> None:
        await begin(peer)
        await answer(peer, said, 96_000, done=False)
        while (await peer.hear())["type"] != "response.cancel":
            pass
        await finish(peer, "cancelled")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_down": "natural-woman"}) as agent:
            await agent.until(DELTA)
            await agent.send("response.cancel", response_id="resp_1")
            await agent.until("response.done")
            assert len(agent.audio()) < len(said) - 96_000

    with FaultServer(script) as provider, serving(provider.url) as relay:
        run(job)


def test_functions_of_the_client_are_called() -> None:
    weather = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    call = {"type": "function_call", "id": "item_f", "call_id": "call_1", "name": "weather", "arguments": "{}"}

    async def script(peer: Peer) -> None:
        await begin(peer)
        update = await peer.hear()
        await peer.say("session.updated", session={"id": "s", "type": "realtime"} | update["session"])
        await peer.say("response.created", response={"id": "resp_1", "status": "in_progress"})
        place = {"response_id": "resp_1", "output_index": 0}
        await peer.say("response.output_item.added", item=call | {"status": "in_progress"}, **place)
        where = place | {"item_id": "item_f", "call_id": "call_1"}
        await peer.say("response.function_call_arguments.delta", delta="{}", **where)
        await peer.say("response.function_call_arguments.done", arguments="{}", name="weather", **where)
        await peer.say("response.done", response={"id": "resp_1", "status": "completed", "output": [call]})
        output = await peer.hear()
        await peer.say("conversation.item.created", item=output["item"] | {"status": "completed"})
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            session = await agent.update(tools=[weather], tool_choice="auto")
            assert session["tools"] == [weather]
            done = await agent.until("response.function_call_arguments.done")
            assert (done["name"], done["call_id"], done["arguments"]) == ("weather", "call_1", "{}")
            item = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
            await agent.connection.conversation.item.create(item=item)  # type: ignore[misc,arg-type]
            await agent.until("conversation.item.added")
            assert (await agent.until("conversation.item.done"))["item"]["output"] == "rain"

    with FaultServer(script) as provider, serving(provider.url) as relay:
        run(job)
        assert updates(provider.peers[0])[-1]["tools"] == [weather]


def test_beta_client_is_understood() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            old = {"modalities": ["text", "audio"], "voice": "alloy", "input_audio_format": "g711_ulaw"}
            await agent.send("session.update", session=old | {"output_audio_format": "pcm16", "turn_detection": None})
            session = (await agent.until("session.updated"))["session"]
            assert (session["audio"]["input"]["format"], session["audio"]["output"]["format"]) == (ULAW, PCM)
            assert session["audio"]["output"]["voice"] == "alloy"

    with FaultServer(saying(b"")) as provider, serving(provider.url) as relay:
        run(job)


def test_client_that_waits_for_nothing_is_served_in_order() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.send("session.update", session={"type": "realtime", "instructions": "One."})
            await agent.speak(bytes(9600))
            await agent.send("session.update", session={"type": "realtime", "instructions": "Two."})
            await agent.connection.response.create()
            await agent.until("response.done")
            told = [event for event in agent.events if event["type"].startswith("session.")]
            assert [event["type"] for event in told] == ["session.created", "session.updated", "session.updated"]
            assert told[-1]["session"]["instructions"] == "Two."

    with FaultServer(saying(b"")) as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].audio == bytes(9600)
        assert updates(provider.peers[0])[-1]["instructions"] == "Two."


def test_iteration_of_the_official_client_gives_typed_events() -> None:
    from openai.types.realtime import ResponseAudioDeltaEvent, SessionCreatedEvent

    async def job() -> None:
        async with Agent(relay.url) as agent:
            kinds = []
            async for event in agent.connection:
                kinds.append(type(event))
                if event.type == "session.created":
                    await agent.connection.response.create()
                elif event.type == "response.done":
                    break
            assert {SessionCreatedEvent, ResponseAudioDeltaEvent} <= set(kinds)

    with FaultServer(saying(bytes(9600))) as provider, serving(provider.url) as relay:
        run(job)


def test_more_clients_than_allowed_are_told_to_come_back() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            async with Agent(relay.url) as other:
                assert (await other.error())["code"] == "limit_reached"
                with pytest.raises(ConnectionClosed) as closed:
                    await other.next()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013

    with FaultServer() as provider, serving(provider.url, max_clients=1) as relay:
        run(job)


def test_example_of_the_guide_runs_as_printed(brain: str) -> None:
    guide = Path("docs/relay.md").read_text().partition("## With an OpenAI client")[2]
    example = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    assert example
    names: dict[str, Any] = {"__name__": "example"}
    exec(example[1], names)

    async def job() -> None:
        heard, event = await names["main"](relay.url.replace("/ws/relay", "/v1"))
        assert event.type == "response.done", event
        assert len(heard) == pytest.approx(ANSWER_MS * 48, abs=20 * 48)

    with serving(brain) as relay:
        run(job)


def test_times_of_speech_are_those_of_the_clients_audio_and_an_empty_turn_is_empty() -> None:
    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.hear()  # the empty commit
        await peer.hear_audio(48_000)
        await peer.say("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=500)
        await peer.say("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=900)
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_up": "natural-woman"}) as agent:
            await agent.until("session.created")
            await agent.connection.input_audio_buffer.commit()
            await agent.speak(pcm(speech("am_michael_u1"))[:48_000])
            started = await agent.until("input_audio_buffer.speech_started")
            stopped = await agent.until("input_audio_buffer.speech_stopped")
            assert 300 < started["audio_start_ms"] < 500, "the voice delays what the provider hears"
            assert stopped["audio_end_ms"] - started["audio_start_ms"] == 400

    with FaultServer(script) as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].types[:2] == ["session.update", "input_audio_buffer.commit"]


def test_own_voice_detection_ends_the_answer_at_the_provider_and_here() -> None:
    said = pcm(np.concatenate([speech("am_michael_u1")] * 3))

    async def script(peer: Peer) -> None:
        await begin(peer)
        await answer(peer, said, 4800, done=False)
        while (await peer.hear())["type"] != "response.cancel":
            pass
        await peer.say(DELTA, delta=base64.b64encode(said[:4800]).decode(), response_id="resp_1", item_id="item_a",
                       output_index=0, content_index=0)  # fmt: skip
        await finish(peer, "cancelled")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            while len(agent.audio()) < len(said):
                await agent.next()
            await agent.speak(pcm(speech("am_michael_u1")))
            assert (await agent.until("response.done"))["response"]["status"] == "cancelled"
            assert len(agent.audio()) == len(said)

    with FaultServer(script) as provider, serving(provider.url, barge_in="vad") as relay:
        run(job)
        assert "conversation.item.truncate" not in provider.peers[0].types


def test_times_of_speech_count_the_silence_that_is_withheld() -> None:
    quiet = np.zeros((48_000, 1), np.float32)
    spoken = pcm(np.concatenate([quiet, speech("am_michael_u1"), quiet]))

    async def script(peer: Peer) -> None:
        await begin(peer)
        await peer.hear()
        await peer.say("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(spoken)
            started = await agent.until("input_audio_buffer.speech_started")
            assert 1000 < started["audio_start_ms"] < 2400, "two seconds, less what is sent before speech"

    with FaultServer(script) as provider, serving(provider.url, upload="speech") as relay:
        run(job)
        assert len(provider.peers[0].audio) < len(spoken) - 48 * 1000
