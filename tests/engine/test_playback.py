import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menura.audio.config import AudioConfig
from menura.engine.pages import PAGE, Pages
from menura.engine.playback import Playback, PlaybackEventKind
from menura.errors import ConfigError, FormatError, LimitError

RATE = 8000
FADE = 40
CONFIG = AudioConfig(sample_rate=RATE, chunk_duration_ms=20)


def ramp(n, start=0):
    return (0.5 + (np.arange(start, start + n)[:, None] % 1000) / 4000.0).astype(np.float32)


def made(**options):
    return Playback(CONFIG, **options)


def total(position):
    return position.played_ms + position.pending_ms + position.queued_ms + position.discarded_ms


def kinds(playback):
    return [(event.kind.value, event.item_id) for event in playback.events()]


@pytest.mark.parametrize("sizes", [(1,), (7, 160), (5000,), (PAGE, 3)])
def test_what_is_queued_is_read_to_the_bit(sizes):
    playback, x = made(), ramp(3 * PAGE + 17)
    at = 0
    while at < len(x):
        for size in sizes:
            playback.queue(x[at : at + size])
            at += size
    playback.complete()
    parts = []
    while len(part := playback.read(777, pad=False)):
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), x)
    assert playback.position().finished
    assert playback.read(10, pad=False).shape == (0, 1)


def test_queue_copies_and_cleans():
    playback, x = made(), ramp(100)
    x[3] = np.nan
    playback.queue(x)
    x[:] = 9.0
    y = playback.read(100)
    assert y[3] == 0.0
    assert np.abs(y).max() < 1.0


def test_position_lags_by_the_output_latency_and_never_goes_back():
    playback = made()
    playback.set_output_latency(160)
    playback.queue(ramp(1600), "a")
    playback.read(160)
    assert playback.position().played_ms == 0.0
    playback.read(160)
    position = playback.position("a")
    assert (position.played_ms, position.pending_ms, position.queued_ms) == (20.0, 20.0, 160.0)
    playback.set_output_latency(320)
    assert playback.position().played_ms == 20.0
    playback.set_output_latency(0)
    assert playback.position().played_ms == 40.0


def test_the_end_is_heard_only_when_the_device_has_played_it():
    playback = made()
    playback.set_output_latency(160)
    playback.queue(ramp(100), "a")
    playback.complete()
    assert kinds(playback) == []
    playback.read(160)
    assert kinds(playback) == []
    playback.read(80)
    assert kinds(playback) == [("item_started", "a")]
    assert playback.position().played_ms == 10.0
    playback.read(80)
    assert kinds(playback) == [("item_completed", "a"), ("drained", None)]


def test_completing_after_all_was_heard_ends_the_item():
    playback = made()
    playback.queue(ramp(100), "a")
    playback.read(200)
    assert not playback.position().finished
    playback.complete()
    playback.complete()
    assert playback.position().finished
    assert kinds(playback) == [("item_started", "a"), ("item_completed", "a"), ("drained", None)]
    assert playback.stats().gaps == 0, "silence at the end is no gap"


def test_items_have_positions_of_their_own():
    playback = made(reported=True)
    playback.queue(ramp(800), "a")
    playback.queue(ramp(800), "a")
    playback.queue(ramp(400), "b")
    playback.read(2400)
    playback.played(1680)
    assert playback.position("a").played_ms == 200.0
    assert playback.position("a").complete
    assert playback.position().item_id == "b"
    assert playback.position("b").played_ms == 10.0
    assert not playback.position("b").complete
    assert playback.position("c").item_id is None
    playback.played(10**9)
    assert playback.position("b").played_ms == 50.0


def test_without_ids_items_are_told_apart_by_completion():
    playback = made()
    playback.queue(ramp(80))
    playback.complete()
    playback.queue(ramp(160))
    playback.read(120)
    assert playback.position().played_ms == 5.0
    assert playback.stats().items == 2


