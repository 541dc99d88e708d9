import asyncio
import base64
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import pytest

from menura.audio.format import StreamFormat
from menura.audio.pcm import encode
from menura.errors import FileError, LimitError, MenuraError, ModelError, ProtocolError
from menura.live.session import VoiceSession
from menura.live.strand import Strand
from menura.protocol.realtime_server import AudioDelta
from menura.server.realtime_answers import Answers, RealtimeOutbox
from menura.server.realtime_settings import FORMATS, PCM, SessionView, Update
from menura.server.realtime_socket import _explained
from menura.server.realtime_voice import AnswerVoice, Place
from menura.server.realtime_words import ClientWords, RefusalError, refusal_of
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
from tests.server.realtime_peer import SERVER
from tests.speech import speech

ULAW = FORMATS["audio/pcmu"]
HERE, THERE = Place("resp_1", "item_a", 0, 0), Place("resp_1", "item_b", 1, 0)


def session(voice: str | None) -> VoiceSession | None:
    return VoiceSession(make_stage(find_voice(voice), 24_000)) if voice else None


def whole(parts: list[tuple[bytes, Place]], place: Place) -> bytes:
    return b"".join(audio for audio, at in parts if at == place)


@pytest.mark.parametrize("error", [ModelError, LimitError, ProtocolError, FileError])
def test_errors_tell_a_client_nothing_of_the_machine(error: type[MenuraError]) -> None:
    told = json.dumps(_explained(error("cannot read /home/jo/secret/voice.onnx: no such file"), {}))
    assert "voice.onnx" in told
    assert not any(word in told for word in ("home", "jo/", "secret"))


@pytest.mark.parametrize("client", [PCM, ULAW], ids=["pcm", "pcmu"])
@pytest.mark.parametrize("voice", [None, "robot"])
def test_answer_is_the_same_however_it_is_cut_and_as_long_as_it_was(voice: str | None, client: StreamFormat) -> None:
    audio = encode(speech("am_michael_u1")[:24_000], PCM)
    heard = []
    for sizes in ([len(audio)], [1, 319, 4800], [7], [9600]):
        worker, parts, i = AnswerVoice(session(voice), PCM, client), list[tuple[bytes, Place]](), 0
        for size in cycle(sizes):
            if i >= len(audio):
                break
            parts += worker.change(audio[i : i + size], HERE)
            i += size
        heard.append(whole(parts + worker.finish(), HERE))
    assert {len(audio) for audio in heard} == {24_000 * client.rate // 24_000 * client.frame_bytes}
    assert len(set(heard)) == 1


def test_one_answer_ends_where_the_next_begins() -> None:
    audio = encode(speech("am_michael_u1")[:12_000], PCM)
    worker = AnswerVoice(session("robot"), PCM, ULAW)
    parts = worker.change(audio, HERE) + worker.change(audio[:4800], THERE) + worker.finish()
    assert len(whole(parts, HERE)) == 4000
    assert len(whole(parts, THERE)) == 800
    assert worker.finish() == []


def test_voice_that_fails_leaves_the_providers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: VoiceSession, x: object) -> None:
        raise RuntimeError("broken")

    told = list[str]()
    worker = AnswerVoice(session("robot"), PCM, PCM, lambda: told.append("failed"))
    monkeypatch.setattr(VoiceSession, "process", fail)
    monkeypatch.setattr(VoiceSession, "finish", fail)
    audio = encode(speech("am_michael_u1")[:12_000], PCM)
    parts = worker.change(audio, HERE) + worker.finish()
    assert audio.endswith(whole(parts, HERE))
    assert (worker.failures.count, told) == (2, ["failed"])


def delta(audio: bytes, place: Place) -> AudioDelta:
    event = {"type": "response.output_audio.delta", "delta": base64.b64encode(audio).decode()} | place._asdict()
    return AudioDelta.model_validate(event)


