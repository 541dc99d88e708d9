"""A modular synthesizer whose cables are channels: oscillators, an LFO, filters, effects, a mixer, a file.

python examples/modular_synth.py synth.wav
"""

import argparse
import asyncio
import sys
from pathlib import Path

import numpy as np

from menura.audio.block import Samples
from menura.channels.patch import Patch
from menura.channels.sources import generate
from menura.dsp.delay import Chorus, Echo
from menura.dsp.oscillator import Noise, Oscillator
from menura.dsp.reverb import Reverb
from menura.dsp.sweep import Sweep
from menura.errors import MenuraError

RATE = 48_000
SECONDS = 12.0


def amplifier(sound: Samples, control: Samples) -> Samples:
    """A control of −0.5…0.5 opens and closes the sound."""
    return sound * (0.5 + control)


def both_sides(left: Samples, right: Samples) -> Samples:
    """Two mono sounds as one in stereo."""
    return np.concatenate([left, right], axis=1)


def wire(target: Path, seconds: float = SECONDS) -> Patch:
    """Name all modules, and the cables between them."""
    patch = Patch()

    # two detuned saws an octave apart, which beat, through a filter whose corner swings once in four seconds
    patch.source(generate(Oscillator(RATE, 110.0, shape="saw", level=0.4), seconds), to="low")
    patch.source(generate(Oscillator(RATE, 220.9, shape="saw", level=0.3, vibrato_st=0.15), seconds), to="high")
    patch.mix(["low", "high"], RATE, to="saws")
    patch.stage("saws", Sweep(RATE, freq_hz=700.0, q=6.0, octaves=2.0, lfo_hz=0.25), to="filtered")

    # a square whose loudness an LFO opens and closes twice a second, with echoes
    patch.source(generate(Oscillator(RATE, 659.26, shape="square", level=0.2), seconds), to="lead")
    patch.source(generate(Oscillator(RATE, 2.0, shape="triangle", phase=0.25), seconds), to="lfo")
    patch.combine(["lead", "lfo"], amplifier, RATE, to="pulsing")
    patch.stage("pulsing", Echo(RATE, delay_ms=375.0, feedback=0.5), to="echoing")

    # wind: noise through a narrow band that wanders
    patch.source(generate(Noise(RATE, level=0.2), seconds), to="noise")
    patch.stage("noise", Sweep(RATE, freq_hz=900.0, q=8.0, octaves=1.0, lfo_hz=0.1, kind="band_pass"), to="wind")

    # all of it to two sides, which drift apart, and far away; never above full scale
    patch.mix({"filtered": 0.5, "echoing": 0.35, "wind": 0.5}, RATE, to="dry")
    patch.stage("dry", Chorus(RATE, rate_hz=0.7, delay_ms=14.0), to="left")
    patch.stage("dry", Chorus(RATE, rate_hz=0.9, delay_ms=19.0), to="right")
    patch.combine(["left", "right"], both_sides, RATE, to="wide")
    patch.stage("wide", Reverb(RATE, 2), to="wet")
    patch.mix(["wet"], RATE, 2, limit=True, to="master")
    patch.record("master", target, format="pcm_s16le")
    return patch


def main() -> None:
    """Play the patch into a file, as fast as the machine can."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=Path("modular_synth.wav"), help="file to write")
    patch = wire(parser.parse_args().target)
    try:
        asyncio.run(patch.run())
    except MenuraError as error:
        sys.exit(f"modular_synth: {error}")
    for name, part in patch.stats().items():
        seconds = part.audio_out_s or part.audio_in_s
        print(f"{seconds:8.2f} s  {name}")


if __name__ == "__main__":
    main()
