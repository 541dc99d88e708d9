"""What goes wrong at ``/v1/realtime``: on the client's side, on the provider's, in between."""

import asyncio
import base64
import json
import random
import threading
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from menura.client.options import ConnectionOptions
from menura.protocol.realtime_client import check_client_event
from menura.protocol.realtime_turn import TurnLimits
from menura.server.realtime_relay import RealtimeRelay
from menura.server.realtime_words import RefusalError
from tests.client.ears import KEY
from tests.client.faults import TIMEOUT_S, FaultServer, Peer
from tests.server.realtime_peer import DELTA, PLACE, SERVER, Agent, answer, begin, run
from tests.server.relaying import Served, serving

FAST = {"backoff_base_s": 0.01, "backoff_cap_s": 0.02, "max_attempts": 3}
IDLE = {"Served._run", "Server.serve", "LifespanOn.main"}


async def closing(agent: Agent) -> tuple[int, str]:
    """How the relay leaves the client."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await agent.next()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


# --- the client's


BAD_EVENTS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"type": "input_audio_buffer.append", "audio": "!!!"}, "invalid_value", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_value", "audio"),  # three bytes
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_value", "audio"),
    ({"type": "fly"}, "invalid_value", "type"),
    ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
    ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0}, "missing_required_parameter", None),
    ({"type": "conversation.item.create", "item": {"type": "mcp_approval_response"}}, "invalid_value", "item.type"),
    ({"type": "response.create", "response": {"input": [{"type": []}]}}, "invalid_value", "item.type"),
    ({"type": "response.create", "response": {"prompt": {"id": "p"}}}, "unknown_parameter", "response.prompt"),
    ({"type": "response.create", "response": {"model": "dear"}}, "unknown_parameter", "response.model"),
    ({"type": "session.update"}, "missing_required_parameter", "session"),
    ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
    (
        {"type": "session.update", "session": {"type": "realtime", "tools": [{"type": "mcp", "server_url": "x"}]}},
        "invalid_value",
        "session.tools",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"format": {"type": "mp3"}}}}},
        "invalid_value",
        "session.audio.input.format",
    ),
    (
        {"type": "session.update", "session": {"type": "realtime", "prompt": {"id": "p"}}},
        "unknown_parameter",
        "session.prompt",
    ),
]


def test_what_a_client_may_not_say_is_refused_by_name_and_nothing_ends() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            for number, (event, code, param) in enumerate(BAD_EVENTS):
                await agent.connection.send_raw(json.dumps(event | {"event_id": f"mine_{number}"}))
                error = await agent.error()
                assert (error["type"], error["event_id"]) == ("invalid_request_error", f"mine_{number}"), event
                assert error["code"] == code, (event, error)
                assert error["param"] == (param or "audio_end_ms"), (event, error)
            for text in ("{", "[]", "7", '{"type": 7}', '{"event_id": {}, "type": "response.create"}'):
                await agent.connection.send_raw(text)
                assert (await agent.error())["event_id"] is None
            await agent.connection.send_raw("x" * 70_000)
            assert (await agent.error())["code"] == "invalid_json"
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 8_400_000}]}
            await agent.send("conversation.item.create", item=item)
            assert "at most" in (await agent.error())["message"]
            await agent.speak(bytes(960))
            await agent.connection.response.create()
            await agent.until("response.done")

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].audio == bytes(960)
        heard = [event["type"] for event in provider.peers[0].events]
        assert heard == ["session.update", "input_audio_buffer.append", "response.create"]


def test_what_is_the_operators_is_passed_over_where_libraries_send_it_unasked() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.update(model="dear", tracing="auto", instructions="Be brief.")
            assert "error" not in agent.types

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        last = provider.peers[0].events[-1]["session"]
        assert last["instructions"] == "Be brief."
        assert not {"model", "tracing"} & set(last)


def test_providers_refusal_bears_the_clients_name_of_the_event() -> None:
    async def refuse(peer: Peer) -> None:
        await begin(peer)
        named = await peer.hear()
        await peer.error("conversation_already_has_active_response", event_id=named["event_id"])
        nameless = await peer.hear()
        assert nameless["event_id"] != named["event_id"]
        await peer.error("invalid_value", event_id=nameless["event_id"])
        cancel = await peer.hear()
        await peer.error("response_cancel_not_active", event_id=cancel["event_id"])
        broken = await peer.hear()
        await peer.error("insufficient_quota", kind="insufficient_quota", event_id=broken["event_id"])
        await peer.error("server_error", kind="server_error", message=f"host {peer.server.url} of {KEY} broke")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.send("response.create", event_id="mine")
            error = await agent.error()
            assert (error["event_id"], error["code"]) == ("mine", "conversation_already_has_active_response")
            assert error["message"] == "about conversation_already_has_active_response"
            await agent.send("response.create")
            assert (await agent.error())["event_id"] is None
            await agent.send("response.cancel", event_id="mine")
            error = await agent.error()
            assert (error["event_id"], error["code"]) == ("mine", "response_cancel_not_active")
            await agent.send("response.create", event_id="mine")
            error = await agent.error()
            assert (error["event_id"], error["message"]) == ("mine", "The AI provider refuses this")

    with FaultServer(refuse) as provider, serving(provider.url) as relay:
        run(job)


def test_refused_settings_leave_the_clients_audio_as_it_was() -> None:
    async def refuse(peer: Peer) -> None:
        await begin(peer)
        update = await peer.hear()
        await peer.error("invalid_value", event_id=update["event_id"], param="session.audio.output.voice")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            form = {"format": {"type": "audio/pcmu"}}
            await agent.send("session.update", session={"type": "realtime", "audio": {"input": form, "output": form}})
            assert (await agent.error())["param"] == "session.audio.output.voice"
            await agent.speak(bytes(1920))
            session = await agent.update()
            assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}

    with FaultServer(refuse) as provider, serving(provider.url) as relay:
        run(job)
        assert provider.peers[0].audio == bytes(1920)
        assert provider.peers[0].events[-1]["session"]["audio"]["input"]["format"]["type"] == "audio/pcm"


def test_text_that_no_text_is_is_told_back_as_it_came() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.connection.send_raw(r'{"type": "fly", "event_id": "half \ud83d of it"}')
            async with asyncio.timeout(TIMEOUT_S):
                error = json.loads(await agent.connection.recv_bytes())
            assert error["error"]["event_id"] == "half \ud83d of it"
            await agent.connection.send_raw(
                r'{"type": "session.update", "session": {"type": "realtime", "instructions": "Größe \ud83d"}}'
            )
            async with asyncio.timeout(TIMEOUT_S):
                updated = json.loads(await agent.connection.recv_bytes())
            assert updated["session"]["instructions"] == "Größe \ud83d"
            await agent.update(instructions="Größe")

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)


def test_settings_without_end_are_refused_while_the_provider_is_away() -> None:
    async def away(peer: Peer) -> None:
        await peer.connection.wait_closed()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            for _ in range(80):
                await agent.send("session.update", session={"type": "realtime"})
            assert (await agent.error())["code"] == "rate_limit_exceeded"

    with FaultServer(away) as provider, serving(provider.url) as relay:
        run(job)


def test_relay_of_the_library_speaks_the_api_too_and_leaves_nothing() -> None:
    async def job() -> None:
        async with RealtimeRelay(url=provider.url, api_key=KEY, voice_up="robot", pace="paced") as relay:
            told = list[str]()

            async def until(kind: str) -> None:
                while not told or told[-1] != kind:
                    event = json.loads(await anext(relay))
                    SERVER.validate_python(event)
                    told.append(event["type"])

            await until("session.created")
            audio = base64.b64encode(bytes(4800)).decode()
            await relay.handle_client_event({"type": "input_audio_buffer.append", "audio": audio})
            with pytest.raises(RefusalError):
                await relay.handle_client_event({"type": "input_audio_buffer.append", "audio": "A"})
            await relay.handle_client_event({"type": "response.create"})
            await until("response.done")
            assert told.count(DELTA) == 3
            stats = relay.stats()
            assert (stats["provider"], stats["sent_ms"], stats["received_ms"]) == ("connected", 100.0, 60.0)
            assert stats["waiting_down_ms"] == 0.0
            assert not relay.interrupt()
            assert not relay.played(10.0, "item_a")
            relay.finish()
            assert [item async for item in relay] == []
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    with FaultServer() as provider:
        run(job)


def test_functions_are_refused_where_the_operator_forbids_them() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            tools = [{"type": "function", "name": "f"}]
            await agent.send("session.update", session={"type": "realtime", "tools": tools})
            assert (await agent.error())["param"] == "session.tools"
            await agent.send("response.create", response={"tools": tools})
            assert (await agent.error())["param"] == "response.tools"

    with FaultServer() as provider, serving(provider.url, settings={"client_tools": False}) as relay:
        run(job)


@pytest.mark.parametrize(
    ("settings", "query", "code"),
    [
        ({}, {"voice_up": "nobody"}, "voice_not_found"),
        ({}, {"voice_down": "nobody"}, "voice_not_found"),
        ({"voice_up": "robot", "require_voice": True}, {"voice_up": "none"}, "invalid_message"),
        ({"voice_up": "robot", "require_voice": True}, {"voice_up": ""}, "invalid_message"),
    ],
)
def test_voice_that_cannot_be_is_told_as_event_and_with_the_close(
    settings: dict[str, Any], query: dict[str, str], code: str
) -> None:
    async def job() -> None:
        async with Agent(relay.url, extra_query=query) as agent:
            error = await agent.error()
            assert error["code"] == code
            assert await closing(agent) == (1008, error["message"])

    with FaultServer() as provider, serving(provider.url, settings=settings) as relay:
        run(job)
        assert not provider.handshakes


def test_operators_voice_is_that_of_clients_that_name_none() -> None:
    async def job() -> None:
        for query in ({}, {"voice_up": "none"}):
            async with Agent(relay.url, extra_query=query) as agent:
                await agent.until("session.created")
                await agent.speak(b"\x00\x10" * 24_000)
                await agent.connection.input_audio_buffer.commit()
                await agent.until("input_audio_buffer.committed")

    with FaultServer() as provider, serving(provider.url, settings={"voice_up": "robot"}) as relay:
        run(job)
        changed, own = (peer.audio for peer in provider.peers)
        assert changed[:48_000] != own
        assert own == b"\x00\x10" * 24_000


def test_model_is_the_clients_only_where_the_operator_allows_it() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")

    with FaultServer() as provider, serving(provider.url, settings={"client_model": True}) as relay:
        run(job)
        assert provider.peers[0].path.endswith("?model=gpt-realtime")


def test_browser_is_given_its_subprotocol_and_pages_of_others_are_refused() -> None:
    async def job() -> None:
        url = relay.url.replace("/ws/relay", "/v1/realtime?model=x")
        offered = ["realtime", "openai-insecure-api-key.sk-of-a-browser"]
        async with connect(url, subprotocols=offered) as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "realtime"
            async with asyncio.timeout(TIMEOUT_S):
                created = SERVER.validate_python(json.loads(await socket.recv()))
            assert created.type == "session.created"
        with pytest.raises(InvalidStatus):
            async with connect(url, origin="https://elsewhere"):  # type: ignore[arg-type]
                pass

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)


# --- the provider's


def test_provider_that_needs_another_key_is_told_and_the_client_closed() -> None:
    async def job() -> None:
        async with Agent(relay.url) as agent:
            error = await agent.error()
            assert (error["type"], error["code"]) == ("server_error", "provider_refused")
            assert await closing(agent) == (1014, error["message"])
            assert "session.created" not in agent.types

    with FaultServer(refusals=[(401, {}, b"")]) as provider, serving(provider.url) as relay:
        run(job)
        relay.until_idle(IDLE)


@pytest.mark.parametrize("code", [1001, 1011])
def test_provider_that_closes_is_asked_again_and_what_was_open_is_ended(code: int) -> None:
    async def leave(peer: Peer) -> None:
        await begin(peer)
        update = await peer.hear()
        await peer.say("session.updated", session={"id": "s", "type": "realtime"} | update["session"])
        await answer(peer, bytes(9600), done=False)
        await peer.hear_audio(960)
        await peer.connection.close(code, "secret words")

    async def again(peer: Peer) -> None:
        await begin(peer)
        await peer.hear_audio(960)
        await answer(peer, bytes(4800), response_id="resp_2", item_id="item_b")
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            first = (await agent.until("session.created"))["session"]
            await agent.update(instructions="Be brief.")
            await agent.until(DELTA)
            await agent.speak(bytes(960))
            done = (await agent.until("response.done"))["response"]
            assert (done["id"], done["status"]) == ("resp_1", "failed")
            error = await agent.error()
            assert (error["type"], error["code"]) == ("server_error", "provider_reconnecting")
            await agent.speak(bytes(960))
            await agent.until("response.done")
            assert len(agent.audio("item_b")) == 4800
            assert agent.types.count("session.created") == agent.types.count("session.updated") == 1
            assert (await agent.update())["id"] == first["id"]
            assert "secret" not in "".join(agent.raw)

    connection = ConnectionOptions(**FAST)
    with FaultServer(leave, again) as provider, serving(provider.url, connection=connection) as relay:
        run(job)
        assert provider.peers[1].events[0]["session"]["instructions"] == "Be brief."


def test_provider_that_is_gone_for_good_ends_the_session_with_a_clear_word() -> None:
    async def leave(peer: Peer) -> None:
        await begin(peer)
        await answer(peer, bytes(9600), done=False)
        await peer.hear()
        peer.reset()

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_down": "robot"}) as agent:
            await agent.until(DELTA)
            await agent.speak(bytes(960))
            assert (await agent.until("response.done"))["response"]["status"] == "failed"
            assert (await agent.error())["code"] == "provider_reconnecting"
            error = await agent.error()
            assert error["code"] == "provider_unavailable"
            assert await closing(agent) == (1014, error["message"])

    refusals = [None, *[(503, dict[str, str](), b"")] * 9]
    connection = ConnectionOptions(**FAST)
    with FaultServer(leave, refusals=refusals) as provider, serving(provider.url, connection=connection) as relay:
        run(job)
        relay.until_idle(IDLE)
        assert relay.engines == 0


def test_conversation_that_a_new_session_is_told_again_is_not_told_to_the_client() -> None:
    async def leave(peer: Peer) -> None:
        await begin(peer)
        item = (await peer.hear())["item"]
        await peer.say("conversation.item.added", item=item)
        await peer.say("conversation.item.done", item=item)
        await peer.hear()
        await peer.connection.close(1011)

    async def again(peer: Peer) -> None:
        await begin(peer)
        item = (await peer.hear())["item"]
        await peer.say("conversation.item.added", item=item)
        await peer.say("conversation.item.done", item=item)
        await peer.serve()

    async def job() -> None:
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "I am Ann."}]}
            await agent.send("conversation.item.create", item=item)
            await agent.until("conversation.item.done")
            await agent.send("response.create")
            await agent.until("response.done")
            assert "error" not in agent.types, "nothing was lost"
            assert agent.types.count("conversation.item.added") == agent.types.count("conversation.item.done") == 1

    connection = ConnectionOptions(remember_items=8, **FAST)
    with FaultServer(leave, again) as provider, serving(provider.url, connection=connection) as relay:
        run(job)
        assert provider.peers[1].events[1]["item"]["content"][0]["text"] == "I am Ann."


def test_key_and_address_never_reach_a_client() -> None:
    async def indiscreet(peer: Peer) -> None:
        url = f"{peer.server.url}/realtime?model=m"
        await peer.greet(type="realtime", instructions="operator's", client_secret={"value": KEY}, model="m-secret")
        await peer.hear()
        await peer.say("session.updated", session={"id": "s", "type": "realtime", "instructions": "operator's"})
        await answer(peer, bytes(960))
        await peer.error("invalid_value", message=f"bad key {KEY} at {url}", param=KEY)
        await peer.error("server_error", kind="server_error", message=f"host {url} broke")
        await peer.error("invalid_api_key", message=f"Incorrect API key provided: {KEY}")
        await peer.say("rate_limits.updated", rate_limits=[])
        await peer.say("novel.event", secret=KEY)
        await peer.connection.close(3000, f"invalid_api_key {KEY}")

    async def job() -> None:
        async with Agent(relay.url) as agent:
            code, reason = await closing(agent)
            everything = "".join([*agent.raw, reason])
            for secret in (KEY, "operator", "m-secret", f"127.0.0.1:{provider.port}"):
                assert secret not in everything
            assert code == 1014
            assert not {"rate_limits.updated", "novel.event"} & set(agent.types)
            assert {"session.created", "error", DELTA} <= set(agent.types)

    with FaultServer(indiscreet) as provider, serving(provider.url) as relay:
        run(job)


def test_nonsense_of_a_provider_is_left_out() -> None:
    async def nonsense(peer: Peer) -> None:
        await begin(peer)
        await peer.connection.send("nonsense")
        await peer.connection.send(b"\xff\x00")
        await peer.say("response.created", response={"id": "resp_1", "status": "in_progress"})
        await peer.say(DELTA, delta="no base64!", **PLACE)
        for piece in (b"\x01", b"\x02\x03", b"", b"\x04"):
            await peer.say(DELTA, delta=base64.b64encode(piece).decode(), **PLACE)
        await peer.say("response.done", response={"id": "resp_1", "status": "completed"})
        transcript = {"item_id": "u", "transcript": "hello"}
        await peer.connection.send(
            json.dumps({"type": "conversation.item.input_audio_transcription.completed"} | transcript)
        )
        await peer.serve()

    async def job() -> None:
        for voice in ("none", "natural-woman"):
            async with Agent(relay.url, extra_query={"voice_down": voice}) as agent:
                await agent.until("conversation.item.input_audio_transcription.completed")
                assert len(agent.audio()) == 4

    with FaultServer(nonsense) as provider, serving(provider.url) as relay:
        run(job)


def test_provider_that_stalls_hears_no_stale_audio_and_the_loss_is_told() -> None:
    release = threading.Event()

    async def stall(peer: Peer) -> None:
        await peer.greet(type="realtime")
        while not release.is_set():
            await asyncio.sleep(0.01)
        await peer.serve(type="realtime")

    async def job() -> None:
        async with Agent(relay.url) as agent:
            sender = asyncio.create_task(agent.speak(bytes(48 * 20_000)))
            error = await agent.error()
            assert (error["type"], error["code"]) == ("server_error", "audio_dropped")
            release.set()
            await sender
            await agent.connection.response.create()
            await agent.until("response.done")

    connection = ConnectionOptions(turn=TurnLimits(max_bytes=144_000, max_age_s=0.2), **FAST)
    with FaultServer(stall) as provider, serving(provider.url, connection=connection) as relay:
        run(job)


# --- what is left behind


def test_vanishing_client_leaves_nothing_behind() -> None:
    async def talk(relay: Served, query: dict[str, str], form: str) -> None:
        agent = Agent(relay.url, extra_query=query)
        async with agent:
            await agent.until("session.created")
            await agent.update(audio={"input": {"format": {"type": form}}, "output": {"format": {"type": form}}})
            assert relay.engines == 1
            await agent.speak(bytes(960 * 4))
            await agent.connection.response.create()
            await agent.until(DELTA)
            agent.connection._connection.transport.abort()

    async def job() -> None:
        for query in ({}, {"voice_up": "natural-woman", "voice_down": "natural-woman"}):
            for form in ("audio/pcm", "audio/pcmu"):
                await talk(relay, query, form)
                await asyncio.to_thread(relay.until_idle, IDLE)
                assert relay.engines == 0

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        threads = threading.active_count()
        run(job)
        assert threading.active_count() <= threads + 2, "the pool's own threads"
        provider.until(lambda: all(peer.close_code for peer in provider.peers))


def test_client_that_takes_nothing_is_left_and_the_provider_waits_meanwhile() -> None:
    async def flood(peer: Peer) -> None:
        await begin(peer)
        await answer(peer, bytes(48 * 600_000), 96_000)
        await peer.serve()

    async def job() -> None:
        url = relay.url.replace("/ws/relay", "/v1/realtime")
        async with connect(url, max_queue=1, compression=None, close_timeout=0.1) as socket:
            await asyncio.to_thread(relay.until_idle, IDLE)
            socket.transport.abort()

    with FaultServer(flood) as provider, serving(provider.url, client_stall_s=0.3) as relay:
        run(job)
        assert relay.engines == 0
        provider.until(lambda: provider.peers[0].close_code)


# --- at random


def mutated(rng: random.Random, value: Any) -> Any:
    """A value with something wrong in it, somewhere."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return rng.choice([None, 7, -1.5, "", "x" * 600, [], {}, True, "audio/pcm", {"type": "function"}, [None]])
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], mutated(rng, value[at]), *value[at + 1 :]]
    name = rng.choice(list(value))
    if rng.random() < 0.2:
        return {key: part for key, part in value.items() if key != name}
    return value | {rng.choice([name, name, "extra"]): mutated(rng, value[name])}


