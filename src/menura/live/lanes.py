"""Where a session's audio comes from and goes to: a client's messages, or this machine's devices."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Protocol

from menura.audio.block import Samples, silence
from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode
from menura.clock import Clock, monotonic_s
from menura.dsp.resample import Resampler
from menura.errors import DeviceError
from menura.live.session import VoiceSession
from menura.live.shedding import Shedding
from menura.live.sound_server import reached
from menura.live.speaking import Devices, Speaking
from menura.live.strand import Strand
from menura.live.turnaround import Turnaround
from menura.units import frames_to_ms

__all__ = ["ClientLane", "DeviceLane", "DeviceLease", "Lane"]

DEVICE_RATE = 48_000


class Lane(Protocol):
    """A running session's way in and out. Event loop only."""

    session: VoiceSession

    @property
    def latency_ms(self) -> float:
        """From a sound's coming in to its going out, changed; measured."""

    def details(self) -> dict[str, float]:
        """What the latency is made of, and what was lost."""

    async def finish(self) -> None:
        """End, after what is still held went out."""

    def abandon(self) -> None:
        """End at once; nobody listens any more."""


class ClientLane:
    """Audio of a client's messages, processed on a strand.

    A client that sends faster than one speaks is made to wait, and loses nothing. For one that speaks, what is too late
    is answered with silence, as long as it is: where there is more to do than can be done, it is heard with holes, not
    later and later.

    Args:
        session: Used by the strand alone from now on.
        form: Encoding and rate of the client's audio.
        pool: Threads to work on.
        send: Called in the event loop with each piece of changed audio, in order.
        on_error: Called in the event loop when the voice fails; silence is sent for that piece.
        output: Encoding and rate of what is sent, where they differ.
    """

    PENDING_MS = 1000.0
    """Audio waiting to be processed before the client is made to wait."""
    LIVE_PENDING_MS = 5000.0
    """The same of one who speaks, where what is late is left out."""

    def __init__(
        self,
        session: VoiceSession,
        form: StreamFormat,
        pool: Executor,
        send: Callable[[bytes], None],
        on_error: Callable[[Exception], None],
        clock: Clock = monotonic_s,
        output: StreamFormat | None = None,
    ) -> None:
        self.session = session
        self._form, self._send, self._on_error, self._clock = form, send, on_error, clock
        self._output = output or form
        self._resampler = Resampler(form.rate, self._output.rate, form.channels)
        self._strand = Strand(pool)
        self._loop = asyncio.get_running_loop()
        self._turnaround = Turnaround(form.rate)
        self._shedding = Shedding(form.rate, form.channels)
        self._pending = 0
        self._max_pending = int(self.PENDING_MS * form.rate / 1000.0)
        self._max_live = int(self.LIVE_PENDING_MS * form.rate / 1000.0)
        self._room = asyncio.Event()
        self._room.set()
        self._waits = 0
        self._abandoned = False

    def feed(self, data: bytes) -> None:
        """Take a message of audio.

        Raises:
            FormatError: It ends within a sample; it is then left out whole.
        """
        frames = self._form.frames_in(data)
        now_s = self._clock()
        due_s, live = self._turnaround.arrived(now_s, frames), self._shedding.arrived(now_s, frames)
        self._pending += frames
        if self._pending > (self._max_live if live else self._max_pending) and self._room.is_set():
            self._room.clear()
            self._waits += 1
        self._strand.post(lambda: self._work(data, frames, due_s, live))

    async def room(self) -> None:
        """Wait until there is less than ``PENDING_MS`` to do: a flood waits in its own socket, and loses nothing."""
        await self._room.wait()

    def _work(self, data: bytes, frames: int, due_s: float, live: bool) -> None:
        if self._abandoned:
            return
        x = decode(data, self._form)
        try:
            if live and self._shedding.stale(self._clock(), due_s):
                y = self._shedding.leave_out(frames)
                self.session.left_out(x, y)
            else:
                y = self._shedding.heard(self.session.process(x))
        except Exception as error:
            y = silence(frames)
            self._loop.call_soon_threadsafe(self._on_error, error)
        self._loop.call_soon_threadsafe(self._deliver, self._answer(y), frames, due_s)

    def _answer(self, y: Samples) -> bytes:
        return encode(self._resampler.process(y), self._output)

    def _deliver(self, answer: bytes, frames: int, due_s: float) -> None:
        self._turnaround.answered(due_s, self._clock())
        self._pending -= frames
        if self._pending <= self._max_pending:
            self._room.set()
        if answer:
            self._send(answer)

    async def finish(self) -> None:
        """Send what the session still holds, after all that came before."""
        done = self._loop.create_future()

        def work() -> None:
            try:
                tail = self._answer(self.session.finish()) + encode(self._resampler.flush(), self._output)
            except Exception as error:
                self._loop.call_soon_threadsafe(done.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(done.set_result, tail)

        self._strand.post(work)
        self._send(await done)

    def abandon(self) -> None:
        """Drop what waits."""
        self._abandoned = True
        self.session.leave()

    @property
    def latency_ms(self) -> float:
        """The voice's delay, and how late answers are beside it."""
        return self._algorithm_ms + 1000.0 * self._turnaround.mean_s

    @property
    def _algorithm_ms(self) -> float:
        return self.session.stats().latency_ms + frames_to_ms(self._resampler.latency, self._output.rate)

    def details(self) -> dict[str, float]:
        """What the latency is made of."""
        return {
            "algorithm_ms": self._algorithm_ms,
            "turnaround_ms": 1000.0 * self._turnaround.mean_s,
            "latency_frames": self.session.latency,
            "pending_ms": 1000.0 * self._pending / self._form.rate,
            "waits": self._waits,
            "shed_ms": frames_to_ms(self._shedding.frames, self._form.rate),
        }


class DeviceLease:
    """One session at a time has the machine's devices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take the devices.

        Raises:
            DeviceError: Another session has them.
        """
        if not self._lock.acquire(blocking=False):
            raise DeviceError("Audio device not available: another session is using it")

    def give_back(self) -> None:
        """Let another session have them."""
        self._lock.release()


class DeviceLane:
    """Audio of this machine's microphone, through the session's voice to its loudspeaker.

    Made by :meth:`open`. Devices that are lost are awaited: the session goes on, and keeps them, until it ends.
    """

    def __init__(self, session: VoiceSession, speaking: Speaking, lease: DeviceLease, pool: Executor) -> None:
        self.session = session
        self._speaking, self._lease, self._pool = speaking, lease, pool
        self._ended = False
        self._news: list[Exception | None] = []
        self._on_news: Callable[[Exception | None], None] | None = None

    @classmethod
    async def open(cls, session: VoiceSession, devices: Devices, lease: DeviceLease, pool: Executor) -> "DeviceLane":
        """Open the devices and start.

        Args:
            session: Used by the devices' threads alone from now on.
            devices: Which.
            lease: Of the machine's devices.
            pool: Threads to wait in for them.

        Raises:
            DeviceError: They are in use, or cannot be opened.
        """
        loop = asyncio.get_running_loop()
        lease.take()

        def tell(error: Exception | None) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody listens any more
                loop.call_soon_threadsafe(lane._hear, error)

        speaking = Speaking(session, devices, tell=tell)
        lane = cls(session, speaking, lease, pool)

        def begin() -> None:
            try:
                speaking.devices = reached(devices)
                speaking.start()
            except BaseException:
                lease.give_back()
                raise

        opening = pool.submit(begin)
        try:
            await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            if opening.cancelled():
                lease.give_back()
            else:
                opening.add_done_callback(lambda done: None if done.exception() else lane.abandon())
            raise
        return lane

    def listen(self, on_news: Callable[[Exception | None], None]) -> None:
        """Call this, in the event loop, with what has happened and will: what :class:`Speaking` tells."""
        self._on_news = on_news
        news, self._news = self._news, []
        for error in news:
            on_news(error)

    def _hear(self, error: Exception | None) -> None:
        if self._ended:
            return
        if self._on_news is None:
            self._news.append(error)
        else:
            self._on_news(error)

    async def finish(self) -> None:
        """Let what was said be heard, and give the devices back."""
        if not self._ended:
            self._ended = True
            await asyncio.get_running_loop().run_in_executor(self._pool, self._end)

    def abandon(self) -> None:
        """Give the devices back, without waiting."""
        if not self._ended:
            self._ended = True
            self.session.leave()
            try:
                self._pool.submit(self._end)
            except RuntimeError:  # the server ends
                threading.Thread(target=self._end, name="menura-devices-end", daemon=True).start()

    def _end(self) -> None:
        try:
            self._speaking.stop()
        finally:
            self._lease.give_back()

    @property
    def latency_ms(self) -> float:
        """From microphone to loudspeaker, as the devices tell; 0 while one is lost."""
        stats = self._speaking.stats()
        return stats.latency_ms if stats.running else 0.0

    def details(self) -> dict[str, float]:
        """What the latency is made of, and what was lost."""
        stats = self._speaking.stats()
        return {
            "algorithm_ms": stats.voice_ms,
            "capture_ms": stats.capture_ms,
            "playback_ms": stats.playback_ms,
            "device_ms": stats.capture_ms + stats.playback_ms,
            "latency_frames": self.session.latency,
            "xruns": stats.xruns,
            "gaps": stats.gaps,
            "drift_ppm": stats.drift_ppm,
            "device_lost": stats.lost,
            "reopened": stats.reopened,
        }
