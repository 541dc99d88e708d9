"""Echo, noise and gain: what they take away, what they leave, and what switching them does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from menura.audio.block import Samples, silence
from menura.clock import VirtualClock
from menura.dsp.frontend import Frontend, FrontendConfig
from menura.dsp.meter import rms_db
from menura.dsp.stage import process_whole
from menura.dsp.webrtc import ECHO_DELAY, NOISE_DELAY, RATE, EchoCanceller, NoiseSuppressor
from menura.errors import ConfigError, FormatError
from menura.units import ms_to_frames
from tests.listen import clicks, lag_frames
from tests.streaming import CUTS, pieces, run, speechlike
from tests.utterances import speech


def room(rate: int, delay_ms: float) -> np.ndarray:
    """What a loudspeaker's sound passes on its way to the microphone: some reflections, and a tail of 150 ms."""
    t = np.arange(rate // 5) / rate
    tail = 0.03 * np.random.default_rng(4).standard_normal(len(t)) * np.exp(-6.9 * t / 0.15) * (16_000 / rate) ** 0.5
    for after_ms, gain in ((0, 0.6), (4, 0.3), (11, -0.2), (17, 0.15)):
        tail[ms_to_frames(after_ms, rate)] += gain
    return np.concatenate([np.zeros(ms_to_frames(delay_ms, rate)), tail])


def echo_of(far: Samples, rate: int, delay_ms: float, gain: float = 0.3) -> Samples:
    """The far end as the microphone hears it, with a little noise of its own."""
    heard = gain * fftconvolve(far[:, 0], room(rate, delay_ms))[: len(far)]
    return (heard + 1e-4 * np.random.default_rng(5).standard_normal(len(far))).astype(np.float32)[:, None]


def cancelled(near: Samples, far: Samples, rate: int, cut: int = 480) -> Samples:
    """The microphone's signal cleaned of echo, aligned with it."""
    stage = Frontend(rate, near.shape[1], echo=True)
    out = []
    for at in range(0, len(near), cut):
        stage.reference(far[at : at + cut])
        out.append(stage.process(near[at : at + cut]))
    return np.concatenate([*out, stage.flush()])[stage.latency :]


def test_library_lags_as_declared() -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((RATE, 1)).astype(np.float32)
    suppressor, canceller = NoiseSuppressor(1, 0), EchoCanceller(1, 0)
    frames = list(pieces(x, (RATE // 100,)))
    assert lag_frames(x, np.concatenate([suppressor.clean(f) for f in frames])) == NOISE_DELAY
    both = [np.concatenate([f, silence(len(f))], axis=1) for f in frames]
    assert lag_frames(x, np.concatenate([canceller.clean(f) for f in both])) == ECHO_DELAY


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000, 44_100, 96_000])
def test_latency_is_as_declared_where_the_rate_is_not_the_librarys(rate: int) -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((rate, 1)).astype(np.float32)
    for parts in ({"noise": True}, {"echo": True, "noise": True, "gain": True}):
        stage = Frontend(rate, **parts)
        assert lag_frames(x, run(stage, x)) == stage.latency


def test_blocks_known_to_be_whole_frames_do_not_wait() -> None:
    rate = 24_000
    x = speechlike(rate, rate)
    any_length = Frontend(rate, noise=True)
    whole = Frontend(rate, noise=True, config=FrontendConfig(step=240))
    assert any_length.latency - whole.latency == 239
    y = run(whole, x, (240, 480, 0, 960))
    np.testing.assert_array_equal(y[whole.latency :], run(any_length, x)[any_length.latency :])
    with pytest.raises(FormatError, match="240"):
        whole.process(silence(100))


def test_steps_may_be_switched_between() -> None:
    x = speechlike(24_000, 24_000)
    stage = Frontend(24_000, noise=True, config=FrontendConfig(step=480))
    for at, block in enumerate(pieces(x, (480,))):
        stage.noise = at % 12 < 6
        assert len(stage.process(block)) == 480


@pytest.mark.parametrize("delay_ms", [0, 60, 200])
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_echo_is_cancelled_however_early_the_reference(rate: int, delay_ms: int) -> None:
    far = speech(rate, "af_heart", "bf_emma")
    echo = echo_of(far, rate, delay_ms)
    y = cancelled(echo, far, rate)
    after = slice(5 * rate, None)
    assert rms_db(echo[after]) - rms_db(y[after]) >= 30.0


@pytest.mark.parametrize("delay_ms", [0, 60, 200])
def test_near_end_is_kept_while_both_talk(delay_ms: int) -> None:
    rate = 16_000
    far, near = speech(rate, "af_heart", "bf_emma"), speech(rate, "am_michael", "bm_george")
    n = min(len(far), len(near))
    far, near = far[:n], near[:n].copy()
    near[: n // 2] = 0.0
    y = cancelled(near + echo_of(far, rate, delay_ms), far, rate)
    alone = cancelled(near, silence(n), rate)
    assert abs(rms_db(y[n // 2 :]) - rms_db(alone[n // 2 :])) < 3.0


def test_reference_is_used_frame_for_frame_however_it_comes() -> None:
    rate = 16_000
    far = speech(rate, "af_heart")
    echo = echo_of(far, rate, 20)
    want = cancelled(echo, far, rate)
    for sizes in CUTS.values():
        if sizes == (1,):
            continue
        stage = Frontend(rate, echo=True, config=FrontendConfig(reference_ms=20_000))
        for block in pieces(far, sizes[::-1]):
            stage.reference(block)
        np.testing.assert_array_equal(run(stage, echo, sizes)[stage.latency :], want)


def test_reference_that_is_missing_or_too_much_is_counted() -> None:
    stage = Frontend(16_000, echo=True, config=FrontendConfig(reference_ms=100))
    stage.reference(silence(1000))
    stage.process(silence(1600))
    assert (stage.reference_missing, stage.reference_dropped) == (600, 0)
    stage.reference(silence(2000))
    assert stage.reference_dropped == 400
    stage.echo = False
    stage.process(silence(3200))
    missing = stage.reference_missing
    stage.process(silence(3200))
    assert stage.reference_missing == missing, "a part that is off misses nothing"


def test_reference_of_one_channel_serves_two() -> None:
    stage = Frontend(16_000, 2, echo=True)
    stage.reference(silence(160))
    stage.process(silence(160, 2))
    assert stage.reference_missing == 0
    with pytest.raises(ConfigError, match="echo=True"):
        Frontend(16_000, noise=True).reference(silence(160))


def test_delay_hint_can_be_set_while_running() -> None:
    stage = Frontend(16_000, echo=True)
    stage.echo_delay_ms = 120.0
    assert stage.echo_delay_ms == 120.0
    with pytest.raises(ConfigError, match="echo_delay_ms"):
        stage.echo_delay_ms = -1.0


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize(("level", "down_db"), [(0, 5.0), (1, 10.5), (2, 15.0), (3, 17.0)])
def test_steady_noise_is_suppressed_at_all_frequencies(rate: int, level: int, down_db: float) -> None:
    noise = 0.01 * np.random.default_rng(2).standard_normal((3 * rate, 1)).astype(np.float32)
    y = process_whole(Frontend(rate, noise=True, config=FrontendConfig(noise_level=level)), noise)
    was, left = (np.abs(np.fft.rfft(v[rate:, 0])) ** 2 for v in (noise, y))
    for band in np.array_split(np.arange(len(was) // 40, 19 * len(was) // 20), 8):
        assert 10 * np.log10(was[band].sum() / left[band].sum()) > down_db - 1.5
    assert rms_db(noise[rate:]) - rms_db(y[rate:]) > down_db


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_noise_goes_and_speech_stays(rate: int) -> None:
    clean = np.concatenate([silence(rate), speech(rate, "am_michael"), silence(rate)])
    talk = slice(rate, len(clean) - rate)
    for snr_db, gained_db in ((5.0, 2.5), (10.0, 1.0), (40.0, -18.0)):
        noise = np.random.default_rng(2).standard_normal(clean.shape).astype(np.float32)
        noise *= np.float32(10 ** ((rms_db(clean[talk]) - snr_db) / 20))
        y = process_whole(Frontend(rate, noise=True), clean + noise)
        assert rms_db(clean[talk]) - rms_db(y[talk] - clean[talk]) > snr_db + gained_db


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_speech_from_the_first_moment_is_not_taken_for_noise(rate: int) -> None:
    clean = speech(rate, "am_michael")[: 3 * rate]
    y = process_whole(Frontend(rate, noise=True), clean)
    assert rms_db(clean) - rms_db(y - clean) > 20.0


def test_stereo_is_cleaned_in_both_channels() -> None:
    rate = 16_000
    noise = 0.01 * np.random.default_rng(2).standard_normal((2 * rate, 2)).astype(np.float32)
    y = process_whole(Frontend(rate, 2, noise=True), noise)
    for channel in range(2):
        assert rms_db(noise[rate:, channel]) - rms_db(y[rate:, channel]) > 10.5


@pytest.mark.parametrize("rate", [16_000, 24_000])
@pytest.mark.parametrize("name", ["echo", "noise", "gain"])
def test_switched_off_it_passes_the_signal_unchanged_and_never_clicks(rate: int, name: str) -> None:
    t = np.arange(3 * rate)[:, None] / rate
    x = (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    stage = Frontend(rate, **{name: True})
    out = []
    for at, block in enumerate(pieces(x, (rate // 50,))):
        if at % 10 == 0:
            setattr(stage, name, at // 10 % 2 == 0)
        out.append(stage.process(block))
    y = np.concatenate(out)
    assert clicks(y, rate) == 0
    lag = stage.latency
    off = slice(int(0.35 * rate), int(0.4 * rate))  # switched off 150 ms before
    np.testing.assert_array_equal(y[off], x[off.start - lag : off.stop - lag])


def test_switching_is_the_same_however_the_input_is_cut() -> None:
    x = speechlike(24_000, 24_000)
    wants = []
    for cut in (6000, 480, 77):
        stage = Frontend(24_000, echo=True, noise=True, gain=True)
        out = []
        for quarter, start in enumerate(range(0, 24_000, 6000)):
            stage.noise, stage.echo, stage.gain = quarter % 2 == 0, quarter < 2, quarter > 0
            out += [stage.process(block) for block in pieces(x[start : start + 6000], (cut,))]
        wants.append(np.concatenate([*out, stage.flush()]))
    np.testing.assert_array_equal(wants[0], wants[1])
    np.testing.assert_array_equal(wants[0], wants[2])


def test_switched_off_it_costs_nothing_and_back_on_it_knows_the_noise() -> None:
    clock = VirtualClock()

    def ticking() -> float:
        clock.advance(0.001)
        return clock()

    rate = 16_000
    noise = 0.01 * np.random.default_rng(2).standard_normal((rate, 1)).astype(np.float32)
    stage = Frontend(rate, echo=True, noise=True, gain=True, clock=ticking)
    for _ in range(2):
        stage.process(noise)
    spent = dict(stage.cost_s)
    assert all(cost > 0 for cost in spent.values())
    stage.echo = stage.noise = stage.gain = False
    stage.process(noise[: rate // 10])
    spent = dict(stage.cost_s)
    stage.process(noise)
    assert stage.cost_s == spent
    assert stage.speech_probability == stage.gain_db == 0.0
    stage.noise = True
    stage.process(noise[: rate // 5])
    y = stage.process(noise)
    assert rms_db(noise) - rms_db(y[: rate // 5]) > 10.5, "it learns the noise anew"


def test_part_that_was_not_built_cannot_be_switched_on() -> None:
    stage = Frontend(16_000, noise=True)
    stage.echo = False
    with pytest.raises(ConfigError, match="echo=True"):
        stage.echo = True
    assert stage.parts == ("noise",)


@pytest.mark.parametrize(
    "settings", [{"noise_level": 4}, {"echo_delay_ms": 501.0}, {"reference_ms": 1.0}, {"step": 0}, {"target_lufs": 0.0}]
)
def test_settings_it_cannot_have_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Frontend(16_000, noise=True, gain=True, config=FrontendConfig(**settings))
    with pytest.raises(ConfigError, match="4 channels"):
        Frontend(16_000, 5, echo=True)


def test_gain_alone_is_as_late_as_its_limiter() -> None:
    assert Frontend(24_000, gain=True).latency == ms_to_frames(1.5, 24_000)
    assert Frontend(24_000).latency == 0


_BLOCK = st.tuples(st.integers(0, 700), st.sampled_from(["echo", "noise", "gain", "reference", "reset", "flush", ""]))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([8000, 16_000, 24_000, 44_100]), st.lists(_BLOCK, max_size=40))
def test_whatever_is_switched_in_whatever_order_the_cadence_holds(rate: int, blocks: list[tuple[int, str]]) -> None:
    stage = Frontend(rate, echo=True, noise=True, gain=True)
    x = speechlike(1000, rate)
    for frames, act in blocks:
        y = stage.process(x[:frames])
        assert y.shape == (frames, 1)
        assert np.isfinite(y).all()
        if act == "reference":
            stage.reference(x[:frames])
        elif act == "flush":
            assert len(stage.flush()) == stage.latency
        elif act == "reset":
            stage.reset()
        elif act:
            setattr(stage, act, not getattr(stage, act))
