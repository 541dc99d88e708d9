"""A microphone's capture into a connection: what is said reaches the provider, and what fails stops neither."""

import threading
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import Field, TypeAdapter

from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode
from menura.client.connection import RealtimeConnectionManager
from menura.client.options import ConnectionState
from menura.devices.synthetic_oneway import SyntheticInput
from menura.errors import StateError
from menura.live.capture_manager import AudioCaptureCallbacks, AudioCaptureManager, create_audio_capture
from tests.client.ears import KEY, Ears, connected
from tests.client.faults import TIMEOUT_S, FaultServer, Peer, good
from tests.client.speech_server import speech_server
from tests.live.capturing import noise, until
from tests.utterances import speech

RATE = 24_000
CLIENT: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeClientEvent, Field(discriminator="type")])


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SyntheticInput]]:
    """The microphones that captures have opened."""
    opened: list[SyntheticInput] = []
    before = set(threading.enumerate())

    def opens(device: Any, *, rate: int, channels: int, block: int, **form: Any) -> SyntheticInput:
        opened.append(SyntheticInput(rate, block, channels))
        return opened[-1]

    known = AudioCaptureManager.__init__.__kwdefaults__
    monkeypatch.setattr(AudioCaptureManager.__init__, "__kwdefaults__", known | {"open_port": opens})
    yield opened
    assert all(port.closed for port in opened)
    begun = set(threading.enumerate()) - before
    assert not [thread for thread in begun if thread.name.startswith("menura")]


def hear(manager: AudioCaptureManager, port: SyntheticInput, x: np.ndarray) -> None:
    """Let it be captured, and the capture keep up."""
    heard = manager.stats().total_samples
    port.feed(x)
    for at in range(0, len(x), port.block):
        part = min(port.block, len(x) - at)
        port.pump(part)
        heard += part
        until(lambda goal=heard: manager.stats().total_samples >= goal)


def test_every_frame_reaches_the_provider_in_short_events(ports: list[SyntheticInput]) -> None:
    x, data = noise(3 * RATE + 123)
    with FaultServer() as server, connected(server.url) as (connection, ears):
        manager = create_audio_capture(connection_manager=connection)
        manager.start_recording()
        hear(manager, ports[-1], x)
        manager.stop_recording()
        manager.dispose()
        [peer] = server.peers
        server.until(lambda: len(peer.audio) == len(data))
        assert peer.audio == data
        for event in peer.events:
            CLIENT.validate_python(event)
        assert max(len(event["audio"]) for event in peer.events) <= 6400, "100 ms"
        assert manager.stats().connection_errors == 0
        assert ears.errors.empty()


@pytest.mark.parametrize("wanted", ["audio/pcmu", "audio/pcm"])
def test_a_provider_hears_the_form_that_its_session_names(ports: list[SyntheticInput], wanted: str) -> None:
    """A capture at 48 kHz, of which the provider takes another rate; what of it is last is there too."""
    session = {"type": "realtime", "audio": {"input": {"format": {"type": wanted}}}}
    x = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32)[:, None]
    with FaultServer() as server, connected(server.url) as (connection, ears):
        connection.update_session(session)
        form = connection.input_format
        assert form == (
            StreamFormat(AudioFormat.G711_ULAW, 8000)
            if wanted == "audio/pcmu"
            else StreamFormat(AudioFormat.PCM16, 24_000)
        )
        manager = create_audio_capture(sample_rate=48_000, chunk_size=4800)
        manager.connection_manager = connection
        manager.start_recording()
        hear(manager, ports[-1], x)
        manager.dispose()
        [peer] = server.peers
        server.until(lambda: len(peer.audio) == form.bytes_for(form.rate))
        heard = decode(bytes(peer.audio), form)[:, 0]
        said = 0.5 * np.sin(2 * np.pi * 440 * np.arange(form.rate) / form.rate)
        assert np.abs(heard - said)[500:-500].max() < 0.03
        assert ears.errors.empty()


