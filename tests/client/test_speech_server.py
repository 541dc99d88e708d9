"""The connection with a real Realtime server: that of the speech-to-speech package, in a process of its own."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter

from menura.client.connection import RealtimeConnectionManager
from menura.client.options import ConnectionState
from menura.engine.position import PlaybackPosition
from menura.errors import ProviderError
from tests.client.cable import Cable
from tests.client.ears import KEY, Ears
from tests.client.faults import TIMEOUT_S
from tests.client.speech_server import ANSWER_MS, speech_server
from tests.speech import speech

SERVER: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])
SEED = {
    "modalities": ["text", "audio"],
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "voice": "alloy",
    "turn_detection": {"type": "server_vad", "create_response": False},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with speech_server(sessions=2) as url:
        yield url


@pytest.fixture
def talk(server: str) -> Iterator[tuple[RealtimeConnectionManager, Ears]]:
    manager = RealtimeConnectionManager(KEY, url=server, session=SEED)
    ears = Ears(manager)
    manager.start(TIMEOUT_S)
    yield manager, ears
    manager.stop()
    assert manager.stats().malformed_events == manager.stats().unknown_events == 0


def test_settings_of_the_seed_are_taken(talk: tuple[RealtimeConnectionManager, Ears]) -> None:
    manager, ears = talk
    session = ears.until("session.updated")["session"]
    assert session["audio"]["output"]["voice"] == "alloy"
    assert session["output_modalities"] == ["audio"]
    assert manager.stats().session_id == session["id"]
    assert ears.errors.empty()


def test_turn_is_found_and_answered(talk: tuple[RealtimeConnectionManager, Ears]) -> None:
    manager, ears = talk
    everything = manager.events()
    quiet = np.zeros(24_000)
    pcm = (np.concatenate([quiet, speech("am_michael_u1")[:, 0], quiet, quiet]) * 32767).astype("<i2").tobytes()
    for i in range(0, len(pcm), 960):
        manager.send_audio(pcm[i : i + 960])
    begun = ears.until("input_audio_buffer.speech_started")
    assert 950 <= begun["audio_start_ms"] < 2500
    assert ears.until("input_audio_buffer.committed")["item_id"] == begun["item_id"]
    manager.create_response()
    assert ears.until("response.created").response.id
    ears.until("response.done")
    audio = bytearray()
    for event in everything:
        SERVER.validate_python(event.to_dict())
        if event.type == "response.output_audio.delta":
            audio += event.audio
        if event.type == "response.done":
            assert event["response"]["status"] == "completed"
            break
    assert len(audio) == pytest.approx(ANSWER_MS * 48, abs=20 * 48)
    stats = manager.stats()
    assert stats.audio_received_ms == pytest.approx(ANSWER_MS, abs=20)
    assert stats.audio_sent_ms == pytest.approx(len(pcm) / 48, abs=0.1)
    assert stats.answers == 1
    assert stats.first_audio_ms > 0.0
    assert ears.errors.empty()


def test_empty_commit_is_refused_by_name_and_nothing_else_happens(
    talk: tuple[RealtimeConnectionManager, Ears],
) -> None:
    manager, ears = talk
    event_id = manager.commit()
    error = ears.errors.get(timeout=TIMEOUT_S)
    assert isinstance(error, ProviderError)
    assert (error.provider_code, error.event_id) == ("input_audio_buffer_commit_empty", event_id)
    assert error.event_type == "input_audio_buffer.commit"
    manager.create_response()
    ears.until("response.done")


def test_answer_is_cut_short(talk: tuple[RealtimeConnectionManager, Ears]) -> None:
    manager, ears = talk
    manager.create_response()
    delta = ears.until("response.output_audio.delta")
    assert manager.interrupt(PlaybackPosition(delta["item_id"], played_ms=20.0, interrupted=True))
    done = ears.until("response.done")
    assert done["response"]["status"] in ("cancelled", "completed")
    assert not manager.cancel_response()
    manager.create_response()
    assert ears.until("response.done")["response"]["status"] == "completed"


def test_broken_connection_is_made_again_with_settings_conversation_and_turn(server: str) -> None:
    quiet, words = np.zeros(24_000), speech("am_michael_u1")[:, 0]
    pcm = (np.concatenate([quiet, words, quiet]) * 32767).astype("<i2").tobytes()
    half = 2 * (24_000 + len(words) // 2)
    with Cable(server) as cable:
        manager = RealtimeConnectionManager(KEY, url=cable.url, session=SEED, remember_items=4, backoff_base_s=0.05)
        ears = Ears(manager)
        manager.start(TIMEOUT_S)
        said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My name is Ann."}]}
        manager.send_event({"type": "conversation.item.create", "item": said})
        ears.until("conversation.item.created")
        first = manager.stats().session_id
        manager.send_audio(pcm[:half])
        ears.until("input_audio_buffer.speech_started")
        cable.cut()
        ears.until_state(ConnectionState.RECONNECTING)
        manager.send_audio(pcm[half:])
        restored = ears.until("session.updated")["session"]
        assert restored["audio"]["output"]["voice"] == "alloy"
        assert restored["id"] != first
        told = ears.until("conversation.item.created")["item"]
        assert told["content"][0]["text"] == "My name is Ann."
        begun = ears.until("input_audio_buffer.speech_started")
        assert begun["audio_start_ms"] <= 160, "the turn is replayed from its first sound on"
        ears.until("input_audio_buffer.committed")
        manager.create_response()
        assert ears.until("response.done")["response"]["status"] == "completed"
        assert manager.stats().reconnects == 1
        assert manager.stats().replayed_audio_ms > 0.0
        manager.stop()


def test_server_without_a_free_slot_is_asked_until_there_is_one(server: str) -> None:
    impatient = {"backoff_base_s": 0.05, "backoff_cap_s": 0.2}
    guests = [RealtimeConnectionManager(KEY, url=server, **impatient) for _ in range(2)]
    for guest in guests:
        guest.start(TIMEOUT_S)
    late = RealtimeConnectionManager(KEY, url=server, **impatient)
    ears = Ears(late)

    @late.on_error
    def make_room(error: Exception) -> None:
        assert "session_limit_reached" in str(error)
        guests[0].stop()

    late.start(TIMEOUT_S)
    assert late.stats().attempts >= 2
    assert guests[0].state is ConnectionState.CLOSED
    late.create_response()
    ears.until("response.done")
    for guest in (late, *guests):
        guest.stop()
