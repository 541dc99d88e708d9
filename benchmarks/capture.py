"""What a capture costs: a process of its own records speech from a virtual microphone for a while.

    python -m benchmarks.capture [--quick]

Needs PulseAudio (scripts/system-packages.sh), of which it starts a private one. The share of a core is that of the
process alone, device callbacks included, in the middle of its run; resident memory is its highest. The last rows are
the time that an import takes in a fresh process, less that of Python's own start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks import corpus
from benchmarks.tables import machine, number, table
from tests.virtual_audio import VirtualAudio

PROGRAM = """
import json, resource, sys, time
from menura.live.capture_manager import AudioCaptureCallbacks, create_audio_capture

seconds, settings = float(sys.argv[1]), json.loads(sys.argv[2])
sent = []
callbacks = AudioCaptureCallbacks(
    on_audio_data=lambda audio, volume: sent.append(len(audio)), on_volume_change=lambda volume: None
)
with create_audio_capture(callbacks=callbacks, device="vc_mic", **settings) as manager:
    manager.start_recording()
    time.sleep(1.0)
    began, busy = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - busy) / (time.perf_counter() - began)
    stats = manager.get_stats()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"share": share, "memory": memory, "sent": sum(sent), "lost": stats["gaps"]}))
"""
RUNS = {
    "defaults": {},
    "VAD": {"vad_enabled": True},
    "VAD, 20 ms chunks, small buffer": {"vad_enabled": True, "chunk_size": 480, "buffer_size": 960},
    "VAD, 48 kHz stereo": {"vad_enabled": True, "sample_rate": 48_000, "channel_count": 2, "chunk_size": 9600},
}


def _python() -> str:
    """menura as installed beside the benchmarks' own environment, or in it."""
    own = Path(__file__).parent.parent / ".venv" / "bin" / "python"
    return str(own if own.exists() else sys.executable)


def _speak(audio: VirtualAudio, ended: threading.Event) -> None:
    speech = np.concatenate([one.audio for one in corpus.fixtures(48_000, 4)])
    while not ended.is_set():
        audio.play("vc_virtmic", speech)


def capture(audio: VirtualAudio, settings: dict[str, object], seconds: float) -> list[str]:
    """Cells of one row."""
    command = [_python(), "-c", PROGRAM, str(seconds), json.dumps(settings)]
    out = subprocess.run(command, env=audio.env, check=True, capture_output=True, text=True).stdout
    told = json.loads(out)
    return [number(100.0 * told["share"], 2), number(told["memory"]), number(told["sent"] / 1024), str(told["lost"])]


def import_ms(module: str, times: int) -> float:
    """Of a fresh process, less the interpreter's own start; the median."""

    def run(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([_python(), "-c", code], check=True)
        return 1000.0 * (time.perf_counter() - began)

    run(f"import {module}")
    return statistics.median(run(f"import {module}") - run("pass") for _ in range(times))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds each")
    seconds = 5.0 if parser.parse_args().quick else 30.0
    print(f"Capture of speech, {seconds:g} s each; {machine()}")
    audio = VirtualAudio()
    ended = threading.Event()
    speaker = threading.Thread(target=_speak, args=(audio, ended), daemon=True)
    speaker.start()
    try:
        rows = [[name, *capture(audio, settings, seconds)] for name, settings in RUNS.items()]
    finally:
        ended.set()
        speaker.join(60.0)
        audio.close()
    print(table(["24 kHz mono unless said", "% of a core", "MB resident", "KiB sent", "gaps"], rows))
    print()
    modules = ["menura", "menura.live.capture_manager"]
    print(
        table(["import", "ms"], [[module, number(import_ms(module, 5 if seconds < 10 else 15))] for module in modules])
    )


if __name__ == "__main__":
    main()
