"""menura's engine beside voxstream 0.1.0, chunk by chunk; G.711 beside a plain table look-up; memory over a million.

python -m benchmarks.engine [--quick]

Both engines get the same 20 ms chunks (24 kHz, 16 bit, mono, speech and pauses) in the same process, turn by turn.
The figure is the median over repeats; beside the speed stands how far the two agree on what they report.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import machine, number, table
from menura import (
    AudioConfig,
    AudioEngine,
    AudioFormat,
    AudioProcessor,
    FastVADDetector,
    ProcessingMode,
    VADConfig,
    read_audio,
)

RATE, CHUNK = 24_000, 960
Call = Callable[[bytes], Any]


def chunks() -> list[bytes]:
    """Speech with pauses, as 20 ms chunks."""
    parts: list[NDArray[np.float32]] = []
    for name in ("af_heart_u1", "am_michael_u2", "bf_emma_u3"):
        x, _ = read_audio(f"tests/fixtures/speech/{name}.flac")
        parts += [x[:, 0], np.zeros(RATE // 2, np.float32)]
    x = np.concatenate(parts) + 0.001 * np.random.default_rng(1).standard_normal(sum(map(len, parts)))
    data = np.round(np.clip(x, -1, 0.9999) * 32768).astype("<i2").tobytes()
    return [data[i : i + CHUNK] for i in range(0, len(data) - CHUNK + 1, CHUNK)]


def ours() -> dict[str, Call]:
    """What menura does with a chunk in REALTIME."""
    engine = AudioEngine(ProcessingMode.REALTIME, AudioConfig(chunk_duration_ms=20))
    vad = FastVADDetector(VADConfig(), AudioConfig())

    def together(chunk: bytes) -> Any:
        engine.validate_audio(chunk)
        return engine.process_vad_chunk(engine.process_audio(chunk))

    engine.configure_vad(VADConfig())
    return {
        "validate": AudioProcessor(mode=ProcessingMode.REALTIME).validate_format,
        "process": AudioProcessor(mode=ProcessingMode.REALTIME).process_realtime,
        "VAD (energy)": vad.process_chunk,
        "all three": together,
    }


def voxstream() -> dict[str, Call] | None:
    """The same of voxstream, a descendant of the same document; ``None`` where it is not installed."""
    try:
        from voxstream.config import types
        from voxstream.core.stream import VoxStream
        from voxstream.voice import vad as voice
    except ImportError:
        return None
    config = types.StreamConfig(sample_rate=RATE, chunk_duration_ms=20)
    engine = VoxStream(mode=types.ProcessingMode.REALTIME, config=config)
    detector = voice.VADetector(types.VADConfig(), config)

    def together(chunk: bytes) -> Any:
        engine.processor.validate_format(chunk)
        return detector.process_chunk(engine.process_audio(chunk))

    return {
        "validate": engine.processor.validate_format,
        "process": engine.process_audio,
        "VAD (energy)": detector.process_chunk,
        "all three": together,
    }


def cost_us(call: Call, data: list[bytes]) -> float:
    """Microseconds a chunk, over one pass."""
    began = time.perf_counter()
    for chunk in data:
        call(chunk)
    return (time.perf_counter() - began) / len(data) * 1e6


def compare(data: list[bytes], repeats: int) -> list[list[str]]:
    """One row per operation: ours, theirs, ratio."""
    mine, theirs = ours(), voxstream()
    rows = []
    for name, call in mine.items():
        own, other = [], []
        for _ in range(repeats):
            own.append(cost_us(call, data))
            if theirs:
                other.append(cost_us(theirs[name], data))
        a, b = float(np.median(own)), float(np.median(other)) if other else None
        rows.append([name, number(a, 2), number(b, 2), number(b / a if b else None, 1)])
    return rows


def agreement(data: list[bytes]) -> str:
    """Share of chunks on which both say speech or both say none."""
    theirs = voxstream()
    if theirs is None:
        return "voxstream is not installed"
    speaking = {"speech", "speech_ending"}
    vad = FastVADDetector(VADConfig(), AudioConfig())
    same = [(str(vad.process_chunk(c)) in speaking) == (theirs["VAD (energy)"](c).value in speaking) for c in data]
    return f"states agree on {100 * np.mean(same):.1f} % of {len(data)} chunks"


def g711(repeats: int) -> list[list[str]]:
    """Encoding and decoding a 20 ms chunk beside indexing one table; samples that differ."""
    rng = np.random.default_rng(2)
    pcm = rng.integers(-32768, 32768, 160).astype("<i2").tobytes()
    processor = AudioProcessor()
    rows = []
    for form in (AudioFormat.G711_ULAW, AudioFormat.G711_ALAW):
        every = np.arange(65_536, dtype=np.uint16).view(np.int16).astype("<i2").tobytes()
        up = np.frombuffer(processor.encode(every, form), np.uint8)
        down = np.frombuffer(processor.decode(bytes(range(256)), form), "<i2")
        code = processor.encode(pcm, form)
        pairs: dict[str, tuple[Call, Call]] = {
            "encode": (
                lambda _, f=form: processor.encode(pcm, f),
                lambda _, t=up: t[np.frombuffer(pcm, np.uint16)].tobytes(),
            ),
            "decode": (
                lambda _, f=form, c=code: processor.decode(c, f),
                lambda _, t=down, c=code: t[np.frombuffer(c, np.uint8)].tobytes(),
            ),
        }
        for name, (call, reference) in pairs.items():
            own, bare = [], []
            for _ in range(repeats):
                own.append(cost_us(call, [b""] * 2000))
                bare.append(cost_us(reference, [b""] * 2000))
            a, b = float(np.median(own)), float(np.median(bare))
            wrong = int(np.count_nonzero(np.frombuffer(call(b""), np.uint8) != np.frombuffer(reference(b""), np.uint8)))
            rows.append([f"{form.value} {name}", number(a, 2), number(b, 2), number(a / b, 2), str(wrong)])
    return rows


def modes(data: list[bytes]) -> list[list[str]]:
    """Each mode's delay and cost."""
    rows = []
    for mode in ProcessingMode:
        engine = AudioEngine(mode, AudioConfig(chunk_duration_ms=20))
        for chunk in data:
            engine.process_audio(chunk)
        figures, report = engine.get_metrics(), engine.get_performance_report()
        rows.append(
            [mode.value, number(engine.latency_ms), number(1e3 * figures["p50_latency_ms"]),
             number(1e3 * figures["p99_latency_ms"]), number(100 * figures["load"], 2),
             str(report["latency"]["within_target"])]
        )  # fmt: skip
    return rows


