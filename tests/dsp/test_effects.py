"""What each effect does to a tone, a pulse or speech."""

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.dsp.blend import Blend
from menura.dsp.chain import Chain
from menura.dsp.delay import Chorus, Echo, Vibrato
from menura.dsp.drive import Drive
from menura.dsp.dynamics import Gain
from menura.dsp.meter import rms_db
from menura.dsp.modulate import RingModulator, Tremolo
from menura.dsp.noise import Hiss
from menura.dsp.resample import Resampler
from menura.dsp.reverb import Reverb
from menura.dsp.spectral import Robot, Whisper
from menura.dsp.stage import process_whole
from menura.errors import ConfigError
from tests.streaming import speechlike

RATE = 48_000


def tone(freq_hz: float, rate: int = RATE, level: float = 0.5, seconds: float = 1.0) -> Samples:
    return (level * np.sin(2 * np.pi * freq_hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)[:, None]


def pulse(frames: int) -> Samples:
    x = silence(frames)
    x[0] = 1.0
    return x


def spectrum(x: Samples) -> np.ndarray:
    """Magnitudes a hertz apart for one second, loudest 1."""
    s = np.abs(np.fft.rfft(x[:, 0].astype(np.float64) * np.blackman(len(x))))
    return s / s.max()


def test_echoes_fall_by_the_feedback() -> None:
    y = Echo(RATE, delay_ms=100.0, feedback=0.5, mix=0.4, damp_hz=1e6).process(pulse(RATE))[:, 0]
    assert y[0] == 1.0
    assert np.flatnonzero(np.abs(y[:16_000]) > 0.05).tolist() == [0, 4800, 9600, 14_400]
    np.testing.assert_allclose(y[[4800, 9600, 14_400]], [0.4, 0.2, 0.1], rtol=0.01)


def test_vibrato_swings_as_far_as_it_says() -> None:
    y = process_whole(Vibrato(RATE, rate_hz=5.0, depth_st=1.0), tone(1000.0))[4800:-4800, 0]
    crossings = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    exact = crossings - y[crossings] / (y[crossings + 1] - y[crossings])
    st = 12 * np.log2(RATE / np.diff(exact) / 1000.0)
    assert abs(st.max() - 1.0) < 0.05
    assert abs(st.min() + 1.0) < 0.08


def test_chorus_thickens_and_keeps_the_level() -> None:
    x = speechlike(2 * RATE, RATE)
    y = Chorus(RATE).process(x)
    assert -6.0 < rms_db(y) - rms_db(x) < 1.0


def test_ring_modulator_makes_the_sum_and_the_difference() -> None:
    s = spectrum(RingModulator(RATE, freq_hz=100.0).process(tone(1000.0)))
    assert s[900] > 0.9
    assert s[1100] > 0.9
    assert s[1000] < 1e-5


def test_tremolo_takes_its_depth() -> None:
    y = Tremolo(RATE, rate_hz=4.0, depth=0.6).process(np.ones((RATE, 1), np.float32))
    assert y.max() == pytest.approx(1.0, abs=1e-4)
    assert y.min() == pytest.approx(0.4, abs=1e-4)


@pytest.mark.parametrize(("room", "decay_s"), [(0.0, 0.3), (0.5, 0.95)])
def test_reverb_falls_by_60_db_in_its_time(room: float, decay_s: float) -> None:
    y = Reverb(RATE, room=room, damping=0.0, wet=1.0).process(pulse(2 * RATE))[:, 0].astype(np.float64)
    assert abs(10 * np.log10(np.sum(y**2))) < 3.0
    left_db = 10 * np.log10(np.cumsum(y[::-1] ** 2)[::-1] / np.sum(y**2) + 1e-12)
    t5, t35 = np.argmax(left_db < -5), np.argmax(left_db < -35)
    assert 2.0 * (t35 - t5) / RATE == pytest.approx(decay_s, rel=0.2)


@pytest.mark.parametrize("rate", [24_000, 48_000])
@pytest.mark.parametrize("freq_hz", [1009, 3407])
@pytest.mark.parametrize("drive_db", [12.0, 20.0])
def test_drive_folds_nothing_back(rate: int, freq_hz: int, drive_db: float) -> None:
    x = tone(freq_hz, rate, 1.0, 2.0)
    s = spectrum(Drive(rate, drive_db=drive_db, bias=0.2).process(x)[rate:])
    for harmonic in range(0, rate // 2, freq_hz):
        s[max(0, harmonic - 6) : harmonic + 7] = 0.0
    # what the filter's transition lets fold stays within 8 % of Nyquist
    assert 20 * np.log10(s[: int(0.46 * rate)].max()) < -60


def test_drive_keeps_full_scale_and_lifts_the_quiet() -> None:
    y = Drive(RATE, drive_db=20.0).process(tone(300.0, level=1.0))
    assert 0.9 < np.abs(y).max() < 1.3  # a flattened wave overshoots where its harmonics end
    x = tone(300.0, level=0.001)
    assert rms_db(Drive(RATE, drive_db=20.0).process(x)[480:]) - rms_db(x) == pytest.approx(20.0, abs=0.5)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("kind", [Whisper, Robot])
def test_a_new_larynx_keeps_level_and_envelope(rate: int, kind: type[Whisper | Robot]) -> None:
    x = speechlike(2 * rate, rate)
    y = process_whole(kind(rate), x)
    assert abs(rms_db(y) - rms_db(x)) < 1.5  # a buzz has nothing below its pitch
    window = np.ones(rate // 50) / (rate // 50)
    level = [np.sqrt(np.convolve(v[:, 0] ** 2, window, "same")) for v in (x, y)]
    assert np.corrcoef(level)[0, 1] > 0.93
    assert 1000 * kind(rate).latency / rate <= 12.0


def strongest_period(x: Samples, shortest: int, longest: int) -> tuple[int, float]:
    v = x[:, 0].astype(np.float64)
    power = np.abs(np.fft.rfft(v, 2 * len(v))) ** 2
    r = np.fft.irfft(power)[: len(v)]
    lag = shortest + int(np.argmax(r[shortest:longest]))
    return lag, r[lag] / r[0]


def test_a_robot_has_one_pitch_and_a_whisper_none() -> None:
    x = speechlike(2 * RATE, RATE)
    lag, strength = strongest_period(process_whole(Robot(RATE, pitch_hz=160.0), x), 200, 450)
    assert lag == 300
    assert strength > 0.8
    assert strongest_period(process_whole(Whisper(RATE), x), 200, 900)[1] < 0.15


def test_hiss_comes_and_goes_with_the_voice() -> None:
    stage = Hiss(RATE, level_db=-40.0, hold_ms=100.0)
    x = np.concatenate([silence(RATE // 4), tone(440.0, seconds=0.5), silence(RATE)])
    added = stage.process(x) - x
    assert not np.any(added[: RATE // 4])
    assert abs(rms_db(added[RATE // 2 : 3 * RATE // 4]) + 40.0) < 0.3
    assert not np.any(added[-RATE // 4 :])


def test_blend_moves_its_mix_without_a_click() -> None:
    x = tone(200.0, level=0.5)
    blend = Blend(Gain(RATE, gain_db=-20.0), mix=0.0)
    first = blend.process(x[:4800])
    np.testing.assert_array_equal(first, x[:4800])
    blend.mix = 1.0
    y = np.concatenate([first, blend.process(x[4800:])])
    np.testing.assert_allclose(y[-4800:], 0.1 * x[-4800:], atol=1e-5)
    assert np.abs(np.diff(y[:, 0])).max() < 1.2 * np.abs(np.diff(x[:, 0])).max()


def test_blend_lines_the_dry_signal_up() -> None:
    x = tone(700.0)
    y = process_whole(Blend(Drive(RATE, drive_db=-40.0), mix=0.5), x)
    np.testing.assert_allclose(y[480:-480], x[480:-480], atol=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Echo(RATE, feedback=1.0),
        lambda: Chorus(RATE, depth_ms=20.0, delay_ms=10.0),
        lambda: Vibrato(RATE, depth_st=3.0),
        lambda: RingModulator(RATE, freq_hz=RATE),
        lambda: Tremolo(RATE, depth=2.0),
        lambda: Reverb(RATE, room=1.5),
        lambda: Drive(RATE, drive_db=float("nan")),
        lambda: Robot(RATE, pitch_hz=10.0),
        lambda: Hiss(RATE, level_db=3.0),
        lambda: Blend(Gain(RATE), mix=1.1),
        lambda: Blend(Resampler(RATE, 16_000)),
        lambda: Chain([Gain(RATE), Gain(16_000)]),
    ],
)
def test_settings_that_cannot_be_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]
