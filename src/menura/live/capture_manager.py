"""The microphone in chunks of Base64, to callbacks and to an AI provider's connection."""

import threading
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from menura.audio.block import Samples
from menura.audio.pcm import encode
from menura.clock import Clock, monotonic_s
from menura.devices.port import DeviceInfo, InputPort
from menura.devices.portaudio import list_devices
from menura.devices.portaudio_oneway import open_input
from menura.dsp.meter import rms
from menura.errors import DeviceError, StateError
from menura.live.capture_calls import CaptureCalls, Connection
from menura.live.capture_chunks import Chunker, Piece, PieceKind
from menura.live.capture_config import MOVES, AudioCaptureCallbacks, AudioCaptureConfig, CaptureState
from menura.live.capture_stats import AudioCaptureStats
from menura.live.listening import MicrophoneStats
from menura.live.microphone import JOIN_S, Microphone
from menura.live.outbox import Outbox
from menura.units import frames_to_ms

__all__ = [
    "AudioCaptureCallbacks",
    "AudioCaptureConfig",
    "AudioCaptureManager",
    "AudioCaptureStats",
    "CaptureState",
    "Connection",
    "OpenMicrophone",
    "create_audio_capture",
    "list_audio_devices",
]

WAITING_MS = 10_000.0
"""Most audio that waits while a callback is busy in another thread."""


class OpenMicrophone(Protocol):
    """Opens a microphone, as :func:`menura.devices.open_input` does."""

    def __call__(
        self, device: str | int | None, /, *, rate: int, channels: int, block: int, latency_s: float, refresh: bool
    ) -> InputPort:
        """Open it, not yet started."""


