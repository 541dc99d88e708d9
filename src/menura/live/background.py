"""An audio callback whose model computes in a thread of its own: whoever calls it only copies."""

import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.audio.block import Samples, as_block, finite, silence
from menura.clock import Clock, monotonic_s
from menura.dsp.ring import Overflow, Ring
from menura.errors import ConfigError, StateError
from menura.live.callback import StageCallback, checked_pair
from menura.neural.stream.stage import RvcStage

__all__ = ["BackgroundCallback", "BackgroundStats"]

RING_BLOCKS = 8
"""Model's blocks that may wait for the thread: more is lost."""
BURST_S = 0.05
"""So much sooner a device calls after it was held up, or to fill its own buffers: it is not made to wait for that."""
FORGET_S = 10.0
"""Time constant in which it is forgotten that a caller was ahead: a device's clock always is, by a little."""
JOIN_S = 5.0


@dataclass(frozen=True, slots=True)
class BackgroundStats:
    """What a callback has done.

    Attributes:
        frames: Taken.
        late: Frames of silence given because the model was late; what it said of them was left out.
        gaps: Times that this happened.
        lost: Frames that nobody took because too many waited.
        faults: Times that a network failed.
    """

    frames: int
    late: int
    gaps: int
    lost: int
    faults: int


class _Worker:
    """The thread's side: takes what was handed over, and hands back as much.

    Each ring has one writer and one reader, and needs no lock. It knows nothing of the callback, so that it ends with
    who held that.
    """

    def __init__(self, stage: RvcStage, channels: int, ahead: int) -> None:
        self.stage, self.channels, self.ahead = stage, channels, ahead
        self.into = Ring(RING_BLOCKS * ahead, channels, Overflow.DROP_NEWEST)
        self.out = Ring((RING_BLOCKS + 2) * ahead, channels, Overflow.DROP_NEWEST)
        self.wanted = self.passed = 0  # positions in `out`: up to which frames are asked for, and were; the caller's
        self.done = 0  # frames of `into` that were worked on
        self.fault: BaseException | None = None
        self.faults = 0
        self.ended = False
        self.wake = threading.Lock()
        self.wake.acquire()
        self.made = threading.Event()
        self.begin()

    def begin(self) -> None:
        """As new; while the thread has nothing to do."""
        self.into.clear()
        self.out.clear()
        self.done = self.into.written
        self.out.write(silence(self.ahead, self.channels))
        self.wanted = self.passed = self.out.consumed

    @property
    def idle(self) -> bool:
        """Whether all was worked on."""
        return self.done == self.into.written

    def signal(self) -> None:
        """Have the thread look; never waits."""
        if self.wake.locked():
            with suppress(RuntimeError):  # another caller was sooner
                self.wake.release()

    def end(self) -> None:
        """The thread's end, after what it computes now."""
        self.ended = True
        self.signal()

    def run(self) -> None:
        """The thread."""
        while True:
            self.wake.acquire()
            while not self.ended and not self.idle:
                self._work()
            self.made.set()
            if self.ended:
                return

    def _work(self) -> None:
        x = self.into.read(self.ahead)
        # what would be heard too late altogether is only listened to: so there is time for what comes
        self.stage.resting = self.passed - self.out.written >= self.ahead
        try:
            y = self.stage.process(finite(x))
        except BaseException as error:
            self.fault, y = error, silence(len(x), self.channels)
            self.faults += 1
        self.out.write(y)
        self.done += len(x)
        self.made.set()