@pytest.mark.parametrize("device", [0, 160])
def test_forced_interruption_fades_within_5_ms(device):
    playback = made()
    playback.set_output_latency(device)
    playback.queue(np.full((1600, 1), 0.5, np.float32), "a")
    playback.queue(np.full((1600, 1), 0.5, np.float32), "b")
    playback.read(320)
    position = playback.interrupt(force=True)
    assert position.item_id == "a"
    assert position.interrupted
    assert not position.finished
    assert position.end_ms == 45.0
    assert position.discarded_ms == 155.0
    assert total(position) == 200.0
    y = playback.read(320)[:, 0]
    assert np.abs(np.diff(y, prepend=0.5)).max() < 0.5 * 1.7 / FADE
    assert not y[FADE + FADE :].any()
    assert np.all(y[:FADE] > 0)
    end = playback.position("a")
    assert (end.played_ms, end.finished) == (45.0, True)
    assert playback.position("b").discarded_ms == 200.0
    assert kinds(playback)[-2:] == [("item_completed", "b"), ("drained", None)]


def test_soft_interruption_ends_with_the_chunk():
    playback = made()
    playback.queue(np.full((1600, 1), 0.5, np.float32), "a")
    playback.read(200)
    assert playback.interrupt(force=False).end_ms == 40.0
    y = playback.read(400)[:, 0]
    np.testing.assert_array_equal(y[: 120 - FADE], 0.5)
    assert np.all(np.diff(y[120 - FADE : 120]) < 0)
    assert y[119] < 0.01
    assert playback.position("a").played_ms == 40.0


def test_soft_interruption_takes_another_chunk_when_the_end_is_too_near():
    playback = made()
    playback.queue(ramp(1600), "a")
    playback.read(140)
    assert playback.interrupt(force=False).end_ms == 40.0


def test_forced_after_soft_is_sooner_and_soft_after_forced_is_not_later():
    playback = made()
    playback.queue(ramp(1600), "a")
    playback.read(170)
    assert playback.interrupt(force=False).end_ms == 40.0
    assert playback.interrupt(force=False).end_ms == 40.0
    assert playback.interrupt(force=True).end_ms == 26.25
    playback.read(10)
    assert playback.interrupt(force=False).end_ms == 26.25
    assert playback.interrupt(force=True).end_ms == 26.25
    y = playback.read(100)[:, 0]
    assert np.abs(np.diff(y)).max() < 1.7 * 0.75 / FADE


def test_interruption_without_fade_hands_out_nothing_more():
    playback = made()
    playback.queue(ramp(1600), "a")
    playback.read(160)
    assert playback.interrupt(fade=False).end_ms == 20.0
    assert not len(playback.read(160, pad=False))


def test_interruption_of_nothing_changes_nothing():
    playback = made()
    assert playback.interrupt().item_id is None
    playback.queue(ramp(160), "a")
    playback.complete()
    playback.read(320)
    assert not playback.interrupt().interrupted
    assert playback.position("a").played_ms == 20.0


def test_late_audio_of_an_interrupted_item_is_discarded_and_a_new_one_is_heard():
    playback = made()
    playback.queue(ramp(800), "a")
    playback.read(160)
    playback.interrupt()
    assert playback.queue(ramp(80), "a") == 0
    assert playback.queue(ramp(80), "b") == 80
    y = playback.read(160)[:, 0]
    np.testing.assert_allclose(y[2 * FADE : 3 * FADE], ramp(80)[FADE:, 0], atol=1e-6)
    assert playback.queue(ramp(80), "a") == 0
    position = playback.position("a")
    assert total(position) == 120.0
    assert position.played_ms == 25.0
    assert playback.position("b").played_ms == 10.0


def test_the_next_anonymous_item_follows_an_interruption():
    playback = made()
    playback.queue(ramp(800))
    playback.read(160)
    playback.interrupt()
    assert playback.queue(ramp(80)) == 80
    playback.read(320)
    assert playback.position().played_ms == 10.0
    assert not playback.position().interrupted


