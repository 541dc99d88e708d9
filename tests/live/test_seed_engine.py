"""The uses that the engine's document shows, as it shows them."""

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from menura import (
    AudioConfig,
    AudioEngine,
    AudioFormat,
    AudioMetadata,
    AudioMetrics,
    AudioProcessor,
    AudioStreamBuffer,
    BufferConfig,
    BufferPool,
    FastVADDetector,
    ProcessingMode,
    VADConfig,
    VADState,
    VADType,
    create_adaptive_engine,
    create_big_lane_engine,
    create_fast_lane_engine,
    read_audio,
)
from menura.errors import ConfigError, StateError


def speech_bytes() -> bytes:
    x, _ = read_audio("tests/fixtures/speech/af_heart_u1.flac")
    return np.round(np.clip(x[:, 0], -1, 0.999) * 32768).astype("<i2").tobytes()


def pieces(audio: bytes, size: int = 960) -> list[bytes]:
    return [audio[i : i + size] for i in range(0, len(audio) - size + 1, size)]


class Connection:
    """The other end of a socket."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    send_bytes = send


class Relay:
    """The document's relay: audio up through the engine, audio down prepared for the client."""

    def __init__(self) -> None:
        self.audio_engine = AudioEngine(
            mode=ProcessingMode.REALTIME, config=AudioConfig(sample_rate=24000, chunk_duration_ms=20)
        )
        self.audio_engine.configure_vad(VADConfig(type=VADType.ENERGY_BASED, speech_end_ms=500))
        self.api_connections = {"a": Connection()}
        self.clients = {"a": Connection()}
        self.errors: list[str] = []
        self.speech: list[bytes] = []

    async def handle_client_audio(self, client_id: str, audio_bytes: Any) -> None:
        if not self.audio_engine.validate_audio(audio_bytes):
            self.errors.append("Invalid audio format")
            return
        processed = self.audio_engine.process_audio(audio_bytes)
        vad_state = self.audio_engine.process_vad_chunk(processed)
        await self.api_connections[client_id].send(processed)
        if vad_state == "speech":
            self.speech.append(processed)

    async def handle_api_audio(self, client_id: str, audio_bytes: bytes) -> None:
        await self.clients[client_id].send_bytes(self.audio_engine.prepare_for_playback(audio_bytes))


def test_relay_forwards_what_is_valid_and_keeps_what_is_speech() -> None:
    relay, audio = Relay(), pieces(speech_bytes())

    async def run() -> None:
        for chunk in audio:
            await relay.handle_client_audio("a", chunk)
        await relay.handle_client_audio("a", b"odd")
        for chunk in audio:
            await relay.handle_api_audio("a", chunk)

    asyncio.run(run())
    assert relay.api_connections["a"].sent == audio
    assert relay.clients["a"].sent == audio
    assert relay.errors == ["Invalid audio format"]
    assert len(audio) / 2 < len(relay.speech) < len(audio)


def test_processor_and_detector_and_buffer_stand_alone() -> None:
    audio = speech_bytes()
    processor = AudioProcessor(mode=ProcessingMode.REALTIME)
    valid, error = processor.validate_format(audio)
    assert (valid, error) == (True, None)
    chunks = processor.chunk_audio(audio, chunk_duration_ms=20)
    vad = FastVADDetector(config=VADConfig(energy_threshold=0.02, speech_start_ms=100, speech_end_ms=500))
    states = {vad.process_chunk(chunk) for chunk in chunks}
    assert VADState.SPEECH in states
    buffer = AudioStreamBuffer(config=BufferConfig(max_size_bytes=1024 * 1024, overflow_strategy="drop_oldest"))
    assert buffer.add_audio(chunks[0])
    assert buffer.get_chunk(960) == chunks[0]