def test_events_keep_their_order_around_audio_in_work_and_cut_audio_is_gone() -> None:
    audio = encode(speech("am_michael_u1")[:24_000], PCM)

    async def job() -> list[dict[str, object]]:
        outbox = RealtimeOutbox(1)
        with ThreadPoolExecutor(1) as pool:
            answers = Answers(outbox, Strand(pool), session("robot"), PCM, PCM)
            answers.tell({"type": "first"})
            answers.hear(delta(audio, HERE))
            answers.tell({"type": "second"})
            answers.hear(delta(audio, THERE))
            answers.tell({"type": "third"})
            answers.cut(item_id="item_b")
            answers.end("resp_1")
            answers.tell({"type": "last"})
            told: list[dict[str, object]] = []
            while not told or told[-1]["type"] != "last":
                told.append(json.loads(await outbox.get()))
            answers.hear(delta(audio, THERE))
            answers.tell({"type": "more"})
            told.append(json.loads(await outbox.get()))
        return told

    told = asyncio.run(job())
    kinds = [event["type"] for event in told if event["type"] != "response.output_audio.delta"]
    assert kinds == ["first", "second", "third", "last", "more"]
    assert told[1]["item_id"] == "item_a"
    assert "item_b" not in {event.get("item_id") for event in told}


def test_cut_of_an_answer_that_is_over_does_not_hurt_the_next() -> None:
    audio = encode(speech("am_michael_u1")[:24_000], PCM)

    async def job(cut: bool) -> bytes:
        outbox = RealtimeOutbox(1)
        with ThreadPoolExecutor(1) as pool:
            answers = Answers(outbox, Strand(pool), session("robot"), PCM, PCM)
            for i in range(0, len(audio), 4800):
                answers.hear(delta(audio[i : i + 4800], THERE))
                if cut and i == 24_000:
                    answers.cut(item_id="item_a")
            answers.end("resp_1")
            answers.tell({"type": "last"})
            heard = b""
            while (event := json.loads(await outbox.get()))["type"] != "last":
                heard += base64.b64decode(event["delta"])
        return heard

    assert asyncio.run(job(cut=True)) == asyncio.run(job(cut=False))


def test_outbox_lets_audio_go_that_nobody_shall_hear() -> None:
    async def job() -> list[str]:
        outbox = RealtimeOutbox(1)
        with ThreadPoolExecutor(1) as pool:
            answers = Answers(outbox, Strand(pool), None, PCM, PCM)
            for i in range(80):
                answers.hear(delta(bytes(96), HERE if i % 2 else THERE))
            assert answers.full
            answers.tell({"type": "kept"})
            answers.cut(response_id="resp_1")
            assert not answers.full
            await answers.room()
            answers.hear(delta(bytes(96), HERE))
            answers.begin("resp_1")
            answers.hear(delta(bytes(96), HERE))
        outbox.end()
        out = []
        while (item := await outbox.next()) is not None:
            out.append(json.loads(item)["type"])
        return out

    assert asyncio.run(job()) == ["kept", "response.output_audio.delta"]


@pytest.mark.parametrize(
    ("text", "kind", "reason", "param"),
    [
        ("response.create.response.metadata.k: input should be a string", "response.create", "invalid_value",
         "response.metadata.k"),
        ("session.update.session.realtime.audio.input.turn_detection.server_vad.threshold: input should be a number",
         "session.update", "invalid_value", "session.audio.input.turn_detection.threshold"),
        ("conversation.item.delete.item_id: field required", "conversation.item.delete", "missing_required_parameter",
         "item_id"),
        ("audio.input.url: not for clients of the relay", "session.update", "unknown_parameter",
         "session.audio.input.url"),
        ("no path here", "session.update", "invalid_value", None),
    ],
)  # fmt: skip
def test_checks_are_told_in_the_apis_terms(text: str, kind: str, reason: str, param: str | None) -> None:
    refusal = refusal_of(ProtocolError(text), kind)
    assert (refusal.reason, refusal.param) == (reason, param)


