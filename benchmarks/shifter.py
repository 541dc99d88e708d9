"""menura's pitch and formant shifter beside Rubber Band (live) and WORLD (offline), same speech, same run, same judges.

    python -m benchmarks.shifter [--quick]

Speech is processed at 48 kHz in 10 ms blocks, every utterance by a fresh shifter, and judged with the declared latency
taken off. Time is CPU time of the one thread that works. ``benchmarks.validate`` prints how exact the judges are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import signal

from benchmarks import corpus, engines, measures, synth
from benchmarks.corpus import Utterance
from benchmarks.intelligibility import word_errors
from benchmarks.measures import Mono
from benchmarks.tables import machine, number, table

RATE = 48_000
BLOCK = 480
SHIFTS_ST = (4.0, -4.0, 12.0)
FORMANTS = ((0.0, 0.85), (0.0, 1.2), (4.0, 0.85), (4.0, 1.2))
TONE_HZ = 220.0
VOWEL_HZ = 117.0
Change = Callable[[Mono, float, float], Mono]
"""speech, semitones, formant factor -> changed speech, aligned with the input."""


@dataclass(frozen=True)
class Engine:
    """One contender: how it changes speech, and how to open it as a stream if it is one."""

    name: str
    change: Change
    open: Callable[[float, float], engines.Shifter] | None = None


def live(name: str, make: engines.Make, fmin_hz: float) -> Engine:
    """A contender that works on blocks."""

    def change(x: Mono, semitones: float, formant: float) -> Mono:
        return engines.stream(make(RATE, semitones, formant, fmin_hz), x, BLOCK)

    return Engine(name, change, lambda semitones, formant: make(RATE, semitones, formant, fmin_hz))


def _world(x: Mono, semitones: float, formant: float) -> Mono:
    y = soxr.resample(synth.world_change(x, RATE, semitones, formant), measures.ANALYSIS_RATE, RATE)
    return np.asarray(y[: len(x)])


def contenders(fmin_hz: Sequence[float], peers: bool = True) -> list[Engine]:
    """Ours once for each lowest pitch, then the peers."""
    found = []
    try:
        engines.ours(RATE, 0.0, 1.0, fmin_hz[0])
        found = [live(f"menura, lowest {hz:.0f} Hz", engines.ours, hz) for hz in fmin_hz]
    except ImportError as error:
        print(f"(without menura's own shifter: {error})", file=sys.stderr)
    return found + [live(name, engines.rubber_band(name), 0.0) for name in engines.PEERS if peers]


def joined(parts: Sequence[Mono]) -> NDArray[np.float64]:
    """Utterances one after the other with 0.2 s of silence between."""
    gap = np.zeros(RATE // 5)
    return np.concatenate([piece for part in parts for piece in (part, gap)])


def speed_row(engine: Engine, speech: Mono, repeats: int) -> list[str]:
    """Latency and cost; run first, so that the first block is the first there ever was."""
    assert engine.open is not None
    runs = [measures.cost(engine.open(4.0, 1.0).process, speech, RATE, BLOCK)[1] for _ in range(repeats)]
    neutral, shifting = engine.open(0.0, 1.0), engine.open(4.0, 1.0)
    true = measures.latency(neutral.process, speech[: 4 * RATE], RATE, BLOCK)
    cells = [
        number(1e3 * neutral.latency / RATE),
        number(true.total_ms),
        number(1e3 * shifting.latency / RATE),
        number(statistics.median(run.cpu_percent for run in runs), 2),
        number(statistics.median(run.p50_ms for run in runs), 3),
        number(statistics.median(run.p99_ms for run in runs), 3),
        number(statistics.median(run.max_ms for run in runs), 3),
        number(runs[0].first_ms, 2),
    ]
    return [engine.name, *cells]


SPEED_HEAD = [
    "engine",
    "declared ms",
    "measured ms",
    "at +4 st ms",
    "CPU %",
    "p50 ms",
    "p99 ms",
    "max ms",
    "first ms",
]


def tone_snr(engine: Engine, semitones: float) -> float:
    """SNR of a shifted sine, dB, over its steady part; formants move along, see ``measures.tone_fit``."""
    tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * np.arange(3 * RATE) / RATE)
    ratio = 2 ** (semitones / 12)
    y = engine.change(tone, semitones, ratio)
    return measures.tone_snr(y[RATE : int(2.5 * RATE)], RATE, TONE_HZ * ratio)


def vowel_snr(engine: Engine, semitones: float) -> float:
    """Harmonics over all else, dB, of a steady shifted vowel whose formants stay; the judge itself ends at about 53."""
    vowel = synth.vowels(np.full(5 * RATE // 2, VOWEL_HZ), RATE, vowel_s=10.0)
    y = measures.to_analysis_rate(engine.change(vowel, semitones, 1.0)[RATE : 2 * RATE], RATE)
    hz = VOWEL_HZ * 2 ** (semitones / 12)
    return measures.tone_fit(y, measures.ANALYSIS_RATE, hz, harmonics=int(7900 / hz)).snr_db


def click_count(engine: Engine, speech: Sequence[Utterance], semitones: float) -> int:
    """Clicks over speech cut off at 7.5 kHz, for an octave up must stay below the band where clicks are sought."""
    taps = signal.firwin(255, 7500, fs=RATE)
    count = 0
    for one in speech:
        x = signal.fftconvolve(one.audio, taps, mode="same")
        count += measures.clicks(x, engine.change(x, semitones, 1.0), RATE).count
    return count


def quality_row(
    engine: Engine, synthetic: list[Utterance], real: list[Utterance], semitones: float, quick: bool
) -> list[str]:
    """What a shift does to pitch, formants, tones and words."""
    cells: list[str] = []
    words: list[str] = []
    factors = []
    second = measures.F0Errors(np.nan, np.nan, 0, np.nan)
    for speech in (synthetic, real if engine.open else []):
        changed = [engine.change(one.audio, semitones, 1.0) for one in speech]
        if not speech:
            cells += ["-"] * 3
            words.append("-")
            continue
        source, shifted = joined([one.audio for one in speech]), joined(changed)
        swift = measures.f0_errors(source, shifted, RATE, semitones)
        cells += [number(swift.median_cents), number(swift.gross_percent, 2), number(swift.lost_percent)]
        words.append(number(word_errors(zip(changed, [s.text for s in speech], strict=True), RATE).percent))
        factors += by_speaker_factor(speech, changed)
        if speech is synthetic and not quick:
            second = measures.f0_errors(source, shifted, RATE, semitones, judge=measures.harvest_track)
    cells += [number(second.median_cents), number(second.gross_percent, 2)]
    cells += [number(100 * (statistics.median(factors) - 1)), number(tone_snr(engine, semitones), 0)]
    cells.append(number(vowel_snr(engine, semitones), 0))
    clicks = number(click_count(engine, synthetic, semitones), 0)
    return [f"{engine.name} {semitones:+.0f}", *cells, clicks, *words]


QUALITY_HEAD = [
    "engine, st",
    "cents",
    "gross %",
    "lost %",
    "real cents",
    "gross %",
    "lost %",
    "Harvest cents",
    "gross %",
    "formant %",
    "tone dB",
    "vowel dB",
    "clicks",
    "WER %",
    "real WER %",
]


def by_speaker_factor(speech: Sequence[Utterance], changed: Sequence[Mono]) -> list[float]:
    """Measured formant factor of each speaker."""
    pairs: dict[str, list[tuple[Mono, Mono]]] = {}
    for one, y in zip(speech, changed, strict=True):
        pairs.setdefault(one.speaker, []).append((one.audio, y))
    return [
        measures.formant_factor(joined([a for a, _ in both]), joined([b for _, b in both]), RATE).factor
        for both in pairs.values()
    ]


def formant_row(engine: Engine, speech: list[Utterance]) -> list[str]:
    """Error of the formant factor against the asked one, the worst speaker's beside the median."""
    cells = []
    for semitones, asked in FORMANTS:
        changed = [engine.change(one.audio, semitones, asked) for one in speech]
        errors = [100 * (factor / asked - 1) for factor in by_speaker_factor(speech, changed)]
        worst = max(errors, key=abs)
        cells.append(f"{statistics.median(errors):+.1f} ({worst:+.1f})")
    return [engine.name, *cells]