@pytest.mark.parametrize("size", [1, 7, 160, 1000])
def test_a_gap_is_counted_and_does_not_click_however_it_is_read(size):
    def run(size):
        playback, parts = made(), []

        def take(frames):
            parts.extend(playback.read(min(size, frames - k)) for k in range(0, frames, size))

        playback.queue(np.full((300, 1), 0.8, np.float32), "a")
        take(420)
        playback.queue(np.full((300, 1), -0.8, np.float32), "a")
        take(310)
        playback.queue(np.full((300, 1), 0.8, np.float32), "a")
        take(600)
        return playback, np.concatenate(parts)[:, 0]

    playback, y = run(size)
    np.testing.assert_array_equal(y, run(10_000)[1])
    assert np.abs(np.diff(y)).max() <= 0.8 * 2 * 1.6 / FADE
    stats = playback.stats()
    assert (stats.gaps, stats.gap_ms) == (2, 120 / 8 + 10 / 8)
    assert playback.position("a").played_ms == 112.5


def test_prebuffer_waits_for_enough_or_for_the_end():
    playback = made(prebuffer_ms=40)
    playback.queue(ramp(160))
    assert not playback.read(160).any()
    playback.queue(ramp(160))
    assert playback.read(160).all()
    assert playback.stats().gaps == 0, "before the first frame nothing is missed"
    playback.read(320)
    playback.queue(ramp(80))
    assert not playback.read(80).any()
    playback.complete()
    assert playback.read(80).all()


def test_retract_takes_back_what_a_client_dropped():
    playback = made(reported=True)
    playback.queue(ramp(1600), "a")
    playback.read(800)
    playback.report_played(30.0, "a")
    position = playback.interrupt(fade=False)
    assert position.end_ms == 100.0
    assert playback.retract() == 560
    position = playback.position("a")
    assert (position.played_ms, position.end_ms, position.discarded_ms, position.finished) == (30.0, 30.0, 170.0, True)
    assert playback.retract() == 0
    assert playback.handed_out == 240
    assert kinds(playback) == [("item_started", "a"), ("item_completed", "a"), ("drained", None)]


def test_reported_positions_skip_silence_and_stay_within_what_was_given():
    playback = made(reported=True)
    playback.queue(ramp(80), "a")
    playback.read(160)
    playback.queue(ramp(80), "a")
    playback.queue(ramp(80), "b")
    playback.read(160)
    assert playback.position().played_ms == 0.0
    assert playback.report_played(15.0, "a")
    assert playback.position("a").played_ms == 15.0
    assert playback.report_played(5.0, "a"), "an older report"
    assert playback.position("a").played_ms == 15.0
    assert playback.report_played(25.0)
    assert playback.position("b").played_ms == 5.0
    assert playback.position("a").played_ms == 20.0
    assert not playback.report_played(25.0, "c")
    playback.report_played(1e9, "b")
    assert playback.position("b").played_ms == 10.0
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(FormatError, match="played_ms"):
            playback.report_played(bad)


def test_positions_are_the_clients_from_the_first_report_on():
    playback = made()
    playback.report_played(0.0)
    playback.queue(ramp(1600), "a")
    playback.read(1600, pad=False)
    assert playback.position("a").played_ms == 0.0
    playback.report_played(50.0, "a")
    playback.set_output_latency(0)
    assert playback.position("a").played_ms == 50.0
    playback.reset()
    playback.queue(ramp(80), "a")
    playback.read(80)
    assert playback.position("a").played_ms == 10.0


def test_a_full_queue_says_so_and_keeps_what_it_has():
    playback = made(max_ms=100)
    playback.queue(ramp(800))
    with pytest.raises(LimitError, match="playback is full: 0 ms do not fit into 0 ms"):
        playback.queue(ramp(1))
    assert len(playback.read(1000, pad=False)) == 800
    playback.queue(ramp(800))


