"""Every Stage there is, under the one proof. A new stage is added to CASES, or the last test fails."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

import menura.dsp
import menura.voices
from menura.dsp.autogain import AutoGain
from menura.dsp.blend import Blend
from menura.dsp.chain import Chain
from menura.dsp.delay import Chorus, Echo, Vibrato
from menura.dsp.denoise import Denoiser
from menura.dsp.drive import Drive
from menura.dsp.dynamics import Compressor, Gain, Gate, Limiter
from menura.dsp.filter import Band, BandKind, Equalizer
from menura.dsp.frontend import Frontend
from menura.dsp.loudness import LoudnessNormalizer
from menura.dsp.modulate import RingModulator, Tremolo
from menura.dsp.noise import Hiss
from menura.dsp.resample import Resampler
from menura.dsp.reverb import Reverb
from menura.dsp.ringing import RingOut
from menura.dsp.shift import PitchShift
from menura.dsp.spectral import Robot, Whisper
from menura.dsp.stage import Stage
from menura.dsp.sweep import Sweep
from menura.neural.stream.settings import RvcSettings
from menura.neural.stream.shape import StreamShape
from menura.neural.stream.stage import OfficialStage, RvcStage
from menura.voices.build import VoiceStage
from menura.voices.builtin import find_voice
from menura.voices.mix import VoiceMix
from tests.neural.stream.transparent import Transparent
from tests.streaming import PROOFS, Case

BANDS = (Band(BandKind.HIGH_PASS, 100), Band(BandKind.PEAK, 2000, 6.0))
KHZ = 48_000

SHORT, OPEN = StreamShape(block=12, context=40), RvcSettings(gate_db=-120.0)


def official(rate: int) -> OfficialStage:
    return OfficialStage(Transparent(), rate, block_s=0.12, context_s=0.4, settings=OPEN)


def voice_mix(one: str, two: str) -> VoiceMix:
    return VoiceMix([VoiceStage(find_voice(name), KHZ) for name in (one, two)], (0.6, 0.4))


CASES = (
    Case("Gain", lambda: Gain(KHZ, gain_db=-3.0)),
    Case("Gate", lambda: Gate(KHZ), clear=lambda: Gate(KHZ, threshold_db=-100.0)),
    Case("Compressor", lambda: Compressor(KHZ), clear=lambda: Compressor(KHZ, ratio=1.0)),
    Case("Limiter", lambda: Limiter(KHZ, ceiling_db=-20.0), clear=lambda: Limiter(KHZ)),
    Case("Limiter stereo", lambda: Limiter(44_100, 2, ceiling_db=-20.0), clear=lambda: Limiter(44_100, 2), channels=2),
    # a decaying tail is cut to zero at a block's end, 600 dB down
    Case("Equalizer", lambda: Equalizer(KHZ, bands=BANDS), tolerance=1e-25),
    Case("Equalizer stereo", lambda: Equalizer(16_000, 2, bands=BANDS), channels=2, tolerance=1e-25),
    Case("Resampler 48 to 16", lambda: Resampler(48_000, 16_000), pulses=True),
    Case("Resampler 16 to 44.1", lambda: Resampler(16_000, 44_100, 2), channels=2, pulses=True),
    Case("Resampler same", lambda: Resampler(48_000, 48_000)),
    Case("Echo", lambda: Echo(KHZ, delay_ms=60.0)),
    Case("Echo stereo", lambda: Echo(KHZ, 2, delay_ms=60.0), channels=2),
    Case("Chorus", lambda: Chorus(KHZ), clear=lambda: Chorus(KHZ, mix=0.0)),
    Case("Chorus stereo", lambda: Chorus(KHZ, 2), clear=lambda: Chorus(KHZ, 2, mix=0.0), channels=2),
    Case("Vibrato", lambda: Vibrato(KHZ), pulses=True, lag_ms=0.05),
    Case("Vibrato at rest", lambda: Vibrato(KHZ, 2, depth_st=0.0), channels=2),
    Case("Reverb", lambda: Reverb(KHZ), clear=lambda: Reverb(KHZ, wet=0.0)),
    Case("RingOut", lambda: RingOut(Echo(KHZ, delay_ms=60.0))),
    Case("RingOut stereo", lambda: RingOut(Reverb(16_000, 2, wet=0.5), 2), channels=2),
    Case("Reverb stereo", lambda: Reverb(16_000, 2), clear=lambda: Reverb(16_000, 2, wet=0.0), channels=2),
    Case("RingModulator", lambda: RingModulator(KHZ), clear=lambda: RingModulator(KHZ, mix=0.0)),
    Case("Tremolo", lambda: Tremolo(KHZ, 2), channels=2),
    Case("Sweep", lambda: Sweep(KHZ, lfo_hz=3.0), clear=lambda: Sweep(KHZ, freq_hz=20_000.0, q=0.6, octaves=0.0)),
    Case("Sweep stereo", lambda: Sweep(16_000, 2, kind="high_pass"), channels=2),
    Case("Drive", lambda: Drive(KHZ, bias=0.2), clear=lambda: Drive(KHZ, drive_db=-30.0)),
    Case("Drive stereo", lambda: Drive(24_000, 2), clear=lambda: Drive(24_000, 2, drive_db=-30.0), channels=2),
    Case("Whisper", lambda: Whisper(KHZ), pulses=True, lag_ms=0.4),
    Case("Whisper stereo", lambda: Whisper(44_100, 2), channels=2, pulses=True, lag_ms=0.4),
    # the buzz has a pulse each 4 ms or so: between two of them nothing can sound
    Case("Robot", lambda: Robot(KHZ, pitch_hz=233.0), pulses=True, lag_ms=0.5),
    Case("Hiss", lambda: Hiss(KHZ, crackle_hz=5.0)),
    Case("Blend", lambda: Blend(Limiter(KHZ, ceiling_db=-20.0), mix=0.5), clear=lambda: Blend(Limiter(KHZ), mix=0.5)),
    Case("Blend dry", lambda: Blend(Whisper(KHZ), mix=0.0)),
    Case(
        "Chain",
        lambda: Chain([Gain(KHZ, 2, gain_db=3.0), Limiter(KHZ, 2), Drive(KHZ, 2, drive_db=-30.0)]),
        channels=2,
    ),
    Case("Chain of none", lambda: Chain([])),
    Case("PitchShift", lambda: PitchShift(KHZ, pitch_st=4.0), clear=lambda: PitchShift(KHZ)),
    Case("PitchShift stereo", lambda: PitchShift(KHZ, 2, pitch_st=-3.0), clear=lambda: PitchShift(KHZ, 2), channels=2),
    Case("Frontend echo", lambda: Frontend(16_000, echo=True)),
    Case("Frontend noise", lambda: Frontend(KHZ, noise=True)),
    Case("Frontend noise at 24 kHz", lambda: Frontend(24_000, noise=True)),
    # 44.1 kHz and back by 48 leaves a part of a frame, and the parts' filters move what is high by another
    Case("Frontend whole", lambda: Frontend(44_100, echo=True, noise=True, gain=True), pulses=True, lag_ms=0.05),
    Case("Frontend whole stereo", lambda: Frontend(16_000, 2, echo=True, noise=True, gain=True), channels=2),
    Case("Frontend of none", lambda: Frontend(24_000, 2), channels=2),
    Case("AutoGain", lambda: AutoGain(24_000)),
    Case("AutoGain stereo", lambda: AutoGain(KHZ, 2), channels=2),
    Case("Denoiser", lambda: Denoiser(KHZ)),
    Case("Denoiser at 16 kHz", lambda: Denoiser(16_000)),
    Case("Denoiser stereo", lambda: Denoiser(KHZ, 2), channels=2),
    Case("Denoiser half", lambda: Denoiser(24_000, mix=0.5)),
    Case("LoudnessNormalizer", lambda: LoudnessNormalizer(24_000)),
    Case("LoudnessNormalizer stereo", lambda: LoudnessNormalizer(KHZ, 2), channels=2),
    Case("VoiceStage", lambda: VoiceStage(find_voice("robot"), KHZ), pulses=True, lag_ms=1.0),
    Case("VoiceMix", lambda: voice_mix("natural-man", "radio"), pulses=True, lag_ms=1.0),
    Case("VoiceMix with what is quicker waiting", lambda: voice_mix("whisper", "robot"), pulses=True, lag_ms=1.0),
    Case("RvcStage", lambda: RvcStage(Transparent(), KHZ, shape=SHORT, settings=OPEN), lag_ms=0.03),
    Case("OfficialStage", lambda: official(KHZ)),
    Case("OfficialStage at 22.05 kHz", lambda: official(22_050)),
    Case("VoiceStage at 8 kHz", lambda: VoiceStage(find_voice("radio"), 8000), pulses=True, lag_ms=0.5),
)
EXEMPT = {"InPlace", "Stage", "Ringing"}
"""The base, which does nothing, and the contract itself, alone and with more."""


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_stage_keeps_the_contract(case: Case, proof: Callable[[Case], None]) -> None:
    proof(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stage_is_a_stage(case: Case) -> None:
    assert isinstance(case.make(), Stage)


def test_no_stage_is_missing() -> None:
    tested = {type(case.make()).__name__ for case in CASES}
    there = set()
    for package in (menura.dsp, menura.voices):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name.endswith("._native"):
                continue
            for name, cls in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
                if all(hasattr(cls, method) for method in ("process", "flush", "reset")) and name[0] != "_":
                    there.add(name)
    assert there - EXEMPT <= tested, "add them to CASES"
