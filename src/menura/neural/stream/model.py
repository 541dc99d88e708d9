"""An RVC voice with all it needs, loaded once for any number of streams."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from menura.errors import ModelError
from menura.neural.content import ContentModel
from menura.neural.files.index import VoiceIndex
from menura.neural.synthesizer import Synthesizer

__all__ = ["Aside", "PitchFinder", "Request", "RvcModel", "accompanied", "fulfil", "run"]

Floats = NDArray[np.float32]
FRAMES_HZ = 100
"""Of the latent."""
Aside = Callable[[Callable[[], Any]], Callable[[], Any]]
"""Begins a call beside others, and gives what waits for its answer."""


class PitchFinder(Protocol):
    """Finds pitch in windows of audio at 16 kHz.

    One that computes in whole steps of so many rows says so in an attribute ``step``, and has a method ``prepare`` that
    is told how many frames of audio windows will have. One whose own frames fall on ours only every so many says so in
    an attribute ``grid``.
    """

    def pitch(self, wav: Floats) -> NDArray[np.float64]:
        """Hz, 0 where there is none, for ``[batch, samples]``: ``[batch, samples // 160 + 1]``."""


_CALLS = {
    "content": ("content", "features"),
    "front": ("content", "front"),
    "transform": ("content", "transform"),
    "pitch": ("finder", "pitch"),
    "encode": ("synthesizer", "encode"),
    "latent": ("synthesizer", "latent"),
    "decode": ("synthesizer", "decode"),
}
"""What computes a request: an attribute of the model, and its method."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something a network is to compute for a stream; requests of one name and one shape may be run as one batch.

    Attributes:
        name: ``content`` (of a window), ``front`` and ``transform`` (of a stream), ``pitch``, ``encode``, ``latent`` or
            ``decode``.
        arrays: Arguments; the first axis of each is the batch.
        beside: Another that may be computed at the same time; then a pair is answered.
    """

    name: str
    arrays: tuple[NDArray[Any] | None, ...]
    beside: "Request | None" = None


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
                f"the voice takes {config.features} features a frame, the content model gives {self.content.channels}:"
                " give the one it was trained with, usually 'menura models pull content'"
            )
        if self.content.config.hop != self.content.HOP:
            raise ModelError(
                f"voices take content every 320 samples, this model gives it every {self.content.config.hop}"
            )
        if config.rate != FRAMES_HZ * config.hop:
            raise ModelError(
                f"the voice makes {FRAMES_HZ * config.hop} samples a second, and its config says {config.rate}:"
                " it is damaged; export it again"
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
        part, method = _CALLS[request.name]
        return getattr(getattr(self, part), method)(*request.arrays)


def fulfil(model: RvcModel, request: Request, aside: Aside | None = None) -> Any:
    """Compute a request, and what is beside it: with ``aside`` at the same time, else after it."""
    if request.beside is None:
        return model.compute(request)
    begin: Aside = aside or (lambda call: call)
    wait = begin(partial(model.compute, request.beside))
    try:
        found = model.compute(replace(request, beside=None))
    finally:
        other = wait()
    return found, other


def accompanied(
    steps: Generator[Request, Any, Floats], name: str, beside: Request
) -> Generator[Request, Any, tuple[Floats, Any]]:
    """Steps whose first request of a name has another beside it.

    Returns:
        What the steps return, and the other's answer.
    """
    found, other, asked = None, None, False
    while True:
        try:
            request = steps.send(found)
        except StopIteration as done:
            return done.value, other if asked else (yield beside)
        if request.name != name or asked:
            found = yield request
        else:
            found, other = yield replace(request, beside=beside)
            asked = True


def run(model: RvcModel, steps: Generator[Request, Any, Floats]) -> Floats:
    """Compute what a stream asks for, one after another, here and now."""
    found: Any = None
    while True:
        try:
            request = steps.send(found)
        except StopIteration as done:
            result: Floats = done.value
            return result
        found = fulfil(model, request)