def test_memory_is_bounded():
    playback = Playback(AudioConfig(sample_rate=192_000, channels=8))
    with pytest.raises(LimitError):
        playback.queue(np.zeros((64 * 1024 * 1024 // 32 + 1, 8), np.float32))
    playback = made()
    with pytest.raises(LimitError, match="4096 items"):
        for k in range(5000):
            playback.queue(ramp(1), str(k))


def test_wrong_arguments_are_refused():
    with pytest.raises(FormatError):
        made().queue(np.zeros((10, 2), np.float32))
    with pytest.raises(ConfigError):
        made(max_ms=0)
    with pytest.raises(ConfigError):
        made(prebuffer_ms=-1)


def test_reset_forgets_everything():
    playback = made()
    playback.queue(ramp(100), "a")
    playback.read(50)
    playback.reset()
    assert playback.position().item_id is None
    assert playback.events() == []
    assert playback.stats().played_ms == 0.0
    assert not playback.read(50).any()


def test_pages_keep_the_oldest():
    pages = Pages()
    pages.write(ramp(3 * PAGE))
    pages.read(100)
    pages.keep(PAGE)
    assert len(pages) == PAGE
    pages.write(ramp(5))
    np.testing.assert_array_equal(pages.read(10**6), np.concatenate([ramp(PAGE, 100), ramp(5)]))
    pages.keep(0)
    assert len(pages.read(1)) == 0


ids = st.sampled_from([None, "a", "b", "c"])
frames = st.integers(0, 700)
CALLS = st.one_of(
    st.tuples(st.just("queue"), frames, ids),
    st.tuples(st.just("complete")),
    st.tuples(st.just("interrupt"), st.booleans(), st.booleans()),
    st.tuples(st.just("read"), frames, st.booleans()),
    st.tuples(st.just("latency"), frames),
    st.tuples(st.just("played"), st.integers(0, 5000)),
    st.tuples(st.just("report"), st.floats(0, 300), ids),
    st.tuples(st.just("retract"), st.one_of(st.none(), frames)),
)


def act(playback, name, *args):
    if name == "queue":
        playback.queue(ramp(args[0]), args[1])
        return args[0]
    if name == "interrupt":
        playback.interrupt(args[0], fade=args[1])
    elif name == "read":
        x = playback.read(args[0], pad=args[1])
        assert len(x) == args[0] or (not args[1] and len(x) < args[0])
        assert np.abs(x).max(initial=0.0) <= 1.5
    elif name == "report":
        playback.report_played(*args)
    else:
        name = "set_output_latency" if name == "latency" else name
        getattr(playback, name)(*args)
    return 0


@settings(deadline=None, max_examples=300)
@given(st.lists(CALLS, max_size=40), st.booleans(), st.sampled_from([0, 50]))
def test_no_order_of_calls_loses_a_frame(calls, reported, prebuffer_ms):
    playback = made(reported=reported, prebuffer_ms=prebuffer_ms)
    given_frames, heard, seen = 0, 0.0, {}
    for call in calls:
        given_frames += act(playback, *call)
        stats = playback.stats()
        assert total(stats) * RATE / 1000 == pytest.approx(given_frames)
        assert stats.played_ms >= heard
        heard = stats.played_ms
        position = playback.position()
        assert min(position.played_ms, position.pending_ms, position.queued_ms, position.discarded_ms) >= 0.0
        for event in playback.events():
            seen[event.kind] = seen.get(event.kind, 0) + 1
    playback.interrupt()
    playback.read(2000)
    playback.played(playback.handed_out)
    stats = playback.stats()
    assert (stats.pending_ms, stats.queued_ms) == (0.0, 0.0)
    for event in playback.events():
        seen[event.kind] = seen.get(event.kind, 0) + 1
    assert seen.get(PlaybackEventKind.ITEM_COMPLETED, 0) == stats.items
    assert seen.get(PlaybackEventKind.ITEM_STARTED, 0) <= stats.items