async def breaks(peer: Peer) -> None:
    await peer.greet()
    await peer.hear_audio(RATE)
    peer.reset()


def test_a_connection_that_breaks_and_returns_loses_nothing_and_the_capture_does_not_notice(
    ports: list[SyntheticInput],
) -> None:
    x, data = noise(2 * RATE)
    errors: list[Exception] = []
    with FaultServer(breaks, good) as server, connected(server.url) as (connection, _):
        callbacks = AudioCaptureCallbacks(on_error=errors.append)
        manager = create_audio_capture(connection_manager=connection, callbacks=callbacks)
        manager.start_recording()
        hear(manager, ports[-1], x[:RATE])
        server.until(lambda: len(server.peers) == 2)
        hear(manager, ports[-1], x[RATE:])
        manager.dispose()
        last = server.peers[-1]
        server.until(lambda: last.audio.endswith(data[-4800:]))
        assert data.endswith(last.audio)
        assert len(last.audio) >= RATE * 2, "what follows, and of what went before at least the last of it"
        assert errors == []
        assert manager.stats().connection_errors == 0


def test_a_stopped_connection_is_told_once_and_may_start_again(ports: list[SyntheticInput]) -> None:
    x, data = noise(2 * RATE)
    errors: list[Exception] = []
    with FaultServer() as server, connected(server.url) as (connection, _):
        callbacks = AudioCaptureCallbacks(on_error=errors.append)
        manager = create_audio_capture(connection_manager=connection, callbacks=callbacks)
        manager.start_recording()
        hear(manager, ports[-1], x[:RATE])
        server.until(lambda: len(server.peers[0].audio) == 2 * RATE)
        connection.stop()
        hear(manager, ports[-1], x[:RATE])
        until(lambda: manager.stats().connection_errors == 5)
        assert [type(error) for error in errors] == [StateError]
        connection.start(TIMEOUT_S)
        hear(manager, ports[-1], x[RATE:])
        manager.dispose()
        server.until(lambda: len(server.peers) == 2 and server.peers[1].audio == data[2 * RATE :])
    assert len(errors) == 1


def test_audio_from_before_the_start_of_the_connection_is_sent_by_it(ports: list[SyntheticInput]) -> None:
    x, data = noise(RATE)
    with FaultServer() as server:
        connection = RealtimeConnectionManager(KEY, url=server.url)
        with create_audio_capture(connection_manager=connection) as manager:
            manager.start_recording()
            hear(manager, ports[-1], x)
        connection.start(TIMEOUT_S)
        server.until(lambda: server.peers[0].audio == data)
        connection.stop()


def test_an_event_callback_may_steer_the_capture(ports: list[SyntheticInput]) -> None:
    with FaultServer() as server, connected(server.url) as (connection, ears):
        manager = create_audio_capture(connection_manager=connection)
        connection.on("response.done", lambda event: manager.stop_recording())
        manager.start_recording()
        connection.create_response()
        until(lambda: manager.get_state() == "inactive")
        assert ears.errors.empty()
        manager.dispose()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with speech_server(sessions=1) as url:
        yield url


def test_the_documents_whole_example_is_answered(ports: list[SyntheticInput], server: str) -> None:
    connection = RealtimeConnectionManager(api_key=KEY, url=server)
    ears = Ears(connection)
    connection.start()
    connection.send_event(
        {
            "type": "session.update",
            "session": {"modalities": ["text", "audio"], "input_audio_format": "pcm16", "voice": "alloy"},
        }
    )
    manager = create_audio_capture(connection_manager=connection, vad_enabled=True)
    manager.start_recording()
    quiet = np.zeros((2 * RATE, 1), np.float32)
    hear(manager, ports[-1], np.concatenate([quiet, speech(RATE, "am_michael")[: 2 * RATE], quiet]))
    ears.until("input_audio_buffer.speech_started")
    ears.until("input_audio_buffer.speech_stopped")
    manager.stop_recording()
    manager.dispose()
    connection.stop()
    assert ears.errors.empty()
    assert connection.state is ConnectionState.CLOSED
