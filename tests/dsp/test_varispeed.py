import numpy as np
import pytest

from menura.audio.block import Samples, silence
from menura.dsp.varispeed import Varispeed
from menura.errors import ConfigError
from tests.listen import clicks
from tests.streaming import speechlike

RATES = (8000, 16_000, 24_000, 48_000)


def read(stream: Varispeed, x: Samples, reads: list[int]) -> tuple[Samples, int]:
    """All reads, each fed with what it needs; and how many frames were taken of ``x``."""
    out, at = [], 0
    for frames in reads:
        need = stream.needed(frames)
        stream.push(x[at : at + need])
        at += need
        out.append(stream.read(frames))
        assert len(out[-1]) == frames
    return np.concatenate(out), at


@pytest.mark.parametrize("rate", RATES)
def test_at_speed_one_nothing_changes(rate: int) -> None:
    x = speechlike(rate, rate, 2)
    y, _ = read(Varispeed(rate, 2), x, [rate // 50] * 45)
    np.testing.assert_array_equal(y, x[: len(y)])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("speed", [1.0003, 0.999, 1.005, 0.98, 1.02])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.45])
def test_a_tone_keeps_its_purity(rate: int, speed: float, share: float) -> None:
    stream = Varispeed(rate)
    stream.speed = speed
    stream.reset()
    x = 0.5 * np.sin(2 * np.pi * share * np.arange(rate)).astype(np.float32)[:, None]
    y = read(stream, x, [rate // 50] * 40)[0][rate // 10 :, 0].astype(np.float64)
    angle = 2 * np.pi * share * round(speed * 2**40) / 2**40 * np.arange(len(y))
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rest = y - basis @ np.linalg.lstsq(basis, y)[0]
    assert 10 * np.log10((y @ y) / (rest @ rest)) > 95


@pytest.mark.parametrize("speed", [0.9971, 1.0, 1.00031])
def test_frames_taken_match_the_speed_to_the_frame(speed: float) -> None:
    rate = 8000
    stream = Varispeed(rate)
    stream.speed = speed
    stream.reset()
    reads = [160] * 3000
    _, taken = read(stream, silence(500_000), reads)
    assert taken - stream.held == int(round(speed * 2**40) * sum(reads) >> 40)


def test_cutting_reads_and_pushes_changes_nothing() -> None:
    x = speechlike(30_000, 24_000)

    def run(cuts: list[int], ahead: int) -> Samples:
        stream, out, at, made = Varispeed(24_000), [], 0, 0
        for frames in cuts:
            # the speed changes at set places of the output
            left = frames
            while left:
                stream.speed = (1.0, 1.004, 0.995, 0.9987)[made // 4800 % 4]
                n = min(left, 4800 - made % 4800)
                need = stream.needed(n) + ahead
                stream.push(x[at : at + need])
                at += need
                out.append(stream.read(n))
                left, made = left - n, made + n
        return np.concatenate(out)[:24_000]

    whole = run([24_000], 0)
    for cuts in ([480] * 50, [1] * 24_000, [7, 993] * 24, [24_000]):
        np.testing.assert_array_equal(run(cuts, 0), whole)
    np.testing.assert_array_equal(run([480] * 50, 3), whole)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_change_of_speed_does_not_click(rate: int) -> None:
    stream, out, at = Varispeed(rate), [], 0
    x = 0.5 * np.sin(2 * np.pi * 300 / rate * np.arange(3 * rate)).astype(np.float32)[:, None]
    for k in range(100):
        stream.speed = 0.98 if k % 10 < 5 else 1.02
        need = stream.needed(rate // 50)
        stream.push(x[at : at + need])
        at += need
        out.append(stream.read(rate // 50))
    y = np.concatenate(out)
    assert clicks(y, rate) == 0
    assert np.abs(np.diff(y[:, 0])).max() < 1.03 * 0.5 * 2 * np.pi * 300 / rate


def test_a_read_of_more_than_was_pushed_gives_what_there_is() -> None:
    stream = Varispeed(24_000)
    stream.push(np.ones((500, 1), np.float32))
    y = stream.read(480)
    assert len(y) == 500 - stream.look_ahead
    assert stream.needed(1) == 1
    assert stream.read(0).shape == (0, 1)


def test_what_is_no_number_is_silenced() -> None:
    stream = Varispeed(24_000)
    x = silence(600)
    x[100] = np.nan
    x[200] = np.inf
    stream.push(x)
    assert np.isfinite(stream.read(480)).all()


@pytest.mark.parametrize("speed", [0.9, 1.03, float("nan")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    stream = Varispeed(24_000)
    with pytest.raises(ConfigError, match="speed"):
        stream.speed = speed


@pytest.mark.parametrize("rate", RATES)
def test_look_ahead_is_short(rate: int) -> None:
    assert 1000 * Varispeed(rate).look_ahead / rate <= 4.0