def report(arguments: argparse.Namespace) -> None:
    """Print the three tables."""
    quick: bool = arguments.quick
    synthetic = corpus.fixtures(RATE, 4 if quick else None)
    real = corpus.prompts(RATE, 8 if quick else arguments.prompts)
    runners = contenders(arguments.fmin, peers=not arguments.only_ours)
    speech = joined([one.audio for one in synthetic])
    print(f"Pitch and formant shifters, 48 kHz mono, 10 ms blocks; {machine()}")
    print(f"{len(synthetic)} synthetic utterances of 4 speakers, {len(real)} real ones of one woman\n")
    rows = [speed_row(engine, speech, 1 if quick else 5) for engine in runners]
    print(
        table(SPEED_HEAD, rows, "Latency (a block's own 10 ms not in it) and CPU time of one core"),
        flush=True,
    )
    if not quick and not arguments.only_ours:
        runners.append(Engine("WORLD, offline", _world))
    plain = [number(word_errors([(s.audio, s.text) for s in speech], RATE).percent) for speech in (synthetic, real)]
    rows = [["unprocessed", *["-"] * (len(QUALITY_HEAD) - 3), *plain]]
    for semitones in SHIFTS_ST:
        for engine in runners:
            print(f"  {engine.name} {semitones:+.0f}", file=sys.stderr, flush=True)
            rows.append(quality_row(engine, synthetic, real, semitones, quick))
    print("\n" + table(QUALITY_HEAD, rows, "Quality: synthetic speakers, then the real one"), flush=True)
    head = ["engine", *[f"{semitones:+.0f} st x{asked}" for semitones, asked in FORMANTS]]
    rows = [formant_row(engine, synthetic + real[:10]) for engine in runners]
    print("\n" + table(head, rows, "Formants: error of the factor in %, median of speakers (worst)"), flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small subset, one repeat")
    parser.add_argument("--fmin", type=float, nargs="+", default=[75.0, 60.0], metavar="HZ", help="lowest pitches")
    parser.add_argument("--prompts", type=int, default=40, metavar="N", help="real utterances (at most 75)")
    parser.add_argument("--only-ours", action="store_true", help="leave the others out")
    arguments = parser.parse_args()
    report(arguments)


if __name__ == "__main__":
    main()
