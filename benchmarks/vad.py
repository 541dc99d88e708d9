"""Voice activity detectors beside the ones a user would take: how right, how late, what is lost, and at what cost.

    python -m benchmarks.vad [--quick]

Speech with labels, pauses, noises and levels as ``tests/labelled.py`` makes it, of speakers that nothing was tuned on:
two of the fixtures, and the real prompts where they are installed. Every detector gets the same bytes at 16 kHz (what
each of the peers takes; ours resample other rates), and voxstream and ours by energy their usual 24 kHz.

- *F1, AUC*: of the probability of each 10 ms, each at its own threshold, its declared lag taken off (to every use of
  the Silero model that of ours).
- *state F1*: of the debounced state, at each one's own settings, as it comes.
- *onset*: from the labelled start of speech after 0.5 s or more without to the end of the 20 ms chunk that reports it.
- *lost*: utterances whose first 10 ms are neither in the pre-buffer nor in a chunk reported as speech.
- *µs*: per 20 ms chunk, one thread, best of several turns in which the detectors take theirs one after the other.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks import corpus
from benchmarks.tables import machine, number, table
from menura.audio.config import AudioConfig
from menura.vad.build import make_detector
from menura.vad.config import VADConfig, VADType
from menura.vad.fast import FastVADDetector
from menura.vad.silero import TRAIL_MS
from tests import labelled
from tests.labelled import FRAMES_PER_S, RATE, Session

MODEL_RATE = 16_000
MODEL_LAG = round(TRAIL_MS * MODEL_RATE / 1000)
CHUNK_S = 0.02
PROMPTS_EACH = 6
SPOKEN = ("speech", "speech_ending")

Values = tuple[NDArray[np.float64], int, int, float]
"""Probabilities, hop in frames, lag in frames, threshold."""


@dataclass
class Stream:
    """One detector on one stream of 16-bit chunks."""

    feed: Callable[[bytes], bool]
    """Whether speech is reported once this chunk is in."""
    before: Callable[[], bytes | None] | None = None
    """What came before the chunk that first was reported as speech."""


@dataclass
class Entry:
    """A detector: as a stream, and as probabilities where it has them."""

    name: str
    rate: int
    stream: Callable[[], Stream]
    values: Callable[[bytes], Values] | None = None


# ---- ours ----


def _ours(name: str, config: VADConfig, rate: int) -> Entry:
    def stream() -> Stream:
        vad = FastVADDetector(config, AudioConfig(sample_rate=rate))
        return Stream(lambda chunk: vad.process_chunk(chunk) in SPOKEN, vad.get_pre_buffer)

    def values(pcm: bytes) -> Values:
        detector = make_detector(config, rate)
        x = (np.frombuffer(pcm, "<i2") / 32768).astype(np.float32)
        return detector.process(x[:, None]), detector.hop, detector.lag, detector.threshold

    return Entry(f"menura {name}", rate, stream, values)


# ---- peers ----


def _webrtc() -> Entry:
    import webrtcvad

    size = 2 * MODEL_RATE // 100

    def stream() -> Stream:
        vad = webrtcvad.Vad(3)

        def feed(chunk: bytes) -> bool:
            said = [vad.is_speech(chunk[at : at + size], MODEL_RATE) for at in range(0, len(chunk) - size + 1, size)]
            return said[-1]

        return Stream(feed)

    def values(pcm: bytes) -> Values:
        vad = webrtcvad.Vad(3)
        said = [vad.is_speech(pcm[at : at + size], MODEL_RATE) for at in range(0, len(pcm) - size + 1, size)]
        return np.array(said, np.float64), size // 2, 0, 0.5

    return Entry("webrtcvad, mode 3", MODEL_RATE, stream, values)


def _pipecat() -> Entry:
    from loguru import logger

    logger.remove()
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.audio.vad.vad_analyzer import VADState

    def make() -> Any:
        analyzer = SileroVADAnalyzer(sample_rate=MODEL_RATE)
        analyzer.set_sample_rate(MODEL_RATE)
        return analyzer

    def stream() -> Stream:
        analyzer = make()
        return Stream(lambda chunk: analyzer._run_analyzer(chunk) in (VADState.SPEAKING, VADState.STOPPING))

    def values(pcm: bytes) -> Values:
        analyzer, found = make(), []
        ask = analyzer.voice_confidence

        def listen(buffer: bytes) -> Any:
            found.append(float(np.squeeze(ask(buffer))))
            return found[-1]

        analyzer.voice_confidence = listen
        analyzer._run_analyzer(pcm)
        return np.array(found), 512, MODEL_LAG, analyzer.params.confidence

    return Entry("pipecat Silero", MODEL_RATE, stream, values)


def _silero() -> Entry:
    import torch
    from silero_vad import VADIterator, load_silero_vad

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = load_silero_vad(onnx=True)

    def stream() -> Stream:
        iterator = VADIterator(model, sampling_rate=MODEL_RATE)
        held = bytearray()

        def feed(chunk: bytes) -> bool:
            held.extend(chunk)
            while len(held) >= 1024:
                x = torch.from_numpy(np.frombuffer(bytes(held[:1024]), "<i2") / np.float32(32768))
                del held[:1024]
                iterator(x)
            return bool(iterator.triggered)

        return Stream(feed)

    def values(pcm: bytes) -> Values:
        model.reset_states()
        x = torch.from_numpy((np.frombuffer(pcm, "<i2") / 32768).astype(np.float32))
        said = [model(x[at : at + 512], MODEL_RATE).item() for at in range(0, len(x) - 511, 512)]
        return np.array(said), 512, MODEL_LAG, 0.5

    return Entry("silero-vad, its iterator", MODEL_RATE, stream, values)


def _voxstream() -> Entry:
    from voxstream.config.types import StreamConfig
    from voxstream.voice.vad import VADetector

    def stream() -> Stream:
        vad = VADetector(audio_config=StreamConfig(sample_rate=RATE))
        pre = [b""]

        def feed(chunk: bytes) -> bool:
            pre[0] = vad.get_pre_buffer() or b""  # it puts the present chunk in too
            return vad.process_chunk(chunk).value in SPOKEN

        return Stream(feed, lambda: pre[0])

    return Entry("voxstream energy", RATE, stream)


def entries() -> list[Entry]:
    """Ours, and of the peers those that are installed."""
    silero, cascade = VADConfig(type=VADType.SILERO), VADConfig(type=VADType.CASCADE)
    found = [
        _ours("energy", VADConfig(), RATE),
        _ours("adaptive energy", VADConfig(adaptive=True), RATE),
        _ours("WebRTC", VADConfig(type=VADType.WEBRTC), MODEL_RATE),
        _ours("Silero", silero, MODEL_RATE),
        _ours("cascade", cascade, MODEL_RATE),
        _ours("Silero, 24 kHz", silero, RATE),
        _ours("cascade, 24 kHz", cascade, RATE),
    ]
    for make in (_voxstream, _webrtc, _silero, _pipecat):
        try:
            found.append(make())
        except ImportError as error:
            print(f"(left out: {make.__name__[1:]}, as {error.name or error} is not installed)")
    return found


# ---- measuring ----


def at_rate(session: Session, rate: int) -> bytes:
    """The session's bytes at a rate."""
    if rate == RATE:
        return session.pcm
    x = soxr.resample(session.audio.astype(np.float64), RATE, rate, quality="VHQ")
    return np.clip(np.rint(x * 32768), -32768, 32767).astype("<i2").tobytes()


