"""Framer, fades, the splicer."""

import numpy as np
import pytest

from menura.audio.block import silence
from menura.dsp.fade import Fade, crossfade, fade_in_curve
from menura.dsp.framer import Framer
from menura.dsp.splice import Splicer, best_offset
from menura.errors import ConfigError, FormatError


@pytest.mark.parametrize(("size", "hop"), [(4, 4), (5, 2), (512, 128)])
@pytest.mark.parametrize("cut", [1, 3, 700])
def test_framer_gives_the_same_frames_however_cut(size: int, hop: int, cut: int) -> None:
    x = np.arange(2001, dtype=np.float32)[:, None]
    framer = Framer(size, hop)
    frames = [frame for i in range(0, len(x), cut) for frame in framer.push(x[i : i + cut])]
    assert [frame[0, 0] for frame in frames] == list(range(0, len(x) - size + 1, hop))
    assert all(len(frame) == size for frame in frames)
    assert framer.rest()[0, 0] == len(frames) * hop
    assert len(framer.rest()) == 0


def test_framer_keeps_what_nobody_iterates() -> None:
    framer = Framer(10)
    framer.push(silence(6))
    assert len(framer.push(silence(6))) == 1


def test_framer_refuses_a_hop_beyond_its_size() -> None:
    with pytest.raises(ConfigError):
        Framer(4, 5)


@pytest.mark.parametrize("shape", Fade)
def test_fade_sums_to_one_in_gain_or_power(shape: Fade) -> None:
    gain = fade_in_curve(101, shape)
    power = 2 if shape is Fade.EQUAL_POWER else 1
    np.testing.assert_allclose(gain**power + gain[::-1] ** power, 1.0, atol=1e-6)
    assert np.all(np.diff(gain[:, 0]) > 0)


def test_crossfade_of_the_same_changes_nothing() -> None:
    x = np.random.default_rng(1).standard_normal((64, 2)).astype(np.float32)
    np.testing.assert_allclose(crossfade(x, x), x, atol=1e-6)
    with pytest.raises(FormatError):
        crossfade(x, x[:-1])


def test_splicer_finds_a_known_offset() -> None:
    x = np.random.default_rng(2).standard_normal((400, 1)).astype(np.float32)
    for offset in (0, 1, 37, 80):
        assert best_offset(x[100:200], x[100 - offset : 280 - offset]) == offset
    assert best_offset(silence(100), x[:180]) == 0


def test_splicer_joins_a_tone_that_jumps_in_phase() -> None:
    rate, block, fade, search = 48_000, 2400, 480, 480
    splicer = Splicer(block, fade, search)
    rng = np.random.default_rng(3)
    out = []
    for _ in range(40):
        start = rng.integers(0, 10_000)  # a model's blocks have any phase
        t = start + np.arange(block + fade + search)
        out.append(splicer.push(np.sin(2 * np.pi * 240 * t / rate).astype(np.float32)[:, None]))
    y = np.concatenate(out)[block:, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(y * np.blackman(len(y)))) ** 2
    tone = round(240 * len(y) / rate)
    inside = spectrum[tone - 4 : tone + 5].sum()
    assert 10 * np.log10(inside / (spectrum.sum() - inside)) > 35


def test_splicer_refuses_other_lengths() -> None:
    splicer = Splicer(100, 10, 10)
    with pytest.raises(FormatError):
        splicer.push(silence(100))
    with pytest.raises(ConfigError):
        Splicer(10, 20, 0)
