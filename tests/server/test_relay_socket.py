import asyncio
import base64
import os
import random
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from menura.client.options import ConnectionOptions
from menura.protocol.realtime_turn import TurnLimits
from tests.client.ears import KEY
from tests.client.faults import FaultServer, Peer
from tests.client.speech_server import ANSWER_MS, speech_server
from tests.listen import median_f0
from tests.server.realtime_peer import answer, begin, finish
from tests.server.relaying import Caller, serving
from tests.serving import running_server
from tests.speech import speech

FAST = {"backoff_base_s": 0.01, "backoff_cap_s": 0.02, "max_attempts": 3}


def noise(ms: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(ms * 48)


def send(caller: Caller, audio: bytes, step: int = 960) -> None:
    for i in range(0, len(audio), step):
        caller.socket.send(audio[i : i + step])


def pcm(x: np.ndarray) -> bytes:
    return (x[:, 0] * 32767).astype("<i2").tobytes()


def floats(audio: bytes) -> np.ndarray:
    return (np.frombuffer(audio, "<i2") / 32768.0).astype(np.float32)


def test_audio_passes_both_ways_byte_for_byte() -> None:
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        assert caller.next() == {"type": "connected"}
        started = caller.start()
        assert started["audio"] == {"source": "client", "sample_rate": 24000, "format": "pcm16"}
        audio = noise(400)
        send(caller, audio)
        caller.say(type="input_audio_buffer.commit")
        caller.say(type="response.create")
        assert caller.hear(3 * 960) == b"".join(bytes([i]) * 960 for i in (1, 2, 3))
        caller.until("replyDone", itemId="item_a")
        [peer] = provider.peers
        assert peer.audio == audio
        assert peer.headers["Authorization"] == f"Bearer {KEY}"
        update = peer.events[0]
        assert update["type"] == "session.update"
        assert update["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        kinds = [event["type"] for event in caller.events]
        assert kinds.index("response.created") < kinds.index("reply") < kinds.index("replyDone")
        assert "response.output_audio.delta" not in kinds


@pytest.mark.parametrize("path", ["/ws/relay", "/v1/realtime?voice_up=natural-woman"])
def test_session_is_in_use_while_an_answer_is_made_or_waits(path: str) -> None:
    heard, go = threading.Event(), threading.Event()

    async def script(peer: Peer) -> None:
        await begin(peer)
        while (await peer.hear())["type"] != "response.create":
            pass
        await answer(peer, noise(200), done=False)
        heard.set()
        await asyncio.to_thread(go.wait, 20.0)
        await finish(peer)
        await peer.hear()

    with (
        FaultServer(script) as provider,
        serving(provider.url) as relay,
        Caller(relay.url.replace("/ws/relay", path)) as caller,
    ):
        if path == "/ws/relay":
            caller.start(voiceUp="natural-woman", voiceDown="none")
        else:
            caller.until("session.created")
        [session] = relay.sessions
        assert not session.busy()
        assert session.describe()["processing"] is True
        assert session.describe()["voice"] == "Natural Woman"
        caller.say(type="response.create")
        caller.until("response.created")
        assert heard.wait(20.0)
        assert session.busy()
        go.set()
        caller.until("response.done")
        while session.busy():
            caller.next()  # the rest of what was said


def test_telephone_passes_as_it_is() -> None:
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start(8000, "g711_ulaw")
        audio = random.Random(1).randbytes(1600)
        send(caller, audio, 160)
        provider.until(lambda: provider.peers and len(provider.peers[0].audio) == 1600)
        assert provider.peers[0].audio == audio
        assert provider.peers[0].events[0]["session"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize(("rate", "form"), [(48_000, "pcm16"), (44_100, "pcm_f32"), (8000, "g711_alaw")])
def test_other_formats_are_converted_both_ways(rate: int, form: str) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 / rate * np.arange(rate // 2))).astype(np.float32)
    width = {"pcm16": 2, "pcm_f32": 4}.get(form, 1)
    data = encode(tone[:, None], StreamFormat(AudioFormat(form), rate))
    answer = pcm((0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(12_000)))[:, None])

    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.hear_audio(23_000)
        where = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        await peer.say("response.created", response={"id": "r"})
        for i in range(0, len(answer), 4800):
            await peer.say(
                "response.output_audio.delta", delta=base64.b64encode(answer[i : i + 4800]).decode(), **where
            )
        await peer.say("response.output_audio.done", **where)
        await peer.serve()

    options = {"pace": "at_once", "g711_passthrough": False}
    with FaultServer(script) as provider, serving(provider.url, **options) as relay, Caller(relay.url) as caller:
        caller.start(rate, form)
        send(caller, data, rate // 50 * width)
        caller.until("replyDone")
        up = floats(provider.peers[0].audio)
        assert len(up) == pytest.approx(12_000, abs=200)
        assert np.sqrt((up[2000:10_000] ** 2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.02)
        assert 0 <= len(caller.audio) / width - rate // 2 <= 0.006 * rate, "late, and all of it"


def test_provider_hears_another_voice_at_the_same_pace() -> None:
    own = np.concatenate([speech("am_michael_u1"), speech("am_michael_u1")])
    audio = pcm(own)
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start(voiceUp="natural-woman")
        send(caller, audio)
        provider.until(lambda: provider.peers and len(provider.peers[0].audio) >= len(audio))
        heard = provider.peers[0].audio
        assert len(heard) == len(audio)
        assert heard != audio
        changed = floats(heard)[:, None]
        assert median_f0(own, 24_000) < 150.0
        assert median_f0(changed, 24_000) > 170.0
        held = len(provider.peers[0].audio)
        caller.say(type="input_audio_buffer.commit")
        provider.until(lambda: "input_audio_buffer.commit" in provider.peers[0].types)
        assert len(provider.peers[0].audio) > held, "the voice's delay is part of the turn"


def test_answer_in_another_voice_begins_and_ends_as_it_did() -> None:
    own = speech("am_michael_u1")
    audio = pcm(own)

    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        where = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        for i in range(0, len(audio), 9600):
            await peer.say("response.output_audio.delta", delta=base64.b64encode(audio[i : i + 9600]).decode(), **where)
        await peer.say("response.output_audio.done", **where)
        await peer.serve()

    options = {"pace": "at_once"}
    with FaultServer(script) as provider, serving(provider.url, **options) as relay, Caller(relay.url) as caller:
        caller.start(voiceDown="natural-woman")
        caller.until("replyDone", itemId="i")
        assert len(caller.audio) == len(audio)
        assert median_f0(floats(bytes(caller.audio))[:, None], 24_000) > 170.0
        envelopes = [
            np.convolve(np.abs(x), np.ones(1200) / 1200, "same")[::240] for x in (own[:, 0], floats(caller.audio))
        ]
        assert np.corrcoef(*envelopes)[0, 1] > 0.85


def _talkative(seconds: int, asked: threading.Event) -> object:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=10 * seconds, part_ms=100)  # and its response.done; the next one is still being made
        await peer.say("response.created", response={"id": "resp_2", "status": "in_progress"})
        where = {"response_id": "resp_2", "item_id": "item_b", "output_index": 0, "content_index": 0}
        delta = base64.b64encode(bytes(9600)).decode()
        await peer.say("response.output_audio.delta", delta=delta, **where)
        while (await peer.hear())["type"] != "input_audio_buffer.append":
            pass
        await peer.say("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        await peer.say("response.output_audio.delta", delta=delta, **where)
        await peer.say("response.output_audio.done", **where)
        while (await peer.hear())["type"] != "conversation.item.truncate":
            pass
        await peer.say("response.output_audio.delta", delta=delta, **where)
        await peer.say("response.done", response={"id": "resp_2", "status": "cancelled"})
        asked.set()
        await peer.serve()

    return script


def test_barge_in_truncates_at_what_was_played_and_late_audio_is_dropped() -> None:
    asked = threading.Event()
    with (
        FaultServer(_talkative(5, asked)) as provider,
        serving(provider.url, lead_ms=400.0) as relay,
        Caller(relay.url) as caller,
    ):
        caller.start()
        caller.hear(9600 * 3)
        caller.say(action="played", ms=123.0, itemId="item_a")
        send(caller, noise(20))
        clear = caller.until("clear")
        assert (clear["itemId"], clear["playedMs"], clear["reason"]) == ("item_a", 123.0, "speech")
        before = len(caller.audio)
        caller.say(type="response.create")
        caller.until("response.created")  # resp_2's end and all that came before is through
        provider.until(lambda: provider.peers[0].types.count("conversation.item.truncate") == 2)
        cuts = [event for event in provider.peers[0].events if event["type"] == "conversation.item.truncate"]
        assert [(cut["item_id"], cut["audio_end_ms"]) for cut in cuts] == [("item_a", 123), ("item_b", 0)]
        assert "response.cancel" in provider.peers[0].types
        assert len(caller.audio) == before, "nothing of either answer comes after the clear"


def test_clock_tells_what_was_played_where_the_client_does_not() -> None:
    asked = threading.Event()
    with FaultServer(_talkative(5, asked)) as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.start()
        caller.hear(48 * 600)
        send(caller, noise(20))
        clear = caller.until("clear")
        sent_ms = len(caller.audio) / 48
        assert 300.0 <= clear["playedMs"] <= sent_ms


def test_own_voice_detection_stops_an_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=50, part_ms=100)
        await peer.serve()

    with (
        FaultServer(script) as provider,
        serving(provider.url, barge_in="vad") as relay,
        Caller(relay.url) as caller,
    ):
        caller.start()
        caller.until("reply")
        send(caller, pcm(speech("am_michael_u1"))[: 48_000 * 2])
        assert caller.until("speech", state="speech")
        assert caller.until("clear", reason="speech")["itemId"] == "item_a"
        provider.until(lambda: "conversation.item.truncate" in provider.peers[0].types)


def test_vanishing_client_leaves_nothing_behind() -> None:
    with FaultServer() as provider, serving(provider.url) as relay:
        with Caller(relay.url) as caller:
            caller.start()
        relay.until_idle({"Served._run", "Server.serve", "LifespanOn.main"})
        idle = relay.tasks()
        threads = threading.active_count()
        for voice in (None, "natural-woman"):
            for _ in range(3):
                with Caller(relay.url) as caller:
                    caller.start(voiceUp=voice, voiceDown=voice)
                    assert relay.engines == 1
                    send(caller, noise(100))
                    caller.say(type="response.create")
                    caller.until("reply")
                    caller.socket.socket.close()
                relay.until_idle(idle)
                assert relay.engines == 0
        assert threading.active_count() <= threads + 4, "the pool's own threads"
        provider.until(lambda: all(peer.close_code for peer in provider.peers))


@pytest.mark.parametrize("code", [1001, 1011])
def test_provider_that_closes_is_asked_again_and_the_client_is_told(code: int) -> None:
    async def leave(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=50, part_ms=100)
        await peer.hear_audio(960)
        await peer.connection.close(code, "secret words")

    async def good(peer: Peer) -> None:
        await peer.greet()
        await peer.serve()

    connection = ConnectionOptions(**FAST)
    with (
        FaultServer(leave, good) as provider,
        serving(provider.url, connection=connection) as relay,
        Caller(relay.url) as caller,
    ):
        caller.start()
        caller.until("reply")
        send(caller, noise(20))
        assert caller.until("clear")["reason"] == "provider"
        caller.until("provider", state="reconnecting")
        caller.until("provider", state="connected")
        before = len(caller.audio)
        caller.say(type="response.create")
        caller.hear(before + 2880)
        assert not [text for text in caller.texts if "secret" in text]


def test_provider_that_cannot_be_reached_ends_the_relay_with_a_clear_word() -> None:
    with FaultServer(refusals=[(503, {}, b"")] * 9) as provider:
        connection = ConnectionOptions(**FAST)
        with serving(provider.url, connection=connection) as relay, Caller(relay.url) as caller:
            caller.say(action="start")
            error = caller.until("error")
            assert error == {
                "type": "error",
                "error": "The AI provider cannot be reached",
                "code": "provider_unavailable",
            }
            with pytest.raises(ConnectionClosed) as closed:
                caller.next()
            assert closed.value.rcvd.code == 1014


def test_key_and_address_never_reach_a_client() -> None:
    async def indiscreet(peer: Peer) -> None:
        url = f"{peer.server.url}/realtime?model=m"
        await peer.say(
            "session.created",
            session={"id": "s", "instructions": "operator's", "client_secret": {"value": KEY}, "k": KEY},
        )
        await peer.hear()
        await peer.say(
            "session.updated", session={"id": "s", "tools": [{"name": KEY}], "audio": {"x": f"Bearer {KEY}"}}
        )
        await peer.error("invalid_value", message=f"bad key {KEY} at {url}", param=KEY)
        await peer.error("invalid_api_key", message=f"Incorrect API key provided: {KEY}")
        await peer.error("server_error", kind="server_error", message=f"host {url} broke")
        await peer.say("rate_limits.updated", rate_limits=[])
        await peer.say("novel.event", secret=KEY)
        await peer.answer()
        await peer.connection.close(3000, f"invalid_api_key {KEY}")

    with FaultServer(indiscreet) as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.say(action="start")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                caller.next()
        everything = "\n".join([*caller.texts, str(closed.value)])
        assert KEY not in everything
        assert "operator" not in everything
        assert f"127.0.0.1:{provider.port}" not in everything
        kinds = {event["type"] for event in caller.events}
        assert {"session.created", "session.updated", "error"} <= kinds
        assert not kinds & {"rate_limits.updated", "novel.event"}
        assert caller.events[-1]["code"] == "provider_refused"


def test_provider_that_floods_is_bounded_and_the_loss_is_told() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.connection.send("nonsense")
        await peer.connection.send(b"\xff\x00")
        where = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        await peer.say("response.output_audio.delta", delta="no base64!", **where)
        await peer.say("response.output_audio.delta", delta=base64.b64encode(b"odd").decode(), **where)
        await peer.answer(parts=200, part_ms=100)
        await peer.serve()

    with (
        FaultServer(flood) as provider,
        serving(provider.url, max_reply_ms=1000.0) as relay,
        Caller(relay.url) as caller,
    ):
        caller.start()
        dropped = caller.until("dropped", direction="down")
        assert dropped["ms"] >= 17_000.0
        caller.say(action="getStatus")
        details = caller.until("status")["details"]
        assert details["waiting_down_ms"] <= 1000.0
        assert details["provider"] == "connected"


def test_provider_that_stalls_hears_no_stale_audio_and_the_loss_is_told() -> None:
    release = threading.Event()

    async def stall(peer: Peer) -> None:
        await peer.greet()
        while not release.is_set():
            await peer.connection.ping()
            await asyncio.sleep(0.01)
        await peer.serve()

    connection = ConnectionOptions(turn=TurnLimits(max_bytes=48_000), **FAST)
    with (
        FaultServer(stall) as provider,
        serving(provider.url, connection=connection) as relay,
        Caller(relay.url) as caller,
    ):
        caller.say(action="start")
        audio = noise(3000)
        send(caller, audio)
        assert caller.until("dropped", direction="up")["ms"] == pytest.approx(2000.0, abs=20.0)
        release.set()
        caller.until("provider", state="connected")
        provider.until(lambda: len(provider.peers[0].audio) == 48_000)
        assert provider.peers[0].audio == audio[-48_000:], "the oldest goes"


def test_what_a_client_may_not_say_is_refused_and_nothing_ends() -> None:
    with FaultServer() as provider, serving(provider.url) as relay, Caller(relay.url) as caller:
        caller.next()
        for text, code in (
            ("{", "invalid_message"),
            ("[]", "invalid_message"),
            ('{"action":"fly"}', "invalid_message"),
            ('{"type":"response.create"}', "invalid_state"),
            ('{"action":"start","voiceUp":"nobody"}', "voice_not_found"),
            ('{"action":"start","session":{"model":"dear"}}', "invalid_message"),
            ("x" * 70_000, "invalid_message"),
        ):
            caller.socket.send(text)
            assert caller.until("error")["code"] == code, text
        caller.socket.send(bytes(960))
        assert caller.until("error")["code"] == "invalid_state"
        caller.start()
        caller.socket.send(bytes(961))
        assert "odd bytes" in caller.until("error")["error"]
        caller.socket.send(bytes(70_000))
        assert caller.until("error")["code"] == "invalid_message"
        for event in (
            {"type": "session.update", "session": {"tools": [{"type": "mcp", "server_url": "https://x"}]}},
            {"type": "session.update", "session": {"tracing": "auto"}},
            {"type": "output_audio_buffer.clear"},
            {"type": "response.create", "response": {"prompt": {"id": "p"}}},
        ):
            caller.say(**event)
            assert caller.until("error")["code"] == "invalid_message", event
        send(caller, noise(100))
        caller.say(type="response.create")
        caller.until("replyDone")
        caller.say(action="getVoices")
        assert "natural-woman" in [voice["id"] for voice in caller.until("voices")["voices"]]
        caller.say(action="stop")
        with pytest.raises(ConnectionClosed) as closed:
            caller.until("never")
        assert closed.value.rcvd.code == 1000
        assert provider.peers[0].audio == noise(100)


def test_more_clients_than_allowed_are_told_to_come_back() -> None:
    with FaultServer() as provider, serving(provider.url, max_clients=1) as relay, Caller(relay.url) as caller:
        caller.start()
        with Caller(relay.url) as other:
            assert other.next()["code"] == "limit_reached"
            with pytest.raises(ConnectionClosed) as closed:
                other.next()
            assert closed.value.rcvd.code == 1013


def test_server_without_provider_says_so(server: str) -> None:
    with Caller(server.replace("http", "ws") + "ws/relay") as caller:
        assert caller.next()["code"] == "not_configured"
        with pytest.raises(ConnectionClosed) as closed:
            caller.next()
        assert closed.value.rcvd.code == 1011


def test_page_of_another_origin_is_refused(server: str) -> None:
    with pytest.raises(InvalidStatus), Caller(server.replace("http", "ws") + "ws/relay", origin="https://elsewhere"):
        pass


@pytest.fixture(scope="module")
def brain() -> Iterator[str]:
    with speech_server(sessions=1) as url:
        yield url


def test_conversation_with_a_real_realtime_server(brain: str) -> None:
    environment = os.environ | {"MENURA_REALTIME_URL": brain, "MENURA_REALTIME_KEY": KEY}
    quiet = np.zeros((24_000, 1), np.float32)
    audio = pcm(np.concatenate([quiet, speech("am_michael_u1"), quiet, quiet]))
    with (
        running_server(environment=environment) as address,
        Caller(address.replace("http", "ws") + "ws/relay") as caller,
    ):
        caller.start(
            voiceUp="natural-woman",
            voiceDown="natural-man",
            session={"turn_detection": {"type": "server_vad", "create_response": False}},
        )
        send(caller, audio)
        caller.until("input_audio_buffer.committed")
        caller.say(type="response.create")
        caller.until("replyDone")
        assert len(caller.audio) == pytest.approx(ANSWER_MS * 48, abs=20 * 48)
        assert not [event for event in caller.events if event["type"] == "error"]
        assert KEY not in "".join(caller.texts)


def test_client_that_takes_nothing_is_left() -> None:
    async def flood(peer: Peer) -> None:
        await peer.greet()
        await peer.hear()
        await peer.say("session.updated", session={"id": "s"})
        await peer.answer(parts=1000, part_ms=200)
        await peer.serve()

    options = {"pace": "at_once", "max_unread_ms": 600_000.0, "client_stall_s": 0.3}
    with (
        FaultServer(flood) as provider,
        serving(provider.url, **options) as relay,
        Caller(relay.url, close_timeout=0.1) as caller,
    ):
        caller.next()
        idle = relay.tasks()
        caller.start()
        relay.until_idle(idle - {"RelaySocket._receive_all", "Event.wait", "RelaySocket.serve"})
        assert relay.engines == 0
        provider.until(lambda: provider.peers[0].close_code)