def accuracy(entry: Entry, sessions: list[Session]) -> tuple[float, float, dict[str, float]]:
    """F1, AUC, and F1 in each noise."""
    if entry.values is None:
        return float("nan"), float("nan"), {}
    decided, scores, noises = [], [], []
    for session in sessions:
        values, hop, lag, threshold = entry.values(at_rate(session, entry.rate))
        frames = labelled.by_frame(values, hop, lag, len(session.labels), entry.rate)
        scores.append(frames)
        decided.append(frames >= threshold)
        noises += [session.noise] * len(frames)
    truth = np.concatenate([session.labels for session in sessions])
    said, score, noise = np.concatenate(decided), np.concatenate(scores), np.array(noises)
    each = {str(one): labelled.f1(said[noise == one], truth[noise == one]) for one in dict.fromkeys(noises)}
    return labelled.f1(said, truth), labelled.auc(score, truth), each


@dataclass
class Heard:
    """What a stream made of the sessions."""

    state_f1: float
    onset_ms: float
    late_ms: float
    """Median and 95th percentile of the delay of onsets."""
    lost_percent: float


def _far_onsets(labels: labelled.Labels) -> list[int]:
    found = labelled.runs(labels)
    return [b for (a, b, speech) in found[:-1] if not speech and b - a >= FRAMES_PER_S // 2]


def hear(entry: Entry, sessions: list[Session]) -> Heard:
    """Debounced state and pre-buffer, chunk by chunk."""
    states, delays, lost, count = [], [], 0, 0
    size = 2 * round(CHUNK_S * entry.rate)
    per_frame = 2 * entry.rate // FRAMES_PER_S
    for session in sessions:
        stream, pcm, was = entry.stream(), at_rate(session, entry.rate), False
        spoken = np.zeros(len(session.labels), bool)
        reached = np.zeros(len(session.labels), bool)
        for at in range(0, len(pcm), size):
            now = stream.feed(pcm[at : at + size])
            if now:
                pre = len(stream.before() or b"") if stream.before and not was else 0
                reached[-(-max(0, at - pre) // per_frame) : (at + size) // per_frame] = True
                spoken[at // per_frame : (at + size) // per_frame] = True
            was = now
        states.append(spoken)
        some, of = labelled.lost_onsets(reached, session.labels)
        lost, count = lost + some, count + of
        for onset in _far_onsets(session.labels):
            after = np.flatnonzero(spoken[onset : onset + FRAMES_PER_S])
            if not spoken[onset - 1]:
                delays.append(1000.0 if not len(after) else 10.0 * after[0] + 1000.0 * CHUNK_S)
    truth = np.concatenate([session.labels for session in sessions])
    return Heard(
        labelled.f1(np.concatenate(states), truth),
        float(np.median(delays)) if delays else float("nan"),
        float(np.percentile(delays, 95)) if delays else float("nan"),
        100.0 * lost / count,
    )


def cost(found: list[Entry], sessions: list[Session], turns: int) -> dict[str, float]:
    """µs per 20 ms chunk of each, on the same speech."""
    best = {entry.name: float("inf") for entry in found}
    data = {rate: b"".join(at_rate(session, rate) for session in sessions) for rate in (RATE, MODEL_RATE)}
    for _ in range(turns):
        for entry in found:
            size = 2 * round(CHUNK_S * entry.rate)
            pcm, feed = data[entry.rate], entry.stream().feed
            chunks = [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]
            began = time.thread_time_ns()
            for chunk in chunks:
                feed(chunk)
            best[entry.name] = min(best[entry.name], (time.thread_time_ns() - began) / 1e3 / len(chunks))
    return best


def groups_of_prompts(limit: int) -> dict[str, list[labelled.Mono]]:
    """The real speaker's prompts, some at a time."""
    said = [one.audio.astype(np.float64) for one in corpus.prompts(RATE, limit * PROMPTS_EACH)]
    return {f"prompts {i}": said[i * PROMPTS_EACH : (i + 1) * PROMPTS_EACH] for i in range(len(said) // PROMPTS_EACH)}


def report(title: str, found: list[Entry], sessions: list[Session], microseconds: dict[str, float]) -> None:
    """One table of all detectors, and one of F1 by noise."""
    length = sum(len(session.labels) for session in sessions) / FRAMES_PER_S
    share = np.mean(np.concatenate([session.labels for session in sessions]))
    rows, by_noise = [], []
    for entry in found:
        f1, area, each = accuracy(entry, sessions)
        heard = hear(entry, sessions)
        has_pre = entry.stream().before is not None
        cells = [number(f1, 3), number(area, 3), number(heard.state_f1, 3), number(heard.onset_ms, 0)]
        cells += [number(heard.late_ms, 0), number(heard.lost_percent if has_pre else None)]
        rows.append([entry.name, *cells, number(microseconds[entry.name])])
        if each:
            by_noise.append([entry.name, *[number(value, 3) for value in each.values()]])
            names = list(each)
    head = ["", "F1", "AUC", "state F1", "onset ms", "p95", "lost %", "µs"]
    print(table(head, rows, f"\n{title}: {length:.0f} s, {100 * share:.0f} % speech"))
    print(table(["", *names], by_noise, "\nF1 by noise"))


def main() -> None:
    """All tables."""
    quick = "--quick" in sys.argv
    found = entries()
    groups = labelled.clips(labelled.TESTING)
    sets = {"two held-out synthetic speakers": labelled.sessions(groups)}
    real = groups_of_prompts(1 if quick else 4)
    if real:
        sets["one real speaker"] = labelled.sessions(real)
    sets["the same two in typing"] = labelled.sessions(groups, ("keys",))
    sets["the same two in babble, which is speech but not labelled so"] = labelled.sessions(groups, ("babble",))
    first = next(iter(sets.values()))
    microseconds = cost(found, first[:: 12 if quick else 4], 2 if quick else 5)
    print(machine())
    for title, sessions in sets.items():
        report(title, found, sessions[::3] if quick else sessions, microseconds)
    if (peer := microseconds.get("pipecat Silero")) is not None:
        for name in ("menura cascade", "menura cascade, 24 kHz", "menura Silero"):
            print(f"{name}: {peer / microseconds[name]:.1f} times as fast as pipecat's analyzer")


if __name__ == "__main__":
    main()