class AudioCaptureManager:
    """Captures a microphone and sends it, in chunks, to callbacks and a connection.

    :meth:`initialize` sees whether there is a microphone, :meth:`start_recording` takes it, :meth:`stop_recording`
    gives it back; with ``with`` the first and :meth:`dispose` are done. All methods may be called from any thread, and
    from within callbacks: what a callback causes follows it. A microphone that is lost is reported to ``on_error``
    once, and captured again when it returns.

    With a connection every chunk goes out as an ``input_audio_buffer.append`` event too, in the session's input format
    where the connection tells it, as ``RealtimeConnectionManager`` does; else as it is, mixed to mono. What the
    connection raises goes to ``on_error``, once for all that fail in a row, and the capture goes on.

    Args:
        config: Settings.
        callbacks: Whom to tell.
        connection_manager: Anything with ``send_event(event)`` that may be called from another thread.
        open_port: Opens the microphone.
        clock: Seconds, for what waits.

    Raises:
        ConfigError: The connection cannot be sent to, or wants audio in a form there is not.

    >>> from menura.devices.synthetic_oneway import SyntheticInput
    >>> ports = []
    >>> callbacks = AudioCaptureCallbacks(on_audio_data=lambda audio, volume: print(len(audio), volume))
    >>> with AudioCaptureManager(
    ...     callbacks=callbacks, open_port=lambda device, **form: ports.append(SyntheticInput(24_000)) or ports[-1]
    ... ) as manager:
    ...     manager.start_recording()
    ...     ports[-1].pump(2400)
    ...     manager.stop_recording()
    6400 0.0
    """

    def __init__(
        self,
        config: AudioCaptureConfig | None = None,
        callbacks: AudioCaptureCallbacks | None = None,
        connection_manager: Connection | None = None,
        *,
        open_port: OpenMicrophone = open_input,
        clock: Clock = monotonic_s,
    ) -> None:
        self.config = config or AudioCaptureConfig()
        self._calls = CaptureCalls(self.config, callbacks or AudioCaptureCallbacks(), connection_manager)
        self._open_port, self._clock = open_port, clock
        self._control = threading.Lock()  # of starting: held while a device opens, never while anything is called
        self._lock = threading.Lock()  # of what follows: held for moments
        self._state = CaptureState.INACTIVE
        self._initialized = False
        self._recording: _Recording | None = None
        self._chunker = Chunker(self.config)
        chunk_ms = frames_to_ms(self.config.full_frames, self.config.sample_rate)
        self._outbox = Outbox(max(16, int(WAITING_MS / chunk_ms)))
        self._held_since_s = 0.0
        self._volume = 0.0
        self._volume_due = False
        self._past = MicrophoneStats()
        self._frames = self._utterances = 0

    def __enter__(self) -> "AudioCaptureManager":
        self.initialize()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dispose()

    # --- what the caller does

    def initialize(self) -> None:
        """See that the microphone is there and opens; nothing if that was seen. It is held only while recording.

        Raises:
            DeviceError: It does not; the text starts with "Audio device not available".
        """
        with self._control:
            if not self._initialized:
                try:
                    port = self._open(self._wanted(), False)
                except DeviceError:
                    port = self._open(self._wanted(), True)  # it may have come since PortAudio started
                port.close()
                self._initialized = True

    @property
    def connection_manager(self) -> Connection | None:
        """Where audio is sent; may be replaced at any time.

        Raises:
            ConfigError: The new one cannot be sent to, or wants audio in a form there is not.
        """
        return self._calls.connection

    @connection_manager.setter
    def connection_manager(self, connection: Connection | None) -> None:
        self._calls.connection = connection

    def start_recording(self) -> None:
        """Capture, and send.

        Raises:
            StateError: (a ``RuntimeError``) It was not initialized, or records already.
            DeviceError: The microphone does not open.
        """
        with self._control:
            if not self._initialized:
                raise StateError("Audio capture not initialized: call initialize() first")
            if (self._state, "start") not in MOVES:
                paused = ", and paused: call resume(), or" if self._state is CaptureState.PAUSED else ": call"
                raise StateError(f"Already recording{paused} stop_recording() first")
            recording = _Recording(self)
            recording.microphone.start()
            with self._lock:
                self._recording = recording
                self._move("start")
                recording.begun.set()
        self._outbox.deliver()

    def stop_recording(self) -> None:
        """Send what was captured until now, and give the microphone back; nothing if it does not record.

        On return every callback has been called, except from within one: what is left follows it.
        """
        recording = self._recording
        if recording is not None:
            recording.microphone.stop()
            self._ended(recording)  # for a thread that hangs
        self._outbox.deliver()
        self._outbox.wait(JOIN_S)

    def pause(self) -> None:
        """Go on capturing, but send nothing of what is captured from now on; nothing if it does not record."""
        with self._lock:
            if (self._state, "pause") in MOVES and self._recording is not None:
                self._recording.microphone.hold()
                self._move("pause")
                self._set_volume(0.0)
        self._outbox.deliver()

    def resume(self) -> None:
        """Send what is captured from now on; nothing if it is not paused."""
        with self._lock:
            if (self._state, "resume") in MOVES and self._recording is not None:
                self._recording.microphone.resume()
                self._move("resume")
        self._outbox.deliver()

    def flush(self) -> None:
        """Send what waits for its chunk to fill."""
        with self._lock:
            self._post(self._chunker.flush())
        self._outbox.deliver()

    def set_callbacks(self, callbacks: AudioCaptureCallbacks | None) -> None:
        """Tell these from now on."""
        self._calls.callbacks = callbacks or AudioCaptureCallbacks()

    def dispose(self) -> None:
        """Stop, and be as never initialized; twice is fine."""
        with self._control:  # after a start that is under way in another thread, and before any other
            self._initialized = False
        self.stop_recording()

    # --- what the caller learns

    def get_current_volume(self) -> float:
        """RMS level, 0…1, of what was captured last; 0 when nothing is."""
        return self._volume

    def get_state(self) -> CaptureState:
        """What it does now."""
        return self._state

    def stats(self) -> AudioCaptureStats:
        """Figures so far."""
        with self._lock:
            recording, past = self._recording, self._past
            mic = past if recording is None else _sum(past, recording.microphone.stats())
            held = self._chunker.held
            return AudioCaptureStats(
                state=self._state.value,
                is_recording=self._state is CaptureState.RECORDING,
                is_paused=self._state is CaptureState.PAUSED,
                total_samples=self._frames,
                total_chunks=self._calls.chunks,
                buffer_samples=held,
                buffer_ms=frames_to_ms(held, self.config.sample_rate),
                vad_enabled=self.config.vad_enabled,
                vad_speech_active=self._chunker.speaking,
                sample_rate=self.config.sample_rate,
                channels=self.config.channel_count,
                device=mic.name,
                device_lost=mic.lost,
                reopened=mic.reopened,
                xruns=mic.xruns,
                gaps=mic.gaps,
                lost_ms=mic.lost_ms,
                dropped_chunks=self._outbox.dropped,
                latency_ms=mic.latency_ms,
                utterances=self._utterances,
                sent_bytes=self._calls.sent_bytes,
                callback_errors=self._calls.callback_errors,
                connection_errors=self._calls.connection_errors,
            )

    def get_stats(self) -> dict[str, Any]:
        """The figures of :meth:`stats` as a dictionary."""
        return asdict(self.stats())

    # --- inside; what has the lock posts, and never calls

    def _wanted(self) -> str | int | None:
        return self.config.device_index if self.config.device is None else self.config.device

    def _open(self, device: str | int | None, refresh: bool) -> InputPort:
        return self._open_port(
            device,
            rate=self.config.sample_rate,
            channels=self.config.channel_count,
            block=self.config.block,
            latency_s=self.config.device_s,
            refresh=refresh,
        )

    def _move(self, move: str) -> None:
        self._state = state = MOVES[self._state, move]
        self._outbox.post(lambda: self._calls.tell("on_state_change", state))

    def _set_volume(self, volume: float) -> None:
        if volume != self._volume:
            self._volume = volume
            if not self._volume_due:
                self._volume_due = True
                self._outbox.post(self._tell_volume)

    def _tell_volume(self) -> None:
        self._volume_due = False
        self._calls.tell("on_volume_change", self._volume)

    def _heard(self, recording: "_Recording", x: Samples) -> None:
        data = encode(x, self.config.audio.stream_format)
        volume = min(1.0, rms(x))
        with self._lock:
            if recording is not self._recording:
                return
            self._frames += len(x)
            if self._state is CaptureState.RECORDING:
                self._set_volume(volume)
            self._post(self._chunker.push(data))
            self._held_since_s = self._clock()

    def _broke(self, recording: "_Recording") -> None:
        with self._lock:
            if recording is self._recording:
                self._post(self._chunker.end())
                self._outbox.post(self._calls.end_audio)

    def _stalled(self) -> None:
        """Send what waits, if for long nothing has come to fill its chunk."""
        config = self.config
        patience_s = config.auto_flush_ms / 1000.0 + config.device_s
        with self._lock:
            if config.auto_flush_ms and self._chunker.held and self._clock() - self._held_since_s > patience_s:
                self._post(self._chunker.flush())

    def _ended(self, recording: "_Recording") -> None:
        with self._lock:
            if recording is not self._recording:
                return
            self._past = _sum(self._past, recording.microphone.stats(), lost=False)
            self._recording = None
            self._set_volume(0.0)
            self._move("stop")

    def _post(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.kind is PieceKind.AUDIO:
                self._outbox.post(partial(self._calls.send, piece.data), optional=True)
            elif piece.kind is PieceKind.SPEECH_START:
                self._utterances += 1
                self._outbox.post(partial(self._calls.tell, "on_vad_speech_start"))
            else:
                self._outbox.post(self._calls.end_speech)


class _Recording:
    """From a start to a stop: the listener of one microphone."""

    def __init__(self, manager: AudioCaptureManager) -> None:
        config = manager.config
        self._manager = manager
        self.begun = threading.Event()
        self.microphone = Microphone(
            manager._open,
            manager._wanted(),
            self,
            lost_after_s=config.lost_after_s,
            silent_after_s=config.silent_after_s,
            reopen=config.reopen,
            fill=config.fill_gaps,
        )

    def heard(self, x: Samples) -> None:
        self.begun.wait()
        self._manager._heard(self, x)

    def broke(self) -> None:
        self.begun.wait()
        self._manager._broke(self)

    def failed(self, error: Exception) -> None:
        self._manager._outbox.post(partial(self._manager._calls.report, error))

    def turn_over(self) -> None:
        self._manager._stalled()
        self._manager._outbox.deliver()

    def ended(self) -> None:
        self.begun.wait()
        self._manager._ended(self)


def _sum(past: MicrophoneStats, now: MicrophoneStats, *, lost: bool | None = None) -> MicrophoneStats:
    return MicrophoneStats(
        name=now.name,
        lost=now.lost if lost is None else lost,
        reopened=past.reopened + now.reopened,
        xruns=past.xruns + now.xruns,
        gaps=past.gaps + now.gaps,
        lost_ms=past.lost_ms + now.lost_ms,
        latency_ms=now.latency_ms,
    )


def create_audio_capture(
    connection_manager: Connection | None = None,
    sample_rate: int = 24_000,
    vad_enabled: bool = False,
    *,
    callbacks: AudioCaptureCallbacks | None = None,
    **settings: Any,
) -> AudioCaptureManager:
    """Make and initialize a capture.

    Args:
        connection_manager: Where its audio is sent.
        sample_rate: Hz.
        vad_enabled: Whether only speech is sent.
        callbacks: Whom to tell.
        settings: Of :class:`AudioCaptureConfig`.

    Raises:
        ConfigError: A setting has a value it cannot have.
        TypeError: There is no such setting.
        DeviceError: There is no microphone.
    """
    config = AudioCaptureConfig(sample_rate=sample_rate, vad_enabled=vad_enabled, **settings)
    manager = AudioCaptureManager(config, callbacks, connection_manager)
    manager.initialize()
    return manager


def list_audio_devices(*, refresh: bool = False) -> list[DeviceInfo]:
    """The microphones of this machine: ``name`` for :attr:`AudioCaptureConfig.device`, ``index`` for ``device_index``.

    Args:
        refresh: Look for devices that came since PortAudio started; see :func:`menura.devices.list_devices`.

    Raises:
        DeviceError: PortAudio is not installed.
    """
    return [device for device in list_devices(refresh=refresh) if device.inputs]
