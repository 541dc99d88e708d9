"""Every detector: one probability a hop, whatever the cuts."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soundfile

from menura.audio.block import silence
from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.errors import MissingExtraError
from menura.vad.build import DETECTORS, make_detector
from menura.vad.cascade import Cascade
from menura.vad.config import VADConfig, VADType
from menura.vad.detector import Detector, Probabilities
from menura.vad.energy import AdaptiveEnergy, Energy
from menura.vad.silero import Silero
from menura.vad.webrtc import WebRTC
from menura.vad.windows import WindowFeed
from tests import labelled
from tests.streaming import CUTS, pieces, speechlike

MAKERS: dict[str, Callable[[int], Detector]] = {
    "energy": Energy,
    "adaptive": AdaptiveEnergy,
    "webrtc": WebRTC,
    "silero": Silero,
    "cascade": Cascade,
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
rates = pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 11_127])


def run(detector: Detector, x: np.ndarray, sizes: tuple[int, ...]) -> Probabilities:
    return np.concatenate([detector.process(piece) for piece in pieces(x, sizes)])


@every
@rates
def test_cuts_change_nothing(make: Callable[[int], Detector], rate: int) -> None:
    x = speechlike(rate, rate)
    x[rate // 2 : rate * 3 // 4] *= 0.001
    whole = run(make(rate), x, (len(x),))
    for sizes in CUTS.values():
        n = rate // 10 if sizes == (1,) else len(x)
        np.testing.assert_array_equal(run(make(rate), x[:n], sizes), whole[: n // make(rate).hop])


@every
@rates
def test_one_probability_for_each_hop(make: Callable[[int], Detector], rate: int) -> None:
    detector = make(rate)
    given = 0
    for n in (0, 1, detector.hop - 2, 1, 3 * detector.hop + 5, 10 * detector.hop):
        made = detector.process(speechlike(n, rate) if n else silence(0))
        before, given = given, given + n
        assert made.dtype == np.float64
        assert made.shape == (given // detector.hop - before // detector.hop,)
        assert np.all((made >= 0) & (made <= 1))


@every
def test_reset_is_as_new(make: Callable[[int], Detector]) -> None:
    detector = make(24_000)
    detector.process(speechlike(20_001, 24_000, seed=3))
    detector.reset()
    x = speechlike(24_000, 24_000)
    np.testing.assert_array_equal(detector.process(x), make(24_000).process(x))
    fresh = make(24_000)
    fresh.process(x)
    assert detector.model_runs == fresh.model_runs
    assert detector.level == fresh.level


@every
def test_what_is_no_number_is_survived(make: Callable[[int], Detector]) -> None:
    detector = make(16_000)
    x = speechlike(16_000, 16_000)
    x[1000:1003] = [[np.nan], [np.inf], [-np.inf]]
    x[5000] = 1e30
    made = np.concatenate([detector.process(x), detector.process(speechlike(32_000, 16_000))])
    assert np.all((made >= 0) & (made <= 1))


@every
def test_silence_is_none(make: Callable[[int], Detector]) -> None:
    detector = make(16_000)
    made = detector.process(silence(16_000))
    assert np.all(made < detector.release)
    assert detector.level == 0.0


def test_energy_is_a_half_at_its_threshold() -> None:
    n = 16_000 // 50
    t = np.arange(n)[:, None] / 16_000
    for level, above in ((0.019, False), (0.021, True)):
        x = (level * np.sqrt(2) * np.sin(2 * np.pi * 500 * t)).astype(np.float32)
        (p,) = Energy(16_000, 0.02).process(x)
        assert (p >= 0.5) == above


@every
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_bytes_are_heard_as_samples_are(make: Callable[[int], Detector], rate: int) -> None:
    data = encode(speechlike(2 * rate, rate), StreamFormat(rate=rate))
    x = decode(data, StreamFormat(rate=rate))
    detector = make(rate)
    made = [p for at in range(0, len(data), 1234) for p in detector.process_pcm16(data[at : at + 1234])]
    np.testing.assert_array_equal(made, make(rate).process(x))
    mixed = make(rate)
    both = [*mixed.process_pcm16(data[:5000]), *mixed.process(x[2500:9000]), *mixed.process_pcm16(data[18_000:])]
    np.testing.assert_array_equal(both, made)


def noise(seconds: float, level_db: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (10 ** (level_db / 20) * rng.standard_normal((int(seconds * 24_000), 1))).astype(np.float32)


def test_adaptive_energy_takes_up_noise_that_rises() -> None:
    detector = AdaptiveEnergy(24_000)
    detector.process(noise(4, -60))
    made = detector.process(noise(6, -30, 2))
    assert np.all(made[2:50] > 0.5)  # what is suddenly loud may be speech
    assert np.all(made[150:] < 0.5)  # what stays so is not
    assert detector.noise_floor == pytest.approx(10 ** (-30 / 20), rel=0.7)


def test_adaptive_energy_forgets_noise_that_falls() -> None:
    detector = AdaptiveEnergy(24_000)
    detector.process(noise(6, -25))
    detector.process(noise(0.5, -60, 2))
    assert np.all(detector.process(noise(0.2, -40, 3))[1:] > 0.5)


def test_adaptive_energy_hears_no_speech_in_steady_noise() -> None:
    for level_db in (-70, -50, -30):
        made = AdaptiveEnergy(24_000).process(noise(60, level_db))
        assert np.mean(made[150:] >= 0.5) < 0.01


def test_adaptive_energy_does_not_take_a_held_vowel_for_noise() -> None:
    x = speechlike(24_000 * 8, 24_000)
    t = np.arange(24_000 * 2) / 24_000
    vowel = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 30))
    detector = AdaptiveEnergy(24_000)
    detector.process(x)
    made = detector.process((0.1 * vowel[:, None]).astype(np.float32))
    assert np.all(made[2:] > 0.5)


def test_the_cascade_asks_no_model_about_silence() -> None:
    detector = Cascade(16_000)
    detector.process(noise(10, -55)[:160_000])
    assert detector.model_runs <= 16_000 * 10 // 512 // 4
    detector.reset()
    detector.process(silence(160_000))
    assert detector.model_runs == 0


def test_streams_share_the_model_and_not_its_state() -> None:
    x, y = speechlike(16_000, 16_000), noise(1, -20)[:16_000]
    alone = Silero(16_000).process(x)
    one, other = Silero(16_000), Silero(16_000)
    assert one._model._session is other._model._session
    together = []
    for a, b in zip(pieces(x, (512,)), pieces(y, (512,)), strict=True):
        together.append(one.process(a))
        other.process(b)
    np.testing.assert_array_equal(np.concatenate(together), alone)


def test_streams_may_run_in_threads_of_their_own() -> None:
    inputs = [speechlike(16_000, 16_000, seed=seed) for seed in range(4)]
    alone = [Silero(16_000).process(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: Silero(16_000).process(x), inputs))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


PACKAGES = {VADType.WEBRTC: "webrtcvad", VADType.SILERO: "onnxruntime", VADType.CASCADE: "onnxruntime"}


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_package_is_named(kind: VADType, monkeypatch: pytest.MonkeyPatch) -> None:
    from menura.vad import silero

    monkeypatch.setitem(sys.modules, PACKAGES[kind], None)
    silero.session.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r"pip install 'menura\[vad\]'"):
            make_detector(VADConfig(type=kind), 16_000)
    finally:
        silero.session.cache_clear()


def test_every_type_has_a_detector() -> None:
    made: dict[VADType, Any] = {kind: make_detector(VADConfig(type=kind), 24_000) for kind in VADType}
    assert set(DETECTORS) == set(made)
    assert all(isinstance(one, Detector) for one in made.values())
    assert type(make_detector(VADConfig(adaptive=True), 24_000)) is AdaptiveEnergy


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_windows_are_pieces_of_the_converted_stream(rate: int) -> None:
    x = speechlike(rate, rate)
    feed = WindowFeed(rate, 16_000, 512, 64)
    whole = np.concatenate([np.zeros(576, np.float32), Resampler(rate, 16_000).process(x)[:, 0]])
    for piece in pieces(x, (333,)):
        for hop in feed.push(piece):
            end = (hop + 1) * 512 + 576
            np.testing.assert_allclose(feed.windows(hop, hop)[0], whole[end - 576 : end], atol=1e-6)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
def test_a_window_after_others_left_out_is_what_it_would_have_been(rate: int) -> None:
    x = speechlike(2 * rate, rate)
    every, some = WindowFeed(rate, 16_000, 512, 64), WindowFeed(rate, 16_000, 512, 64)
    count = 0
    for piece in pieces(x, (rate // 50,)):
        some.push(piece)
        for hop in every.push(piece):
            expected = every.windows(hop, hop)[0]
            if hop % 7 == 3:
                # where 32 ms are no whole frames it may begin at another fraction of one
                np.testing.assert_allclose(some.windows(hop, hop)[0], expected, atol=1e-6 if rate % 8000 == 0 else 0.05)
                count += 1
    assert count > 5


@pytest.mark.parametrize("make", [Silero, Cascade])
def test_speech_after_a_minute_of_hum_is_heard_as_soon(make: Callable[[int], Detector]) -> None:
    voice = soundfile.read(labelled.SPEECH / "bf_emma_u1.flac", dtype="float32")[0][:, None]
    onset = labelled.onsets(labelled.labels_of(voice[:, 0].astype(np.float64)))[0] / labelled.FRAMES_PER_S
    heard = []
    for lead_s in (5, 60):
        hum = labelled.hum(lead_s * 24_000 + len(voice), np.random.default_rng(1))
        x = (0.01 * hum / hum.std())[:, None].astype(np.float32)
        x[lead_s * 24_000 :] += voice
        detector = make(24_000)
        p = detector.process(x)[lead_s * 24_000 // detector.hop :]
        heard.append(float((np.argmax(p >= 0.5) + 1) * detector.hop / 24_000 - onset))
    assert max(heard) < 0.16
