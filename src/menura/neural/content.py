"""A content model, loaded: audio to what is said, not who says it."""

import numpy as np
from numpy.typing import NDArray

from menura.errors import FormatError
from menura.neural.nets.config import HubertConfig
from menura.neural.nets.graph import Weights
from menura.neural.nets.hubert import hubert
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session

__all__ = ["V1_LAYER", "ContentModel"]

V1_LAYER = 9
"""Whose output, projected to 256, voices of RVC v1 take; v2 takes the last layer's."""


class ContentModel:
    """HuBERT or ContentVec for voices of one version; for any number of streams and threads.

    Args:
        config: Its sizes.
        weights: Its checkpoint; may be dropped afterwards.
        version: Of the voices it serves: ``v1`` or ``v2``.
        int8: Compute in 8 bits where it saves time (:func:`menura.neural.nets.hubert.hubert`).
        options: Where and how it runs.

    Attributes:
        channels: Width of the features.

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
        network = hubert(config, weights, layer=V1_LAYER if first else None, project=first, int8=int8, half=half)
        self.channels = config.projection if first else config.hidden
        self._session = open_session(network, options)

    def features(self, wav: NDArray[np.float32]) -> NDArray[np.float32]:
        """Content of a window.

        Shape:
            wav: ``[batch, samples]`` at 16 kHz.

        Returns:
            ``[batch, frames, channels]``, a frame every 20 ms; the first stands for the window's first 25 ms.

        Raises:
            FormatError: The window is shorter than one frame.
        """
        if wav.ndim != 2 or not self.config.frames(wav.shape[1]):
            raise FormatError(f"a content model takes [batch, samples] of at least 25 ms, not {wav.shape}")
        return self._session.run(wav=np.ascontiguousarray(wav, np.float32))[0]
