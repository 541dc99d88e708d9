"""The whole path on real devices: the outside world plays and listens, a small program of menura is between."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

SPEECH = Path(__file__).parents[1] / "fixtures/speech/am_michael_u1.flac"
pytestmark = pytest.mark.devices

PROGRAM = """
import json, sys, threading
from dataclasses import asdict
from menura.devices import open_duplex
from menura.live.duplex import DuplexRunner

ended = threading.Event()
errors = []
def failed(error):
    errors.append(f"{type(error).__name__}: {error}")
    ended.set()
def listen():
    sys.stdin.readline()
    ended.set()
source, sink, rate = sys.argv[1:]
runner = DuplexRunner(open_duplex(source, sink, rate=int(rate)), lambda x: -0.5 * x, on_error=failed)
runner.start()
threading.Thread(target=listen, daemon=True).start()
print("running", flush=True)
latencies = []
while not ended.wait(0.05):
    latencies.append(runner.latency_ms)
runner.stop()
print(json.dumps({"errors": errors, "latencies": latencies, **asdict(runner.stats())}), flush=True)
"""


class Program:
    def __init__(self, audio, source, sink, rate=48_000):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, source, sink, str(rate)],
            env=audio.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout.readline() == "running\n"

    def end(self):
        with self._process as process:
            process.kill()

    def result(self, *, ask=True):
        if ask:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        assert self._process.wait(20) == 0
        return json.loads(self._process.stdout.read())


@pytest.fixture
def run(virtual_audio):
    programs = []

    def start(*arguments):
        programs.append(Program(virtual_audio, *arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


def speech():
    x, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate in (24_000, 48_000)
    once = np.repeat(x, 48_000 // rate)  # images above 12 kHz do not matter here
    return np.tile(once, -(-48_000 * 5 // len(once)))[: 48_000 * 5]


def align(heard, reference):
    """Frames by which ``heard`` lags ``reference``, the residual against the best gain, that gain."""
    n = 1 << (len(heard) + len(reference)).bit_length()
    lags = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(reference, n)), n)
    lag = int(np.argmax(np.abs(lags)))
    lag -= n if lag > n // 2 else 0
    start, stop = max(0, lag), min(len(heard), len(reference) + lag)
    a, b = heard[start:stop], reference[start - lag : stop - lag]
    gain = float(a @ b / (b @ b))
    return lag, a - gain * b, gain


def test_speech_comes_out_processed_without_gaps(virtual_audio, run):
    x = speech()
    program = run("vc_mic", "vc_speaker")
    recording = virtual_audio.record("vc_speaker.monitor")
    virtual_audio.play("vc_virtmic", x)
    heard = recording.stop()[:, 0]
    stats = program.result()
    lag, residual, gain = align(heard, x)
    assert lag > 0
    assert stats["errors"] == []
    assert stats["frames"] > 48_000 * 5
    assert gain == pytest.approx(-0.5, abs=0.01)
    lost = stats["xruns"] + stats["padded"] + stats["dropped"]
    assert lost == 0, stats
    # three conversions to 16 bits make −90 dBFS; one lost frame would be far above
    assert np.abs(residual).max() < 0.002


@pytest.mark.parametrize("rate", [48_000, 24_000])
def test_latency_is_what_the_port_reports(virtual_audio, run, rate):
    x = speech()
    program = run("vc_loop_mic", "vc_loop_out", rate)
    recording = virtual_audio.record("vc_loop.monitor", 2)
    virtual_audio.play("vc_loop_in", x)
    both = recording.stop()
    stats = program.result()
    lag, residual, gain = align(both[:, 1], both[:, 0])
    assert stats["errors"] == []
    assert gain == pytest.approx(-0.5, abs=0.001 if rate == 48_000 else 0.1), "half the rate lacks the highs"
    if rate == 48_000:
        assert np.abs(residual).max() < 0.001
    measured_ms = lag / 48.0
    reported_ms = float(np.median(stats["latencies"][-20:]))
    # the device moves whole blocks of 480 frames, and the times PulseAudio tells are exact to one of them
    assert reported_ms == pytest.approx(measured_ms, abs=480_000 / rate), stats
    assert measured_ms < 100.0 + 2 * 480_000 / rate


@pytest.mark.parametrize("which", ["sink", "source"])
def test_an_unplugged_device_is_reported(virtual_audio, run, which):
    index = virtual_audio.load("module-null-sink", "sink_name=vc_extra", "rate=48000", "norewinds=1")
    if which == "source":
        source = virtual_audio.load("module-remap-source", "master=vc_extra.monitor", "source_name=vc_extra_mic")
    try:
        pair = ("vc_mic", "vc_extra") if which == "sink" else ("vc_extra_mic", "vc_speaker")
        program = run(*pair)
        virtual_audio.play("vc_virtmic", speech()[:48_000])
    finally:
        if which == "source":
            virtual_audio.unload(source)
        virtual_audio.unload(index)
    stats = program.result(ask=False)
    assert len(stats["errors"]) == 1
    assert stats["errors"][0].startswith("DeviceError: Audio device not available: ")
    assert not stats["running"]


def test_devices_are_listed_and_missing_ones_named(virtual_audio):
    program = (
        "from menura.devices import list_devices, open_duplex\n"
        "print([d.name for d in list_devices(refresh=True)])\n"
        "first = open_duplex('vc_mic', 'vc_speaker')\n"
        "list_devices(refresh=True)\n"
        "first.close()\n"
        "try: open_duplex('no such thing')\n"
        "except OSError as error: print(error)\n"
        "try: open_duplex('vc_extra')\n"
        "except OSError as error: print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], env=virtual_audio.env, capture_output=True, text=True, timeout=30
    )
    names, missing, dead = out.stdout.splitlines()
    assert {"vc_mic", "vc_speaker", "vc_virtmic"} <= set(re.findall(r"'(\w+)'", names))
    assert missing.startswith("Audio device not available: no input is named 'no such thing'; there are ")
    assert dead.startswith("Audio device not available: ")
    assert out.returncode == 0
