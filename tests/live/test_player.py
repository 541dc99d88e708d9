import threading
import time

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat
from menura.audio.pcm import float_to_int16
from menura.devices.synthetic_oneway import SyntheticOutput
from menura.errors import ConfigError, DeviceError, FormatError, LimitError, StateError
from menura.live.player import BufferedAudioPlayer

TIMEOUT_S = 10.0
RATE = 24_000
BLOCK = 240


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def tone(n, level=0.5):
    return float_to_int16((level * np.ones(n)).astype(np.float32)).astype("<i2").tobytes()


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(-16_000, 16_000, n).astype("<i2")


class Rig:
    """A player, the device it has opened last, and time that passes when told to."""

    def __init__(self, device_s=0.03, config=None, fail=None, **options):
        self.ports, self.asked = [], []
        self.device_s = device_s
        self.fail = fail
        options = {"prebuffer_ms": 0.0, **options}
        self.player = BufferedAudioPlayer(config, "speaker", open_port=self.open, **options)

    def open(self, device, *, rate, channels):
        self.asked.append((device, rate, channels))
        if self.fail is not None:
            raise self.fail
        self.ports.append(SyntheticOutput(rate, rate // 100, channels, device_s=self.device_s))
        return self.ports[-1]

    @property
    def port(self):
        return self.ports[-1]

    def pump(self, blocks):
        """Let the device run, and the player keep up."""
        for _ in range(blocks):
            self.port.pump(self.port.block)
            self.settle()

    def settle(self):
        until(lambda: self.port.queued >= 3 * self.port.block or not self.port.alive)


@pytest.fixture
def rig():
    rigs = []

    def make(*args, **options):
        rigs.append(Rig(*args, **options))
        return rigs[-1]

    yield make
    for each in rigs:
        each.player.close()
    assert "menura-player" not in [thread.name for thread in threading.enumerate()]


def test_what_is_played_comes_out_to_the_bit(rig):
    rig = rig()
    x = noise(4800)
    for at in range(0, 4800, 480):
        rig.player.play(x[at : at + 480].tobytes())
    rig.player.mark_complete()
    rig.settle()
    rig.pump(40)
    assert rig.asked == [("speaker", RATE, 1)]
    given = rig.port.given[:, 0]
    first = int(np.flatnonzero(given)[0])
    assert first <= 4 * BLOCK
    np.testing.assert_array_equal(np.rint(given[first : first + 4800] * 32768), x)
    assert not rig.player.is_playing
    metrics = rig.player.get_metrics()
    assert (metrics["played_ms"], metrics["gaps"], metrics["padded_ms"], metrics["xruns"]) == (200.0, 0, 0.0, 0)
    assert (metrics["chunks_played"], metrics["chunks_queued"]) == (10, 0)


def test_position_is_what_was_heard(rig):
    rig = rig()
    rig.player.play(tone(24_000), "a")
    rig.settle()
    for _ in range(30):
        rig.pump(1)
        heard = np.count_nonzero(rig.port.heard)
        assert rig.player.position("a").played_ms == pytest.approx(heard / 24.0, abs=0.1)
    assert rig.player.is_playing


def test_forced_stop_is_heard_within_the_fade_and_told_exactly(rig):
    rig = rig()
    rig.player.play(tone(48_000), "a")
    rig.settle()
    rig.pump(50)
    before = np.count_nonzero(rig.port.given)
    position = rig.player.stop()
    assert position.interrupted
    rig.pump(20)
    given = rig.port.given[:, 0]
    assert np.count_nonzero(given > 1e-9) == before + 120
    assert np.abs(np.diff(given[:-1]))[before + 2 :].max() < 0.5 * 1.7 / 120
    end = rig.player.position("a")
    assert end.finished
    assert end.played_ms == pytest.approx((before + 120) / 24.0, abs=0.05)
    assert end.played_ms <= position.end_ms
    assert end.played_ms + end.discarded_ms == pytest.approx(2000.0)
    assert not rig.player.is_playing


def test_soft_stop_ends_with_the_chunk(rig):
    rig = rig(config=AudioConfig(chunk_duration_ms=20))
    rig.player.play(tone(48_000), "a")
    rig.settle()
    rig.pump(51)
    end_ms = rig.player.stop(force=False).end_ms
    assert end_ms % 20 == pytest.approx(0.0)
    rig.pump(20)
    assert np.count_nonzero(rig.port.given > 1e-4) == pytest.approx(end_ms * 24.0, abs=1)
    assert rig.player.position("a").played_ms == end_ms


def test_the_next_reply_plays_after_a_stop_and_the_old_one_does_not(rig):
    rig = rig()
    rig.player.play(tone(48_000), "a")
    rig.settle()
    rig.pump(20)
    rig.player.stop()
    assert rig.player.play(tone(480), "a") == 0
    assert rig.player.play(tone(2400, -0.25), "b") == 2400
    rig.pump(30)
    given = rig.port.given[:, 0]
    assert np.count_nonzero(given == -0.25) == 2400
    assert rig.player.position("b").played_ms == 100.0
    assert rig.player.get_metrics()["chunks_played"] == 1


def test_callbacks_come_when_it_was_heard(rig):
    rig, chunks, done = rig(), [], threading.Event()
    rig.player.set_chunk_played_callback(chunks.append)
    rig.player.set_completion_callback(done.set)
    for _ in range(5):
        rig.player.play(tone(480))
    rig.player.mark_complete()
    rig.settle()
    rig.pump(3)
    assert not done.is_set()
    rig.pump(30)
    assert done.wait(TIMEOUT_S)
    assert sum(chunks) == 5
    assert rig.player.wait(TIMEOUT_S)


def test_no_completion_when_interrupted(rig):
    rig, done = rig(), threading.Event()
    rig.player.set_completion_callback(done.set)
    rig.player.play(tone(24_000))
    rig.settle()
    rig.pump(5)
    rig.player.stop()
    rig.pump(20)
    assert not done.is_set()


def test_a_failing_callback_is_logged_and_harmless(rig, caplog):
    rig = rig()
    rig.player.set_chunk_played_callback(lambda chunks: 1 / 0)
    rig.player.play(tone(480))
    rig.settle()
    rig.pump(10)
    until(lambda: "a callback of the player failed" in caplog.text)
    rig.player.play(tone(480))
    rig.pump(10)
    assert rig.player.position().played_ms == 40.0


def test_a_callback_may_use_the_player(rig):
    rig = rig()
    rig.player.set_completion_callback(lambda: rig.player.play(tone(480, 0.25), "more"))
    rig.player.play(tone(480), "a")
    rig.player.mark_complete()
    rig.settle()
    until(lambda: rig.pump(1) or rig.player.position("more").played_ms == 20.0)


def test_prebuffer_holds_back_until_there_is_enough(rig):
    rig = rig(prebuffer_ms=60.0)
    rig.player.play(tone(480))
    rig.settle()
    rig.pump(10)
    assert not rig.port.given.any()
    rig.player.play(tone(960))
    rig.pump(12)
    assert np.count_nonzero(rig.port.given) >= 1440


def test_a_gap_is_counted_and_does_not_click(rig):
    rig = rig()
    rig.player.play(tone(2400))
    rig.settle()
    rig.pump(20)
    rig.player.play(tone(2400))
    rig.pump(20)
    given = rig.port.given[:, 0]
    begin = int(np.flatnonzero(given)[0])
    assert np.abs(np.diff(given[begin:])).max() < 0.5 * 1.7 / 120
    metrics = rig.player.get_metrics()
    assert metrics["gaps"] == 1
    assert metrics["gap_ms"] > 50.0


def test_it_writes_further_ahead_when_it_was_late(rig):
    rig = rig()
    rig.player.play(tone(24_000))
    rig.settle()
    with rig.player._lock:  # as if the thread were starved
        rig.port.pump(5 * BLOCK)
    rig.settle()
    rig.pump(2)
    until(lambda: rig.port.queued >= 4 * BLOCK)
    assert rig.player.get_metrics()["padded_ms"] == 20.0


def test_a_lost_device_is_reported_once_and_opened_again(rig, caplog):
    rig = rig()
    rig.player.play(tone(24_000), "a")
    rig.settle()
    rig.pump(10)
    rig.port.unplug()
    until(lambda: not rig.player.get_metrics()["running"])
    until(lambda: rig.port.closed)
    with pytest.raises(DeviceError, match="Audio device not available: it has stopped"):
        rig.player.play(tone(480))
    before = rig.player.position("a")
    assert before.discarded_ms > 0.0
    assert rig.player.play(tone(480), "a") == 480
    assert len(rig.ports) == 2
    rig.settle()
    rig.pump(120)
    after = rig.player.position("a")
    assert after.played_ms + after.discarded_ms == pytest.approx(1020.0)
    assert "has lost its device" in caplog.text


def test_a_device_that_cannot_be_closed_holds_up_nobody(rig):
    """As with a sound server that hangs."""
    rig, go = rig(), threading.Event()
    rig.player.play(tone(480), "a")
    rig.port.close = lambda: go.wait(TIMEOUT_S)
    rig.port.unplug()
    until(lambda: not rig.player.get_metrics()["running"])
    assert rig.player.position("a").played_ms == 0.0
    with pytest.raises(DeviceError):
        rig.player.play(tone(480))
    assert rig.player.play(tone(480)) == 480
    assert not go.is_set()
    go.set()


def test_a_device_that_falls_silent_is_lost(rig):
    rig = rig(lost_after_s=0.1)
    rig.player.play(tone(480))
    until(lambda: not rig.player.get_metrics()["running"])
    with pytest.raises(DeviceError, match=r"silent for 0\.1 s"):
        rig.player.mark_complete()


def test_a_device_that_does_not_open_says_so(rig):
    rig = rig(fail=DeviceError("Audio device not available: none"))
    with pytest.raises(DeviceError, match="none"):
        rig.player.play(tone(480))
    rig.fail = None
    assert rig.player.play(tone(480)) == 480


def test_closing_is_final_twice_fine_and_quick(rig):
    rig = rig()
    rig.player.close()
    rig.player.close()
    for call in (lambda: rig.player.play(tone(1)), rig.player.start, rig.player.stop, rig.player.mark_complete):
        with pytest.raises(StateError, match="was closed"):
            call()
    assert rig.player.position().item_id is None


def test_closing_keeps_the_position(rig):
    rig = rig()
    rig.player.play(tone(24_000), "a")
    rig.settle()
    rig.pump(20)
    rig.player.close()
    heard = np.count_nonzero(rig.port.heard)
    assert rig.player.position("a").played_ms == pytest.approx(heard / 24.0, abs=0.1)
    assert rig.port.closed
    assert not rig.player.get_metrics()["running"]


def test_bad_audio_is_refused(rig):
    rig = rig(max_ms=1000.0)
    with pytest.raises(FormatError):
        rig.player.play(b"odd")
    with pytest.raises(LimitError, match="playback is full"):
        rig.player.play(tone(48_000))
    with pytest.raises(ConfigError):
        BufferedAudioPlayer(lost_after_s=0)


def test_any_format_and_channels_can_be_played(rig):
    rig = rig(config=AudioConfig(sample_rate=8000, channels=2, format=AudioFormat.G711_ULAW))
    rig.player.play(bytes([0x80, 0xFF]) * 800)
    rig.settle()
    rig.pump(20)
    assert rig.asked[0][1:] == (8000, 2)
    loud = rig.port.given[np.flatnonzero(rig.port.given[:, 0])]
    assert len(loud) == pytest.approx(800, abs=45)
    assert loud[100, 0] == pytest.approx(32124 / 32768, abs=1e-4)
    assert not rig.port.given[: 4 * 80 + 700, 1].any()


def test_many_threads_may_use_it(rig):
    rig = rig()
    rig.player.start()
    stop, errors = threading.Event(), []

    def use(seed):
        rng = np.random.default_rng(seed)
        calls = [
            lambda: rig.player.play(tone(240), f"{rng.integers(0, 9)}"),
            lambda: rig.player.play(tone(240)),
            rig.player.mark_complete,
            lambda: rig.player.stop(bool(rng.integers(0, 2))),
            rig.player.position,
            rig.player.get_metrics,
        ]
        try:
            while not stop.is_set():
                calls[rng.integers(0, len(calls))]()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        rig.port.pump(BLOCK)
        time.sleep(0.0005)
    stop.set()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert errors == []
    assert rig.port.alive
    rig.player.stop()
    rig.pump(20)
    until(lambda: rig.pump(1) or not rig.player.is_playing)
