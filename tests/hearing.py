"""What was said found again in what was heard, part for part."""

import numpy as np

from tests.utterances import speech

RATE = 48_000


def lag_of(heard, part):
    """Where ``part`` is in ``heard``, and how alike they are there: correlation, normalised at every place."""
    if len(heard) <= len(part):
        return 0, 0.0
    m = 1 << (len(heard) + len(part)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, m) * np.conj(np.fft.rfft(part, m)), m)[: len(heard) - len(part) + 1]
    power = np.concatenate([[0.0], np.cumsum(heard**2)])
    power = power[len(part) :] - power[: -len(part)]
    alike = product / np.sqrt(np.maximum(power, 1e-9) * np.sum(part**2))
    at = int(np.argmax(alike))
    return at, float(alike[at])


def parts(heard, x, length=RATE // 20, near=RATE // 200, far=RATE // 4):
    """For each loud part of ``x``: by how much ``heard`` lags it, in ms, how alike they are there, and when it was.

    A part is looked for within 5 ms of where the one before it was, and only if it is not there farther around.
    """
    heard, x = heard.astype(float), x.astype(float)
    lag, found = _begins(heard, x), []
    for at in range(int(np.flatnonzero(np.abs(x) > 0.05)[0]), len(x) - length, length):
        part = x[at : at + length]
        if np.sqrt(np.mean(part**2)) < 0.02 or at + lag < near or at + lag + length + near > len(heard):
            continue
        for reach in (near, far):
            start = max(0, at + lag - reach)
            place, alike = lag_of(heard[start : at + lag + length + reach], part)
            if alike > 0.9:
                lag = start + place - at
                break
        found.append((1000.0 * lag / RATE, alike, at / RATE))
    return np.array(found).reshape(-1, 3)


def _begins(heard, x):
    """Where the first two seconds are heard, or those after them if they are not."""
    first, size = int(np.flatnonzero(np.abs(x) > 0.05)[0]), 2 * RATE
    fits = []
    for at in range(first, max(first + 1, len(x) - size), size):
        place, alike = lag_of(heard, x[at : at + size])
        fits.append((alike, place - at))
        if alike > 0.9:
            break
    return max(fits)[1]


def steady_s(found):
    """The longest time in which all ``parts`` came one after the other: what a busy machine spoils is not in it.

    Null sinks add or drop a few frames at times: one part that is not alike may be theirs.
    """
    lags, alike, moments = found.T
    jumps = np.abs(np.diff(lags, prepend=lags[:1])) > 5.0
    begin, odd, longest = 0, None, 0.0
    for at, moment in enumerate(moments):
        if jumps[at]:
            begin, odd = at, None
        elif alike[at] < 0.9:
            begin, odd = begin if odd is None else odd + 1, at
        longest = max(longest, moment - moments[begin])
    return float(longest)


def spoken(seconds=12):
    """Several speakers, one after another."""
    x = speech(RATE, "am_michael", "bf_emma", "bm_george", "af_heart")
    x = np.tile(x, (-(-seconds * RATE // len(x)), 1))[: seconds * RATE]
    # PulseAudio's resamplers dull the highs: what is compared shall have none
    return np.convolve(x[:, 0], np.hanning(9) / 4, "same")[:, None] * np.float32(0.9)
