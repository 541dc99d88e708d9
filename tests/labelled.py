"""Speech with labels: what a voice activity detector is scored on.

The rule of the labels, fixed before any detector was tuned and the same for all of them. From the clean recording, in
frames of 10 ms: the level of the 20 ms around a frame; the active level is the power mean of the frames within 20 dB of
the loudest (after ITU-T P.56: level while active); a frame is speech where its level is within 35 dB of that; pauses
shorter than 150 ms within speech (closures of stops, breaths between words) are speech; what remains shorter than 30 ms
is not.

A session is one speaker's utterances with pauses of 0.2 to 3 s between them and silence around them. It is set to an
active level in dBFS, noise is added at a signal-to-noise ratio against that level, and the sum is clipped to 16 bits as
a converter does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

SPEECH = Path(__file__).parent / "fixtures" / "speech"
RATE = 24_000
FRAMES_PER_S = 100
ACTIVE_DB, SPEECH_DB = 20.0, 35.0
LONGEST_GAP, SHORTEST_SPEECH = 15, 3
TUNING, TESTING = ("af_heart", "am_michael"), ("bf_emma", "bm_george")
"""Speakers whose speech detectors were tuned on, and those on which figures are reported."""
PAUSES_S = (0.2, 0.4, 0.8, 1.5, 3.0)
LEVELS_DB = (-10.0, -18.0, -26.0, -35.0)
SNRS_DB = (20.0, 10.0, 5.0)

Mono = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class Session:
    """Audio and what of it is speech."""

    name: str
    noise: str
    snr_db: float
    audio: NDArray[np.float32]
    """``[n]`` at ``RATE``, of 16-bit values."""
    labels: Labels
    """One for each 10 ms."""

    @property
    def pcm(self) -> bytes:
        return (self.audio * 32768).astype("<i2").tobytes()


def levels_db(x: Mono, rate: int = RATE) -> Mono:
    """Level of the 20 ms around each whole 10 ms of ``x``, dBFS."""
    hop = rate // FRAMES_PER_S
    count = len(x) // hop
    padded = np.concatenate([np.zeros(hop // 2), x[: count * hop], np.zeros(hop)])
    power = np.concatenate([[0.0], np.cumsum(padded**2)])
    starts = np.arange(count) * hop
    return 10 * np.log10((power[starts + 2 * hop] - power[starts]) / (2 * hop) + 1e-12)


def active_db(x: Mono, rate: int = RATE) -> float:
    """Level of ``x`` while it is active, dBFS."""
    levels = levels_db(x, rate)
    return float(10 * np.log10(np.mean(10 ** (levels[levels > levels.max() - ACTIVE_DB] / 10))))


def runs(mask: Labels) -> list[tuple[int, int, bool]]:
    """Start, end and value of each run."""
    edges = [0, *(np.flatnonzero(np.diff(mask)) + 1).tolist(), len(mask)]
    return [(a, b, bool(mask[a])) for a, b in pairwise(edges) if b > a]


def labels_of(x: Mono, rate: int = RATE) -> Labels:
    """The rule of this module for one clean recording."""
    mask = levels_db(x, rate) > active_db(x, rate) - SPEECH_DB
    for a, b, speech in runs(mask):
        if not speech and a > 0 and b < len(mask) and b - a < LONGEST_GAP:
            mask[a:b] = True
    for a, b, speech in runs(mask):
        if speech and b - a < SHORTEST_SPEECH:
            mask[a:b] = False
    return mask


def clips(speakers: tuple[str, ...]) -> dict[str, list[Mono]]:
    """The fixtures' recordings of each speaker."""
    rows = json.loads((SPEECH / "manifest.json").read_text())
    return {
        one: [soundfile.read(SPEECH / row["file"], dtype="float64")[0] for row in rows if row["speaker"] == one]
        for one in speakers
    }


# ---- noises: unit power, [n] at RATE ----


def _shaped(n: int, rng: np.random.Generator, gain: Callable[[Mono], Mono]) -> Mono:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    return np.asarray(np.fft.irfft(spectrum * gain(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20.0)), n))


