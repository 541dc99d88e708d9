"""What cleans a microphone's signal: echo cancellation, noise suppression, automatic gain."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from menura.audio.block import Samples, as_block, finite, remix, silence
from menura.audio.format import check_channels, check_rate
from menura.clock import Clock
from menura.dsp.autogain import AutoGain
from menura.dsp.bypass import Bypass
from menura.dsp.ring import Ring
from menura.dsp.split import Split
from menura.dsp.webrtc import RATE, EchoCanceller, NoiseSuppressor
from menura.errors import ConfigError
from menura.units import ms_to_frames

__all__ = ["Frontend", "FrontendConfig"]

FADE_MS = 10.0


@dataclass(frozen=True, slots=True)
class FrontendConfig:
    """How the parts of a frontend work.

    Attributes:
        noise_level: Most suppression: 0 is 6 dB, 1 is 12, 2 is 18, 3 is 21.
        echo_delay_ms: What is known of the time from a reference to its echo, 0 to 500: the canceller finds it by
            itself, and sooner with a hint.
        reference_ms: Longest reference held ahead of the microphone, 10 to 60,000; beyond, the oldest is dropped.
        target_lufs: See :class:`~menura.dsp.autogain.AutoGain`.
        max_gain_db: See :class:`~menura.dsp.autogain.AutoGain`.
        step: Every block's length is a multiple of this many frames. Where all blocks are whole 10 ms, saying so saves
            10 ms of latency.

    Raises:
        ConfigError: A value it cannot have.
    """

    noise_level: int = 1
    echo_delay_ms: float = 0.0
    reference_ms: float = 1000.0
    target_lufs: float = -20.0
    max_gain_db: float = 40.0
    step: int = 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.echo_delay_ms <= 500.0:
            raise ConfigError(f"echo_delay_ms is 0 to 500, not {self.echo_delay_ms}")
        if isinstance(self.step, bool) or not isinstance(self.step, int) or self.step < 1:
            raise ConfigError(f"step is a whole number of frames from 1, not {self.step!r}")
        if not 10.0 <= self.reference_ms <= 60_000.0:
            raise ConfigError(f"reference_ms is 10 to 60,000, not {self.reference_ms}")


class Frontend:
    """Stage of WebRTC's echo canceller (AEC3), noise suppressor and automatic gain (AGC2), in this order.

    The parts named at the start are built and set the latency, which then stays. Each can be switched while audio runs
    (``frontend.noise = False``): it fades within 10 ms and then costs nothing; it keeps what it has learned, and comes
    back after its own delay. Switched off, the signal passes unchanged.

    Echo and noise are found below 8 kHz, at 16 kHz: the library's own bands at 32 and 48 kHz delay and colour speech.
    What is above is turned down as the top of the band below is. Both wait for one frame of 10 ms, once; the gain
    alone waits for none.

    Args:
        echo: Whether it cancels echo of what ``reference`` is given, and with it what is below 100 Hz.
        noise: Whether it suppresses steady noise.
        gain: Whether it lifts quiet speech.
        config: How they work.
        clock: If given, ``cost_s`` counts the time spent in each part.

    Attributes:
        parts: Names of the parts built, in the order of the signal.
        cost_s: Seconds spent in each part, by ``clock``.
        reference_missing: Frames of reference not there when their time came, while the echo part ran.

    Source:
        WebRTC, modules/audio_processing: aec3, ns, agc2.
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        *,
        echo: bool = False,
        noise: bool = False,
        gain: bool = False,
        config: FrontendConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.rate_in = self.rate_out = check_rate(rate)
        self.channels = check_channels(channels)
        self.config = config = config or FrontendConfig()
        self._clock = clock
        self._canceller = EchoCanceller(channels, config.echo_delay_ms) if echo else None
        self._suppressor = NoiseSuppressor(channels, config.noise_level) if noise else None
        self._gain: AutoGain | None = None
        self._switches: dict[str, Bypass] = {}
        delay = 0
        for name, part in (("echo", self._canceller), ("noise", self._suppressor)):
            if part:
                self._switches[name] = _bypass(RATE, channels, part.delay, RATE // 100)
                delay += part.delay
        self._split: Split | None = None
        self.latency = 0
        if delay:
            self._split = Split(rate, RATE, (channels * (2 if echo else 1), channels), delay, config.step)
            self.latency = self._split.latency
        self._around = _bypass(rate, channels, self.latency, config.step)
        if gain:
            self._gain = AutoGain(rate, channels, target_lufs=config.target_lufs, max_gain_db=config.max_gain_db)
            self._switches["gain"] = _bypass(rate, channels, self._gain.latency, 1)
            self.latency += self._gain.latency
        self.parts = tuple(self._switches)
        self.cost_s = dict.fromkeys(self.parts, 0.0)
        self._far = Ring(ms_to_frames(config.reference_ms, rate), channels) if echo else None
        self.reference_missing = 0
        self._rewind()

    def _rewind(self) -> None:
        if self._split:
            self._split.reset()
        self._around.on = self.echo or self.noise
        for switch in (self._around, *self._switches.values()):
            switch.rewind()

    def reset(self) -> None:
        """Forget all audio, references, and what was learned from them; switches and settings stay."""
        for part in (self._canceller, self._suppressor):
            if part:
                part.renew()
        if self._gain:
            self._gain.reset()
        if self._far is not None:
            self._far.clear()
        self._rewind()

    @property
    def echo(self) -> bool:
        """Whether echo is cancelled; may be set where the part was built."""
        return self._is_on("echo")

    @echo.setter
    def echo(self, on: bool) -> None:
        self._switch("echo", on)

    @property
    def noise(self) -> bool:
        """Whether noise is suppressed; may be set where the part was built."""
        return self._is_on("noise")

    @noise.setter
    def noise(self, on: bool) -> None:
        self._switch("noise", on)

    @property
    def gain(self) -> bool:
        """Whether quiet speech is lifted; may be set where the part was built."""
        return self._is_on("gain")

    @gain.setter
    def gain(self, on: bool) -> None:
        self._switch("gain", on)

    def _is_on(self, name: str) -> bool:
        return name in self._switches and self._switches[name].on

    def _switch(self, name: str, on: bool) -> None:
        if name in self._switches:
            self._switches[name].on = bool(on)
            self._around.on = self.echo or self.noise
        elif on:
            raise ConfigError(f"a part cannot be added, for the latency stays: build the frontend with {name}=True")

    @property
    def echo_delay_ms(self) -> float:
        """Hint of the time from a reference to its echo, 0 to 500; may be set at any time."""
        return self.config.echo_delay_ms

    @echo_delay_ms.setter
    def echo_delay_ms(self, delay_ms: float) -> None:
        self.config = replace(self.config, echo_delay_ms=delay_ms)
        if self._canceller:
            self._canceller.set_delay_ms(delay_ms)

    @property
    def speech_probability(self) -> float:
        """How sure the noise suppressor is that its last frame held speech, or else the gain; 0 where neither runs."""
        if self._suppressor and self.noise:
            return self._suppressor.speech_probability
        return self._gain.speech_probability if self._gain and self.gain else 0.0

    @property
    def gain_db(self) -> float:
        """Gain at the end of the last block; 0 where the part is off."""
        return self._gain.gain_db if self._gain and self.gain else 0.0

    @property
    def reference_dropped(self) -> int:
        """Frames of reference given more than ``reference_ms`` ahead, and lost."""
        return self._far.dropped if self._far is not None else 0

    def reference(self, x: Samples) -> None:
        """Say what is being played, in blocks of any length.

        Its first frame belongs to the first frame that ``process`` has not yet taken, and so on one for one: it is
        given before, up to ``reference_ms`` early. What is missing when its time comes counts as silence.

        Shape:
            x: ``[n, channels]``, or mono for all channels; float32, at the stage's rate.

        Raises:
            ConfigError: The frontend has no echo part.
        """
        if self._far is None:
            raise ConfigError("a reference is for the echo part: build the frontend with echo=True")
        self._far.write(finite(remix(as_block(x), self.channels)))

    def process(self, x: Samples) -> Samples:
        """Process the next block, ``[n, channels]``.

        Raises:
            FormatError: ``n`` is no multiple of ``config.step``.
        """
        y = x = finite(x)
        if split := self._split:
            taken = np.concatenate([x, self._take(len(x))], axis=1) if self._far is not None else x
            y = self._around.mix(x, lambda start, stop: split.run(taken[start:stop], self._clean))
        if gain := self._gain:
            lifted = y
            y = self._switches["gain"].mix(y, lambda start, stop: self._timed("gain", gain.process, lifted[start:stop]))
        return y

    def _take(self, frames: int) -> Samples:
        """The reference of the next frames, with silence for what is missing."""
        far = silence(frames, self.channels)
        if self._far is None:
            return far
        if not self._switches["echo"].runs:
            self._far.skip(frames)
        else:
            self.reference_missing += frames - self._far.read_into(far)
        return far

    def _clean(self, frame: Samples) -> Samples:
        """Echo, then noise, of 10 ms: ``[n, near and far channels]`` to ``[n, channels]``."""
        y = frame[:, : self.channels]
        if canceller := self._canceller:
            y = self._switches["echo"].mix(y, lambda *_: self._timed("echo", canceller.clean, frame))
        if suppressor := self._suppressor:
            heard = y
            y = self._switches["noise"].mix(y, lambda *_: self._timed("noise", suppressor.clean, heard))
        return y

    def _timed(self, name: str, clean: Callable[[Samples], Samples], x: Samples) -> Samples:
        if self._clock is None:
            return clean(x)
        start = self._clock()
        y = clean(x)
        self.cost_s[name] += self._clock() - start
        return y

    def flush(self) -> Samples:
        """Return the ``latency`` frames still held, and be as new."""
        step = self.config.step
        y = self.process(silence(-(-self.latency // step) * step, self.channels))[: self.latency]
        self.reset()
        return y


def _bypass(rate: int, channels: int, latency: int, step: int) -> Bypass:
    """A switch whose phases are whole steps: at least ``latency`` unheard, at least 10 ms of fade."""
    fade = ms_to_frames(FADE_MS, rate)
    return Bypass(latency, -(-latency // step) * step, -(-fade // step) * step, channels)
