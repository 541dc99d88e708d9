"""A voice's synthesizer, loaded: three networks, its harmonic source, its speakers. It keeps nothing between calls."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.errors import ConfigError, FormatError
from menura.neural.cache import Recipe
from menura.neural.native import NativeDecoder, bfloat16_sets, covers
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import decoder
from menura.neural.nets.encoder import COARSE_PITCHES, encoder
from menura.neural.nets.flow import flow
from menura.neural.nets.graph import Network, Weights
from menura.neural.nets.source import HarmonicSource, stretch
from menura.neural.options import Provider, RuntimeOptions
from menura.neural.runtime import open_session
from menura.neural.session import Session

__all__ = ["FLOW_CONTEXT", "Synthesizer", "coarse_pitch"]

Floats = NDArray[np.float32]
FLOW_CONTEXT = 24
"""Frames before a latent frame that the flow may look at."""
LOWEST_MEL, HIGHEST_MEL = (1127.0 * np.log(1.0 + hz / 700.0) for hz in (50.0, 1100.0))


def coarse_pitch(f0: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows of the pitch table for a pitch in Hz, 1…255; 1 where there is none.

    >>> coarse_pitch(np.array([0.0, 50.0, 440.0, 5000.0]))
    array([  1,   1, 122, 255])
    """
    mel = 1127.0 * np.log1p(np.asarray(f0, np.float64) / 700.0)
    scaled = (mel - LOWEST_MEL) * (COARSE_PITCHES - 2) / (HIGHEST_MEL - LOWEST_MEL) + 1.0
    rows: NDArray[np.int64] = np.rint(np.clip(scaled, 1.0, COARSE_PITCHES - 1)).astype(np.int64)
    return rows