class BackgroundCallback(StageCallback):
    """An audio callback for sound hardware whose blocks are shorter than the model's.

    It hands audio over to a thread, and takes what is ready: it never computes, and never waits for who does. So the
    model has the time of one of its blocks, which is added to :attr:`latency`. That is constant: where the model is
    late, silence is heard in its place, and what it says of that is left out; where it is later than a block, it only
    listens until it is in time again.

    A caller that is ahead of real time, with a file say, is no device: it is made to wait as long as it is ahead, and
    misses nothing.

    Args:
        stage: The voice; nobody else may use it.
        channels: Of every block.
        clock: Tells who is ahead.

    Shape:
        As :class:`~menura.live.callback.StageCallback` has it.

    Raises:
        FormatError: As there.
        StateError: It was closed.
        Exception: What a network has raised meanwhile, once; the stream goes on anew.
    """

    def __init__(self, stage: RvcStage, channels: int = 1, clock: Clock = monotonic_s) -> None:
        super().__init__(stage, channels)
        ahead = stage.block
        if ahead < 1:
            raise ConfigError("a block has at least one frame")
        self._voice, self._ahead, self._clock = stage, ahead, clock
        self._worker = _Worker(stage, channels, ahead)
        self._burst_s = min(BURST_S, 0.5 * ahead / stage.rate_in)
        self._called_s: float | None = None
        self._lead_s = 0.0
        self._frames = self._late = self._gaps = 0
        self._thread = threading.Thread(target=self._worker.run, name="menura-callback", daemon=True)
        self._thread.start()
        self._finalize = weakref.finalize(self, self._worker.end)

    @property
    def latency(self) -> int:
        """Frames by which output lags input: the stage's own, and the model's time."""
        return self.stage.latency + self._ahead

    def __call__(self, input: ArrayLike, output: NDArray[np.float32]) -> None:  # noqa: A002 - as documented
        """Hand over a block, and take another."""
        target, x = checked_pair(input, output)
        block, worker = as_block(x, self.channels), self._worker
        with self._lock:  # between callers: the thread never takes it
            if worker.ended:
                raise StateError("this callback was closed")
            for at in range(0, len(block), self._ahead):
                piece = block[at : at + self._ahead]
                self._exchange(piece, target[at : at + len(piece)])
            target[len(block) :] = 0.0
            fault, worker.fault = worker.fault, None
        if fault is not None:
            raise fault

    def _exchange(self, x: Samples, target: NDArray[np.floating]) -> None:
        worker, out = self._worker, self._worker.out
        lost = worker.into.write(x)
        worker.wanted += len(x) - lost
        worker.signal()
        self._frames += len(x)
        early_s = self._early_s(len(x))
        if early_s > self._burst_s:
            self._await(early_s)
        out.skip(max(0, worker.wanted - len(x) - out.consumed))  # what is too late
        wide = target.reshape(len(x), self.channels)  # a view, as both are
        given = out.read_into(wide) if worker.wanted - len(x) == out.consumed else 0
        if given < len(x):
            wide[given:] = 0.0
            self._late += len(x) - given
            self._gaps += 1
        worker.passed = worker.wanted

    def _early_s(self, frames: int) -> float:
        """By how much this call comes before the audio of those before has passed: a device's only by its jitter."""
        now_s = self._clock()
        spent_s = 0.0 if self._called_s is None else now_s - self._called_s
        self._called_s = now_s
        early_s = max(0.0, self._lead_s - spent_s) * exp(-spent_s / FORGET_S)
        self._lead_s = early_s + frames / self.stage.rate_in
        return early_s

    def _await(self, patience_s: float) -> None:
        """Give the thread the time that the caller has."""
        worker = self._worker
        until_s = self._clock() + patience_s
        while worker.out.written < worker.wanted and not worker.ended:
            left_s = until_s - self._clock()
            if left_s <= 0.0:
                return
            worker.made.clear()
            if worker.out.written < worker.wanted:
                worker.made.wait(left_s)

    def stats(self) -> BackgroundStats:
        """Figures now; from any thread."""
        worker = self._worker
        return BackgroundStats(self._frames, self._late, self._gaps, worker.into.dropped, worker.faults)

    def flush(self) -> Samples:
        """Wait for the thread, and return the ``latency`` frames still held; then it is as new."""
        with self._lock:
            self._settle()
            worker = self._worker
            worker.out.skip(worker.wanted - worker.out.consumed)
            held = worker.out.read(self._ahead)
            missing = silence(self._ahead - len(held), self.channels)
            self._voice.resting = False
            rest = self._voice.flush()
            self._begin()
            return np.concatenate([missing, held, rest])

    def reset(self) -> None:
        """Forget all audio."""
        with self._lock:
            self._settle()
            self.stage.reset()
            self._begin()

    def _begin(self) -> None:
        self._worker.begin()
        self._called_s, self._lead_s = None, 0.0

    def _settle(self) -> None:
        """Wait until all that was handed over is done."""
        worker = self._worker
        while not worker.idle and not worker.ended:
            worker.made.clear()
            worker.signal()
            if not worker.idle:
                worker.made.wait(JOIN_S)

    def close(self) -> None:
        """End the thread; what it waits for fails. Twice is fine."""
        self._worker.end()
        self._voice.leave()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)