def white(n: int, rng: np.random.Generator) -> Mono:
    return rng.standard_normal(n)


def pink(n: int, rng: np.random.Generator) -> Mono:
    return _shaped(n, rng, lambda f: f**-0.5)


def brown(n: int, rng: np.random.Generator) -> Mono:
    return _shaped(n, rng, lambda f: 1 / f)


def fan(n: int, rng: np.random.Generator) -> Mono:
    """Broad noise below 2 kHz, and the tones of a wheel of 7 blades at 31 turns a second."""
    t = np.arange(n) / RATE
    air = _shaped(n, rng, lambda f: 1 / (1 + (f / 500) ** 2) ** 0.75)
    blades = sum(np.sin(2 * np.pi * 217 * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3))
    return air / air.std() + 0.4 * blades


def hum(n: int, rng: np.random.Generator) -> Mono:
    """Mains of 50 Hz with its harmonics."""
    t = np.arange(n) / RATE
    tones = (np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k**0.7 for k in range(1, 12))
    return np.asarray(sum(tones)) + 0.02 * rng.standard_normal(n)


def keys(n: int, rng: np.random.Generator) -> Mono:
    """Typing: two short bursts for each of about 5 keys a second, over a faint floor."""
    x = 0.001 * rng.standard_normal(n)
    at = 0
    while (at := at + int(rng.uniform(0.08, 0.35) * RATE)) < n - RATE // 5:
        for offset, gain in ((0, 1.0), (int(rng.uniform(0.04, 0.09) * RATE), 0.4)):
            length = int(rng.uniform(0.004, 0.012) * RATE)
            burst = np.diff(rng.standard_normal(length + 1)) * np.exp(-5 * np.arange(length) / length)
            x[at + offset : at + offset + length] += gain * burst
    return x


def babble(n: int, rng: np.random.Generator) -> Mono:
    """Six voices at once, of the tuning speakers: speech, which the labels do not count as such."""
    pool = [clip for group in clips(TUNING).values() for clip in group]
    sum_ = np.zeros(n)
    for _ in range(6):
        order = rng.permutation(len(pool))
        voice = np.concatenate([pool[i] for i in order])
        sum_ += np.resize(np.roll(voice, int(rng.integers(len(voice)))), n)
    return sum_


STEADY: dict[str, Callable[[int, np.random.Generator], Mono]] = {
    "white": white,
    "pink": pink,
    "brown": brown,
    "fan": fan,
    "hum": hum,
}
NOISES = {**STEADY, "keys": keys, "babble": babble}


# ---- sessions ----


