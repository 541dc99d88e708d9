"""An RVC voice in a sound card's callbacks: how long a call takes, and what is missed, with and without the thread.

python -m benchmarks.rvc_callback [--seconds N] [--frames N] [--quality NAME]... [--folder DIRECTORY]

A thread calls like a card: a block of so many frames whenever the one before has been played, at 48 kHz, with full-size
models of random weights and no pitch model. Beside each other: the networks within the call that fills a model's block;
and in the callback's own thread. *Late calls* took longer than the card's block lasts: xruns. *Missed* is what was
silent because the model was late, *context* how far back it looks at the end, after so many steps down.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.corpus import fixtures
from benchmarks.rvc_weights import save_all
from benchmarks.tables import machine, number, table
from menura import RVC, AudioCallbackConfig, GUIConfig
from menura.live.background import BackgroundCallback
from menura.live.callback import StageCallback
from menura.neural.stream.stage import RvcStage

RATE = 48_000


def _play(callback: StageCallback, x: np.ndarray, frames: int) -> np.ndarray:
    """Times of all calls, ms, as a card makes them."""
    out = np.empty(frames, np.float32)
    took, period_s = [], frames / RATE
    due = time.perf_counter()
    for at in range(0, len(x) - frames + 1, frames):
        due = max(due + period_s, time.perf_counter() - 2 * period_s)  # a card does not make up for what it lost
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        callback(x[at : at + frames], out)
        took.append(1e3 * (time.perf_counter() - began))
    return np.array(took)


def _row(rvc: RVC, x: np.ndarray, frames: int, background: bool) -> list[str]:
    config = AudioCallbackConfig(sample_rate=RATE, block_size=frames, background=background)
    callback = rvc.create_audio_callback(config)
    took = _play(callback, x, frames)
    assert isinstance(callback.stage, RvcStage)
    pace, latency_ms = callback.stage.pace(), 1e3 * callback.latency / RATE
    missed = f"{callback.stats().late / RATE:.2f} s" if isinstance(callback, BackgroundCallback) else "–"
    callback.close()
    late = 100.0 * np.mean(took > 1e3 * frames / RATE)
    context = "" if pace is None else f"{pace.context_ms:.0f} ms ({pace.steps_down})"
    load = "" if pace is None else f"{pace.load:.2f}"
    times = [number(float(value), 2) for value in (np.median(took), np.percentile(took, 99), took.max())]
    return ["thread" if background else "call", f"{latency_ms:.0f}", *times, f"{late:.1f} %", missed, context, load]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--frames", type=int, default=512, help="of the card's blocks")
    parser.add_argument("--quality", action="append", help="best, balanced, fast, lightest; again for another")
    parser.add_argument("--folder", type=Path, help="where models are, or are written to")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    if not (folder / "voice.pth").exists():
        save_all(folder)
    said = np.concatenate([utterance.audio for utterance in fixtures(RATE, 5)])
    x = np.tile(said, 1 + int(args.seconds * RATE / len(said)))[: int(args.seconds * RATE)]
    print(f"{machine()}\n\nblocks of {args.frames} frames at {RATE} Hz, {args.seconds:g} s\n")
    rows = []
    for quality in args.quality or ["best", "fast"]:
        rvc = RVC(
            GUIConfig(
                pth_path=str(folder / "voice.pth"), hubert_path=str(folder / "hubert"), f0method="tracker",
                quality=quality, threshold=-120.0,
            )
        )  # fmt: skip
        rvc.load()
        rows += [[quality, *_row(rvc, x, args.frames, background)] for background in (False, True)]
    head = ["quality", "networks run in", "delay, ms", "call, ms: median", "p99", "most", "late calls", "missed"]
    print(table([*head, "context (steps down)", "load"], rows))


if __name__ == "__main__":
    main()
