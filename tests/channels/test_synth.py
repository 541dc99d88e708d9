"""The modular synthesizer of examples/, by what is heard."""

import asyncio
import runpy
from pathlib import Path

import numpy as np

from menura.audio.files import read_audio
from menura.units import db_to_gain, gain_to_db


def level_db(x: np.ndarray, rate: int, freq_hz: float) -> float:
    """Of a sine of this frequency in a stretch of audio."""
    window = np.hanning(len(x))
    turns = np.exp(-2j * np.pi * freq_hz * np.arange(len(x)) / rate)
    return gain_to_db(2 * abs(np.sum(x * window * turns)) / window.sum())


def test_synthesizer_sounds_as_wired(tmp_path: Path) -> None:
    example = runpy.run_path("examples/modular_synth.py")
    patch = example["wire"](tmp_path / "synth.wav", seconds=4.0)
    asyncio.run(patch.run())
    assert all(part.error is None for part in patch.stats().values())
    x, rate = read_audio(tmp_path / "synth.wav")
    assert (x.shape, rate) == ((4 * 48_000, 2), 48_000)
    assert 0.1 < np.abs(x).max() <= db_to_gain(-0.1) + 1e-4
    assert np.corrcoef(x.T)[0, 1] < 0.95, "the effects make it wide"
    mono = x.mean(axis=1)
    # the saws' fundamentals stand out, and nothing lies between the partials of the low one
    assert level_db(mono[: 2 * rate], rate, 110.0) > level_db(mono[: 2 * rate], rate, 165.0) + 20
    # the filter is open at 1 s, where its corner is two octaves up, and closed at 3 s, two octaves down
    opened, closed = (mono[round((t - 0.3) * rate) : round((t + 0.3) * rate)] for t in (1.0, 3.0))
    assert level_db(opened, rate, 1760.0) > level_db(closed, rate, 1760.0) + 10
    assert abs(level_db(opened, rate, 110.0) - level_db(closed, rate, 110.0)) < 6
    # the lead swells twice a second, and is there
    assert level_db(mono, rate, 659.26) > -45


def test_lead_is_opened_and_closed_by_the_lfo(tmp_path: Path) -> None:
    example = runpy.run_path("examples/modular_synth.py")
    patch = example["wire"](tmp_path / "synth.wav", seconds=2.0)
    heard: list[np.ndarray] = []
    patch.sink("pulsing", lambda stream: heard.append(stream.to_block()))
    asyncio.run(patch.run())
    y = np.concatenate(heard)[:, 0]
    envelope = np.sqrt(np.convolve(y**2, np.ones(480) / 480, "same"))
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
    assert np.argmax(spectrum) == 4, "four swells in two seconds"
    assert envelope.min() < 0.05 * envelope.max()
