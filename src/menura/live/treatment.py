"""What is put before and after a session's voice, built."""

from collections.abc import Sequence

from menura.dsp.autogain import AutoGain
from menura.dsp.dynamics import Limiter
from menura.dsp.frontend import Frontend, FrontendConfig
from menura.live.rack import Entry
from menura.voices.effects import EFFECTS, Effect

__all__ = ["effect_entries", "treatment_entries"]

NOISE_LEVEL = 2
"""18 dB of suppression at most."""


def effect_entries(effects: Sequence[Effect], rate: int, channels: int = 1) -> tuple[Entry, ...]:
    """Effects, built, and a limiter after them. It takes its time.

    One that is not enabled has its place, and passes everything through. The limiter stays for what rings out.

    Raises:
        ConfigError: An effect cannot be at this rate.
    """
    entries = []
    for effect in effects:
        mark = (effect.enabled, *sorted(effect.params.items()))
        stage = EFFECTS[effect.kind].make(rate, channels, **effect.params) if effect.enabled else None
        entries.append(Entry(effect.kind, mark, stage))
    if any(effect.enabled for effect in effects):
        entries.append(Entry("limiter", (), Limiter(rate, channels), stays=True))
    return tuple(entries)


def treatment_entries(
    rate: int, channels: int = 1, *, noise_suppression: bool = False, auto_gain: bool = False
) -> tuple[Entry, ...]:
    """Noise suppression and automatic gain, built, where they are on; each has its place. It takes its time."""
    config = FrontendConfig(noise_level=NOISE_LEVEL)
    noise = Frontend(rate, channels, noise=True, config=config) if noise_suppression else None
    gain = AutoGain(rate, channels) if auto_gain else None
    return Entry("noise", noise_suppression, noise), Entry("gain", auto_gain, gain)