WHOLE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "event_id": "e",
        "session": {
            "type": "realtime",
            "instructions": "Hi.",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad", "threshold": 0.5}},
                "output": {"format": {"type": "audio/pcma"}, "voice": "marin", "speed": 1.0},
            },
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
        },
    },
    {"type": "input_audio_buffer.append", "event_id": "e", "audio": "AAAAAAAA"},
    {"type": "response.create", "response": {"input": [{"type": "message", "role": "user", "content": [{}]}]}},
    {
        "type": "conversation.item.create",
        "previous_item_id": None,
        "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAAAAAA"}]},
    },
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 5},
    {"type": "response.cancel", "response_id": "r"},
]  # fmt: skip


def test_whatever_a_client_says_it_is_answered_and_served_on() -> None:
    rng = random.Random(6)

    async def take_all(agent: Agent) -> None:
        while True:
            await agent.next()

    async def job() -> None:
        async with Agent(relay.url, extra_query={"voice_up": "robot", "voice_down": "robot"}) as agent:
            await agent.until("session.created")
            reader = asyncio.create_task(take_all(agent))
            for _ in range(400):
                event = mutated(rng, rng.choice(WHOLE_EVENTS))
                await agent.connection.send_raw(json.dumps(event))
            await agent.send("response.create", event_id="last", response={"metadata": {"last": "yes"}})
            await asyncio.to_thread(
                provider.until, lambda: LAST in [e.get("response") for e in provider.peers[0].events]
            )
            while "response.done" not in agent.types and not reader.done():
                await asyncio.sleep(0.01)
            assert not reader.done() or reader.result(), "every event is one of the API"
            reader.cancel()
            codes = {event["error"]["code"] for event in agent.events if event["type"] == "error"}
            assert codes <= {"invalid_value", "unknown_parameter", "missing_required_parameter", "invalid_json"}
            assert len(agent.types) > 200

    with FaultServer() as provider, serving(provider.url) as relay:
        run(job)
        relay.until_idle(IDLE)
        for event in provider.peers[0].events:
            if event["type"] != "input_audio_buffer.append":
                check_client_event(event)


LAST = {"metadata": {"last": "yes"}}


def test_clients_beside_each_other_hear_their_own_answers() -> None:
    async def echo(peer: Peer) -> None:
        await begin(peer)
        await peer.hear_audio(9600)
        while (await peer.hear())["type"] != "response.create":
            pass
        await answer(peer, peer.audio, 960)
        await peer.serve()

    async def talk(number: int) -> None:
        spoken = random.Random(number).randbytes(9600)
        async with Agent(relay.url) as agent:
            await agent.until("session.created")
            await agent.speak(spoken)
            await agent.connection.response.create()
            await agent.until("response.done")
            assert agent.audio() == spoken

    async def job() -> None:
        await asyncio.gather(*(talk(number) for number in range(12)))

    with FaultServer(echo) as provider, serving(provider.url) as relay:
        run(job)
        relay.until_idle(IDLE)
        assert relay.engines == 0
