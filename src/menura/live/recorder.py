"""Two signals into one file, without the audio thread waiting for the disk."""

import queue
import threading
from collections.abc import Callable

import numpy as np

from menura.audio.block import Samples
from menura.log import get_logger

__all__ = ["Recorder"]

logger = get_logger(__name__)

WAITING = 3000
"""Blocks that wait for the disk at most, half a minute of them."""
JOIN_S = 30.0


class Recorder:
    """Writes what goes in and what comes out of a process side by side: the first left, the second right.

    Args:
        write: Appends a block ``[n, 2]``; called from the recorder's own thread.
        on_error: Called from there with what ``write`` raised, once.
        write_rest: Appends what comes out after the last of what went in, ``[n, 1]``; by default beside silence.

    Attributes:
        dropped: Frames left out because the disk is too slow.
        error: What ``write`` raised; nothing is written after it.
    """

    def __init__(
        self,
        write: Callable[[Samples], object],
        on_error: Callable[[Exception], object] | None = None,
        write_rest: Callable[[Samples], object] | None = None,
    ) -> None:
        self.dropped = 0
        self.error: Exception | None = None
        self._write, self._on_error, self._write_rest = write, on_error, write_rest
        self._blocks: queue.Queue[Samples | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="menura-recorder", daemon=True)
        self._thread.start()

    def push(self, x: Samples, y: Samples) -> None:
        """Take the first channels of two blocks of one length; never waits."""
        try:
            self._blocks.put_nowait(np.concatenate([x[:, :1], y[:, :1]], axis=1))
        except queue.Full:
            self.dropped += len(x)

    def push_rest(self, y: Samples) -> None:
        """Take what comes out once nothing goes in any more; never waits."""
        if self._write_rest is None:
            self.push(np.zeros_like(y), y)
            return
        try:
            self._blocks.put_nowait(y[:, :1].copy())
        except queue.Full:
            self.dropped += len(y)

    def close(self) -> None:
        """Return when all is written."""
        if self._thread.is_alive():
            self._blocks.put(None)
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            if self.error is not None:
                continue
            write = self._write if block.shape[1] == 2 or self._write_rest is None else self._write_rest
            try:
                write(block)
            except Exception as error:
                self.error = error
                logger.warning("the recording has ended: %s", error)
                if self._on_error is not None:
                    self._on_error(error)
