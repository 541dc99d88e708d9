"""One pass over 16-bit bytes, beside numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from menura.dsp.scan import Scanner


@given(
    hnp.arrays(np.int16, st.integers(1, 2000)), st.integers(1, 32768), st.sampled_from([bytes, bytearray, memoryview])
)
def test_figures_are_numpys(x: np.ndarray, clip: int, kind: type) -> None:
    scanner = Scanner(clip)
    level = scanner.scan(kind(x.tobytes()))
    wide = x.astype(np.float64)
    assert np.isclose(level, np.sqrt(np.mean(wide**2)) / 32768, rtol=1e-12)
    assert scanner.level == level
    assert scanner.peak == np.abs(wide).max() / 32768
    assert np.isclose(scanner.mean, wide.mean() / 32768, atol=1e-15)
    assert scanner.clipped == np.count_nonzero(np.abs(wide) >= clip)
    assert scanner.count == len(x)


def test_nothing_is_silence_and_half_a_sample_is_left_out() -> None:
    scanner = Scanner()
    assert scanner.scan(b"\x00\x40\x01") == 0.5
    assert scanner.scan(b"") == 0.0
    assert (scanner.peak, scanner.mean, scanner.level, scanner.clipped) == (0.0, 0.0, 0.0, 0)