def test_names_of_a_clients_events_are_found_again_as_long_as_they_may_be_asked_for() -> None:
    words = ClientWords()
    wires = [words.take({"type": "response.create", "event_id": f"e{i}"})["event_id"] for i in range(1100)]
    assert len(set(wires)) == 1100
    assert words.name_of(wires[-1]) == "e1099"
    assert not words.known(wires[0])
    assert words.name_of(None) is None
    with pytest.raises(RefusalError, match="event_id"):
        words.take({"type": "response.create", "event_id": "x" * 513})


def test_one_session_is_shown_however_many_the_provider_makes() -> None:
    view = SessionView()
    view.see({"id": "sess_1", "type": "realtime", "output_modalities": ["audio"]})
    assert view.confirmed() == []
    created = view.event("session.created")["session"]
    assert (created["id"], created["audio"]["output"]["format"]["rate"]) == ("sess_1", 24_000)
    updates = [Update({"instructions": text}, PCM, ULAW, PCM, PCM) for text in "ab"]
    view.asked("e1", updates[0])
    view.asked("e2", updates[1])
    assert view.latest_output == ULAW
    view.renew()
    view.see({"id": "sess_2", "type": "realtime"})
    assert view.confirmed() == updates, "a new session has been told all of them at once"
    for update in updates:
        view.apply(update)
    shown = view.event("session.updated")["session"]
    assert (shown["id"], shown["instructions"]) == ("sess_1", "b")
    assert shown["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert view.confirmed() == [], "nobody asked"
    view.asked("e3", updates[0])
    assert view.refused("e3") == updates[0]
    assert view.refused("e3") is None


@pytest.mark.parametrize(
    ("choice", "shown"),
    [("auto", True), ({"type": "function", "name": "f"}, True), ({"type": "function"}, False), (7, False)],
)
def test_settings_are_shown_only_in_shapes_that_clients_can_read(choice: object, shown: bool) -> None:
    view = SessionView()
    view.see({"id": "sess_1"})
    view.apply(Update({"tool_choice": choice, "tools": [{"name": choice}], "truncation": choice}, PCM, PCM, PCM, PCM))
    session = view.event("session.updated")["session"]
    SERVER.validate_python({"type": "session.updated", "event_id": "e", "session": session})
    assert ("tool_choice" in session) is shown
    assert ("tools" in session) is isinstance(choice, str)


def test_silence_stays_silence_in_every_format() -> None:
    for client in FORMATS.values():
        worker = AnswerVoice(None, PCM, client)
        parts = worker.change(bytes(4800), HERE) + worker.finish()
        levels = {encode(np.zeros((1, 1), np.float32), client)}
        audio = whole(parts, HERE)
        assert {audio[i : i + client.frame_bytes] for i in range(0, len(audio), client.frame_bytes)} == levels


def test_voice_that_waits_for_an_answer_that_broke_off_begins_with_the_next() -> None:
    """Providers may call the next one the same."""
    audio = encode(speech("am_michael_u1")[:4800], PCM)

    def delta() -> AudioDelta:
        return AudioDelta(
            type="response.output_audio.delta", delta=base64.b64encode(audio).decode(), **HERE._asdict()
        )  # fmt: skip

    async def main() -> list[bytes]:
        outbox = RealtimeOutbox(1)
        with ThreadPoolExecutor(1) as pool:
            answers = Answers(outbox, Strand(pool), None, PCM, PCM)
            answers.begin("resp_1")
            answers.hear(delta())
            answers.set_voice(session("robot"))
            answers.hear(delta())  # stays as it is
            answers.begin("resp_1")
            answers.hear(delta())
            answers.end("resp_1")
            while answers.waiting_ms or answers._queue:
                await asyncio.sleep(0.001)
        outbox.end()
        return [base64.b64decode(json.loads(text)["delta"]) async for text in iterate(outbox)]

    first, second, *changed = asyncio.run(main())
    assert first == second == audio
    assert len(b"".join(changed)) == len(audio)
    assert b"".join(changed) != audio


async def iterate(outbox: RealtimeOutbox) -> AsyncIterator[str]:
    while (item := await outbox.next()) is not None:
        assert isinstance(item, str)
        yield item
