"""An RVC voice with all it needs, loaded once for any number of streams."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from menura.errors import ModelError
from menura.neural.content import ContentModel
from menura.neural.files.index import VoiceIndex
from menura.neural.synthesizer import Synthesizer

__all__ = ["PitchFinder", "Request", "RvcModel", "run"]

Floats = NDArray[np.float32]


class PitchFinder(Protocol):
    """Finds pitch in windows of audio at 16 kHz."""

    def pitch(self, wav: Floats) -> NDArray[np.float64]:
        """Hz, 0 where there is none, for ``[batch, samples]``: ``[batch, samples // 160 + 1]``."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something a network is to compute for a stream; requests of one name and one shape may be run as one batch.

    Attributes:
        name: ``content``, ``pitch``, ``encode``, ``latent`` or ``decode``.
        arrays: Arguments; the first axis of each is the batch.
    """

    name: str
    arrays: tuple[NDArray[Any] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RvcModel:
    """The networks of a voice.

    Attributes:
        content: What is said.
        synthesizer: Who says it.
        finder: At which pitch; None for a voice that takes none.
        index: The training's features; None without.

    Raises:
        ModelError: They do not belong together.
    """

    content: ContentModel
    synthesizer: Synthesizer
    finder: PitchFinder | None = None
    index: VoiceIndex | None = None

    def __post_init__(self) -> None:
        config = self.synthesizer.config
        if self.content.channels != config.features:
            raise ModelError(
                f"the voice takes {config.features} features a frame, the content model gives {self.content.channels}"
            )
        if config.f0 and self.finder is None:
            raise ModelError("the voice takes a pitch, and there is nothing to find it with")
        if self.index is not None and self.index.dimensions != config.features:
            raise ModelError(
                f"the index has {self.index.dimensions} numbers a vector, the voice takes {config.features}:"
                " it belongs to another voice"
            )

    def compute(self, request: Request) -> Any:
        """Run a network."""
        arrays: tuple[Any, ...] = request.arrays
        if request.name == "content":
            return self.content.features(*arrays)
        if request.name == "pitch":
            assert self.finder is not None
            return self.finder.pitch(*arrays)
        if request.name == "encode":
            return self.synthesizer.encode(*arrays)
        if request.name == "latent":
            return self.synthesizer.latent(*arrays)
        return self.synthesizer.decode(*arrays)


def run(model: RvcModel, steps: Generator[Request, Any, Floats]) -> Floats:
    """Compute what a stream asks for, one after another, here and now."""
    answer: Any = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as done:
            result: Floats = done.value
            return result
        answer = model.compute(request)
