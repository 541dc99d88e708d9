"""RVC: a voice model behind audio callbacks and streams."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menura.audio.block import silence
from menura.clock import monotonic_s
from menura.errors import ConfigError, FormatError, StateError
from menura.live.background import BackgroundCallback
from menura.live.callback import AudioCallback, AudioCallbackConfig, StageCallback, as_array, writable
from menura.live.gui_config import GUIConfig
from menura.live.making import shared_models, shared_runner
from menura.live.simple_rvc import SimpleRVC, SimpleStage
from menura.neural.stream.model import RvcModel
from menura.neural.stream.stage import RvcStage
from menura.units import frames_to_ms
from menura.voices.rvc import load_planned, with_pitch

__all__ = ["RVC", "GUIConfig"]

FRAME_MS = 10.0


@dataclass(slots=True)
class _Stream:
    config: AudioCallbackConfig
    callback: AudioCallback
    own: bool = True
    chunks: int = 0
    frames: int = 0

    @property
    def latency(self) -> int:
        """Of a function of the caller's own nothing is known."""
        return self.callback.latency if isinstance(self.callback, StageCallback) else 0


class RVC:
    """A voice for callbacks of sound hardware, or chunk by chunk.

    A model computes in blocks of ``block_time``. A callback whose blocks are shorter has that done in a thread of its
    own, and only copies (:class:`~menura.live.background.BackgroundCallback`); ``AudioCallbackConfig.background`` says
    otherwise.

    Where :attr:`model_loaded` and :attr:`hubert_loaded` are set by hand and nothing was loaded, pitch and formants
    change as :class:`~menura.live.simple_rvc.SimpleRVC` does it. All methods may be called from any thread.

    Args:
        config: Settings; copied.

    Attributes:
        model_loaded: Whether the voice is there.
        hubert_loaded: Whether the content model is there.
        audio_callback: What :meth:`process_audio_callback` calls; None for nothing.

    Raises:
        ConfigError: A setting has a value it cannot have.

    >>> rvc = RVC(GUIConfig(pitch=5.0))
    >>> rvc.model_loaded = rvc.hubert_loaded = True
    >>> rvc.set_audio_callback(rvc.create_audio_callback())
    >>> output = np.zeros(512, np.float32)
    >>> rvc.process_audio_callback(np.full(512, 0.5, np.float32), output)
    """

    def __init__(self, config: GUIConfig | None = None) -> None:
        self.config = replace(config or GUIConfig())
        self.config.check()
        self.model_loaded = self.hubert_loaded = False
        self.audio_callback: AudioCallback | None = None
        self._model: RvcModel | None = None
        self._lock = threading.RLock()
        self._stream: _Stream | None = None
        self._made: WeakSet[StageCallback] = WeakSet()

    def load(self, progress: Callable[[float, str], Any] | None = None) -> None:
        """Load the models that the config names; takes seconds, so a window or an event loop calls it in a thread.

        Args:
            progress: Called with what is done, 0…1, and what is next.

        Raises:
            ModelError: A file is missing, damaged, unsafe or of another kind; the text says which and what to do.
            ConfigError: This machine lacks the provider, or the voice the speaker.
            MissingExtraError: The runtime is not installed.
        """
        config, tell = self.config, progress or (lambda done, text: None)
        if not config.pth_path:
            raise ConfigError("pth_path: name the voice to load")
        tell(0.0, "loading")
        with shared_models():
            model = load_planned(config.plan(), config.options(), tell)
        model.synthesizer.speaker(config.speaker_id)
        with self._lock:
            self._model = model
            self.model_loaded = self.hubert_loaded = True
        tell(1.0, "ready")

    def is_ready(self) -> bool:
        """Whether both models are loaded."""
        return self.model_loaded and self.hubert_loaded

    def _check_ready(self) -> None:
        if not self.is_ready():
            raise StateError("RVC not ready - models not loaded: call load() first")

    # --- settings, also while it runs

    @property
    def pitch(self) -> float:
        """Semitones; may be set while it runs."""
        return self.config.pitch

    @pitch.setter
    def pitch(self, value: float) -> None:
        self.change(pitch=value)

    @property
    def formant(self) -> float:
        """Semitones; may be set while it runs."""
        return self.config.formant

    @formant.setter
    def formant(self, value: float) -> None:
        self.change(formant=value)

    def change(self, **settings: Any) -> None:
        """Change settings of the config. Those of the sound are heard at once, without a click, and so is another
        ``f0method``, which is loaded in this call while the voice speaks on. Other paths, times and provider count for
        the next :meth:`load` or stream.

        Raises:
            ConfigError: There is no such setting, or it cannot have this value; nothing was changed.
            ModelError, MissingExtraError: A model for the pitch is missing; nothing was changed.
        """
        known = {field.name for field in fields(GUIConfig)}
        if unknown := sorted(set(settings) - known):
            raise ConfigError(f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
        while True:
            with self._lock:
                config, model = self._changed(settings), self._model
                if model is None or _finding(config) == _finding(self.config):
                    self._apply(config, model)
                    return
            with shared_models():
                other = with_pitch(model, config.plan(), config.options())
            with self._lock:
                if self._model is model:  # else another was loaded meanwhile
                    self._apply(self._changed(settings), other)
                    return

    def _changed(self, settings: dict[str, Any]) -> GUIConfig:
        """The config with these settings, checked."""
        config = replace(self.config, **settings)
        config.check()
        if self._model is not None:
            self._model.synthesizer.speaker(config.speaker_id)
        return config

    def _apply(self, config: GUIConfig, model: RvcModel | None) -> None:
        self.config, self._model = config, model
        for stage in [callback.stage for callback in self._made]:
            if isinstance(stage, RvcStage):
                with suppress(ConfigError):  # a voice loaded before is another
                    if model is not None:
                        stage.exchange(model)
                with suppress(ConfigError):  # and may lack the speaker
                    stage.set(config.settings())
            elif isinstance(stage, SimpleStage):
                stage.turn(config.pitch, config.formant)

    # --- callbacks

    def create_audio_callback(self, config: AudioCallbackConfig | None = None) -> StageCallback:
        """Make a callback, with state of its own.

        Raises:
            ConfigError: A setting has a value it cannot have.
            StateError: "RVC not ready": the models are not loaded.
        """
        config = config or AudioCallbackConfig()
        config.check()
        with self._lock:
            self._check_ready()
            callback = self._simple(config) if self._model is None else self._converting(self._model, config)
            self._made.add(callback)
            return callback

    def _simple(self, config: AudioCallbackConfig) -> StageCallback:
        return SimpleRVC(self.config.pitch, self.config.formant, tgt_sr=config.sample_rate).callback(config)

    def _converting(self, model: RvcModel, config: AudioCallbackConfig) -> StageCallback:
        fade_ms = frames_to_ms(config.crossfade_samples, config.sample_rate) if config.enable_crossfade else 0.0
        plan = self.config.plan()
        shape = plan.shape().faded(round(fade_ms / FRAME_MS))
        stage = RvcStage(
            model,
            config.sample_rate,
            config.channels,
            shape=shape,
            settings=self.config.settings(),
            runner=shared_runner(plan.runtime, shape),
            clock=monotonic_s if plan.adapt else None,
        )
        background = config.block_size < stage.block if config.background is None else config.background
        return BackgroundCallback(stage, config.channels) if background else StageCallback(stage, config.channels)

    def set_audio_callback(self, callback: AudioCallback) -> None:
        """Use this callback: one of :meth:`create_audio_callback`, or any function ``(input, output)``.

        Raises:
            StateError: A stream runs.
            TypeError: It cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"an audio callback is a function of input and output, not {type(callback).__name__}")
        with self._lock:
            if self._stream is not None:
                raise StateError("Cannot set callback while streaming is active: call stop_stream() first")
            self.audio_callback = callback

    def clear_audio_callback(self) -> None:
        """Use none."""
        with self._lock:
            self.audio_callback = None

    def process_audio_callback(self, input: ArrayLike, output: NDArray[np.float32]) -> None:  # noqa: A002
        """Process a block with the callback that was set.

        Shape:
            input, output: As the callback takes them: ``[n]`` or ``[n, channels]`` floats.

        Raises:
            StateError: "No audio callback registered".
            FormatError: A block has another shape or type. Output is silent then, as with any other error.
        """
        callback = self.audio_callback
        if callback is None:
            raise StateError("No audio callback registered: call set_audio_callback() first")
        target = writable(output)
        try:
            callback(as_array(input), target)
        except BaseException:
            target[:] = 0.0
            raise

    # --- streams

    def start_stream(self, sample_rate: int, block_size: int) -> None:
        """As :meth:`start_enhanced_stream`, with what else the config has by default."""
        self.start_enhanced_stream(AudioCallbackConfig(sample_rate=sample_rate, block_size=block_size))

    def start_enhanced_stream(self, config: AudioCallbackConfig | None = None) -> None:
        """Begin a stream for :meth:`process_stream_chunk`.

        It uses the callback that was set, but for one that was made for another rate or other channels.

        Raises:
            ConfigError: A setting has a value it cannot have.
            StateError: "Stream already running", or "RVC not ready".
        """
        config = replace(config or AudioCallbackConfig())
        config.check()
        with self._lock:
            if self._stream is not None:
                raise StateError("Stream already running: call stop_stream() first")
            self._check_ready()
            callback = self._set_for(config)
            own = callback is None
            self._stream = _Stream(config, callback or self.create_audio_callback(config), own)

    def _set_for(self, config: AudioCallbackConfig) -> AudioCallback | None:
        """What was set, unless it was made for audio of another kind."""
        callback = self.audio_callback
        if isinstance(callback, StageCallback):
            made = (callback.stage.rate_in, callback.channels)
            return callback if made == (config.sample_rate, config.channels) else None
        return callback

    def is_streaming(self) -> bool:
        """Whether a stream runs."""
        return self._stream is not None

    def process_stream_chunk(self, chunk: ArrayLike) -> NDArray[np.float32]:
        """Process the next chunk of the stream, by the callback that was set before it began, or by the voice.

        Shape:
            chunk: ``[n]`` or ``[n, channels]`` floats, of any length.

        Returns:
            As many samples in the same shape, late by :attr:`stream_latency` frames.

        Raises:
            StateError: "Streaming not active".
            FormatError: The chunk has another shape or type.
        """
        with self._lock:
            stream = self._running_stream()
            x = as_array(chunk)
            if x.ndim not in (1, 2):
                raise FormatError(f"a chunk has the shape [frames] or [frames, channels], not {list(x.shape)}")
            output = np.zeros(x.shape, np.float32)
            stream.callback(x, output)
            stream.chunks += 1
            stream.frames += len(x)
            return output

    def _running_stream(self) -> _Stream:
        if self._stream is None:
            raise StateError("Streaming not active: call start_stream() first")
        return self._stream

    def stop_stream(self) -> NDArray[np.float32]:
        """End the stream.

        Returns:
            The ``stream_latency`` frames it still held, ``[frames, channels]``.

        Raises:
            StateError: "No stream running".
        """
        with self._lock:
            if self._stream is None:
                raise StateError("No stream running: there is nothing to stop")
            stream, self._stream = self._stream, None
            callback = stream.callback
            if not isinstance(callback, StageCallback):
                return silence(0, stream.config.channels)
            try:
                return callback.flush()
            finally:
                if stream.own:
                    callback.close()

    @property
    def stream_latency(self) -> int:
        """Frames by which the stream's output lags its input: for whoever must keep pictures or other tracks in time.

        Raises:
            StateError: No stream runs.
        """
        with self._lock:
            return self._running_stream().latency

    def get_stream_info(self) -> str | None:
        """A line about the stream; None without one."""
        with self._lock:
            stream = self._stream
            if stream is None:
                return None
            config = stream.config
            latency_ms = frames_to_ms(stream.latency, config.sample_rate)
            parts = [
                f"Streaming active - {config.sample_rate} Hz, blocks of {config.block_size} samples",
                f"{stream.chunks} chunks, {stream.frames} samples, latency {latency_ms:.1f} ms",
            ]
            return ", ".join([*parts, *_figures(stream.callback)])


def _finding(config: GUIConfig) -> tuple[str, str]:
    """How pitch is found."""
    return config.f0method, config.rmvpe_path


def _figures(callback: AudioCallback) -> list[str]:
    """What is to be told of a model that runs."""
    told = []
    if isinstance(callback, StageCallback) and isinstance(callback.stage, RvcStage):
        pace = callback.stage.pace()
        if pace is not None:
            times = f" (of {pace.longest_ms:.0f}), {pace.steps_down} steps down" if pace.steps_down else ""
            told.append(f"load {pace.load:.0%}, context {pace.context_ms:.0f} ms{times}, {pace.late} late blocks")
    if isinstance(callback, BackgroundCallback):
        stats = callback.stats()
        told.append(f"{stats.late} samples missed")
    return told
