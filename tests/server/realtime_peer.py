"""The official client of the Realtime API at our ``/v1/realtime``."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Self

from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter

from tests.client.faults import TIMEOUT_S, Peer

SERVER: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
CLIENT_KEY = "sk-of-the-client-and-nobody-elses"
MODEL = "gpt-realtime"
DELTA = "response.output_audio.delta"


class Agent:
    """An application; every event it gets is checked against the client's own types, and kept."""

    def __init__(self, url: str, **connecting: Any) -> None:
        base = url.replace("http://", "ws://").replace("/ws/relay", "/v1")
        self.client = AsyncOpenAI(api_key=CLIENT_KEY, websocket_base_url=base)
        self.manager = self.client.realtime.connect(model=MODEL, **connecting)
        self.events: list[dict[str, Any]] = []
        self.raw: list[str] = []

    async def __aenter__(self) -> Self:
        self.connection = await self.manager.enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await self.client.close()

    async def next(self) -> dict[str, Any]:
        raw = await self.connection.recv_bytes()
        self.raw.append(raw.decode())
        event: dict[str, Any] = json.loads(raw)
        SERVER.validate_python(event)
        self.events.append(event)
        return event

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of a type."""
        while True:
            event = await self.next()
            if event["type"] == kind and fields.items() <= event.items():
                return event

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send({"type": kind, **fields})  # type: ignore[misc,arg-type]

    async def update(self, **session: Any) -> dict[str, Any]:
        """Change the session's settings; gives them as they are then."""
        await self.connection.session.update(session={"type": "realtime", **session})  # type: ignore[misc]
        session_now: dict[str, Any] = (await self.until("session.updated"))["session"]
        return session_now

    async def speak(self, audio: bytes, step: int = 960) -> None:
        for i in range(0, len(audio), step):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(audio[i : i + step]).decode())

    async def error(self) -> dict[str, Any]:
        """The next error."""
        error: dict[str, Any] = (await self.until("error"))["error"]
        return error

    def audio(self, item_id: str | None = None) -> bytes:
        """What was heard of an item, or of all."""
        deltas = [event for event in self.events if event["type"] == DELTA and item_id in (None, event["item_id"])]
        return b"".join(base64.b64decode(delta["delta"], validate=True) for delta in deltas)

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


def run(job: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(3 * TIMEOUT_S):
            await job()

    asyncio.run(whole())


PLACE = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}


async def begin(peer: Peer, **session: Any) -> None:
    """Open a provider's session, as the relay wants it."""
    await peer.greet(type="realtime")
    await peer.hear()
    await peer.say("session.updated", session={"id": "sess_p", "type": "realtime"} | session)


async def answer(peer: Peer, audio: bytes, part: int = 4800, *, done: bool = True, **place: Any) -> None:
    """All that a provider says with a spoken answer."""
    place = PLACE | place
    item = {"id": place["item_id"], "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {name: place[name] for name in ("response_id", "output_index")}
    await peer.say("response.created", response={"id": place["response_id"], "status": "in_progress"})
    await peer.say("response.output_item.added", item=item, **where)
    await peer.say("conversation.item.added", item=item, previous_item_id=None)
    await peer.say("response.content_part.added", part={"type": "audio", "transcript": ""}, **place)
    for i in range(0, len(audio), part):
        await peer.say("response.output_audio_transcript.delta", delta=f"{i} ", **place)
        await peer.say(DELTA, delta=base64.b64encode(audio[i : i + part]).decode(), **place)
    if done:
        await finish(peer, **place)


async def finish(peer: Peer, status: str = "completed", **place: Any) -> None:
    place = PLACE | place
    item_status = "completed" if status == "completed" else "incomplete"
    item = {"id": place["item_id"], "type": "message", "role": "assistant", "status": item_status, "content": []}
    where = {name: place[name] for name in ("response_id", "output_index")}
    await peer.say("response.output_audio.done", **place)
    await peer.say("response.output_audio_transcript.done", transcript="all of it", **place)
    await peer.say("response.content_part.done", part={"type": "audio", "transcript": "all of it"}, **place)
    await peer.say("response.output_item.done", item=item, **where)
    await peer.say("conversation.item.done", item=item, previous_item_id=None)
    await peer.say("response.done", response={"id": place["response_id"], "status": status, "output": [item]})
