"""The engine of one session, without devices, sockets or threads: bytes in, bytes and values out."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.clock import Clock, monotonic_s
from menura.dsp.fade import crossfade
from menura.engine.buffer import AudioStreamBuffer
from menura.engine.config import BufferConfig, ProcessingMode
from menura.engine.downlink import Downlink
from menura.engine.feed import Feed
from menura.engine.gauges import gauges
from menura.engine.listening import Listening
from menura.engine.metrics import AudioMetrics
from menura.engine.pipeline import Pipeline, Plan
from menura.engine.pool import BufferPool
from menura.engine.processor import AudioProcessor
from menura.engine.report import performance_report
from menura.engine.totals import (
    Totals,
    buffer_totals,
    governor_totals,
    metrics_totals,
    playback_totals,
    vad_totals,
)
from menura.engine.verdict import ACCEPTED, Inspector, Verdict
from menura.log import get_logger
from menura.units import ms_to_frames
from menura.vad.config import VADConfig, VADState
from menura.vad.fast import FastVADDetector

__all__ = ["Engine"]

Data = bytes | bytearray | memoryview
HISTORY_MS, HISTORY_CHUNKS = 300.0, 30
"""Audio run through new stages before they are heard, so that they do not begin with silence."""
SWITCH_MS = 10.0
_NOTHING = object()


class Engine(Listening):
    """Audio of one session: checked, processed, watched for speech, buffered and counted.

    One thread drives it. Where others read meanwhile, take :class:`menura.AudioEngine`, which has a lock.

    Args:
        mode: What is done to audio; may be changed at any moment.
        config: Of the audio that comes out, and of the voice detection.
        buffer_config: Of the stream buffer.
        logger: Where refusals and changes are told, at debug and info level.
        source: What ``process_audio`` is given, where it is not what ``config`` says: a browser's 48 kHz, a telephone's
            G.711 at 8 kHz.
        latency_target_ms: For ``BALANCED``: what fits into this latency is done.
        clock: For durations.
    """

    _make_lock: Callable[[], AbstractContextManager[Any]] = nullcontext
    """What each call holds."""

    def __init__(
        self,
        mode: ProcessingMode = ProcessingMode.BALANCED,
        config: AudioConfig | None = None,
        buffer_config: BufferConfig | None = None,
        logger: logging.Logger | None = None,
        *,
        source: StreamFormat | None = None,
        latency_target_ms: float | None = None,
        clock: Clock = monotonic_s,
    ) -> None:
        self.config = config or AudioConfig()
        self.buffer_config = buffer_config or BufferConfig()
        self.logger = logger or get_logger("menura.engine")
        self.target = self.config.stream_format
        self.source = source or self.target
        self.metrics = AudioMetrics()
        self.buffer_pool = BufferPool(16, self.config.bytes_for_ms(1000)) if self.config.pre_allocate_buffers else None
        self._clock = clock
        self._lock = self._make_lock()
        self._processor = AudioProcessor(self.config, mode, self.logger)
        self._inspector = Inspector(self._source_config())
        self._feed: Feed | None = None
        self._history: deque[bytes] = deque(maxlen=HISTORY_CHUNKS)
        self._history_bytes = ms_to_frames(HISTORY_MS, self.source.rate) * self.source.frame_bytes
        self._ms_per_byte = 1000.0 / (self.source.rate * self.source.frame_bytes)
        self._vad: FastVADDetector | None = None
        self._seen: object = _NOTHING  # the last chunk validated, and what was said of it
        self._seen_verdict = Verdict.EMPTY
        self._past = Totals()
        self._downlink = Downlink(self.config, self.source)
        self._fading: Pipeline | None = None
        # what was measured of a chunk serves the voice detection too, if it is the same audio there
        self._levels_known = self.source == self.target and self.source.encoding is AudioFormat.PCM16
        plan = Plan(ProcessingMode.of(mode), latency_target_ms)
        self._pipeline = Pipeline(plan, self.source, self.target, clock=clock)
        self._passes = self._pipeline.transparent

    def _source_config(self) -> AudioConfig:
        return replace(
            self.config,
            sample_rate=self.source.rate,
            channels=self.source.channels,
            format=self.source.encoding,
            bit_depth=8 * max(2, self.source.encoding.width),
        )

    # ---- the way up: from the client

    def validate_audio(self, audio_bytes: Any) -> bool:
        """Whether a chunk is audio of the right shape, or Opus. Never raises; ``explain`` says why not."""
        begun = self._clock()
        with self._lock:
            verdict = self._inspect(audio_bytes)
            self.metrics.validate.observe(self._clock() - begun)
        return verdict in ACCEPTED or verdict is Verdict.OPUS

    def explain(self, audio_bytes: Any) -> str | None:
        """What is wrong with a chunk, or remarkable about it; ``None`` if there is nothing to tell."""
        with self._lock:
            return self._inspector.explain(self._inspect(audio_bytes), audio_bytes)

    def _inspect(self, audio: Any) -> Verdict:
        if audio is self._seen:
            return self._seen_verdict
        verdict = self._inspector.inspect(audio)
        # bytes cannot change behind our back: the same object is the same audio
        self._seen, self._seen_verdict = (audio if type(audio) is bytes else _NOTHING), verdict
        return verdict

    def process_audio(self, audio_bytes: Data) -> bytes:
        """Process a chunk from the client.

        Args:
            audio_bytes: Any number of whole frames in the source's format.

        Returns:
            As much audio in the format of ``config``, late by ``latency_ms``: 20 ms give 20 ms. In ``REALTIME`` without
            conversion it is the very object given. What is invalid gives ``b""`` and is counted by reason.
        """
        begun = self._clock()
        with self._lock:
            metrics = self.metrics
            verdict = self._inspect(audio_bytes)
            if verdict not in ACCEPTED:
                return self._refuse(audio_bytes, verdict)
            if verdict is not Verdict.OK:
                metrics.remark(verdict.value)
            if type(audio_bytes) is not bytes:
                audio_bytes = bytes(audio_bytes)  # the history keeps it, and its owner may fill it anew
            size = len(audio_bytes)
            self._history.append(audio_bytes if size <= self._history_bytes else audio_bytes[-self._history_bytes :])
            out: bytes = audio_bytes if self._passes else self._run(audio_bytes)
            metrics.chunks += 1
            metrics.bytes_in += size
            metrics.bytes_out += len(out)
            metrics.audio_ms += size * self._ms_per_byte
            metrics.process.observe(self._clock() - begun)
            return out

    def _refuse(self, audio: Any, verdict: Verdict) -> bytes:
        size = len(audio) if verdict is not Verdict.WRONG_TYPE else 0
        self.metrics.bytes_in += size
        self.metrics.drop(verdict.value, size)
        self.logger.debug("audio refused: %s", self._inspector.explain(verdict, audio))
        return b""

    def _run(self, audio: bytes) -> bytes:
        x = decode(audio, self.source)
        y = self._pipeline.process(x, self.metrics)
        if self._fading is not None:
            old, self._fading = self._fading.process(x), None
            n = min(len(y), len(old), ms_to_frames(SWITCH_MS, self.target.rate))
            y = np.concatenate([crossfade(old[:n], y[:n]), y[n:]])
            self._passes = self._pipeline.transparent
        return encode(y, self.target)

    def flush(self) -> bytes:
        """What the stages still hold: the end of the stream. The engine is as new then, apart from its counters."""
        with self._lock:
            rest = self._pipeline.flush()
            self._history.clear()
            self._fading = None
            self._passes = self._pipeline.transparent
            out = encode(rest, self.target)
            self.metrics.bytes_out += len(out)
            return out

    def add_echo_reference(self, audio: Data) -> bool:
        """Tell what is being played to the client, for echo cancellation in ``QUALITY``.

        Args:
            audio: In the format of ``config``, at the pace at which it is played.

        Returns:
            Whether it is valid audio.
        """
        with self._lock:
            if not self._processor.inspect(audio).accepted:
                return False
            if self.mode is ProcessingMode.QUALITY:
                self._replace(replace(self._pipeline.plan, echo=True))
            self._pipeline.reference(decode(audio, self.target))
            return True

    def chunk_audio_generator(self, audio: Data, chunk_ms: int | None = None) -> Iterator[bytes]:
        """Cut audio in the format of ``config`` into chunks; the last may be shorter.

        Raises:
            FormatError: ``audio`` is no whole frames.
            ConfigError: The duration is shorter than a frame.
        """
        yield from self._processor.chunk_audio(audio, chunk_ms)

    # ---- speech

    def configure_vad(self, vad_config: VADConfig | None = None) -> None:
        """Choose how speech is detected; detection starts anew.

        Raises:
            MissingExtraError: The detector needs a package that is not installed.
        """
        vad = FastVADDetector(vad_config, self.config)
        with self._lock:
            if self._vad is not None:
                self._past.add([vad_totals(self._vad.stats())])
            self._vad = vad

    def process_vad_chunk(self, audio_chunk: Data) -> VADState:
        """Watch a processed chunk for speech.

        Args:
            audio_chunk: In the format of ``config``, each chunk once and in order.

        Returns:
            Where in an utterance the stream is; equal to ``"silence"``, ``"speech_starting"``, ``"speech"`` or
            ``"speech_ending"``. Without ``configure_vad`` the default detector is used.
        """
        begun = self._clock()
        if self._vad is None:
            self.configure_vad()
        with self._lock:
            assert self._vad is not None
            if audio_chunk is self._seen and self._levels_known:
                state = self._vad.process_level(audio_chunk, self._inspector.level)
            else:
                state = self._vad.process_chunk(audio_chunk)
            self.metrics.vad.observe(self._clock() - begun)
            return state

    def get_pre_buffer(self) -> bytes | None:
        """The bytes that came before speech; see :meth:`FastVADDetector.get_pre_buffer`."""
        with self._lock:
            return None if self._vad is None else self._vad.get_pre_buffer()

    # ---- buffering

    @property
    def stream_buffer(self) -> AudioStreamBuffer:
        """The stream buffer, made on first use: audio of the client, not yet processed."""
        return self._feed_in_use().buffer

    def _feed_in_use(self) -> Feed:
        if self._feed is None:
            self._feed = Feed(self.buffer_config, self._inspector.config, self.mode, lock=self._lock, clock=self._clock)
        return self._feed

    def add_to_stream_buffer(self, audio: Data) -> bytes | None:
        """Collect audio from the client until there is a chunk of it.

        With ``BufferConfig(jitter=True)`` what comes back is what is due by the clock since the first call, smoothed,
        and at most a second of it: so the pace is even although the calls come when the network lets them. Whoever has
        a timer takes it with ``read_stream_buffer`` instead, and this returns ``None`` from then on.

        Args:
            audio: Any length; what is invalid is refused and counted as in ``process_audio``.

        Returns:
            All whole chunks of ``config.chunk_duration_ms`` now complete, processed; ``None`` if there are none.

        Raises:
            LimitError: It does not fit, and the overflow policy is ``error``.
            ConfigError: The buffer is too small for a chunk.
        """
        with self._lock:
            verdict = self._inspect(audio)
            if verdict not in ACCEPTED:
                self._refuse(audio, verdict)
                return None
        chunk = self._feed_in_use().add(audio)
        return self.process_audio(chunk) if chunk else None

    def read_stream_buffer(self, duration_ms: float | None = None) -> bytes | None:
        """Take the next audio from the stream buffer, processed: for a reader with an even pace of its own.

        Args:
            duration_ms: How much; a chunk by default.

        Returns:
            Exactly so much, padded or concealed where there is too little; ``None`` before the first audio.

        Raises:
            LimitError: Too little is held, and the underflow policy is ``error``.
            ConfigError: Nothing, or more than ``config.max_chunk_ms``, is asked for; or the buffer holds no chunk.
        """
        chunk = self._feed_in_use().read(duration_ms)
        return self.process_audio(chunk) if chunk else None

    # ---- modes

    @property
    def mode(self) -> ProcessingMode:
        """What is done to audio."""
        return self._pipeline.mode

    @mode.setter
    def mode(self, mode: ProcessingMode) -> None:
        with self._lock:
            self._replace(replace(self._pipeline.plan, mode=ProcessingMode.of(mode)))

    @property
    def enhance(self) -> bool:
        """Whether ``QUALITY`` suppresses noise."""
        return self._pipeline.plan.enhance

    @enhance.setter
    def enhance(self, on: bool) -> None:
        with self._lock:
            self._replace(replace(self._pipeline.plan, enhance=on))

    @property
    def latency_ms(self) -> float:
        """By how much ``process_audio`` delays the signal, beside the time that it takes."""
        return self._pipeline.latency_ms

    def optimize_for_latency(self) -> None:
        """Change to ``REALTIME``: no latency of its own. What earlier stages held back is left out, faded over."""
        self.mode = ProcessingMode.REALTIME

    def optimize_for_quality(self) -> None:
        """Change to ``QUALITY``. As its stages look back, a few tens of milliseconds are heard again, faded over."""
        self.mode = ProcessingMode.QUALITY

    def _replace(self, plan: Plan) -> None:
        """Change to new stages, which have heard the last 300 ms."""
        if plan == self._pipeline.plan:
            return
        new = Pipeline(plan, self.source, self.target, clock=self._clock)
        if self._pipeline.governor is not None:
            self._past.add([governor_totals(self._pipeline.governor.stats())])
        if self._history:
            new.process(decode(b"".join(self._history)[-self._history_bytes :], self.source))
            self._fading = self._fading or self._pipeline  # what was heard last, however often it is changed
        self.logger.info("audio engine: %s, %.1f ms", plan.mode.value, new.latency_ms)
        self._pipeline = new
        self._passes = new.transparent and self._fading is None
        self._processor.mode = plan.mode

    # ---- figures

    def get_metrics(self) -> dict[str, Any]:
        """All figures at one moment: those of :class:`AudioMetrics`, and of each part that is in use."""
        with self._lock:
            figures = self.metrics.to_dict() | {
                "mode": self.mode.value,
                "latency_ms": self.latency_ms,
                "latency_target_ms": self._pipeline.target_ms,
                "pipeline": list(self._pipeline.stages),
                "shed": list(self._pipeline.shed),
                "playback": self._downlink.figures(),
                "vad": self._vad.get_metrics() if self._vad else {},
            }
            if self._pipeline.governor is not None:
                figures["load_shedding"] = asdict(self._pipeline.governor.stats())
            if self.buffer_pool is not None:
                figures["buffer_pool"] = self.buffer_pool.stats()
        if self._feed is not None:
            figures["stream_buffer"] = self._feed.buffer.get_stats()
        return figures

    def get_performance_report(self) -> dict[str, Any]:
        """Whether the engine keeps up, how far it is from its limits, and what to do about it."""
        return performance_report(self.get_metrics(), self.config.chunk_duration_ms)

    def reset_metrics(self) -> None:
        """Start to count anew; ``totals`` go on."""
        with self._lock:
            self._past.add([metrics_totals(self.metrics)])
            self.metrics.reset()

    def totals(self) -> Totals:
        """Counters since the engine was made, for export: they never go down."""
        with self._lock:
            heard = playback_totals(self._downlink.playback.stats(), self._downlink.refused)
            parts = [self._past, metrics_totals(self.metrics), heard]
            if self._vad is not None:
                parts.append(vad_totals(self._vad.stats()))
            if self._pipeline.governor is not None:
                parts.append(governor_totals(self._pipeline.governor.stats()))
            totals = Totals().add(parts)  # here: what is reset moves to the past
        if self._feed is not None:
            totals.add([buffer_totals(self._feed.buffer, self.source.rate)])
        return totals

    def gauges(self) -> dict[str, float]:
        """Figures of this moment, for export; seconds, or shares of 1."""
        return gauges(self._pipeline, self.metrics, None if self._feed is None else self._feed.buffer)
