"""Voice activity of a stream of byte chunks."""

from collections.abc import Callable
from ctypes import c_void_p
from dataclasses import asdict
from typing import Any

from menura.audio.block import remix
from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.audio.pcm import decode
from menura.log import get_logger, log_internal_error
from menura.units import frames_to_ms, ms_to_frames
from menura.vad.build import make_detector, timing_of
from menura.vad.config import VADConfig, VADState
from menura.vad.energy import BATCH, Energy, scan_pcm16
from menura.vad.history import PreBuffer
from menura.vad.machine import Machine, SpeechEvent, SpeechEventKind
from menura.vad.stats import VADStats

__all__ = ["FastVADDetector", "VADStats"]

_log = get_logger(__name__)
_SILENCE = VADState.SILENCE
Chunk = bytes | bytearray | memoryview


class FastVADDetector:
    """Tells for every chunk of bytes whether someone speaks.

    The audio is looked at in hops of the detector (20 ms by energy), wherever the chunks end: the state after a chunk
    is that of the last hop complete by then, so cutting the stream otherwise changes nothing but when a state is seen.

    Bad audio never raises: what is no whole frame at the end of a chunk is left out and counted, and so is what is no
    bytes at all. One detector belongs to one stream and is used from one thread at a time; its figures may be read from
    another.

    Args:
        config: Detector and times; by energy by default.
        audio_config: Encoding, rate and channels of the chunks. More channels than one are mixed.
        on_speech_start: Called without arguments when an utterance is confirmed, after the chunk has been taken in.
        on_speech_end: Called without arguments when it has ended. What a callback raises is logged.

    Raises:
        MissingExtraError: The detector needs a package that is not installed.

    >>> vad = FastVADDetector(VADConfig(speech_start_ms=20))
    >>> vad.process_chunk(bytes(960)), vad.process_chunk(bytes([0, 64]) * 480)
    (<VADState.SILENCE: 'silence'>, <VADState.SPEECH: 'speech'>)
    >>> len(vad.get_pre_buffer())
    960
    """

    # fmt: off
    __slots__ = (
        "_address", "_before", "_chunks", "_detector", "_direct", "_expected", "_form", "_frame_bytes", "_hear",
        "_hop_bytes", "_level", "_longest", "_malformed", "_out", "_out_address", "_probability", "_state", "_step",
        "_threshold_power", "_write", "audio_config", "config", "machine", "on_speech_end", "on_speech_start",
    )
    # fmt: on

    def __init__(
        self,
        config: VADConfig | None = None,
        audio_config: AudioConfig | None = None,
        on_speech_start: Callable[[], Any] | None = None,
        on_speech_end: Callable[[], Any] | None = None,
    ) -> None:
        self.config = config or VADConfig()
        self.audio_config = audio = audio_config or AudioConfig()
        self.on_speech_start = on_speech_start
        self.on_speech_end = on_speech_end
        self._form = audio.stream_format
        self._frame_bytes = audio.frame_bytes
        self._detector = detector = make_detector(self.config, audio.sample_rate)
        timing = timing_of(self.config, detector)
        self.machine = Machine(timing)
        before = ms_to_frames(self.config.pre_buffer_ms, audio.sample_rate) + timing.lag + timing.hop
        self._before = PreBuffer(
            before * self._frame_bytes,
            (before + timing.to_confirm) * self._frame_bytes,
            (timing.end + 2 * timing.hop) * self._frame_bytes,
        )
        self._longest = audio.bytes_for_ms(audio.max_chunk_ms)  # of a longer chunk not all may be kept
        self._step = self.machine.step
        self._write = self._before.ring.write
        self._hear = detector.process_pcm16
        self._direct = 0  # longest chunk that needs no decoding
        self._address: c_void_p | None = None
        self._hop_bytes = -1  # length of a chunk whose level is all it takes
        self._threshold_power = self.config.energy_threshold**2
        if self._form.encoding is AudioFormat.PCM16 and self._form.channels == 1:
            self._direct = 2 * detector.hop * (BATCH - 1)
            if isinstance(detector, Energy):  # straight to the kernel
                kernel = detector.kernel
                self._address, self._out, self._out_address = kernel.address, kernel.out, kernel.out_address
                self._hop_bytes = -1 if detector.adaptive else 2 * detector.hop
        self.reset()

    def reset(self) -> None:
        """Forget all audio and all figures."""
        self._detector.reset()
        self.machine.reset()
        self._before.clear()
        self._state = _SILENCE  # of the last chunk, as it was reported
        self._probability = 0.0
        self._level: float | None = None  # of the last hop, where it was given
        self._chunks = 0
        self._malformed = 0
        self._expected = 0  # longest chunk the history has room for

    def process_chunk(self, audio_chunk: Chunk) -> VADState:
        """Take the next chunk, of any length; returns the state after its last complete hop."""
        if type(audio_chunk) is not bytes:
            return self._process_other(audio_chunk)
        size = len(audio_chunk)
        if size > self._expected or size & 1:
            return self._process_other(audio_chunk)
        self._chunks += 1
        if self._address is None:
            return self._take(self._hear(audio_chunk), audio_chunk)
        count = scan_pcm16(self._address, audio_chunk, size >> 1, self._out_address)
        if count == 1:
            self._level = None
            return self._advance(self._out[0], audio_chunk)
        return self._take(self._out[:count], audio_chunk)

    def process_level(self, audio_chunk: Chunk, level: float) -> VADState:
        """Take the next chunk, of which the RMS level, 0…1, is known already: half the work where that suffices.

        It does for chunks of one hop, on a hop, by fixed energy; anything else is as :meth:`process_chunk`, and so is
        the result but for the rounding of the level.
        """
        if (
            type(audio_chunk) is not bytes
            or len(audio_chunk) != self._hop_bytes
            or self._before.ring.written % self._hop_bytes
        ):
            return self.process_chunk(audio_chunk)
        self._chunks += 1
        self._level = level
        power = level * level
        return self._advance(power / (power + self._threshold_power) if power else 0.0, audio_chunk)

    def _advance(self, probability: float, chunk: bytes) -> VADState:
        """Move on by one hop that a chunk completed, then keep its bytes."""
        self._probability = probability
        event = self._step(probability)
        state = self.machine.state
        if state is not self._state:
            self._turn(state)
        self._write(chunk)
        if event is not None:
            self._tell([event])
        return state

    def _turn(self, state: VADState) -> None:
        self._before.turn(state)
        self._state = state

    def _take(self, probabilities: list[float], chunk: bytes | memoryview) -> VADState:
        """Move on by the hops that a chunk completed, then keep its bytes."""
        events = [event for event in map(self._step, probabilities) if event is not None]
        if probabilities:
            self._probability = probabilities[-1]
            self._level = None
        state = self.machine.state
        if state is not self._state:
            self._turn(state)
        self._write(chunk)
        if events:
            self._tell(events)
        return state

    def _process_other(self, chunk: object) -> VADState:
        """Whatever is not an ordinary chunk for the kernel."""
        self._chunks += 1
        if not isinstance(chunk, Chunk):
            self._malformed += 1
            return self._state
        try:
            whole = memoryview(chunk)
            whole = whole.cast("B") if whole.c_contiguous else memoryview(whole.tobytes())
        except ValueError:  # a view that was released
            self._malformed += 1
            return self._state
        size = len(whole) // self._frame_bytes * self._frame_bytes
        if size != len(whole):
            self._malformed += 1
            whole = whole[:size]
        self._before.expect(min(size, self._longest))
        self._expected = min(max(self._expected, size), self._direct)
        if not size:
            return self._state
        if self._direct:
            return self._take(self._hear(bytes(whole)), whole)
        mono = remix(decode(whole, self._form), 1)
        return self._take(self._detector.process(mono).tolist(), whole)

    def _tell(self, events: list[SpeechEvent]) -> None:
        for event in events:
            call = self.on_speech_start if event.kind is SpeechEventKind.START else self.on_speech_end
            if call is None:
                continue
            try:
                call()
            except Exception as error:  # a listener's fault is not the stream's
                log_internal_error(_log, f"callback on speech {event.kind} failed", error)

    def get_pre_buffer(self) -> bytes | None:
        """The bytes before the chunks that are now reported as speech, exactly as they were given.

        Send these, then every chunk from the first that was reported so on, and nothing is missing or sent twice. The
        answer stays the same while the state does, so it may be asked for with the first chunk of a state or from
        ``on_speech_start``. By the state of the last chunk, the bytes end where the first chunk of that state began:

        - ``SPEECH`` after ``SPEECH_STARTING``: reaches ``pre_buffer_ms`` before the onset (what the debounce and the
          detector's lag took is added), but not into chunks reported as ``SPEECH`` or ``SPEECH_ENDING`` before.
        - ``SPEECH_STARTING``: reaches ``pre_buffer_ms`` before the onset, but into no chunk that was reported as
          anything but ``SILENCE``. Who forwards from here on asks here, and not again at ``SPEECH``; should the start
          come to nothing, what was forwarded of it is not given again.
        - ``SPEECH`` after ``SPEECH_ENDING``: the chunks of that pause. Who forwards those too does not ask again; who
          forwards ``SPEECH`` alone gets them here.
        - ``SPEECH_ENDING``: ``None``; in a chunk so long that a whole utterance began in it, as for ``SPEECH``.
        - ``SILENCE``: ``None``.

        A fragment that was left out is in neither.

        Returns:
            Whole frames, or ``None`` if there are none.
        """
        return self._before.ask()

    def stats(self) -> VADStats:
        """Figures so far."""
        machine, detector, rate = self.machine, self._detector, self.audio_config.sample_rate
        speech = machine.spent(VADState.SPEECH) + machine.spent(VADState.SPEECH_ENDING)
        timing = machine.timing
        return VADStats(
            current_state=machine.state,
            type=self.config.type.value,
            chunks_processed=self._chunks,
            malformed_chunks=self._malformed,
            speech_segments=machine.segments,
            transitions={f"{old}>{new}": count for (old, new), count in machine.moves.copy().items()},
            probability=self._probability,
            energy=detector.level if self._level is None else self._level,
            noise_floor=detector.noise_floor,
            threshold=timing.threshold,
            release_threshold=timing.release,
            energy_threshold=self.config.energy_threshold,
            speech_ms=frames_to_ms(speech, rate),
            silence_ms=frames_to_ms(machine.frames - speech, rate),
            utterance_ms=frames_to_ms(machine.utterance, rate),
            model_runs=detector.model_runs,
            lag_ms=frames_to_ms(detector.lag, rate),
            pre_buffer_bytes=len(self._before),
        )

    def get_metrics(self) -> dict[str, Any]:
        """The figures of :meth:`stats` as a dictionary, ``energy`` also as ``level``."""
        figures = asdict(self.stats())
        figures["current_state"] = figures["current_state"].value
        figures["level"] = figures["energy"]
        return figures
