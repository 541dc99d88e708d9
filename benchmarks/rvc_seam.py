"""What is heard where blocks are joined: menura's scheme and RVC's own beside one conversion of the whole.

python -m benchmarks.rvc_seam [--folder DIRECTORY] [--seconds 8] [--context 1.0] [--threads 2]

Both schemes are given the same networks, blocks, context, delay and pitch, and no randomness. RVC's begins a new phase
in each block, so samples cannot be compared: what is, is spectra of 20 ms, every 2.5 ms, each at the moment of audio
that it is of (for RVC's, where SOLA has put it). Weights are random.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rvc_weights import save_all
from benchmarks.tables import machine, number, table
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.neural.content import ContentModel
from menura.neural.files.later import hubert_later, rmvpe_later, voice_later
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import RmvpePitch
from menura.neural.stream.blocks import RvcBlocks
from menura.neural.stream.features import widen
from menura.neural.stream.model import RvcModel, run
from menura.neural.stream.official import OfficialShape, OfficialStream
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.synthesizer import Synthesizer
from tests.speech import all_speech

Floats = NDArray[np.float32]
RATE, INNER, FRAME = 48_000, 16_000, 160
BLOCK, DELAY = 24, 6
"""Frames; the official scheme's delay is a crossfade of 50 ms and a search of 10."""
WINDOW, HOP = RATE // 50, RATE // 400
FLOOR = 1e-4
"""Of the loudest magnitude: below, a difference is not heard."""
SETTINGS = RvcSettings(gate_db=-120.0, noise=0.0)
Moments = list[tuple[int, Floats]]
"""What was heard, block by block, each with the sample of the whole that it begins with."""


class Known:
    """The pitch of the whole, for a stream that asks once a block."""

    def __init__(self, f0: NDArray[np.float64]) -> None:
        self._f0, self._end = f0, 0

    def pitch(self, wav: Floats) -> NDArray[np.float64]:
        self._end += BLOCK
        places = np.arange(wav.shape[1] // FRAME + 1) + self._end - wav.shape[1] // FRAME
        known = (places >= 0) & (places < len(self._f0))
        return np.where(known, self._f0[np.clip(places, 0, len(self._f0) - 1)], 0.0)[None]


def _load(folder: Path, threads: int) -> RvcModel:
    options = RuntimeOptions(threads=threads)
    content, voice = hubert_later(folder / "hubert"), voice_later(folder / "voice.pth")
    pitch = rmvpe_later(folder / "rmvpe.pt")
    return RvcModel(
        ContentModel(content.config, content.weights, options=options),
        Synthesizer(voice.config, voice.weights, options),
        RmvpePitch(pitch.config, pitch.weights, options),
    )


def _whole(model: RvcModel, x: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Audio and pitch of one conversion."""
    assert model.finder is not None
    wav = x[None]
    f0 = model.finder.pitch(wav)[:, : len(x) // FRAME]
    phone = widen(model.content.features(wav)[0], f0.shape[1])
    return model.synthesizer.convert(phone[None], f0, model.synthesizer.speaker(0))[0], f0[0]


def _ours(model: RvcModel, x: Floats, context: int) -> Moments:
    blocks = RvcBlocks(model, StreamShape(block=BLOCK, context=context, right=DELAY - 1), SETTINGS)
    size, heard = BLOCK * FRAME, []
    for index in range(len(x) // size):
        y = run(model, blocks.steps(x[index * size : (index + 1) * size]))
        heard.append(((index * BLOCK - DELAY) * blocks.hop, y))
    return heard


def _official(model: RvcModel, x: Floats, context: int) -> Moments:
    shape = OfficialShape(RATE, BLOCK / 100, extra_s=context / 100)
    stream, heard = OfficialStream(model, shape, SETTINGS), []
    for index in range(len(x) // shape.block):
        y = stream.process(x[index * shape.block : (index + 1) * shape.block])
        heard.append(((index * BLOCK - DELAY) * shape.hop + stream.offset, y))
    return heard


def _spectrum(x: Floats, at: int, loudest: float) -> NDArray[np.float64]:
    part = x[at : at + WINDOW] * np.hanning(WINDOW)
    return 20.0 * np.log10(np.maximum(np.abs(np.fft.rfft(part)), FLOOR * loudest))


def _distances(heard: Moments, whole: Floats, first: int) -> NDArray[np.float64]:
    """dB between spectra, ``[blocks, places]``: windows that begin before the seam reach into the block before."""
    y = np.concatenate([part for _, part in heard])
    size, rows = BLOCK * RATE // 100, []
    loudest = float(np.abs(whole).max() * np.hanning(WINDOW).sum() / 2)
    for index in range(first, len(heard) - 1):
        start = heard[index][0]
        row = []
        for place in range(-WINDOW // 2, size - WINDOW // 2, HOP):
            one = _spectrum(y, index * size + place, loudest)
            other = _spectrum(whole, start + place, loudest)
            row.append(float(np.sqrt(np.mean((one - other) ** 2))))
        rows.append(row)
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--context", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    seconds, context = 4.0 if asked.quick else asked.seconds, round(asked.context * 50) * 2
    speech = all_speech(RATE)[: round(seconds * 100) // BLOCK * BLOCK * RATE // 100]
    x = process_whole(Resampler(RATE, INNER), speech)[:, 0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        save_all(folder)
        model = _load(folder, asked.threads)
        whole, f0 = _whole(model, x)
        rows, first = [], context // BLOCK + 1
        schemes: dict[str, Callable[[RvcModel], Moments]] = {
            "menura": lambda one: _ours(one, x, context),
            "official": lambda one: _official(one, speech[:, 0], context),
        }
        for name, scheme in schemes.items():
            made = _distances(scheme(RvcModel(model.content, model.synthesizer, Known(f0))), whole, first)
            near, far = made[:, : 2 * WINDOW // HOP], made[:, 2 * WINDOW // HOP :]
            rows.append([name, *(number(v) for v in (near.mean(), np.percentile(near, 95), far.mean()))])
            rows[-1].append(number(np.percentile(far, 95)))
    head = ["scheme", "40 ms at a seam: mean dB", "95 %", "elsewhere: mean dB", "95 %"]
    cut = f"blocks {BLOCK * 10} ms, context {context * 10} ms, delay {DELAY * 10} ms"
    note = f"Distance of spectra from one conversion; {cut}"
    print(machine(), "\n\n" + table(head, rows, note))


if __name__ == "__main__":
    main()
