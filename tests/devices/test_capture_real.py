"""AudioCaptureManager on real devices: the outside world speaks into a virtual microphone, which comes and goes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.virtual_audio import PROMPT, VirtualAudio, in_vain

pytestmark = pytest.mark.devices
SPEECH = "tests/fixtures/speech/am_michael_u1.flac"
RATE = 24_000

PROGRAM = """
import base64, json, sys
from menura.live.capture_manager import AudioCaptureCallbacks, create_audio_capture

settings = json.loads(sys.argv[2])
audio, log, errors = [], [], []
def on_audio(data, volume):
    audio.append(base64.b64decode(data))
    log.append(["audio", len(audio[-1]), round(volume, 4)])
def on_error(error):
    errors.append(str(error))
    print("error", error, flush=True)
callbacks = AudioCaptureCallbacks(
    on_audio_data=on_audio, on_error=on_error,
    on_vad_speech_start=lambda: log.append(["start"]), on_vad_speech_end=lambda: log.append(["end"]),
)
manager = create_audio_capture(callbacks=callbacks, device="vc_mic", **settings)
with manager:
    manager.start_recording()
    print("recording", flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        print(json.dumps(manager.get_stats()), flush=True)
    manager.stop_recording()
    stats = manager.get_stats()
open(sys.argv[1], "wb").write(b"".join(audio))
print(json.dumps({"log": log, "errors": errors, "stats": stats}), flush=True)
"""


class Program:
    def __init__(self, audio, folder, **settings):
        self.file = folder / "captured.raw"
        self._process = subprocess.Popen(
            [*PROMPT, sys.executable, "-c", PROGRAM, str(self.file), json.dumps(settings)],
            env=audio.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.line() == "recording"

    def line(self):
        return self._process.stdout.readline().strip()

    def stats(self):
        self._process.stdin.write("stats\n")
        self._process.stdin.flush()
        while not (line := self.line()).startswith("{"):
            assert line
        return json.loads(line)

    def stop(self):
        out, _ = self._process.communicate("stop\n", timeout=30)
        assert self._process.returncode == 0
        return json.loads(out.splitlines()[-1]), np.frombuffer(self.file.read_bytes(), "<i2").astype(float)

    def kill(self):
        with self._process as process:
            process.kill()


@pytest.fixture
def run(tmp_path):
    programs = []

    def start(audio, **settings):
        programs.append(Program(audio, tmp_path, **settings))
        return programs[-1]

    yield start
    for program in programs:
        program.kill()


def spoken():
    """Speech between two silences, at the sink's rate, and as it should arrive."""
    x, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == RATE
    quiet = np.zeros(RATE, np.float32)
    x = np.concatenate([quiet, x / np.abs(x).max() * 0.5, quiet])
    return np.interp(np.arange(2 * len(x)) / 2, np.arange(len(x)), x), x


def lag_and_likeness(heard, x):
    """Where ``heard`` lies in ``x``, and how alike they are there."""
    n = 1 << (len(heard) + len(x)).bit_length()
    lags = np.fft.irfft(np.fft.rfft(x, n) * np.conj(np.fft.rfft(heard, n)), n)[: max(1, len(x) - len(heard))]
    at = int(np.argmax(lags))
    return at, float(np.corrcoef(heard, x[at : at + len(heard)])[0, 1])


def test_what_is_said_arrives_whole_in_utterances(virtual_audio, run):
    """The onset is not cut, and nothing is lost. Best of three, for a busy machine."""
    played, x = spoken()
    first = int(np.flatnonzero(np.abs(x) > 0.02)[0])
    tries = []
    for _ in range(3):
        program = run(virtual_audio, vad_enabled=True)
        virtual_audio.play("vc_virtmic", played, 2 * RATE)
        told, heard = program.stop()
        assert told["errors"] == []
        kinds = [entry[0] for entry in told["log"]]
        assert kinds.count("start") == kinds.count("end")
        if "end" not in kinds:
            tries.append(kinds)
            continue
        utterance = sum(entry[1] for entry in told["log"][: kinds.index("end")] if entry[0] == "audio") // 2
        at, alike = lag_and_likeness(heard[:utterance], x)
        tries.append((at, first, alike, told["stats"]["gaps"]))
        if alike > 0.99 and first - 0.6 * RATE < at < first - 0.2 * RATE and not told["stats"]["gaps"]:
            return
    in_vain("where, onset, likeness, gaps", tries)


@pytest.mark.parametrize(("rate", "buffer_size"), [(24_000, 4096), (16_000, 512), (44_100, 2048)])
def test_chunks_come_on_at_every_rate(virtual_audio, run, rate, buffer_size):
    """Best of three: where PulseAudio runs dry, its delay grows."""
    played, tries = spoken()[0][: 3 * 2 * RATE], []
    for _ in range(3):
        program = run(virtual_audio, sample_rate=rate, buffer_size=buffer_size, chunk_size=rate // 10)
        virtual_audio.play("vc_virtmic", played, 2 * RATE)
        latency_ms = program.stats()["latency_ms"]
        told, heard = program.stop()
        assert told["errors"] == []
        sizes = [entry[1] for entry in told["log"]]
        assert set(sizes[:-1]) == {2 * (rate // 10)}
        assert max(entry[2] for entry in told["log"]) > 0.05
        assert len(heard) > 1.5 * rate
        tries.append(latency_ms)
        if 0.0 < latency_ms < 1000.0 * buffer_size / rate + 200.0:
            return
    in_vain("latencies in ms", tries)


def devices(audio):
    """The modules that are a microphone, and all others that have a source a stream could be moved to."""
    lines = subprocess.run(["pactl", "list", "short", "modules"], env=audio.env, capture_output=True, text=True).stdout
    modules = [line.split("\t") for line in lines.splitlines()]
    return [row[0] for row in modules if row[1] in ("module-null-sink", "module-remap-source", "module-remap-sink")]


def test_a_microphone_that_is_unplugged_is_reported_and_heard_again_when_it_is_back(run):
    """The sound server moves a stream to another microphone as long as there is one: all are taken away."""
    audio = VirtualAudio()
    try:
        program = run(audio)
        played, x = spoken()
        for index in reversed(devices(audio)):
            subprocess.run(["pactl", "unload-module", index], env=audio.env, capture_output=True)
        assert program.line().startswith("error Audio device not available")
        assert program.stats()["device_lost"]
        audio.load("module-null-sink", "sink_name=vc_virtmic", "rate=48000", "channels=2", "norewinds=1")
        audio.load("module-remap-source", "master=vc_virtmic.monitor", "source_name=vc_mic")
        while program.stats()["device_lost"]:
            pass
        audio.play("vc_virtmic", played, 2 * RATE)
        told, heard = program.stop()
    finally:
        audio.close()
    assert len(told["errors"]) == 1
    assert told["stats"]["reopened"] == 1
    at, alike = lag_and_likeness(x[RATE:-RATE], heard)
    assert alike > 0.98, (at, alike)
