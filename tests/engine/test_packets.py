import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from menura.audio.block import Samples
from menura.engine.jitter_config import JitterConfig
from menura.engine.packets import Packets, Placed
from menura.engine.sequence import Placer


def ramp(start: int, frames: int) -> Samples:
    """Frames whose values are their positions."""
    return np.arange(start, start + frames, dtype=np.float32)[:, None]


def test_packets_out_of_order_are_put_in_order() -> None:
    packets = Packets(1)
    for start in (0, 30, 10, 20, 50):
        assert packets.insert(start, ramp(start, 10)) == Placed(10, 0, 0)
    assert (packets.held, packets.ready, packets.hole, packets.end) == (50, 40, 0, 60)
    np.testing.assert_array_equal(packets.take(35), ramp(0, 35))
    np.testing.assert_array_equal(packets.take(35), ramp(35, 5))
    assert packets.hole == 10
    np.testing.assert_array_equal(packets.peek(4, beyond_hole=True), ramp(50, 4))
    packets.skip(10)
    np.testing.assert_array_equal(packets.take(10), ramp(50, 10))
    assert packets.hole is None


def test_late_and_double_frames_are_left_out() -> None:
    packets = Packets(1)
    packets.insert(0, ramp(0, 20))
    packets.take(10)
    assert packets.insert(0, ramp(0, 10)) == Placed(0, 10, 0)
    assert packets.insert(5, ramp(5, 10)) == Placed(0, 5, 5)
    assert packets.insert(15, ramp(15, 10)) == Placed(5, 0, 5)
    assert packets.insert(30, ramp(30, 5)) == Placed(5, 0, 0)
    assert packets.insert(8, ramp(8, 40)) == Placed(18, 2, 20)
    np.testing.assert_array_equal(packets.take(99), ramp(10, 38))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25), st.integers(0, 30)), max_size=40))
def test_frames_are_kept_once_and_in_order(steps: list[tuple[int, int, int]]) -> None:
    packets, given_, got = Packets(1), 0, 0
    for start, frames, taken in steps:
        placed = packets.insert(start, ramp(start, frames))
        assert placed.kept + placed.late + placed.duplicate == frames
        given_ += placed.kept
        if packets.hole:
            packets.skip(packets.hole)
        head = packets.head
        x = packets.take(taken)
        np.testing.assert_array_equal(x, ramp(head, len(x)))
        got += len(x)
        assert packets.held == given_ - got
    assert packets.clear() == given_ - got
    assert packets.held == 0


def place(placer: Placer, packets: list[tuple[int | None, int | None]], frames: int = 480) -> list[int]:
    return [placer.place(frames, sequence, timestamp, 0)[0] for sequence, timestamp in packets]


def test_without_numbers_packets_follow_each_other() -> None:
    assert place(Placer(JitterConfig(), 120_000, 12_000), [(None, None)] * 3) == [0, 480, 960]


def test_numbers_and_timestamps_wrap() -> None:
    jitter = JitterConfig(sequence_modulus=65_536, timestamp_modulus=2**32)
    placer = Placer(jitter, 120_000, 12_000)
    assert place(placer, [(65_534, None), (65_535, None), (1, None), (0, None)]) == [0, 480, 1440, 960]
    assert placer.missing == 0
    placer = Placer(jitter, 120_000, 12_000)
    assert place(placer, [(None, 2**32 - 480), (None, 480), (None, 0)]) == [0, 960, 480]


def test_gaps_in_the_sequence_are_counted() -> None:
    placer = Placer(JitterConfig(), 120_000, 12_000)
    assert place(placer, [(7, None), (8, None), (11, None)]) == [0, 480, 1920]
    assert placer.missing == 2
    assert place(placer, [(9, None)]) == [960]
    assert placer.missing == 1


def test_a_pause_is_no_loss() -> None:
    placer = Placer(JitterConfig(), 120_000, 12_000)
    place(placer, [(0, 0), (1, 480), (2, 9600)])
    assert placer.resumed == {9600}
    assert placer.missing == 0
    place(placer, [(None, 9600 + 480 + 12_001)])
    assert placer.resumed == {9600, 22_081}
    placer.place(480, None, 60_000, 30_000)
    assert placer.resumed == {60_000}


def test_a_sender_that_begins_anew_is_followed() -> None:
    placer = Placer(JitterConfig(), 1000, 500)
    assert place(placer, [(500, None), (501, None)], 100) == [0, 100]
    assert placer.place(100, 900, None, 0) == (200, True)
    assert placer.place(100, 901, None, 0) == (300, False)
    old = [placer.place(100, n, None, 5000) for n in (3, 4, 5, 6)]
    assert [anew for _, anew in old] == [False, False, True, False]
    assert old[3][0] == old[2][0] + 100


def test_many_tiny_packets_are_few_blocks() -> None:
    packets = Packets(1)
    x = np.arange(20_000, dtype=np.float32)[:, None]
    for i in range(len(x)):
        packets.insert(i, x[i : i + 1])
    assert len(packets._blocks) < 200
    assert packets.held == packets.ready == len(x)
    np.testing.assert_array_equal(packets.take(len(x)), x)
