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


def parts(heard, x, length=RATE // 20, near=RATE // 200):
    """For each loud part of ``x``: by how much ``heard`` lags it, in ms, and how alike they are there.

    A part is looked for within 5 ms of where the one before it was: a jump is a part that is not found.
    """
    heard, x = heard.astype(float), x.astype(float)
    first = int(np.flatnonzero(np.abs(x) > 0.05)[0])
    lag = lag_of(heard, x[first : first + 2 * RATE])[0] - first
    found = []
    for at in range(first, min(len(x), len(heard) - lag - near) - length, length):
        part = x[at : at + length]
        if np.sqrt(np.mean(part**2)) < 0.02 or at + lag < near:
            continue
        place, alike = lag_of(heard[at + lag - near : at + lag + length + near], part)
        if alike > 0.9:
            lag += place - near
        found.append((1000.0 * lag / RATE, alike))
    return np.array(found).reshape(-1, 2)


def spoken(seconds=20):
    """Several speakers, one after another."""
    x = speech(RATE, "am_michael", "bf_emma", "bm_george", "af_heart")
    x = np.tile(x, (-(-seconds * RATE // len(x)), 1))[: seconds * RATE]
    # PulseAudio's resamplers dull the highs: what is compared shall have none
    return np.convolve(x[:, 0], np.hanning(9) / 4, "same")[:, None] * np.float32(0.9)
