import base64
from typing import Any

import numpy as np
import pytest

from menura.audio import g711
from menura.errors import ProtocolError
from menura.server.relay import WebSocketRelay
from tests.client.faults import FaultServer
from tests.listen import median_f0
from tests.server.realtime_peer import Agent, run
from tests.server.relaying import serving
from tests.speech import speech


def item(audio: bytes) -> dict[str, Any]:
    part = {"type": "input_audio", "audio": base64.b64encode(audio).decode()}
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hear:"}, part]}


def heard(event: dict[str, Any]) -> np.ndarray:
    items = event["response"]["input"] if "response" in event else [event["item"]]
    text, part = items[0]["content"]
    assert text == {"type": "input_text", "text": "Hear:"}
    return (np.frombuffer(base64.b64decode(part["audio"]), "<i2") / 32768.0).astype(np.float32)[:, None]


@pytest.mark.parametrize("form", ["audio/pcm", "audio/pcmu"])
def test_audio_in_items_is_changed_like_all_other(form: str) -> None:
    x = speech("am_michael_u1")
    samples = (x[:, 0] * 32767).astype("<i2")
    audio = samples.tobytes() if form == "audio/pcm" else g711.encode_ulaw(samples[::3])

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_up": "natural-woman"}) as agent:
            await agent.until("session.created")
            await agent.update(audio={"input": {"format": {"type": form}}})
            await agent.send("conversation.item.create", item=item(audio))
            await agent.send("response.create", response={"input": [item(audio)]})
            await agent.until("response.done")

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        for event in provider.peers[0].events[2:]:
            changed = heard(event)
            assert len(changed) == pytest.approx(len(x), abs=3)
            assert median_f0(changed, 24_000) > 170.0
            assert median_f0(x, 24_000) < 150.0


def test_audio_in_items_that_is_none_is_refused() -> None:
    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_up": "robot"}) as agent:
            await agent.until("session.created")
            await agent.send("conversation.item.create", event_id="mine", item=item(b"odd"))
            error = await agent.error()
            assert (error["event_id"], error["param"]) == ("mine", "item.content.audio")

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        assert "conversation.item.create" not in provider.peers[0].types


def test_audio_in_items_does_not_pass_a_relay_with_a_voice() -> None:
    async def job() -> None:
        async with WebSocketRelay(url=provider.url, voice_up="robot") as relay:
            with pytest.raises(ProtocolError, match="send it as audio"):
                await relay.handle_client_event({"type": "conversation.item.create", "item": item(bytes(960))})

    with FaultServer() as provider:
        run(job)
