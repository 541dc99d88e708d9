import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from menura.dsp import shift as shift_module
from menura.dsp.pitch import PitchTracker
from menura.dsp.shift import PitchShift
from menura.dsp.stage import process_whole
from menura.errors import ConfigError, FormatError
from tests.streaming import CUTS, pieces, speechlike

RATES = [16_000, 24_000, 44_100, 48_000]
SPEECH = Path(__file__).parents[1] / "fixtures" / "speech"


def tone(f0_hz, rate, seconds=1.0):
    return (0.3 * np.sin(2 * np.pi * f0_hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)[:, None]


def vowel(f0_hz, rate, seconds=1.0, formants=((600, 80), (1200, 100), (2500, 150))):
    """Harmonics under three resonances, with a little vibrato."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(f0_hz * (1 + 0.01 * np.sin(2 * np.pi * 5 * t))) / rate
    x = np.zeros_like(t)
    for k in range(1, int(min(5000, 0.45 * rate) / f0_hz)):
        z = 1j * k * f0_hz
        gain = np.prod([f**2 / abs((z + b / 2) ** 2 + f**2) for f, b in formants])
        x += gain / k * np.sin(k * phase)
    return (0.3 * x / np.abs(x).max()).astype(np.float32)[:, None]


def utterance(name, start=0.0, seconds=2.0):
    rate = soundfile.info(SPEECH / name).samplerate
    x, _ = soundfile.read(SPEECH / name, dtype="float32", start=int(start * rate), frames=int(seconds * rate))
    return x[:, None], rate


def median_f0(x, rate, after=0.0):
    points = PitchTracker(rate, fmin_hz=60, fmax_hz=1200).process(x)
    kept = (points["f0_hz"] > 0) & (points["position"] > after * rate)
    return float(np.median(points["f0_hz"][kept]))


def sine_fit_db(x, rate, hz):
    """Power of the best sinusoid at ``hz`` over the rest."""
    t = np.arange(len(x)) / rate
    basis = np.stack([np.cos(2 * np.pi * hz * t), np.sin(2 * np.pi * hz * t)], 1)
    fit = basis @ np.linalg.lstsq(basis, x.astype(np.float64), rcond=None)[0]
    return 10 * np.log10((fit**2).sum() / ((x - fit) ** 2).sum())


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("setting", [{"pitch_st": 5.0, "formant": 1.2}, {"pitch_st": -7.0, "formant": 0.8}, {}])
def test_cutting_the_input_changes_no_bit(cut, setting):
    x = speechlike(20_000, 48_000, channels=2)
    shift = PitchShift(48_000, 2, **setting)
    shift.target_hz, shift.intonation = 200.0, 1.2
    whole = np.concatenate([shift.process(x), shift.flush()])
    parts = np.concatenate([*(shift.process(piece) for piece in pieces(x, CUTS[cut])), shift.flush()])
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("fmin_hz", "most_ms"), [(75.0, 27.0), (140.0, 15.0)])
def test_latency_is_as_declared_and_small(rate, fmin_hz, most_ms):
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (rate // 2, 1)).astype(np.float32)
    shift = PitchShift(rate, fmin_hz=fmin_hz)
    y = np.concatenate([shift.process(x), shift.flush()])
    spectrum = np.fft.rfft(y[:, 0], 2 * rate) * np.conj(np.fft.rfft(x[:, 0], 2 * rate))
    assert np.fft.irfft(spectrum).argmax() == shift.latency <= most_ms * rate / 1000
    assert len(y) == len(x) + shift.latency


@pytest.mark.parametrize("rate", RATES)
def test_nothing_asked_nothing_changed(rate):
    x = speechlike(rate, rate)
    y = process_whole(PitchShift(rate), x)
    assert np.abs(y - x).max() < 1e-6


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch_st", [4.0, -4.0, 12.0])
def test_a_tone_is_moved_exactly_and_stays_clean(rate, pitch_st):
    ratio = 2 ** (pitch_st / 12)
    y = process_whole(PitchShift(rate, pitch_st=pitch_st, formant=ratio), tone(220.0, rate))
    # a short piece: the fit's frequency is given, and a millionth of it would show over a second
    assert sine_fit_db(y[rate // 4 : rate // 4 + rate // 10, 0], rate, 220.0 * ratio) > (75 if rate > 16_000 else 72)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch_st", [4.0, -4.0, 12.0])
def test_a_voice_is_moved_by_the_asked_interval(rate, pitch_st):
    y = process_whole(PitchShift(rate, pitch_st=pitch_st), vowel(140.0, rate))
    assert abs(1200 * np.log2(median_f0(y, rate) / 140.0) - 100 * pitch_st) < 5


@pytest.mark.parametrize("pitch_st", [0.0, 4.0, -4.0])
@pytest.mark.parametrize("formant", [1.0, 1.25, 0.8])
def test_formants_follow_their_factor_and_not_the_pitch(pitch_st, formant):
    rate = 24_000
    y = process_whole(PitchShift(rate, pitch_st=pitch_st, formant=formant), vowel(110.0, rate, 2.0))
    asked = process_whole(
        PitchShift(rate, pitch_st=pitch_st),
        vowel(110.0, rate, 2.0, formants=((600 * formant, 80), (1200 * formant, 100), (2500 * formant, 150))),
    )

    def centroid(z, low, high):
        power = np.abs(np.fft.rfft(z[rate // 2 : -rate // 4, 0] * np.hanning(len(z) - rate // 2 - rate // 4))) ** 2
        hz = np.linspace(0, rate / 2, len(power))
        band = (hz > low * formant) & (hz < high * formant)
        return (power[band] * hz[band]).sum() / power[band].sum()

    for low, high in ((300, 900), (2000, 3000)):
        assert centroid(y, low, high) == pytest.approx(centroid(asked, low, high), rel=0.04)  # few harmonics


@pytest.mark.parametrize(("name", "target_hz"), [("am_michael_u1.flac", 210.0), ("af_heart_u1.flac", 110.0)])
def test_register_is_reached_within_two_seconds(name, target_hz):
    x, rate = utterance(name)
    for factor in (0.85, 1.4):  # a lower man, a higher woman
        speaker = process_whole(PitchShift(rate, pitch_st=12 * np.log2(factor)), x)
        shift = PitchShift(rate)
        shift.target_hz = target_hz
        y = process_whole(shift, np.concatenate([speaker, speaker]))
        assert abs(12 * np.log2(median_f0(y, rate, after=2.0) / target_hz)) < 2


def test_register_moves_no_faster_than_the_slew():
    x, rate = utterance("am_michael_u1.flac")
    shift = PitchShift(rate)
    shift.process(x)
    shift.target_hz = 300.0
    y = shift.process(x)[shift.latency :]
    before, after = (PitchTracker(rate).process(z) for z in (x[: len(y)], y))
    n = min(len(before), len(after))
    both = (before["f0_hz"][:n] > 0) & (after["f0_hz"][:n] > 0) & (before["position"][:n] < 0.3 * rate)
    moved = 12 * np.log2(after["f0_hz"][:n][both] / before["f0_hz"][:n][both])
    assert np.median(moved) < 12 * 0.3 + 1


def test_seed_is_used_at_once_and_outlives_flush():
    rate = 24_000
    shift = PitchShift(rate)
    shift.target_hz = 200.0
    shift.seed_speaker(100.0)
    for _ in range(2):
        assert shift.speaker_hz == 100.0
        y = process_whole(shift, vowel(100.0, rate))
        assert abs(1200 * np.log2(median_f0(y, rate) / 200.0)) < 20


def test_no_intonation_is_a_monotone():
    rate = 24_000
    t = np.arange(2 * rate) / rate
    phase = 2 * np.pi * np.cumsum(150 * 2 ** (0.3 * np.sin(2 * np.pi * 1.5 * t))) / rate
    x = (0.2 * sum(np.sin(k * phase) / k for k in range(1, 15))).astype(np.float32)[:, None]
    shift = PitchShift(rate)
    shift.seed_speaker(150.0)
    shift.intonation = 0.0
    points = PitchTracker(rate).process(process_whole(shift, x))
    assert np.std(1200 * np.log2(points["f0_hz"][40:-20])) < 25


def test_changed_settings_make_no_click():
    rate = 48_000
    x = vowel(150.0, rate, 3.0)
    x[:9600] *= np.linspace(0, 1, 9600, dtype=np.float32)[:, None]
    x[-9600:] *= np.linspace(1, 0, 9600, dtype=np.float32)[:, None]
    shift = PitchShift(rate)
    rng = np.random.default_rng(2)
    parts = []
    for piece in pieces(x, (1237,)):
        shift.pitch_st, shift.formant = rng.uniform(-12, 12), rng.uniform(0.6, 1.6)
        parts.append(shift.process(piece))
    y = np.concatenate([*parts, shift.flush()])[:, 0]
    # the vowel ends at 5 kHz, at most 8 kHz after the change: a click is what sounds above
    spectrum = np.fft.rfft(y)
    spectrum[: int(len(y) * 12_000 / rate)] = 0
    assert np.abs(np.fft.irfft(spectrum)).max() < 10 ** (-50 / 20)


def test_memory_need_not_be_clean():
    x = speechlike(9600, 48_000)
    shift = PitchShift(48_000, pitch_st=4.0, formant=1.3)
    first = shift.process(x)
    shift._memory[:] = 0xA5
    shift_module._init(shift._state, 48_000.0, 1, 75.0, 600.0)
    shift.pitch_st, shift.formant = 4.0, 1.3
    assert np.array_equal(first, shift.process(x))


def test_bad_samples_are_silenced_and_forgotten():
    x = speechlike(48_000, 48_000)
    broken = x.copy()
    broken[5000:5010] = np.nan
    broken[6000] = np.inf
    broken[6001] = 3e38
    shift = PitchShift(48_000, pitch_st=4.0)
    y = shift.process(broken)
    assert np.isfinite(y).all() and np.abs(y).max() < 2000
    shift.process(np.zeros((4800, 1), np.float32))
    assert not shift.process(np.zeros((480, 1), np.float32)).any()


def test_silence_stays_silence():
    shift = PitchShift(48_000, pitch_st=4.0, formant=1.2)
    assert not shift.process(np.zeros((48_000, 1), np.float32)).any()


def test_flush_and_reset_make_it_new():
    x = speechlike(9600, 24_000)
    shift = PitchShift(24_000, pitch_st=3.0)
    first = shift.process(x)
    assert len(shift.flush()) == shift.latency
    assert np.array_equal(first, shift.process(x))
    shift.reset()
    assert np.array_equal(first, shift.process(x))


def test_stereo_keeps_its_image():
    x = speechlike(48_000, 48_000)
    y = process_whole(PitchShift(48_000, 2, pitch_st=5.0, formant=1.1), np.concatenate([x, 0.25 * x], axis=1))
    assert np.allclose(y[:, 1], 0.25 * y[:, 0], atol=1e-6)


def test_level_is_kept():
    x, rate = utterance("bf_emma_u1.flac")
    for pitch_st in (-7.0, 4.0, 12.0):
        y = process_whole(PitchShift(rate, pitch_st=pitch_st), x)
        assert abs(10 * np.log10((y**2).sum() / (x**2).sum())) < 2.5


def test_track_tells_what_was_heard():
    rate = 24_000
    shift = PitchShift(rate)
    shift.process(vowel(120.0, rate))
    points = shift.track()
    voiced = points[points["f0_hz"] > 0]
    assert np.median(voiced["f0_hz"]) == pytest.approx(120.0, rel=0.01)
    assert shift.f0_hz == pytest.approx(120.0, rel=0.02) and shift.speaker_hz == pytest.approx(120.0, rel=0.02)
    assert not len(shift.track())


def test_a_ten_ms_block_costs_little_even_the_first():
    x = vowel(150.0, 48_000, 2.0)
    shift = PitchShift(48_000, pitch_st=4.0, formant=1.1)
    times = []
    for piece in pieces(x, (480,)):
        began = time.thread_time()
        shift.process(piece)
        times.append(time.thread_time() - began)
    assert times[0] < 2e-3 and np.median(times) < 1e-3  # measured 0.05 ms; slow machines pass too


@pytest.mark.parametrize(
    "bad", [{"pitch_st": 30.0}, {"formant": 0.1}, {"formant": float("nan")}, {"fmin_hz": 10.0}, {"fmax_hz": 80.0}]
)
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError):
        PitchShift(48_000, **bad)


def test_impossible_changes_are_refused():
    shift = PitchShift(48_000)
    for name, value in (("pitch_st", 25), ("target_hz", -1), ("intonation", 9), ("formant_follow", 2)):
        with pytest.raises(ConfigError, match=name):
            setattr(shift, name, value)
    with pytest.raises(ConfigError):
        shift.seed_speaker(5.0)
    with pytest.raises(FormatError):
        shift.process(np.zeros((10, 2), np.float32))
