"""Frames, bands and switches around a function: what it leaves alone is left alone."""

import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.dsp.bypass import Bypass
from menura.dsp.framed import Framed
from menura.dsp.split import Split
from menura.errors import ConfigError, FormatError
from tests.listen import lag_frames
from tests.streaming import CUTS, pieces, speechlike

RATES = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]


def through(tool: Framed | Split, x: Samples, sizes: tuple[int, ...], gain: float = 1.0) -> Samples:
    """All of it, aligned, through a function that only turns down."""
    more = -(-tool.latency // tool.step) * tool.step
    padded = np.concatenate([x, silence(more, x.shape[1])])
    function = lambda frame: frame * np.float32(gain)  # noqa: E731
    out = []
    for block in pieces(padded, sizes):
        y = tool.run(block, function)
        assert y.shape == block.shape
        out.append(y)
    return np.concatenate(out)[tool.latency :][: len(x)]


@pytest.mark.parametrize("rate", RATES)
def test_split_band_is_whole_again(rate: int) -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((rate, 2)).astype(np.float32)
    y = through(Split(rate, 16_000, (2, 2), 0), x, (480,))
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_above_goes_down_as_what_is_below(rate: int) -> None:
    x = 0.1 * np.random.default_rng(1).standard_normal((rate, 1)).astype(np.float32)
    y = through(Split(rate, 16_000, (1, 1), 0), x, (480,), gain=0.25)
    was, left = (np.abs(np.fft.rfft(v[rate // 4 :, 0])) ** 2 for v in (x, y))
    for band in np.array_split(np.arange(len(was)), 12):
        assert 10 * np.log10(was[band].sum() / left[band].sum()) == pytest.approx(12.04, abs=0.3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("inner", [16_000, 48_000])
def test_frames_are_as_late_as_declared_however_the_input_is_cut(rate: int, inner: int) -> None:
    x = speechlike(rate // 2, rate)
    whole = through(Framed(rate, inner, (1, 1), 0), x, (len(x),))
    assert lag_frames(x, whole) == 0
    for sizes in CUTS.values():
        if sizes != (1,):
            np.testing.assert_array_equal(through(Framed(rate, inner, (1, 1), 0), x, sizes), whole)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_whole_frames_wait_for_nothing(rate: int) -> None:
    waiting, step = Framed(rate, 16_000, (1, 1), 0), rate // 100
    at_once = Framed(rate, 16_000, (1, 1), 0, step=step)
    x = speechlike(step * 50, rate)
    np.testing.assert_array_equal(through(at_once, x, (step, 2 * step)), through(waiting, x, (77,)))
    assert waiting.latency - at_once.latency >= 0.9 * step
    with pytest.raises(FormatError, match=str(step)):
        at_once.run(x[:1], lambda frame: frame)
    with pytest.raises(ConfigError, match="step"):
        Framed(rate, 16_000, (1, 1), 0, step=0)


def test_switch_fades_both_ways_and_calls_nothing_when_off() -> None:
    calls: list[int] = []
    x = np.ones((1000, 1), np.float32)
    switch = Bypass(0, 20, 100, 1, on=False)

    def double(start: int, stop: int) -> Samples:
        calls.append(stop - start)
        return 2 * x[start:stop]

    assert (switch.mix(x, double) == 1.0).all()
    assert not calls
    switch.on = True
    y = switch.mix(x, double)
    assert sum(calls) == 1000
    assert (y[:20] == 1.0).all(), "it runs unheard first"
    assert (np.diff(y[20:120, 0]) > 0).all()
    assert (y[120:] == 2.0).all()
    switch.on = False
    calls.clear()
    y = switch.mix(x, double)
    assert sum(calls) == 100
    assert (np.diff(y[:100, 0]) < 0).all()
    assert (y[100:] == 1.0).all()


def test_switch_turned_round_in_its_fade_goes_back_from_there() -> None:
    x = np.ones((40, 1), np.float32)
    switch = Bypass(0, 0, 100, 1)
    gone = []
    for on in (False, True, True, False):
        switch.on = on
        gone.append(switch.mix(x, lambda start, stop: 2 * x[start:stop]))
    y = np.concatenate(gone)[:, 0]
    assert np.abs(np.diff(y)).max() < 0.02
    assert y[39] < 1.7
    assert y[119] == 2.0
