"""The speech every benchmark runs on.

Fixtures: 12 utterances of 4 synthetic speakers (two women, two men), in ``tests/fixtures/speech``. Prompts: one real
woman's telephone prompts, from Debian's ``asterisk-core-sounds-en-g722`` (recordings by Allison Smith, CC BY-SA 3.0,
not copied here); ``prompts.json`` holds what she says in 75 of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.measures import Mono

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "tests" / "fixtures" / "speech"
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PEAK = 0.5


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it."""

    name: str
    speaker: str
    text: str
    audio: NDArray[np.float32]
    """``[n]`` at ``rate``, peak 0.5, so that nothing clips before an effect makes it."""
    rate: int


def at_rate(x: Mono, rate_in: int, rate: int) -> NDArray[np.float32]:
    """Resample whole, and bring the peak to 0.5."""
    y = soxr.resample(x.astype(np.float64), rate_in, rate, quality="VHQ") if rate_in != rate else x
    return (y * (PEAK / max(float(np.abs(y).max(initial=0.0)), 1e-9))).astype(np.float32)


def fixtures(rate: int, limit: int | None = None) -> list[Utterance]:
    """The synthetic speakers' utterances; with a limit, spread over the speakers."""
    rows = json.loads((FIXTURES / "manifest.json").read_text())
    rows.sort(key=lambda row: (row["file"].rsplit("_", 1)[1], row["speaker"]))
    found = []
    for row in rows[:limit]:
        audio, own_rate = soundfile.read(FIXTURES / row["file"], dtype="float64", always_2d=True)
        found.append(Utterance(row["file"], row["speaker"], row["text"], at_rate(audio.mean(1), own_rate, rate), rate))
    return found


def prompts(rate: int, limit: int | None = None) -> list[Utterance]:
    """The real speaker's prompts, evenly picked where limited; none where the package is not installed."""
    if not PROMPTS.is_dir():
        print(f"(no real speech: apt-get install asterisk-core-sounds-en-g722 puts it in {PROMPTS})")
        return []
    texts = sorted(json.loads((HERE / "prompts.json").read_text())["prompts"].items())
    count = min(limit or len(texts), len(texts))
    picked = [texts[i * len(texts) // count] for i in range(count)]
    return [Utterance(name, "prompt", text, _g722(PROMPTS / f"{name}.g722", rate), rate) for name, text in picked]


def _g722(path: Path, rate: int) -> NDArray[np.float32]:
    with av.open(str(path), format="g722") as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return at_rate(np.concatenate(blocks) / 32768, 16_000, rate)


def by_speaker(utterances: list[Utterance]) -> dict[str, list[Utterance]]:
    """Utterances of each speaker, in order."""
    groups: dict[str, list[Utterance]] = {}
    for one in utterances:
        groups.setdefault(one.speaker, []).append(one)
    return groups
