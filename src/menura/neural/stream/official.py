"""RVC's own streaming, sample for sample: what its users know, and what menura's is measured against.

Source:
    The project's real-time client (2024-06 and 2026-07 versions, which agree), as facts: each block is computed anew
    with all its context, and joined to the last by SOLA over the frames nearest to both edges.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import ConfigError
from menura.neural.nets.source import stretch
from menura.neural.pitch import RmvpePitch
from menura.neural.stream.features import mix_index, widen
from menura.neural.stream.model import Request, RvcModel, run
from menura.neural.stream.pitch_track import PitchTrack, as_pitch
from menura.neural.stream.settings import RvcSettings, Unvoiced
from menura.neural.synthesizer import FLOW_CONTEXT, coarse_pitch
from menura.units import st_to_ratio

__all__ = ["OfficialShape", "OfficialStream", "resample"]

Floats = NDArray[np.float32]
Steps = Generator[Request, Any, Floats]
RATE, FRAME = 16_000, 160
CACHE = 1024
"""Frames of pitch that are remembered."""
RMVPE_STEP = 5120
"""Samples in whose multiples RMVPE is given audio: its network halves 32 frames."""
LOWPASS_WIDTH, ROLLOFF = 6, 0.99


@lru_cache(maxsize=16)
def _kernel(down: int, up: int) -> tuple[Floats, int]:
    """Windowed sinc at every phase: ``[up, taps]``, and how far it reaches to each side."""
    base = min(down, up) * ROLLOFF
    width = ceil(LOWPASS_WIDTH * down / base)
    at = np.arange(-width, width + down, dtype=np.float32)[None] / np.float32(down)
    t = (np.arange(0, -up, -1, dtype=np.float32)[:, None] / np.float32(up) + at).astype(np.float64) * base
    t = np.clip(t, -LOWPASS_WIDTH, LOWPASS_WIDTH)
    window = np.cos(t * np.pi / LOWPASS_WIDTH / 2) ** 2
    kernel = np.sinc(t) * window * (base / down)
    return kernel.astype(np.float32), width


def resample(x: Floats, rate_in: int, rate_out: int) -> Floats:
    """Convert a piece by itself, with silence around it, as RVC does for each block.

    Source:
        torchaudio's ``sinc_interp_hann``, as a formula (J. O. Smith, "Digital audio resampling").
    """
    if rate_in == rate_out:
        return x
    common = gcd(rate_in, rate_out)
    down, up = rate_in // common, rate_out // common
    kernel, width = _kernel(down, up)
    padded = np.pad(x, (width, width + down))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1])[::down]
    y = (windows.astype(np.float32) @ kernel.T).reshape(-1)
    return np.ascontiguousarray(y[: ceil(up * len(x) / down)])


def frame_levels(x: Floats, frame: int, hop: int) -> Floats:
    """RMS of windows centred at every hop, the ends padded with zeros."""
    padded = np.pad(x, frame // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop]
    levels: Floats = np.sqrt(np.mean(np.abs(windows) ** 2, axis=1, dtype=np.float32))
    return levels


@dataclass(frozen=True, slots=True)
class OfficialShape:
    """Lengths at the device's rate, all rounded to 10 ms.

    Attributes:
        rate: Hz.
        block_s: New audio for each computation.
        crossfade_s: Of it SOLA takes 40 ms at most.
        extra_s: Context before.
    """

    rate: int
    block_s: float = 0.25
    crossfade_s: float = 0.05
    extra_s: float = 2.5

    def __post_init__(self) -> None:
        if self.rate % 100 or self.block < self.hop or self.crossfade < self.hop:
            raise ConfigError("a rate of whole frames in 10 ms, and block and crossfade of 10 ms at least")
        if self.extra < 0 or self.window > CACHE * self.hop:
            most_s = (CACHE * self.hop - self.crossfade - self.search) / self.rate
            raise ConfigError(f"block and context of the official scheme are {most_s:g} s together at most")

    @property
    def hop(self) -> int:
        """Samples of 10 ms."""
        return self.rate // 100

    def _frames(self, seconds: float) -> int:
        return int(np.round(seconds * self.rate / self.hop)) * self.hop

    @property
    def block(self) -> int:
        """Samples of a block."""
        return self._frames(self.block_s)

    @property
    def crossfade(self) -> int:
        """Samples kept for the crossfade."""
        return self._frames(self.crossfade_s)

    @property
    def extra(self) -> int:
        """Samples of context."""
        return self._frames(self.extra_s)

    @property
    def fade(self) -> int:
        """Samples faded."""
        return min(self.crossfade, 4 * self.hop)

    @property
    def search(self) -> int:
        """Samples among which the place to join is looked for."""
        return self.hop

    @property
    def window(self) -> int:
        """Samples that a computation is given."""
        return self.extra + self.crossfade + self.search + self.block


class OfficialStream:
    """A stream as RVC's real-time client runs it.

    Args:
        model: The voice.
        shape: Its lengths.
        settings: May be replaced between two blocks. Noise is drawn anew for each block, as there.
        rmvpe: Whether pitch is given audio in the lengths that RMVPE takes there; None: if RMVPE finds it.
        seed: Of the noise.

    Attributes:
        offset: Where the last block was joined.
    """

    def __init__(
        self, model: RvcModel, shape: OfficialShape, settings: RvcSettings, *, rmvpe: bool | None = None, seed: int = 0
    ) -> None:
        self.model, self.shape, self.settings, self._rmvpe, self._seed = model, shape, settings, rmvpe, seed
        self.prepare(model)
        self.reset()

    def prepare(self, model: RvcModel) -> None:
        """Have a model's networks ready for these blocks."""
        if prepare := getattr(model.finder, "prepare", None):
            prepare(self._pitch_length(FRAME * self.shape.block // self.shape.hop, model) // FRAME)

    def reset(self) -> None:
        """Forget all audio."""
        shape, size = self.shape, self.shape.window
        self._random = np.random.default_rng(self._seed)
        self._track = PitchTrack(1)
        self._wave: Floats = np.zeros(size, np.float32)
        self._wave_16k: Floats = np.zeros(FRAME * size // shape.hop, np.float32)
        self._levels: Floats = np.zeros(4 * shape.hop, np.float32)
        self._pitch: NDArray[np.int64] = np.zeros(CACHE, np.int64)
        self._f0: NDArray[np.float32] = np.zeros(CACHE, np.float32)
        self._tail: Floats = np.zeros(shape.fade, np.float32)
        window = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, shape.fade, dtype=np.float32)) ** 2
        self._fade_in: Floats = window.astype(np.float32)
        self.offset = 0

    @property
    def speaker_hz(self) -> float:
        """Median of the speaker's pitch; 0 while unknown."""
        return self._track.speaker_hz

    def seed_speaker(self, hz: float) -> None:
        """Tell the median of the speaker's pitch as it was before."""
        self._track.seed(hz)

    def process(self, x: Floats) -> Floats:
        """The next block, ``[block]`` → ``[block]`` at the device's rate."""
        return run(self.model, self.steps(x))

    def steps(self, x: Floats) -> Steps:
        """The same by way of requests. Silence is computed too, as there: what the voice makes of it is heard."""
        shape = self.shape
        made = yield from self._convert(self._take(x))
        y = resample(made, self.model.synthesizer.config.rate, shape.rate)
        if self.settings.rms_mix_rate < 1.0:
            y = self._match(y)
        return self._join(y)

    def listen(self, x: Floats) -> Floats:
        """Remember the next block, and give silence for it."""
        shift = self._take(x) // FRAME
        for cache in (self._pitch, self._f0):
            cache[:-shift] = cache[shift:].copy()
            cache[-shift:] = 0
        shape = self.shape
        return self._join(np.zeros(shape.block + shape.fade + shape.search, np.float32))

    def _take(self, x: Floats) -> int:
        """Remember the next block; its samples at 16 kHz."""
        shape = self.shape
        x = self._gate(x)
        self._wave = np.concatenate([self._wave[shape.block :], x[-shape.block :]])
        self._wave[-len(x) :] = x  # the gate gives a little of the past again
        frames = len(x) // shape.hop
        block_16k = FRAME * shape.block // shape.hop
        self._wave_16k[:-block_16k] = self._wave_16k[block_16k:].copy()
        fresh = resample(self._wave[-len(x) - 2 * shape.hop :], shape.rate, RATE)[FRAME:]
        self._wave_16k[-FRAME * (frames + 1) :] = fresh
        return block_16k

    def _gate(self, x: Floats) -> Floats:
        hop = self.shape.hop
        if self.settings.gate_db <= -60.0:
            return x
        x = np.concatenate([self._levels, x])
        levels = frame_levels(x, 4 * hop, hop)[2:]
        self._levels = x[-4 * hop :].copy()
        x = x[2 * hop - hop // 2 :].copy()
        quiet = 20.0 * np.log10(np.maximum(levels, 1e-5)) < self.settings.gate_db
        for i in np.flatnonzero(quiet):
            x[i * hop : (i + 1) * hop] = 0.0
        return x[hop // 2 :]

    def _convert(self, block_16k: int) -> Steps:
        shape, settings, model = self.shape, self.settings, self.model
        skip = shape.extra // shape.hop
        count = (shape.block + shape.fade + shape.search) // shape.hop
        frames = len(self._wave_16k) // FRAME
        features = (yield Request("content", (self._wave_16k[None],)))[0]
        features = np.concatenate([features, features[-1:]])
        if model.index is not None and settings.index_rate:
            features[skip // 2 :] = mix_index(features[skip // 2 :], model.index, settings.index_rate)
        phone = widen(features, frames)[None]
        ratio = st_to_ratio(settings.formant_st)
        stretched = ceil(count * ratio)
        pitch, f0 = yield from self._find_pitch(block_16k, frames)
        if f0 is not None:
            f0 = f0 * np.float32(stretched) / np.float32(count)
        z, excitation = yield from self._latent(phone, pitch, f0, (skip, count))
        if excitation is not None:
            excitation = stretch(excitation, stretched * model.synthesizer.config.hop)
        speaker = model.synthesizer.speaker(settings.speaker)
        y: Floats = (yield Request("decode", (stretch(z, stretched), speaker, excitation)))[0]
        rate = model.synthesizer.config.rate
        step = floor(ratio * rate / 100)
        if step != rate // 100:
            y = resample(y[: count * step], step, rate // 100)
        return y

    def _latent(
        self, phone: Floats, pitch: NDArray[np.int64] | None, f0: Floats | None, cut: tuple[int, int]
    ) -> Generator[Request, Any, tuple[Floats, Floats | None]]:
        """Latent and excitation of the frames that are decoded: the first, and how many."""
        (skip, count), synthesizer = cut, self.model.synthesizer
        start = max(skip - FLOW_CONTEXT, 0)
        wanted = phone.shape[1] - start
        heard = yield Request("encode", (phone, pitch, np.array([wanted], np.int64)))
        prior = tuple(np.ascontiguousarray(part[:, :, -wanted:]) for part in heard)
        latent, turbulence = self._noise(skip, count)
        speaker = synthesizer.speaker(self.settings.speaker)
        z = yield Request("latent", (*prior, speaker, np.zeros_like(prior[0]) if latent is None else latent))
        excitation = None
        if synthesizer.source is not None and f0 is not None:
            excitation, _ = synthesizer.source.render(f0[:, skip : skip + count], None, turbulence)
        return z[:, :, skip - start : skip - start + count], excitation

    def _noise(self, skip: int, count: int) -> tuple[Floats | None, Floats | None]:
        scale = np.float32(self.settings.noise)
        if not scale:
            return None, None
        config = self.model.synthesizer.config
        first = len(self._wave_16k) // FRAME - max(skip - FLOW_CONTEXT, 0)
        latent = self._random.standard_normal((1, config.inter, first), np.float32) * scale
        return latent, self._random.standard_normal((1, count * config.hop), np.float32) * scale

    def _pitch_length(self, block_16k: int, model: RvcModel) -> int:
        """Samples in which pitch is looked for."""
        length = block_16k + 800
        rmvpe = isinstance(model.finder, RmvpePitch) if self._rmvpe is None else self._rmvpe
        return RMVPE_STEP * ((length - 1) // RMVPE_STEP + 1) - FRAME if rmvpe else length

    def _find_pitch(
        self, block_16k: int, frames: int
    ) -> Generator[Request, Any, tuple[NDArray[np.int64] | None, Floats | None]]:
        model, settings = self.model, self.settings
        if not model.synthesizer.config.f0:
            return None, None
        found = as_pitch((yield Request("pitch", (self._wave_16k[None, -self._pitch_length(block_16k, model) :],)))[0])
        self._track.hear(found[-block_16k // FRAME :])
        found = found * st_to_ratio(self._track.shift_st(settings))
        if settings.unvoiced is Unvoiced.INTERPOLATE and (found > 0).any():
            places = np.arange(len(found))
            found = np.interp(places, places[found > 0], found[found > 0])
        shift = block_16k // FRAME
        for cache, new in ((self._pitch, coarse_pitch(found)), (self._f0, found)):
            cache[:-shift] = cache[shift:].copy()
            cache[4 - len(new) :] = new[3:-1]
        return self._pitch[None, -frames:], self._f0[None, -frames:]

    def _match(self, y: Floats) -> Floats:
        hop = self.shape.hop
        spoken = self._wave[self.shape.extra :][: len(y)]
        first, second = (self._curve(frame_levels(part, 4 * hop, hop), len(y)) for part in (spoken, y))
        second = np.maximum(second, np.float32(1e-3))
        matched: Floats = y * np.power(first / second, np.float32(1.0 - self.settings.rms_mix_rate))
        return matched

    @staticmethod
    def _curve(levels: Floats, size: int) -> Floats:
        at = np.linspace(0.0, len(levels) - 1.0, size + 1)[:-1]
        curve: Floats = np.interp(at, np.arange(len(levels)), levels).astype(np.float32)
        return curve

    def _join(self, y: Floats) -> Floats:
        shape = self.shape
        fade, block = shape.fade, shape.block
        windows = np.lib.stride_tricks.sliding_window_view(y[: fade + shape.search], fade)
        energy = np.sqrt(np.einsum("ij,ij->i", windows, windows) + 1e-8)
        self.offset = int(np.argmax((windows @ self._tail) / energy))
        y = y[self.offset :].copy()
        y[:fade] = y[:fade] * self._fade_in + self._tail * (1.0 - self._fade_in)
        self._tail = y[block : block + fade].copy()
        return y[:block]