def line_up(utterances: list[Mono], rng: np.random.Generator) -> tuple[Mono, Labels]:
    """Utterances at one active level (0 dB) with pauses between, and their labels."""
    hop = RATE // FRAMES_PER_S
    lead = int(rng.integers(80, 200))
    parts, labels = [np.zeros(lead * hop)], [np.zeros(lead, bool)]
    pauses = rng.permutation(PAUSES_S)
    for i, clip in enumerate(utterances):
        x = clip[: len(clip) // hop * hop]
        parts.append(x * 10 ** (-active_db(x) / 20))
        labels.append(labels_of(x))
        pause = round(float(pauses[i % len(pauses)]) * FRAMES_PER_S)
        parts.append(np.zeros(pause * hop))
        labels.append(np.zeros(pause, bool))
    return np.concatenate(parts), np.concatenate(labels)


def mixed(voice: Mono, noise: str, snr_db: float, level_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A voice of active level 0 dB set to a level, with noise, in 16-bit steps; ``clean``: a room at 60 dB below."""
    hiss = white(len(voice), rng) if noise == "clean" else NOISES[noise](len(voice), rng)
    y = voice + hiss / np.sqrt(np.mean(hiss**2)) * 10 ** (-(60.0 if noise == "clean" else snr_db) / 20)
    pcm = np.clip(np.rint(y * 10 ** (level_db / 20) * 32768), -32768, 32767)
    return (pcm / 32768).astype(np.float32)


def sessions(
    groups: dict[str, list[Mono]], noises: tuple[str, ...] = ("clean", *STEADY), snrs_db: tuple[float, ...] = SNRS_DB
) -> list[Session]:
    """Every speaker clean at every level, and in every noise at every ratio with the levels taken in turn."""
    made = []
    for number, (speaker, utterances) in enumerate(sorted(groups.items())):
        cases = [("clean", 60.0, level) for level in LEVELS_DB] if "clean" in noises else []
        cases += [
            (noise, snr, LEVELS_DB[(i + k + number) % len(LEVELS_DB)])
            for i, noise in enumerate(one for one in noises if one != "clean")
            for k, snr in enumerate(snrs_db)
        ]
        for index, (noise, snr, level) in enumerate(cases):
            rng = np.random.default_rng([number, index, 7])
            voice, labels = line_up(utterances, rng)
            name = f"{speaker} {noise} {snr:g} dB at {level:g} dBFS"
            made.append(Session(name, noise, snr, mixed(voice, noise, snr, level, rng), labels))
    return made


# ---- scores ----


class Forwarding(Protocol):
    """A detector of byte chunks, as ``FastVADDetector``."""

    def process_chunk(self, audio_chunk: bytes) -> str: ...
    def get_pre_buffer(self) -> bytes | None: ...


def f1(decided: Labels, labels: Labels) -> float:
    """Harmonic mean of precision and recall over frames."""
    hits = np.count_nonzero(decided & labels)
    return float(2 * hits / max(1, np.count_nonzero(decided) + np.count_nonzero(labels)))


def auc(score: NDArray[np.floating], labels: Labels) -> float:
    """Area under the ROC curve, by ranks (Mann–Whitney), ties halved."""
    values, place = np.unique(score, return_inverse=True)
    yes = np.bincount(place[labels], minlength=len(values)).astype(np.float64)
    no = np.bincount(place[~labels], minlength=len(values)).astype(np.float64)
    below = np.cumsum(no) - no
    return float(np.sum(yes * (below + 0.5 * no)) / (yes.sum() * no.sum()))


def by_frame(values: NDArray[np.floating], hop: int, lag: int, count: int, rate: int = RATE) -> Mono:
    """A value of each hop as one for each 10 ms of the sound it is about: hop k ends ``(k + 1) · hop`` frames in, and
    tells of the sound ``lag`` frames before."""
    centre = (np.arange(count) + 0.5) * rate / FRAMES_PER_S
    index = ((centre + lag) // hop).astype(int)
    return np.asarray(values, np.float64)[np.clip(index, 0, len(values) - 1)]


def onsets(labels: Labels) -> list[int]:
    """First frame of each run of speech."""
    return [a for a, _, speech in runs(labels) if speech]


def forwarded(detector: Forwarding, session: Session, chunk_ms: int = 20) -> Labels:
    """What of a session reaches a listener, in frames of 10 ms: the pre-buffer and the chunks of each utterance."""
    size = 2 * RATE * chunk_ms // 1000
    heard = np.zeros(len(session.labels), bool)
    pcm, before = session.pcm, "silence"
    for at in range(0, len(pcm), size):
        state = detector.process_chunk(pcm[at : at + size])
        if state in ("speech", "speech_ending"):
            start = at - (len(detector.get_pre_buffer() or b"") if before in ("silence", "speech_starting") else 0)
            frame = 2 * RATE // FRAMES_PER_S
            heard[-(-start // frame) : (at + size) // frame] = True
        before = state
    return heard


def debounced(detector: Forwarding, session: Session) -> Labels:
    """The state as a decision about each frame of 10 ms, as it comes, in hops of 10 ms."""
    size = 2 * RATE // FRAMES_PER_S
    pcm = session.pcm
    states = [detector.process_chunk(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return np.array([state in ("speech", "speech_ending") for state in states[: len(session.labels)]])


def lost_onsets(heard: Labels, labels: Labels, least: int = 10) -> tuple[int, int]:
    """Utterances of at least ``least`` frames whose first frame was not heard, and how many there are."""
    starts = [a for a, b, speech in runs(labels) if speech and b - a >= least]
    return sum(not heard[a] for a in starts), len(starts)