def test_configurations_have_the_documented_fields_and_defaults() -> None:
    config = AudioConfig()
    assert (config.sample_rate, config.channels, config.bit_depth, config.format) == (24000, 1, 16, AudioFormat.PCM16)
    assert (config.chunk_duration_ms, config.min_amplitude, config.max_amplitude) == (100, 0.01, 0.95)
    assert (config.use_numpy, config.pre_allocate_buffers) == (True, True)
    vad = VADConfig()
    assert (vad.type, vad.energy_threshold, vad.speech_start_ms) == (VADType.ENERGY_BASED, 0.02, 100)
    assert (vad.speech_end_ms, vad.pre_buffer_ms, vad.adaptive) == (500, 300, False)
    buffer = BufferConfig()
    assert (buffer.max_size_bytes, buffer.max_duration_ms) == (1024 * 1024, 5000)
    assert (buffer.overflow_strategy, buffer.underflow_strategy) == ("drop_oldest", "silence")
    assert (buffer.pre_allocate, buffer.use_circular, buffer.zero_copy) == (True, True, True)
    assert [mode.value for mode in ProcessingMode] == ["realtime", "quality", "balanced"]
    assert [state.value for state in VADState] == ["silence", "speech_starting", "speech", "speech_ending"]
    assert {"pcm16", "g711_ulaw", "g711_alaw"} <= {form.value for form in AudioFormat}


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: AudioConfig(sample_rate=0), "sample rate"),
        (lambda: AudioConfig(channels=0), "channels"),
        (lambda: AudioConfig(bit_depth=24), "bit_depth"),
        (lambda: AudioConfig(format="mp3"), "format"),  # type: ignore[arg-type]
        (lambda: AudioConfig(chunk_duration_ms=0), "chunk_duration_ms"),
        (lambda: AudioConfig(min_amplitude=0.9, max_amplitude=0.5), "min_amplitude"),
        (lambda: VADConfig(energy_threshold=2.0), "energy_threshold"),
        (lambda: VADConfig(speech_start_ms=-1), "speech_start_ms"),
        (lambda: VADConfig(type="psychic"), "type"),  # type: ignore[arg-type]
        (lambda: BufferConfig(overflow_strategy="explode"), "overflow_strategy"),
        (lambda: BufferConfig(max_size_bytes=0), "max_size_bytes"),
        (lambda: AudioEngine("warp"), "warp"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_cannot_be_name_themselves(make: Any, names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        make()


def test_basic_processing_sends_only_speech() -> None:
    engine = AudioEngine(mode=ProcessingMode.REALTIME)
    sent = []
    for chunk in pieces(speech_bytes() + bytes(48_000)):
        if engine.validate_audio(chunk):
            processed = engine.process_audio(chunk)
            if engine.process_vad_chunk(processed) in ["speech", "speech_starting"]:
                sent.append(processed)
    assert 50 < len(sent) < 150


def test_streaming_with_buffering_forwards_processed_chunks() -> None:
    engine = AudioEngine(mode=ProcessingMode.BALANCED)
    forwarded = [chunk for piece in pieces(speech_bytes(), 700) if (chunk := engine.add_to_stream_buffer(piece))]
    assert forwarded
    assert all(len(chunk) % 4800 == 0 for chunk in forwarded)


def test_metrics_and_report_read_as_documented() -> None:
    engine = AudioEngine(mode=ProcessingMode.REALTIME, logger=logging.getLogger("test"))
    for chunk in pieces(speech_bytes()):
        engine.add_to_stream_buffer(chunk)
        engine.process_vad_chunk(chunk)
    metrics = engine.get_metrics()
    assert metrics["avg_latency_ms"] > 0.0
    assert metrics.get("vad", {}).get("current_state") in list(VADState)
    assert metrics.get("stream_buffer", {}).get("available_bytes", 0) >= 0
    assert metrics.get("buffer_pool", {}).get("in_use", 0) == 0
    assert engine.get_performance_report()["performance"]["realtime_capable"]


def test_tts_audio_is_queued_or_checked() -> None:
    engine = AudioEngine()
    tts = speech_bytes()
    engine.queue_playback(tts)
    engine.mark_playback_complete()
    assert engine.validate_audio(tts)
    assert engine.read_playback(20) == tts[:960]
    position = engine.playback_position()
    assert position.played_ms == pytest.approx(20.0)
    engine.interrupt_playback(force=True)
    after = engine.playback_position()
    assert after.interrupted
    assert after.played_ms + after.pending_ms + after.queued_ms + after.discarded_ms == pytest.approx(len(tts) / 48)


def test_without_hardware_the_documented_unit_test_passes() -> None:
    engine = AudioEngine(mode=ProcessingMode.REALTIME)
    test_audio = bytes(48000)
    assert engine.validate_audio(test_audio)
    assert len(list(engine.chunk_audio_generator(test_audio, chunk_ms=20))) == 50
    assert engine.process_vad_chunk(test_audio[:960]) == "silence"


def test_factories_make_what_they_are_named_for() -> None:
    fast = create_fast_lane_engine(sample_rate=16000, chunk_duration_ms=10, vad_config=VADConfig(adaptive=True))
    assert (fast.mode, fast.config.sample_rate, fast.config.chunk_duration_ms) == (ProcessingMode.REALTIME, 16000, 10)
    assert fast.latency_ms == 0.0
    big = create_big_lane_engine(enable_enhancement=True)
    assert big.mode is ProcessingMode.QUALITY
    assert "denoise" in big.get_metrics()["pipeline"]
    assert "denoise" not in create_big_lane_engine(enable_enhancement=False).get_metrics()["pipeline"]
    tight, loose = create_adaptive_engine(latency_target_ms=10.0), create_adaptive_engine()
    assert tight.mode is loose.mode is ProcessingMode.BALANCED
    assert tight.latency_ms <= 10.0 < loose.latency_ms <= 50.0


def test_devices_are_used_only_where_local_testing_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENABLE_LOCAL_TESTING", raising=False)
    engine = create_fast_lane_engine(input_device=None)
    with pytest.raises(StateError, match="ENABLE_LOCAL_TESTING=1"):
        engine.start_capture_stream()
    monkeypatch.setenv("ENABLE_LOCAL_TESTING", "1")
    assert create_fast_lane_engine().local_testing
    assert not create_fast_lane_engine(enable_local_testing=False).local_testing


def test_other_documented_names_are_there() -> None:
    assert BufferPool(2, 960).available == 2
    assert AudioMetrics().to_dict()["total_chunks"] == 0
    assert isinstance(AudioProcessor().analyze_audio(bytes(960)), AudioMetadata)
