"""A microphone that may be paused, may be lost and may come back; read by a thread of its own."""

import threading
from collections import deque

from menura.audio.block import Samples, silence
from menura.clock import monotonic_s
from menura.devices.port import InputPort, PortStats
from menura.errors import DeviceError
from menura.live.absence import Absence, retry_after_s
from menura.live.ending import let_end, stop_at_exit
from menura.live.gaps import GapMeter
from menura.live.listening import MicrophoneListener, MicrophoneStats, Reconnect
from menura.live.watch import PortWatch
from menura.log import get_logger
from menura.units import frames_to_ms

__all__ = ["Microphone"]

logger = get_logger(__name__)

LAST_S = 0.5
"""Longest wait, beyond a callback, for what was captured before a stop."""
JOIN_S = 5.0
FILL_S = 1.0
"""Longest block of silence at once."""


class Microphone:
    """Audio of a device until :meth:`stop`, to a listener.

    A pause cuts by the times the device tells: what was said before it is still heard, what is said in it is not, and
    nothing piles up meanwhile. A device that is lost is reported once, and tried again, at growing intervals and by its
    name, until it gives audio.

    Args:
        reconnect: Opens the device.
        device: Its name or index; None for the default.
        listener: What hears.
        lost_after_s: Time without a sign of the device after which it is lost.
        silent_after_s: Digital silence this long is reported once; 0 is never.
        reopen: Whether to wait for a lost device.
        fill: Whether the time in which it was away is heard as silence.
    """

    def __init__(
        self,
        reconnect: Reconnect,
        device: str | int | None,
        listener: MicrophoneListener,
        *,
        lost_after_s: float = 1.0,
        silent_after_s: float = 5.0,
        reopen: bool = True,
        fill: bool = False,
    ) -> None:
        self._reconnect = reconnect
        self._device = device
        self._index = device if isinstance(device, int) else None
        self._listener = listener
        self._lost_after_s, self._silent_after_s = lost_after_s, silent_after_s
        self._reopen_wanted, self._fill = reopen, fill
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._finishing = False
        self._deadline_s = 0.0
        self._port: InputPort | None = None
        self._watch: PortWatch | None = None
        self._open = True  # whether what was captured up to the next gate is heard
        self._gates: deque[tuple[float, bool]] = deque()  # by the device's clock; the last is what holds
        self._silent = 0
        self._silence_told = self._suspect = False
        self._outage = False
        self._lost_s = 0.0  # when it was lost
        self._absence = Absence()
        self._past = PortStats()  # of ports that were closed
        self._losses = GapMeter(1)
        self._reopened, self._name = 0, ""
        self._thread = threading.Thread(target=self._run, name="menura-capture", daemon=True)

    # --- from any thread

    def start(self) -> None:
        """Open the device and listen; once.

        Raises:
            DeviceError: It does not open or start.
        """
        self._connect(refresh=False)
        stop_at_exit(self, self.stop)
        self._thread.start()

    def hold(self) -> None:
        """Hear nothing that is captured from now on."""
        self._gate(opens=False)

    def resume(self) -> None:
        """Hear what is captured from now on."""
        self._gate(opens=True)

    def _gate(self, *, opens: bool) -> None:
        with self._guard:
            if self._port is None:
                self._gates.clear()
                self._open = opens
            else:
                self._gates.append((self._port.now_s, opens))

    def stop(self) -> None:
        """Hear what was captured until now, then give the device back and return.

        From the microphone's own thread, that is out of a callback, what has arrived by now is all that is heard.
        """
        if threading.current_thread() is self._thread:
            self._finish()
            return
        with self._guard:
            if not self._stopping.is_set() and self._port is not None:
                self._gates.append((self._port.now_s, False))
                self._deadline_s = monotonic_s() + self._port.block / self._port.rate + LAST_S
            self._stopping.set()
            if self._watch is not None:
                self._watch.wake()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)
            if self._thread.is_alive():
                logger.error("the microphone's thread has not ended within %.0f s: device or callback hangs", JOIN_S)

    def stats(self) -> MicrophoneStats:
        """Figures so far."""
        with self._guard:
            port = self._port
            counts = self._counts()
            rate = 1 if port is None else port.rate
            return MicrophoneStats(
                name=self._name,
                lost=self._outage,
                reopened=self._reopened,
                xruns=counts.xruns_in,
                gaps=self._losses.gaps,
                lost_ms=1000.0 * self._losses.lost_s,
                latency_ms=0.0 if port is None else port.latency_ms + frames_to_ms(port.block, rate),
            )

    def _counts(self) -> PortStats:
        now = PortStats() if self._port is None else self._port.stats()
        return PortStats(xruns_in=self._past.xruns_in + now.xruns_in, dropped_in=self._past.dropped_in + now.dropped_in)

    # --- the microphone's thread

    def _connect(self, *, refresh: bool) -> None:
        port = self._find(refresh)
        watch = PortWatch(port, self._lost_after_s)
        try:
            port.start(watch.signal)
        except BaseException:
            port.close()
            raise
        name = _name_of(port)
        if name and self._device is not None:
            self._device = name  # indexes change when devices come and go
        losses = GapMeter(port.rate)
        losses.gaps, losses.lost_s = self._losses.gaps, self._losses.lost_s
        with self._guard:
            self._losses = losses
            self._port, self._watch, self._name = port, watch, name or str(self._device or "")
        self._silent = 0

    def _find(self, refresh: bool) -> InputPort:
        """By name; of several that have it, the one at the index that was asked for."""
        try:
            return self._reconnect(self._device, refresh)
        except DeviceError:
            if self._index is None or self._index == self._device:
                raise
            port = self._reconnect(self._index, False)
            if _name_of(port) == self._device:
                return port
            port.close()
            raise

    def _disconnect(self) -> None:
        with self._guard:
            port = self._port
            self._past = self._counts()
            self._port = self._watch = None
            if self._gates:
                self._open = self._gates[-1][1]
                self._gates.clear()
        self._absence.begin()
        if port is not None:
            port.close()

    def _run(self) -> None:
        try:
            while not self._over():
                if self._watch is None:
                    self._retry()
                else:
                    self._listen(self._watch)
                self._listener.turn_over()
        except Exception as error:  # a fault of ours: it must not end in silence
            logger.exception("the microphone's thread has failed")
            self._listener.failed(error)
        finally:  # a callback may end the thread
            self._finish()
            self._listener.turn_over()

    def _over(self) -> bool:
        if self._finishing:
            return True
        if not self._stopping.is_set():
            return False
        return self._port is None or not (self._gates or self._open) or monotonic_s() >= self._deadline_s

    def _finish(self) -> None:
        """Take what there is, and end."""
        if self._finishing:
            return
        self._finishing = True
        if self._port is not None:
            self._take(self._port)
            self._disconnect()
        self._stopping.set()
        let_end(self)
        self._listener.broke()
        self._listener.ended()

    def _listen(self, watch: PortWatch) -> None:
        port = self._port
        assert port is not None
        try:
            watch.wait()
            self._take(port)
        except DeviceError as error:
            self._take(port)
            self._lose(error)
        else:
            if self._suspect:
                self._doubt()

    def _lose(self, error: Exception) -> None:
        """Report it, and give the device back; which takes as long as its sound server hangs."""
        self._listener.broke()
        if not self._outage:
            self._lost_s = monotonic_s()
            self._outage = True
            self._listener.failed(error)
            self._listener.turn_over()
        self._disconnect()
        if not self._reopen_wanted:
            self._stopping.set()

    def _retry(self) -> None:
        if self._stopping.wait(retry_after_s(monotonic_s() - self._lost_s)):
            return
        try:
            self._connect(refresh=True)
        except DeviceError as error:
            logger.debug("the microphone is not back: %s", error)

    def _take(self, port: InputPort) -> None:
        """Hand on what was captured and is let through."""
        x = port.read()
        if len(x):
            if self._outage:
                self._outage = False
                self._reopened += 1
                logger.info("the microphone %s is back", self._name)
            self._miss(self._absence.read(port, len(x)), port)
            start_s = port.next_s - len(x) / port.rate
            self._losses.note(len(x), start_s, port.stats())
            self._note_silence(port, x)
        else:
            start_s = port.next_s
        self._pass(x, start_s, port.rate)

    def _miss(self, missing_s: float, port: InputPort) -> None:
        """So much was not captured while the device was away."""
        if not missing_s or not self._open:
            return
        self._losses.gaps += 1
        self._losses.lost_s += missing_s
        frames = round(missing_s * port.rate) if self._fill else 0
        step = round(FILL_S * port.rate)
        for at in range(0, frames, step):
            self._listener.heard(silence(min(step, frames - at), port.channels))
            self._listener.turn_over()

    def _pass(self, x: Samples, start_s: float, rate: int) -> None:
        """Let through what lies before a gate that closes and after one that opens."""
        at = 0
        while self._gates:
            gate_s, opens = self._gates[0]
            edge = round((gate_s - start_s) * rate)
            if edge > len(x):
                break  # it lies in what is still to come
            edge = max(at, edge)
            if self._open and edge > at:
                self._listener.heard(x[at:edge])
            if self._open and not opens:
                self._listener.broke()
            self._open, at = opens, edge
            self._gates.popleft()
        if self._open and at < len(x):
            self._listener.heard(x[at:])

    def _note_silence(self, port: InputPort, x: Samples) -> None:
        if not self._silent_after_s:
            return
        if x.any():
            self._silent, self._silence_told = 0, False
            return
        self._silent += len(x)
        if self._silent >= self._silent_after_s * port.rate and not self._silence_told:
            self._silence_told = True
            self._suspect = True

    def _doubt(self) -> None:
        """Report digital silence.

        Sound servers move a stream whose device has gone to another one, and say nothing: a device that was named is
        opened anew, which shows whether it is still there.
        """
        self._suspect = False
        if isinstance(self._device, str):
            self._disconnect()
            try:
                self._connect(refresh=True)
            except DeviceError as error:
                self._lose(error)
                return
        name = f" {self._name!r}" if self._name else ""
        self._listener.failed(
            DeviceError(
                f"Audio device{name} gives nothing but digital silence for {self._silent_after_s:g} s: "
                "is the microphone muted, or another one meant?"
            )
        )


def _name_of(port: InputPort) -> str:
    return getattr(getattr(port, "input", None), "name", "")
