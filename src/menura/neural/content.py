"""A content model, loaded: audio to what is said, not who says it."""

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.cache import Recipe
from menura.neural.nets.config import HubertConfig
from menura.neural.nets.graph import Weights
from menura.neural.nets.hubert import hubert_front, hubert_transformer
from menura.neural.nets.moments import FirstNorm
from menura.neural.options import Provider, RuntimeOptions
from menura.neural.runtime import open_session

__all__ = ["AGAIN", "V1_LAYER", "ContentModel"]

Floats = NDArray[np.float32]
V1_LAYER = 9
"""Whose output, projected to 256, voices of RVC v1 take; v2 takes the last layer's."""


AGAIN = 0.45
"""Share of a window's rows that are computed again before new ones: with less, what is said is further from what all
the audio at once gives than a window that is computed anew."""


class ContentModel:
    """HuBERT or ContentVec for voices of one version; for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint; may be dropped afterwards.
        version: Of the voices it serves: ``v1`` or ``v2``.
        int8: Compute in 8 bits where it saves time (:func:`~menura.neural.nets.hubert.hubert_front`).
        options: Where and how it runs.

    Attributes:
        channels: Width of the features.
        reach: Samples that a row of the front end is made of.
        before: Rows that a row's position is told by, before it.
        layers: Of the transformer, as far as it is used.
        width: Of its rows.
        again: Share of a window's rows that a stream computes again before new ones, when they have heard what follows;
            earlier ones stay as they are. None: all, each time: a GPU would have to be given what is carried.
        cores: Of the processor that a computation has; 0 where it runs elsewhere.
        norm: What the front end is told of all that was heard; None where it asks for nothing.

    Raises:
        ModelError: A weight is missing or of another shape; it has no ``final_proj``, and v1 is asked for.
        ConfigError: This installation lacks the provider.
    """

    RATE = 16_000
    HOP = 320

    def __init__(
        self, config: HubertConfig, weights: Weights, *, version: str = "v2", int8: bool = False,
        options: RuntimeOptions | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        first = version == "v1"
        half = options is not None and options.float16
        layer = V1_LAYER if first else None
        self.channels = config.projection if first else config.hidden
        self.reach, self.before = config.reach, config.pos_kernel // 2
        self.layers, self.width = layer or config.layers, config.hidden
        carried = options is None or options.provider in (Provider.CPU, Provider.OPENVINO)
        self.again = AGAIN if carried else None
        given = options or RuntimeOptions()
        self.cores = given.cores if given.provider == Provider.CPU else 0
        self.norm = FirstNorm.of(config, weights)
        front = Recipe.of(
            "hubert-front", weights, lambda: hubert_front(config, weights, int8=int8, half=half), config, int8, half
        )
        rest = Recipe.of(
            "hubert-transformer", weights,
            lambda: hubert_transformer(
                config, weights, layer=layer, project=first, int8=int8, half=half, carried=carried
            ),
            config, version, int8, half, carried,
        )  # fmt: skip
        self._front, self._rest = open_session(front, options), open_session(rest, options)

    def front(self, wav: Floats, factor: Floats | None = None, shift: Floats | None = None) -> Floats:
        """The front end's rows.

        Args:
            wav: ``[batch, samples]`` at 16 kHz.
            factor, shift: The first convolution's normalisation, ``[batch, width]``; None where :attr:`norm` is.

        Returns:
            ``[batch, rows, width]``, every 20 ms, each of :attr:`reach` samples.

        Raises:
            FormatError: The audio is shorter than one row.
        """
        feeds = {"wav": self._checked(wav)}
        if factor is not None and shift is not None:
            feeds |= {"factor": factor, "shift": shift}
        return self._front.run(**feeds)[0]

    def transform(
        self, rows: Floats, before: Floats | None = None, past: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Content of rows of the front end: of a window by itself, or of its end where :attr:`again` is a number.

        Args:
            rows: ``[batch, rows, width]``.
            before: The :attr:`before` rows before them, zeros where there are none; None: a window by itself.
            past: Keys and values of the window's earlier rows in each layer, as this has returned them,
                ``[batch, layers, earlier, 2 · width]``.

        Returns:
            ``[batch, rows, channels]``, and keys and values of these rows.
        """
        if self.again is None:
            return self._rest.run(rows=np.ascontiguousarray(rows))[0], np.zeros((len(rows), 0), np.float32)
        if before is None or past is None:
            before = np.zeros((len(rows), self.before, self.width), np.float32)
            past = np.zeros((len(rows), self.layers, 0, 2 * self.width), np.float32)
        kept, features = self._rest.run(rows=np.concatenate([before, rows], axis=1), past=np.ascontiguousarray(past))
        return features, kept

    def features(self, wav: Floats) -> Floats:
        """Content of a window by itself.

        Shape:
            wav: ``[batch, samples]`` at 16 kHz.

        Returns:
            ``[batch, frames, channels]``, a frame every 20 ms; the first stands for the window's first 25 ms.

        Raises:
            FormatError: The window is shorter than one frame.
        """
        wav = self._checked(wav)
        return self.transform(self.front(wav, *(self.norm.over(wav) if self.norm else ())))[0]

    def _checked(self, wav: Floats) -> Floats:
        if wav.ndim != 2 or not self.config.frames(wav.shape[1]):
            raise FormatError(f"a content model takes [batch, samples] of at least 25 ms, not {wav.shape}")
        return np.ascontiguousarray(wav, np.float32)