class Synthesizer:
    """An RVC voice, for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint, weight norm folded; may be dropped afterwards.
        options: Where and how it runs.
        int8: Compute the text encoder in 8 bits: a third faster at about 30 dB.

    Attributes:
        source: Makes the excitation; None for a voice without pitch.

    Raises:
        ModelError: A weight is missing or of another shape.
        ConfigError: This installation lacks the provider.
    """

    def __init__(
        self, config: SynthesizerConfig, weights: Weights, options: RuntimeOptions | None = None, *, int8: bool = False
    ) -> None:
        self.config = config
        self.source = HarmonicSource.of(config, weights) if config.f0 else None
        self._speakers: Floats = np.array(weights["emb_g.weight"], np.float32)
        options = options or RuntimeOptions()
        half = options.float16

        def opened(name: str, make: Callable[[], Network], *how: object) -> Session:
            return open_session(Recipe.of(name, weights, make, config, half, *how), options)

        self._encoder = opened("encoder", lambda: encoder(config, weights, int8=int8, half=half), int8)
        self._flow = opened("flow", lambda: flow(config, weights, half=half))
        self._decoder: Session
        openvino_halves = options.provider == Provider.OPENVINO and options.bfloat16
        if options.native and options.on_processor and not openvino_halves and covers(config, options.cores):
            coarse = next(iter(bfloat16_sets()), None) if options.bfloat16 else None
            # what is small anyway may be as fast as it can
            lean = not (int8 or coarse)
            self._decoder = NativeDecoder(
                config, weights, options.cores, cache=options.cache, instructions=coarse, lean=lean
            )
        else:
            # OpenVINO divides the work itself, a GPU has no need
            cores = options.cores if options.provider == Provider.CPU else 1
            self._decoder = opened("decoder", lambda: decoder(config, weights, cores=cores, half=half), cores)

    def speaker(self, *ids: int) -> Floats:
        """Embeddings ``[len(ids), gin]``; mixtures of them are speakers too.

        Raises:
            ConfigError: There is no such speaker.
        """
        for index in ids:
            if not 0 <= index < len(self._speakers):
                raise ConfigError(f"this voice has speakers 0 to {len(self._speakers) - 1}, not {index}")
        return self._speakers[list(ids)]

    def encode(
        self, phone: Floats, pitch: NDArray[np.int64] | None = None, wanted: NDArray[np.int64] | None = None
    ) -> tuple[Floats, Floats]:
        """The prior's mean and the logarithm of its deviation, each ``[batch, inter, frames]``.

        Shape:
            phone: ``[batch, frames, features]``, 100 frames a second.
            pitch: ``[batch, frames]`` (:func:`coarse_pitch`), for a voice with pitch.
            wanted: ``[batch]``, how many of the newest frames are; None: all. They are what they are among all, and
                where the batch's members differ, all get as many as the one that wants most.
        """
        count = phone.shape[1] if wanted is None else int(wanted.max())
        feeds: dict[str, NDArray[Any]] = {"phone": phone, "wanted": np.array([count], np.int64)}
        if self.config.f0:
            if pitch is None:
                raise FormatError("this voice takes a pitch")
            feeds["pitch"] = pitch
        mean, log_deviation = self._encoder.run(**feeds)
        return mean, log_deviation

    def latent(self, mean: Floats, log_deviation: Floats, speaker: Floats, noise: Floats | None = None) -> Floats:
        """The latent ``[batch, inter, frames]``.

        Args:
            mean, log_deviation: Of :meth:`encode`, or a stretch of them: the first ``FLOW_CONTEXT`` frames of a cut are
                context, not exact.
            speaker: ``[batch, gin]``.
            noise: Of unit deviation, like ``mean``; None: none.
        """
        drawn = np.zeros_like(mean) if noise is None else noise
        return self._flow.run(
            mean=np.ascontiguousarray(mean),
            log_deviation=np.ascontiguousarray(log_deviation),
            noise=drawn,
            speaker=speaker,
        )[0]

    def decode(
        self, z: Floats, speaker: Floats, excitation: Floats | None = None, spare: NDArray[np.int64] | None = None
    ) -> Floats:
        """Audio ``[batch, frames · hop]``.

        Shape:
            z: ``[batch, inter, frames]``.
            speaker: ``[batch, gin]``.
            excitation: ``[batch, frames · hop]``, for a voice with pitch.
            spare: ``[batch, 2]``, how many frames at the beginning and at the end nobody will hear: they are there for
                the others' sake, which are what they are without it, and little is computed for them. Their audio may
                be zero. None: none.
        """
        least = np.zeros(2, np.int64) if spare is None else spare.min(axis=0)
        if least.min() < 0 or least.sum() >= z.shape[2]:
            raise FormatError(f"of {z.shape[2]} frames, {least[0]} and {least[1]} cannot be spare")
        feeds: dict[str, NDArray[Any]] = {"z": np.ascontiguousarray(z), "speaker": speaker, "spare": least}
        if self.config.f0:
            if excitation is None or excitation.shape[1] != z.shape[2] * self.config.hop:
                raise FormatError(f"this voice takes an excitation of {self.config.hop} samples a frame")
            feeds["excitation"] = np.ascontiguousarray(excitation)
        audio: Floats = self._decoder.run(**feeds)[0]
        first, last = (int(frames) * self.config.hop for frames in least)
        return np.pad(audio, ((0, 0), (first, last))) if first or last else audio

    def convert(
        self,
        phone: Floats,
        f0: NDArray[np.floating] | None,
        speaker: Floats,
        *,
        noise: Sequence[Floats | None] = (None, None),
        cut: tuple[int, int] | None = None,
        stretched: int | None = None,
        pitch: NDArray[np.int64] | None = None,
    ) -> Floats:
        """Features to audio in one step, as RVC does it.

        Args:
            phone: ``[batch, frames, features]``, 100 frames a second.
            f0: Hz ``[batch, frames]``, 0 where there is none; None for a voice without pitch.
            speaker: ``[batch, gin]``.
            noise: Around the latent ``[batch, inter, frames]`` and in the excitation ``[batch, samples]``, of unit
                deviation; None: none.
            cut: First frame wanted and how many; the text encoder hears all, the flow from ``FLOW_CONTEXT`` frames
                before it, the decoder nothing else. ``noise`` is then of these lengths.
            stretched: Frames to stretch latent and excitation to, before the decoder: what moves the formants.
            pitch: Rows of the pitch table; None: those of ``f0``.

        Returns:
            Audio ``[batch, frames · hop]``, of the frames wanted or stretched.
        """
        if pitch is None and f0 is not None and self.config.f0:
            pitch = coarse_pitch(f0)
        first, count = cut or (0, phone.shape[1])
        start = max(first - FLOW_CONTEXT, 0)
        mean, log_deviation = self.encode(phone, pitch, np.array([phone.shape[1] - start], np.int64))
        z = self.latent(mean, log_deviation, speaker, noise[0])
        z = z[:, :, first - start : first - start + count]
        frames = stretched or count
        excitation = None
        if self.source is not None and f0 is not None:
            excitation, _ = self.source.render(f0[:, first : first + count], None, noise[1])
            excitation = stretch(excitation, frames * self.config.hop)
        return self.decode(stretch(z, frames), speaker, excitation)
