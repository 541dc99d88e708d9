"""The examples of the AudioStream guide, as they were written for another package; only the imports are ours."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura import AudioStream, ProcessingContext
from menura.audio.segment import to_segment

AudioSegment = type(to_segment(AudioStream()))


async def generate_sine_wave() -> AudioStream:
    context = ProcessingContext()
    duration = 1.0
    sample_rate = 44100
    t = np.linspace(0, duration, int(sample_rate * duration))
    audio = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    return await context.audio_stream_from_numpy(
        audio,
        sample_rate=sample_rate,
        channels=1,
        timestamp=(0.0, duration),
        metadata={"frequency": 440, "waveform": "sine"},
    )


async def apply_volume_effect(stream: AudioStream, volume_factor: float = 0.5) -> AudioStream:
    context = ProcessingContext()
    samples = await context.audio_stream_to_numpy(stream, dtype="float32")
    processed = samples * volume_factor
    return await context.audio_stream_from_numpy(
        processed,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        timestamp=stream.timestamp,
        metadata={**stream.metadata, "effect": f"volume_{volume_factor}"},
    )


async def chunk_audio_for_streaming(audio_array: np.ndarray, chunk_duration: float = 0.5) -> list[AudioStream]:
    context = ProcessingContext()
    sample_rate = 44100
    chunk_size = int(sample_rate * chunk_duration)
    chunks: list[AudioStream] = []
    for i in range(0, len(audio_array), chunk_size):
        chunk_data = audio_array[i : i + chunk_size]
        start_time = i / sample_rate
        end_time = (i + len(chunk_data)) / sample_rate
        stream = await context.audio_stream_from_numpy(
            chunk_data,
            sample_rate=sample_rate,
            channels=1,
            timestamp=(start_time, end_time),
            metadata={"chunk_index": len(chunks)},
        )
        chunks.append(stream)
    return chunks


async def create_stereo_stream(
    left_audio: np.ndarray, right_audio: np.ndarray, sample_rate: int = 44100
) -> AudioStream:
    context = ProcessingContext()
    stereo = np.empty(len(left_audio) * 2, dtype=np.float32)
    stereo[0::2] = left_audio
    stereo[1::2] = right_audio
    return await context.audio_stream_from_numpy(
        stereo, sample_rate=sample_rate, channels=2, metadata={"type": "stereo"}
    )


async def convert_between_formats(source: Path, target: Path) -> None:
    context = ProcessingContext()
    with source.open("rb") as file:
        segment = AudioSegment.from_file(file, format="wav")
    stream = await context.audio_stream_from_segment(segment)
    samples = await context.audio_stream_to_numpy(stream, dtype="float32")
    processed = samples * 0.8
    new_stream = await context.audio_stream_from_numpy(
        processed, sample_rate=stream.sample_rate, channels=stream.channels
    )
    output_segment = await context.audio_stream_to_segment(new_stream)
    output_segment.export(target, format="wav").close()


def test_structure_has_the_fields_of_the_guide() -> None:
    stream = AudioStream(
        type="audio_stream",
        data=bytes(88_200),
        sample_rate=44100,
        channels=1,
        sample_width=2,
        format="pcm_s16le",
        timestamp=(0.0, 1.0),
        metadata={"key": "value"},
    )
    assert stream.duration_seconds() == 1.0


def test_example_1_and_2_sine_at_half_volume() -> None:
    stream = asyncio.run(generate_sine_wave())
    assert (stream.type, stream.duration_seconds(), stream.timestamp) == ("audio_stream", 1.0, (0.0, 1.0))
    quiet = asyncio.run(apply_volume_effect(stream))
    assert quiet.metadata == {"frequency": 440, "waveform": "sine", "effect": "volume_0.5"}
    assert np.abs(quiet.to_block()).max() == pytest.approx(0.5, abs=1e-4)


def test_example_3_chunks_of_half_a_second() -> None:
    audio = np.sin(np.arange(50_000) / 9)
    chunks = asyncio.run(chunk_audio_for_streaming(audio))
    assert [chunk.frames for chunk in chunks] == [22_050, 22_050, 5900]
    assert chunks[2].timestamp == (1.0, 50_000 / 44_100)
    np.testing.assert_allclose(np.concatenate([chunk.to_block() for chunk in chunks])[:, 0], audio, atol=1 / 32768)


def test_example_4_stereo() -> None:
    left, right = np.full(100, 0.25), np.full(100, -0.25)
    stream = asyncio.run(create_stereo_stream(left, right))
    assert (stream.channels, stream.frames) == (2, 100)
    assert stream.to_block()[7].tolist() == [0.25, -0.25]


def test_example_5_through_segments(tmp_path: Path) -> None:
    asyncio.run(chunk_audio_for_streaming(np.zeros(1)))
    tone = asyncio.run(generate_sine_wave())
    to_segment(tone).export(tmp_path / "input.wav", format="wav").close()
    asyncio.run(convert_between_formats(tmp_path / "input.wav", tmp_path / "output.wav"))
    with (tmp_path / "output.wav").open("rb") as file:
        result = AudioSegment.from_file(file, format="wav")
    assert result.duration_seconds == 1.0
    assert result.max / 32768 == pytest.approx(0.8, abs=1e-3)


def test_segment_with_its_own_duration_as_timestamp() -> None:
    async def main() -> AudioStream:
        context = ProcessingContext()
        segment = to_segment(await generate_sine_wave())
        return await context.audio_stream_from_segment(
            audio_segment=segment, timestamp=(0.0, segment.duration_seconds), metadata={"source": "audio.mp3"}
        )

    assert asyncio.run(main()).timestamp == (0.0, 1.0)


def test_channels_carry_what_a_producer_gives_to_a_consumer() -> None:
    heard: list[Any] = []

    async def generate_audio_chunk(i: int) -> AudioStream:
        return AudioStream(data=bytes(882), timestamp=(i / 100, (i + 1) / 100))

    async def process_audio_stream(stream: AudioStream) -> AudioStream:
        heard.append(stream.timestamp)
        return await apply_volume_effect(stream)

    async def stream_audio_chunks() -> list[str]:
        context = ProcessingContext()
        manager = context.get_channel_manager()
        await manager.create_channel("audio_input", message_type=AudioStream)

        async def producer() -> None:
            for i in range(10):
                chunk = await generate_audio_chunk(i)
                await manager.publish("audio_input", chunk)

        async def consumer() -> None:
            async for stream in manager.subscribe("audio_input", "processor"):
                processed = await process_audio_stream(stream)
                await manager.publish("audio_output", processed)

        consuming = asyncio.create_task(consumer())
        await asyncio.sleep(0)
        await producer()
        assert manager.list_channels() == ["audio_input"], "a name that is only published to leaves nothing behind"
        assert manager.stats("audio_input").gaps == 0
        await manager.close_channel("audio_input")
        await consuming
        return manager.list_channels()

    assert asyncio.run(asyncio.wait_for(stream_audio_chunks(), 30)) == []
    assert heard == [(i / 100, (i + 1) / 100) for i in range(10)]
