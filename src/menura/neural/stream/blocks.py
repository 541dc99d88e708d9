"""A stream in blocks: 16 kHz in, the voice's rate out, every frame computed where it has context, nothing by chance."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.audio.format import MAX_RATE, MIN_RATE
from menura.dsp.fade import fade_in_curve
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.neural.nets.source import stretch
from menura.neural.stream.content_track import ContentTrack
from menura.neural.stream.features import mix_index, protect, widen
from menura.neural.stream.loudness import WINDOW, Gate, frame_rms, match_loudness
from menura.neural.stream.model import Request, RvcModel, accompanied
from menura.neural.stream.noise import KeyedNoise
from menura.neural.stream.pitch_track import PitchTrack, pitch_window
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import FRAME, StreamShape
from menura.neural.synthesizer import coarse_pitch
from menura.units import st_to_ratio

__all__ = ["RvcBlocks"]

Floats = NDArray[np.float32]
Steps = Generator[Request, Any, Floats]


class RvcBlocks:
    """State of one stream.

    What is heard of a block lags its end by ``right`` + ``fade`` frames, so that the decoder never makes it from an
    edge. Its first frames are faded from the last block's, which had gone on for so long: both were computed for the
    same moment, with the same pitch, phase and noise, so little is to be hidden.

    Args:
        model: The voice; shared. May be replaced between two blocks by one that differs in its finder or index.
        shape: How the stream is cut.
        settings: May be replaced between two blocks.
        seed: Of the noise.

    Attributes:
        shape: How the next block is cut; its context may be shorter than what is kept (:meth:`look_back`).
    """

    def __init__(self, model: RvcModel, shape: StreamShape, settings: RvcSettings, seed: int = 0) -> None:
        self.model, self.shape, self.settings, self._seed = model, shape, settings, seed
        self._longest, self._share = shape, 1.0
        self.config = model.synthesizer.config
        self.hop = self.config.hop
        source = model.synthesizer.source
        self._latent_noise = KeyedNoise(2 * seed, self.config.inter)
        self._source_noise = KeyedNoise(2 * seed + 1, self.hop * (source.harmonics if source else 1))
        self.reset()
        self.prepare(model)

    def prepare(self, model: RvcModel) -> None:
        """Have a model's networks ready for these blocks, which it may be exchanged for between two of them."""
        if prepare := getattr(model.finder, "prepare", None):
            prepare(self._pitch_frames(model))

    def reset(self) -> None:
        """Forget all audio."""
        self._wave: Floats = np.zeros(self._longest.window * FRAME, np.float32)
        self._gate = Gate(FRAME)
        self._said = ContentTrack(self.model.content, self._longest.window * FRAME)
        self._said.share = self._share
        self._pitch = PitchTrack(self._longest.window)
        self._end = 0  # frames since the beginning
        self._phase = np.zeros(1)
        self._overhang: Floats = np.zeros(self.shape.fade * self.hop, np.float32)

    def look_back(self, context: int, share: float = 1.0) -> None:
        """Have content model and text encoder hear so many frames before the next block: a tail of what is kept, all of
        it at most. What is said runs on.

        Args:
            context: Frames.
            share: Of what the content model computes again with each block, where it carries the rest.

        Raises:
            ConfigError: They make no stream.
        """
        self.shape = replace(self._longest, context=min(context, self._longest.context))
        self._share = self._said.share = share

    @property
    def speaker_hz(self) -> float:
        """Median of the speaker's pitch; 0 while unknown."""
        return self._pitch.speaker_hz

    def seed_speaker(self, hz: float) -> None:
        """Tell the median of the speaker's pitch as it was before."""
        self._pitch.seed(hz)

    def steps(self, x: Floats) -> Steps:
        """Process the next block.

        Shape:
            x: ``[block · 160]`` at 16 kHz, finite.

        Returns:
            By way of requests, ``[block · hop]`` at the voice's rate.
        """
        shape, settings = self.shape, self.settings
        self._take(x)
        if not self._wave[-shape.decoded * FRAME :].any():
            return self._join(np.zeros((shape.block + shape.fade) * self.hop, np.float32))
        features, f0 = yield from self._heard(settings)
        phone = self._phone(settings, features, f0)
        z = yield from self._latent(settings, phone, f0)
        y = yield from self._decode(settings, z, f0)
        return self._join(y)

    def listen(self, x: Floats) -> Floats:
        """Remember the next block, and give silence for it."""
        self._take(x)
        return self._join(np.zeros((self.shape.block + self.shape.fade) * self.hop, np.float32))

    def _take(self, x: Floats) -> None:
        x = self._gate.process(x, self.settings.gate_db)
        self._said.hear(x)
        self._wave = np.concatenate([self._wave[len(x) :], x])
        self._end += self.shape.block
        self._pitch.advance(self.shape.block)

    def _pitch_frames(self, model: RvcModel) -> int:
        finder = model.finder
        return pitch_window(self.shape, getattr(finder, "step", 1), getattr(finder, "grid", 1), self._end)

    def _heard(self, settings: RvcSettings) -> Generator[Request, Any, tuple[Floats, NDArray[np.float64] | None]]:
        """What is said, and at which pitch.

        Neither needs the other. Where both have the same cores they are asked for together: each network has steps that
        one core alone computes, and the other's fill them.
        """
        shape, said = self.shape, self._said.steps(self._wave, self.shape.window * FRAME)
        if not self.config.f0:
            return (yield from said), None
        frames = self._pitch_frames(self.model)
        sung = self._wave[None, -frames * FRAME :]
        request = Request("pitch", (sung,))
        if not sung.any():
            features, found = (yield from said), np.zeros((1, frames))
        elif self.model.content.cores > 1:
            features, found = yield from accompanied(said, "transform", request)
        else:
            found = yield request
            features = yield from said
        # what the block before let be heard, its fade included, stays as it was
        kept = self._pitch.update(found[0, :frames], settings, shape.block + shape.right, shape.block)
        return features, kept[-shape.window :]

    def _phone(self, settings: RvcSettings, features: Floats, f0: NDArray[np.float64] | None) -> Floats:
        """Content as the voice takes it, the index's mixed in."""
        plain = widen(features, self.shape.window)
        index = self.model.index
        if index is None or not settings.index_rate:
            return plain
        used = min(len(features), self.shape.flowed // 2 + 1)
        features[-used:] = mix_index(features[-used:], index, settings.index_rate)
        mixed = widen(features, self.shape.window)
        if f0 is None or settings.protect >= 0.5:
            return mixed
        return protect(mixed, plain, f0 > 0.0, settings.protect)

    def _latent(
        self, settings: RvcSettings, phone: Floats, f0: NDArray[np.float64] | None
    ) -> Generator[Request, Any, Floats]:
        pitch = None if f0 is None else coarse_pitch(f0)[None]
        flowed, speaker = self.shape.flowed, self.model.synthesizer.speaker(settings.speaker)
        prior = yield Request("encode", (phone[None], pitch, np.array([flowed], np.int64)))
        noise = self._latent_noise.rows(self._end - flowed, flowed).T[None] * np.float32(settings.noise)
        cut = (part[:, :, -flowed:] for part in prior)  # of a batch, one may have wanted more
        z: Floats = yield Request("latent", (*cut, speaker, np.ascontiguousarray(noise)))
        return z[:, :, -self.shape.decoded :]

    def _decode(self, settings: RvcSettings, z: Floats, f0: NDArray[np.float64] | None) -> Steps:
        shape = self.shape
        frames = max(1, round(shape.decoded * st_to_ratio(settings.formant_st)))
        speaker = self.model.synthesizer.speaker(settings.speaker)
        excitation = (
            None if f0 is None else stretch(self._excite(settings, f0, frames / shape.decoded), frames * self.hop)
        )
        back = _resampler(frames, shape.decoded)
        spare = self._spare(settings, frames / shape.decoded, back.latency / self.hop)
        y = (yield Request("decode", (stretch(z, frames), speaker, excitation, spare)))[0]
        if frames != shape.decoded:
            y = process_whole(back, y[:, None])[:, 0]
        heard: Floats = y[shape.left * self.hop : (shape.left + shape.block + shape.fade) * self.hop]
        if settings.rms_mix_rate == 1.0:
            return heard
        return self._match(heard, y, settings.rms_mix_rate)

    def _spare(self, settings: RvcSettings, ratio: float, reach: float) -> NDArray[np.int64]:
        """Frames of the decoder at both ends that are not heard, whose level is not asked for, and at which a resampler
        does not look, which looks ``reach`` frames far.
        """
        shape = self.shape
        first = shape.left if settings.rms_mix_rate == 1.0 else max(0, shape.left - WINDOW)
        ends = np.array([first, shape.right])
        return np.maximum(0, np.floor((ends - reach) * ratio)).astype(np.int64)[None]

    def _excite(self, settings: RvcSettings, f0: NDArray[np.float64], ratio: float) -> Floats:
        """Excitation of the decoder's frames; the phase is kept for where the next block's begin."""
        source, shape = self.model.synthesizer.source, self.shape
        assert source is not None
        sung = f0[None, -shape.decoded :] * ratio
        noise = self._source_noise.rows(self._end - shape.decoded, shape.decoded) * np.float32(settings.noise)
        excitation, _ = source.render(sung, self._phase, noise.reshape(1, -1))
        turns = self._phase + sung[:, : shape.block].sum(axis=1) * self.hop / self.config.rate
        self._phase = turns - np.rint(turns)
        return excitation

    def _match(self, heard: Floats, y: Floats, rate: float) -> Floats:
        shape = self.shape
        count = shape.block + shape.fade + 1
        first = max(0, shape.left - 1)
        made = frame_rms(y, self.hop)[first : first + count]
        spoken = frame_rms(self._wave[-shape.decoded * FRAME :], FRAME)[first : first + count]
        return match_loudness(heard, made, spoken, rate)

    def _join(self, y: Floats) -> Floats:
        """Fade from what the last block said of the first frames, and keep what this one says of the next's."""
        fade, count = self.shape.fade * self.hop, self.shape.block * self.hop
        out, rest = y[:count].copy(), y[count:]
        gain = fade_in_curve(fade)[:, 0]
        out[:fade] = self._overhang * gain[::-1] + out[:fade] * gain
        self._overhang = rest.copy()
        return out


def _resampler(frames: int, wanted: int) -> Resampler:
    """From so many frames to so many others: only the ratio counts, but a resampler takes rates that audio can have."""
    least, most = -(-MIN_RATE // min(frames, wanted)), MAX_RATE // max(frames, wanted)
    scale = min(max(1000, least), most)
    return Resampler(scale * frames, scale * wanted)
