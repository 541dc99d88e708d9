"""The built-in voices on every kind of speaker: do they disguise, land where they aim, stay intelligible and cheap.

    python -m benchmarks.voices [--quick]

Speakers: the 4 synthetic ones, the real woman of the prompts, and two at the edges made with WORLD: a man 5 semitones
lower and a woman 4 higher. Identity is judged by Resemblyzer; its scores for the same and for different unchanged
speakers stand above the table.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from functools import cache
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from resemblyzer import VoiceEncoder, preprocess_wav
from scipy import ndimage

from benchmarks import corpus, engines, measures, synth
from benchmarks.corpus import Utterance
from benchmarks.intelligibility import word_errors
from benchmarks.measures import Mono
from benchmarks.tables import machine, number, table

RATE = 48_000
SETTLED_S = 2.0
JUMP_SPAN = 3
"""Frames of 16 ms over which a change of the pitch ratio is a jump, not a glide."""


@cache
def _encoder() -> Any:
    return VoiceEncoder("cpu", verbose=False)


def identity(x: Mono) -> NDArray[np.float64]:
    """Resemblyzer's unit vector of who speaks in ``[n]`` at 48 kHz."""
    return np.asarray(_encoder().embed_utterance(preprocess_wav(measures.to_analysis_rate(x, RATE).astype(np.float32))))


def edge_speaker(who: list[Utterance], name: str, semitones: float, formant: float) -> list[Utterance]:
    """The same words by a lower or higher speaker."""
    made = []
    for one in who:
        y = soxr.resample(synth.world_change(one.audio, RATE, semitones, formant), measures.ANALYSIS_RATE, RATE)
        made.append(Utterance(one.name, name, one.text, y.astype(np.float32), RATE))
    return made


def speakers(quick: bool) -> dict[str, list[Utterance]]:
    """Utterances of each speaker."""
    groups = corpus.by_speaker(corpus.fixtures(RATE))
    if real := corpus.prompts(RATE, 6):
        groups["real woman"] = real
    groups["low man"] = edge_speaker(groups["am_michael"], "low man", -5.0, 0.93)
    groups["high woman"] = edge_speaker(groups["af_heart"], "high woman", 4.0, 1.06)
    return dict(itertools.islice(groups.items(), 0, None, 3)) if quick else groups


