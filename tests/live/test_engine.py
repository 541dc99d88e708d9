"""AudioEngine with this machine's devices, which here are synthetic."""

import asyncio
import logging
import threading
from typing import Any

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.audio.opus import OggOpusEncoder
from menura.devices.synthetic_oneway import SyntheticInput, SyntheticOutput
from menura.engine.config import BufferConfig, ProcessingMode
from menura.errors import DeviceError, StateError
from menura.live.capture import DirectAudioCapture
from menura.live.engine import AudioEngine
from menura.live.player import BufferedAudioPlayer

FAST = AudioConfig(chunk_duration_ms=20)


def tone(frames: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 300 * np.arange(frames) / 24_000)).astype(np.float32)[:, None]


def pcm(x: np.ndarray) -> bytes:
    return np.round(x * 32768).astype("<i2").tobytes()


class Desk:
    """An engine with a synthetic microphone and loudspeaker."""

    def __init__(self) -> None:
        self.microphone = SyntheticInput(24_000)
        self.speaker = SyntheticOutput(24_000)
        self.asked: list[Any] = []
        self.engine = AudioEngine(
            ProcessingMode.REALTIME, FAST, input_device="mic", output_device="speaker", enable_local_testing=True
        )
        self.engine.make_capture = self._capture
        self.engine.make_player = self._player

    def _capture(self, config: AudioConfig, device: Any) -> DirectAudioCapture:
        return DirectAudioCapture(config, device, open_port=self._open(self.microphone))

    def _player(self, config: AudioConfig, device: Any) -> BufferedAudioPlayer:
        return BufferedAudioPlayer(config, device, open_port=self._open(self.speaker))

    def _open(self, port: Any) -> Any:
        def open_port(device: Any, **_: Any) -> Any:
            self.asked.append(device)
            return port

        return open_port


@pytest.mark.parametrize("awaited", [True, False])
def test_microphone_gives_chunks_as_a_client_would(awaited: bool) -> None:
    desk = Desk()
    x = tone(4800)

    async def run() -> list[bytes]:
        stream = desk.engine.start_capture_stream()
        if awaited:
            stream = await stream
        desk.microphone.feed(x)
        desk.microphone.pump(4800)
        got = [desk.engine.process_audio(await anext(stream)) for _ in range(10)]
        await desk.engine.stop_capture_stream()
        desk.engine.stop_capture_stream()
        return [*got, *[chunk async for chunk in stream]]

    chunks = asyncio.run(run())
    assert desk.asked == ["mic"]
    assert [len(chunk) for chunk in chunks] == [960] * 10
    assert b"".join(chunks) == pcm(x)
    assert desk.engine.process_vad_chunk(chunks[0]) in ("silence", "speech_starting")


def test_microphone_is_captured_once_at_a_time_and_again_later() -> None:
    desk = Desk()
    desk.engine.start_capture_stream()
    with pytest.raises(StateError, match="stop_capture_stream"):
        desk.engine.start_capture_stream()
    assert desk.engine.get_metrics()["capture"]["chunks"] == 0
    desk.engine.stop_capture_stream()
    desk.microphone = SyntheticInput(24_000)
    desk.engine.start_capture_stream()
    desk.engine.close()


def test_a_log_handler_may_read_the_figures() -> None:
    engine, seen = AudioEngine(ProcessingMode.REALTIME, FAST, logger=logging.Logger("own")), []

    class Figures(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage(), engine.get_metrics()["mode"]))

    engine.logger.addHandler(Figures())
    run = threading.Thread(target=lambda: (engine.process_audio(b"1"), engine.optimize_for_quality()), daemon=True)
    run.start()
    run.join(10.0)
    assert not run.is_alive()
    assert len(seen) == 2


def test_a_microphone_that_was_lost_can_be_opened_again() -> None:
    desk = Desk()

    async def run() -> bytes:
        stream = desk.engine.start_capture_stream()
        desk.microphone.unplug()
        with pytest.raises(DeviceError):
            await anext(stream)
        desk.microphone = SyntheticInput(24_000)
        stream = desk.engine.start_capture_stream()
        desk.microphone.pump(480)
        return await anext(stream)

    assert asyncio.run(run()) == bytes(960)
    desk.engine.close()


def test_a_microphone_that_cannot_be_opened_leaves_the_engine_usable() -> None:
    desk = Desk()

    def fail(device: Any, **_: Any) -> Any:
        raise DeviceError("Audio device not available: nothing here")

    desk.engine.make_capture = lambda config, device: DirectAudioCapture(config, device, open_port=fail)
    with pytest.raises(DeviceError, match="nothing here"):
        desk.engine.start_capture_stream()
    assert desk.engine.process_audio(bytes(960)) == bytes(960)
    desk.engine.make_capture = desk._capture
    desk.engine.start_capture_stream()
    desk.engine.close()


def test_what_is_queued_is_heard_and_truncated_at_what_was() -> None:
    desk = Desk()
    x = tone(24_000)
    with desk.engine as engine:
        engine.queue_playback(pcm(x), "reply")
        engine.mark_playback_complete()
        assert engine.is_playing
        player = engine._player
        assert player is not None
        for _ in range(30):
            desk.speaker.pump(480)
            player.wait(0.02)
        engine.interrupt_playback(force=True)
        position = engine.playback_position("reply")
        assert position.interrupted
        heard = np.flatnonzero(np.abs(desk.speaker.heard[:, 0]) > 1e-3)
        assert position.played_ms == pytest.approx((heard[-1] - heard[0]) / 24.0, abs=25.0)
        assert engine.get_metrics()["player"]["is_playing"] in (True, False)
    assert desk.asked == ["speaker"]


def test_opus_is_heard_to_its_last_sample() -> None:
    desk = Desk()
    encoder = OggOpusEncoder(24_000)
    data = encoder.encode(tone(24_000)) + encoder.flush()
    with desk.engine as engine:
        engine.queue_playback(data, "reply")
        engine.mark_playback_complete()
        position = engine.playback_position("reply")
        total = position.played_ms + position.pending_ms + position.queued_ms
        assert total == pytest.approx(1000.0, abs=5.0)
        engine.queue_playback(b"odd")
        assert engine.get_metrics()["playback"]["refused"]


def test_closing_twice_is_fine() -> None:
    desk = Desk()
    desk.engine.queue_playback(bytes(960))
    desk.engine.close()
    desk.engine.close()
    assert not desk.engine.is_playing


@pytest.mark.parametrize("jitter", [False, True])
def test_one_thread_adds_while_another_reads_and_a_third_looks(jitter: bool) -> None:
    engine = AudioEngine(ProcessingMode.REALTIME, FAST, BufferConfig(jitter=jitter))
    engine.read_stream_buffer()
    chunk, stop = pcm(tone(480)), threading.Event()
    sizes: set[int] = set()
    wrong: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            sizes.add(len(engine.read_stream_buffer(20) or b""))

    def look() -> None:
        while not stop.is_set():
            figures = engine.get_metrics()
            stats = figures["stream_buffer"]
            if figures["bytes_in"] != figures["bytes_out"] + figures["bytes_dropped"]:
                wrong.append(figures)
            if stats["total_added"] != stats["total_consumed"] + stats["dropped_bytes"] + stats["available_bytes"]:
                wrong.append(stats)
            engine.totals()
            engine.gauges()

    threads = [threading.Thread(target=work) for work in (read, look)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        engine.add_to_stream_buffer(chunk)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sizes <= {0, 960}
