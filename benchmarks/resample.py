"""menura's streaming resampler beside soxr's stream, pipecat's (soxr VHQ, 16 bit) and libswresample; 20 ms chunks.

python -m benchmarks.resample
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.measures import lag, tone_fit
from benchmarks.tables import machine, number, table

Block = NDArray[np.float32]
Stream = Callable[[Block], Block]
PAIRS = (
    (24_000, 16_000),
    (48_000, 16_000),
    (16_000, 48_000),
    (44_100, 48_000),
    (48_000, 44_100),
    (24_000, 8_000),
    (8_000, 24_000),
)
SECONDS = 4


def _ours(rate_in: int, rate_out: int) -> Stream:
    from menura.dsp.resample import Resampler

    stage = Resampler(rate_in, rate_out, 1)
    return lambda x: stage.process(x[:, None])[:, 0]


def _soxr(rate_in: int, rate_out: int) -> Stream:
    stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="HQ")
    return lambda x: np.asarray(stream.resample_chunk(x))


def _av(rate_in: int, rate_out: int) -> Stream:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_out)

    def process(x: Block) -> Block:
        frame = av.AudioFrame.from_ndarray(x[None, :], format="flt", layout="mono")
        frame.sample_rate = rate_in
        parts = [made.to_ndarray().reshape(-1) for made in resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    return process


def _pipecat(rate_in: int, rate_out: int) -> Stream:
    """16 bit in and out; its coroutine never waits, so one step runs it through."""
    from loguru import logger

    logger.remove()
    from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler

    resampler = SOXRStreamAudioResampler(clear_after_secs=None)

    def process(x: Block) -> Block:
        data = np.round(np.clip(x, -1.0, 32767 / 32768) * 32768).astype(np.int16).tobytes()
        coroutine = resampler.resample(data, rate_in, rate_out)
        try:
            coroutine.send(None)
        except StopIteration as done:
            return np.frombuffer(done.value, np.int16).astype(np.float32) / 32768
        raise RuntimeError("pipecat's resampler waited")

    return process


MAKERS: dict[str, Callable[[int, int], Stream]] = {
    "menura": _ours,
    "soxr stream HQ": _soxr,
    "pipecat": _pipecat,
    "PyAV": _av,
}


def _run(stream: Stream, x: NDArray[Any], rate_in: int) -> tuple[NDArray[np.float64], list[int], list[int]]:
    """Everything out, frames per 20 ms chunk, and nanoseconds per chunk."""
    chunk = rate_in // 50
    out, sizes, times = [], [], []
    for start in range(0, len(x) - chunk + 1, chunk):
        block = x[start : start + chunk].astype(np.float32)
        began = time.thread_time_ns()
        y = stream(block)
        times.append(time.thread_time_ns() - began)
        sizes.append(len(y))
        out.append(y.astype(np.float64))
    return np.concatenate(out), sizes, times


def _delay_ms(stream: Stream, rate_in: int, rate_out: int) -> tuple[float, float]:
    """True delay (lag of the samples plus the largest shortage), and the share of chunks that are not 20 ms."""
    noise = np.random.default_rng(1).normal(0, 0.1, SECONDS * rate_in)
    y, sizes, _ = _run(stream, noise, rate_in)
    reference = soxr.resample(noise, rate_in, rate_out, quality="VHQ")[: len(y)]
    content = lag(reference, y)
    fed = rate_out / 50 * np.arange(1, len(sizes) + 1)
    short = max(0.0, float((fed - np.cumsum(sizes)).max()))
    uneven = 100 * np.mean(np.array(sizes[1:]) != rate_out // 50)
    return 1e3 * (content + short) / rate_out, float(uneven)


def _tone(hz: float, rate: int) -> NDArray[np.float64]:
    return np.asarray(0.5 * np.sin(2 * np.pi * hz * np.arange(SECONDS * rate) / rate))


def _snr_db(make: Stream, rate_in: int, rate_out: int, hz: float) -> float:
    y, _, _ = _run(make, _tone(hz, rate_in), rate_in)
    return tone_fit(y[rate_out : 2 * rate_out], rate_out, hz).snr_db


def _alias_db(stream: Stream, rate_in: int, rate_out: int) -> float | None:
    """Level of what is left of a tone 20 % above the new Nyquist frequency; only going down has such."""
    hz = 0.6 * rate_out
    if hz >= 0.48 * rate_in:
        return None
    y, _, _ = _run(stream, _tone(hz, rate_in), rate_in)
    return float(20 * np.log10(np.sqrt(2 * np.mean(y[rate_out : 2 * rate_out] ** 2)) / 0.5 + 1e-9))


def row(name: str, rate_in: int, rate_out: int) -> list[str]:
    """One resampler on one pair of rates."""
    make = MAKERS[name]
    lower = min(rate_in, rate_out)
    delay, uneven = _delay_ms(make(rate_in, rate_out), rate_in, rate_out)
    low = _snr_db(make(rate_in, rate_out), rate_in, rate_out, 997.0 * lower / 48_000 * 3)
    high = _snr_db(make(rate_in, rate_out), rate_in, rate_out, 0.4 * lower)
    _, _, times = _run(make(rate_in, rate_out), _tone(440.0, rate_in), rate_in)
    cells = [number(delay, 2), number(uneven, 0), number(low, 0), number(high, 0)]
    cells += [number(_alias_db(make(rate_in, rate_out), rate_in, rate_out), 0), number(float(np.median(times)) / 1e3)]
    return [f"{name} {rate_in}>{rate_out}", *cells]


HEAD = ["resampler", "delay ms", "uneven chunks %", "low tone dB", "0.8 Nyquist dB", "alias dB", "µs a chunk"]


def main() -> None:
    """Print the table."""
    print(f"Streaming resamplers, 20 ms chunks, mono; {machine()}")
    makers = [name for name in MAKERS if name != "pipecat" or find_spec("pipecat")]
    rows = [row(name, *pair) for pair in PAIRS for name in makers]
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