def active_db(x: Mono) -> float:
    """RMS level of the 20 ms frames within 30 dB of the loudest, dBFS."""
    frames = x[: len(x) // 960 * 960].astype(np.float64).reshape(-1, 960)
    power = (frames**2).mean(1)
    return float(10 * np.log10(power[power > 1e-3 * power.max()].mean() + 1e-12))


def landing_st(shifted: Mono, target_hz: float) -> float:
    """Median pitch after 2 s of speech, semitones above the target."""
    voiced = measures.swift_track(measures.to_analysis_rate(shifted, RATE)[int(SETTLED_S * measures.ANALYSIS_RATE) :])
    voiced = voiced[voiced > 0]
    return 12 * float(np.log2(np.median(voiced) / target_hz)) if len(voiced) else np.nan


def ratio_jump_st(source: Mono, shifted: Mono) -> float:
    """Largest change of the pitch ratio within 50 ms, semitones: the 99.5th percentile, for the judge too errs."""
    a, b = (measures.swift_track(measures.to_analysis_rate(x, RATE)) for x in (source, shifted))
    n = min(len(a), len(b))
    both = (a[:n] > 0) & (b[:n] > 0)
    ratio = 12 * np.log2(np.where(both, b[:n], 1) / np.where(both, a[:n], 1))
    smooth = ndimage.median_filter(ratio, 5)
    steady = ndimage.binary_erosion(both, np.ones(9))
    inside = steady[JUMP_SPAN:] & steady[:-JUMP_SPAN]
    steps = np.abs(smooth[JUMP_SPAN:] - smooth[:-JUMP_SPAN])[inside]
    return float(np.percentile(steps, 99.5)) if len(steps) else np.nan


def steady_jump_st(groups: dict[str, list[Utterance]]) -> float:
    """What ``ratio_jump_st`` reads, at most, on a shift that never changes: its own error."""
    return max(
        ratio_jump_st(source, engines.stream(engines.ours(RATE, 4.0, 1.0, 60.0), source))
        for source in (np.concatenate([one.audio for one in group]) for group in groups.values())
    )


def row(voice: Any, groups: dict[str, list[Utterance]], who: dict[str, NDArray[np.float64]]) -> list[str]:
    """One voice over all speakers."""
    from menura.voices.build import make_stage

    likeness, landed, jumps, levels, spoken = {}, {}, [], [], []
    for name, utterances in groups.items():
        source = np.concatenate([one.audio for one in utterances])
        shifted = engines.stream(make_stage(voice, RATE), source)
        likeness[name] = float(who[name] @ identity(shifted))
        levels.append(active_db(shifted) - active_db(source))
        if voice.register_hz:
            landed[name] = landing_st(shifted, voice.register_hz)
            jumps.append(ratio_jump_st(source, shifted))
        start = 0
        for one in utterances:
            spoken.append((shifted[start : start + len(one.audio)], one.text))
            start += len(one.audio)
    stage = make_stage(voice, RATE)
    timing = measures.cost(stage.process, np.concatenate([one.audio for one in groups["am_michael"]]), RATE, 480)[1]
    furthest = max(landed.items(), key=lambda item: abs(item[1]), default=("", np.nan))
    cells = [
        number(statistics.mean(likeness.values()), 2),
        number(max(likeness.values()), 2),
        f"{furthest[1]:+.1f} {furthest[0]}" if landed else "-",
        number(max(jumps, default=np.nan)),
        number(word_errors(spoken, RATE).percent),
        f"{statistics.mean(levels):+.1f}",
        number(timing.cpu_percent, 2),
        number(timing.p99_ms, 2),
        number(1e3 * stage.latency / RATE),
    ]
    return [voice.id, *cells]


HEAD = [
    "voice",
    "likeness",
    "highest",
    "worst landing st",
    "jump st",
    "WER %",
    "level dB",
    "CPU %",
    "p99 ms",
    "latency ms",
]


def baselines(groups: dict[str, list[Utterance]]) -> tuple[float, float]:
    """Resemblyzer between halves of one unchanged speaker, and between different ones."""
    halves = {}
    for name, utterances in groups.items():
        middle = (len(utterances) + 1) // 2
        halves[name] = [
            identity(np.concatenate([one.audio for one in part])) for part in (utterances[:middle], utterances[middle:])
        ]
    same = [float(a @ b) for a, b in halves.values()]
    different = [float(halves[p][0] @ halves[q][1]) for p, q in itertools.permutations(halves, 2)]
    return statistics.mean(same), statistics.mean(different)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer speakers")
    groups = speakers(parser.parse_args().quick)
    groups = {"am_michael": corpus.by_speaker(corpus.fixtures(RATE))["am_michael"], **groups}
    from menura.errors import ModelError
    from menura.voices.builtin import builtin_voices

    print(f"Built-in voices, 48 kHz mono, 10 ms blocks; {machine()}")
    same, different = baselines(groups)
    plain = word_errors([(one.audio, one.text) for group in groups.values() for one in group], RATE).percent
    print(f"Speakers: {', '.join(groups)}")
    print(f"Likeness unchanged: same speaker {same:.2f}, different {different:.2f}; WER unchanged {plain:.1f} %")
    print(f"Jump read on a constant shift: {steady_jump_st(groups):.1f} st\n", flush=True)
    who = {name: identity(np.concatenate([one.audio for one in group])) for name, group in groups.items()}
    rows = []
    for voice in builtin_voices():
        print(f"  {voice.id}", file=sys.stderr, flush=True)
        try:
            rows.append(row(voice, groups, who))
        except ModelError as error:
            rows.append([voice.id, *["-"] * (len(HEAD) - 1)])
            print(f"{voice.id} cannot be built: {error}")
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