def growth(data: list[bytes], count: int) -> str:
    """Memory before and after many chunks through everything a REALTIME session uses."""
    engine = AudioEngine(ProcessingMode.REALTIME, AudioConfig(chunk_duration_ms=20))
    engine.configure_vad(VADConfig(adaptive=True))

    def run(n: int) -> None:
        for i in range(n):
            chunk = data[i % len(data)]
            engine.validate_audio(chunk)
            engine.process_vad_chunk(engine.process_audio(chunk))
            engine.add_to_stream_buffer(chunk)

    run(20_000)
    gc.collect()
    blocks, peak = _blocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(count)
    gc.collect()
    more_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    return f"{count} chunks: {_blocks() - blocks:+d} allocated blocks, peak memory {more_kb:+d} kB"


def _blocks() -> int:
    import sys

    return sys.getallocatedblocks()


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, 100,000 chunks")
    quick = parser.parse_args().quick
    data = chunks()
    repeats = 7 if quick else 31
    print(f"Engine, 20 ms chunks at 24 kHz, µs a chunk; {machine()}")
    print(table(["REALTIME", "menura", "voxstream", "times faster"], compare(data, repeats)))
    print(agreement(data) + "\n")
    print(table(["G.711, 20 ms at 8 kHz", "menura", "table", "ratio", "differing"], g711(repeats)) + "\n")
    print(table(["mode", "delay ms", "p50 µs", "p99 µs", "load %", "within target"], modes(data)) + "\n")
    print(growth(data, 100_000 if quick else 1_000_000))


if __name__ == "__main__":
    main()
