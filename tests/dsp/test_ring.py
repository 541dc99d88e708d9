import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.dsp.ring import Overflow, Ring
from menura.errors import ConfigError, LimitError


def block(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_what_goes_in_comes_out_across_the_wrap() -> None:
    ring = Ring(5)
    ring.write(block(1, 2, 3, 4))
    assert ring.read(3)[:, 0].tolist() == [1, 2, 3]
    ring.write(block(5, 6, 7, 8))
    assert len(ring) == 5
    assert ring.free == 0
    assert ring.peek()[:, 0].tolist() == [4, 5, 6, 7, 8]
    assert ring.skip(2) == 2
    assert ring.read(99)[:, 0].tolist() == [6, 7, 8]


def test_a_full_ring_with_the_error_policy_takes_nothing() -> None:
    ring = Ring(3, overflow=Overflow.ERROR)
    ring.write(block(1, 2))
    with pytest.raises(LimitError):
        ring.write(block(3, 4))
    assert ring.peek()[:, 0].tolist() == [1, 2]
    assert ring.dropped == 0


def test_a_ring_of_no_frames_is_refused() -> None:
    with pytest.raises(ConfigError):
        Ring(0)


operations = st.lists(st.tuples(st.sampled_from(["write", "read", "skip", "clear"]), st.integers(0, 20)), max_size=40)


@given(st.integers(1, 9), st.sampled_from([Overflow.DROP_OLDEST, Overflow.DROP_NEWEST]), operations)
def test_ring_is_a_bounded_list(capacity: int, policy: Overflow, todo: list[tuple[str, int]]) -> None:
    ring, model, dropped, number = Ring(capacity, overflow=policy), [], 0, 0
    for what, n in todo:
        if what == "write":
            new = [float(number + i) for i in range(n)]
            number += n
            lost = max(0, len(model) + n - capacity)
            model += new
            model = model[lost:] if policy is Overflow.DROP_OLDEST else model[:capacity]
            assert ring.write(block(*new)) == lost
            dropped += lost
        elif what == "read":
            assert ring.read(n)[:, 0].tolist() == model[:n]
            del model[:n]
        elif what == "skip":
            assert ring.skip(n) == min(n, len(model))
            del model[:n]
        else:
            ring.clear()
            model = []
        assert len(ring) == len(model)
        assert ring.peek()[:, 0].tolist() == model
        assert ring.dropped == dropped
