"""How far each measure can be trusted: its error where the truth is known.

python -m benchmarks.validate [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import soxr

from benchmarks import corpus, measures, synth
from benchmarks.measures import ANALYSIS_RATE, Mono
from benchmarks.tables import machine, number, table

RATE = 48_000


def _moved_vowels(base_hz: float, semitones: float, factor: float) -> tuple[Mono, Mono]:
    contour = synth.intonation(3.0, base_hz, ANALYSIS_RATE)
    before = synth.vowels(contour, ANALYSIS_RATE)
    return before, synth.vowels(contour * 2 ** (semitones / 12), ANALYSIS_RATE, factor)


def pitch_and_formants(bases_hz: tuple[float, ...], factors: tuple[float, ...]) -> str:
    """Vowels of known pitch and formants: cents the judges read, and the error of the formant factor."""
    rows = []
    for base_hz in bases_hz:
        for semitones in (-4.0, 0.0, 4.0, 12.0):
            errors = []
            for factor in factors:
                before, after = _moved_vowels(base_hz, semitones, factor)
                errors.append(100 * (measures.formant_factor(before, after, ANALYSIS_RATE).factor / factor - 1))
            swift = measures.f0_errors(before, after, ANALYSIS_RATE, semitones)
            second = measures.f0_errors(before, after, ANALYSIS_RATE, semitones, judge=measures.harvest_track)
            cells = [swift.median_cents, swift.gross_percent, second.median_cents, second.gross_percent]
            rows.append([f"{base_hz:.0f} Hz {semitones:+.0f} st", *[number(c) for c in cells]])
            rows[-1] += [f"{error:+.1f}" for error in errors]
    head = ["vowels", "swift cents", "gross %", "Harvest cents", "gross %", *[f"x{f} error %" for f in factors]]
    return table(head, rows, "Pitch and formant factor of vowels with known truth")


def pitch_of_faster_speech(limit: int) -> str:
    """Real contours with an exact ratio: speech played faster or slower, its track laid over the original's."""
    rows = []
    for semitones in (-4.0, 4.0, 12.0):
        ratio = 2 ** (semitones / 12)
        cents = []
        for one in [*corpus.fixtures(ANALYSIS_RATE, limit), *corpus.prompts(ANALYSIS_RATE, limit)]:
            x = one.audio.astype(np.float64)
            before = measures.swift_track(x)
            after = measures.swift_track(soxr.resample(x, ANALYSIS_RATE * ratio, ANALYSIS_RATE, quality="VHQ"))
            at = np.arange(len(before)) / ratio
            low = np.minimum(at.astype(int), len(after) - 2)
            both = (before > 0) & (after[low] > 0) & (after[low + 1] > 0)
            there = after[low] + (at - low) * (after[low + 1] - after[low])
            cents.append(1200 * np.log2(there[both] / (before[both] * ratio)))
        off = np.abs(np.concatenate(cents))
        rows.append([f"{semitones:+.0f} st", number(float(np.median(off))), number(100 * float(np.mean(off > 300)), 2)])
    return table(["speech", "cents", "gross %"], rows, "The pitch judge on speech played faster: the floor of all rows")


def _steps(x: Mono, db: float, count: int) -> Mono:
    """Jumps of a size that die out within 10 ms."""
    y = x.astype(np.float64)
    tail = 10 ** (db / 20) * np.exp(-np.arange(480) / 120)
    for i, at in enumerate((np.linspace(0.1, 0.9, count) * len(x)).astype(int)):
        y[at : at + 480] += tail * (-1) ** i
    return y


def click_truth(limit: int) -> str:
    """20 clicks of known size put into speech, and what is counted."""
    cases: dict[str, Callable[[Mono], Mono]] = {"none": lambda x: x}
    for db in (-20, -30, -40, -46, -50):
        cases[f"20 steps of {db} dBFS"] = lambda x, db=db: _steps(x, db, 20)  # type: ignore[misc]
    rng = np.random.default_rng(0)
    cases["noise of -40 dBFS"] = lambda x: x + rng.normal(0, 0.01, len(x))
    rows = []
    for name, change in cases.items():
        found = [measures.clicks(one.audio, change(one.audio), RATE) for one in corpus.fixtures(RATE, limit)]
        rows.append([name, " ".join(str(f.count) for f in found), number(max(f.worst_db for f in found))])
    return table(["put in", "counted per file", "largest dBFS"], rows, "Clicks")


def tone_and_delay_truth() -> str:
    """Tones in noise of known level, and known delays."""
    rng = np.random.default_rng(0)
    tone = 0.5 * np.sin(2 * np.pi * 220.3 * np.arange(RATE) / RATE)
    rows = []
    for db in (20, 60, 100):
        noise = rng.normal(0, 0.5 / np.sqrt(2) * 10 ** (-db / 20), RATE)
        fit = measures.tone_fit(tone + noise, RATE, 221.0)
        rows.append([f"tone {db} dB over noise", number(fit.snr_db), "dB"])
    for frames in (0, 777, 2400):
        measured = number(_measured_delay(frames, rng), 2)
        rows += [[f"delay {1e3 * frames / RATE:.2f} ms", measured, "ms"]]
    return table(["truth", "measured", ""], rows, "Tones and delays")


def _measured_delay(frames: int, rng: np.random.Generator) -> float:
    held = [np.zeros((frames, 1), np.float32)]

    def process(x: measures.NDArray[np.float32]) -> measures.NDArray[np.float32]:
        joined = np.concatenate([held[0], x])
        held[0] = joined[len(x) :]
        return joined[: len(x)]

    return measures.latency(process, rng.normal(0, 0.1, 2 * RATE), RATE, 480).total_ms


def main() -> None:
    """Print what the measures make of known truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    quick: bool = parser.parse_args().quick
    print(f"The measures against known truth; {machine()}\n")
    print(pitch_and_formants((110.0,) if quick else (90.0, 130.0, 220.0), (0.85, 1.0, 1.2)), flush=True)
    print("\n" + pitch_of_faster_speech(4 if quick else 12), flush=True)
    print("\n" + click_truth(4), flush=True)
    print("\n" + tone_and_delay_truth(), flush=True)


if __name__ == "__main__":
    main()
