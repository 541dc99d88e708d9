"""``menura devices`` and ``menura capture`` as they are used, on virtual devices."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from menura import read_audio
from tests.utterances import speech
from tests.virtual_audio import PROMPT, VirtualAudio, in_vain

pytestmark = pytest.mark.devices
RATE = 48_000


def menura(audio, *arguments, **options):
    command = [*PROMPT, sys.executable, "-m", "menura", *map(str, arguments)]
    return subprocess.Popen(
        command, env=audio.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def alike(heard, x):
    """How alike ``heard`` and its place in ``x`` are."""
    n = 1 << (len(heard) + len(x)).bit_length()
    lags = np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(x, n)), n)
    at = int(np.argmax(lags[: len(heard)]))
    part = heard[at : at + len(x)]
    return float(np.corrcoef(part, x[: len(part)])[0, 1])


def test_devices_are_listed(virtual_audio):
    out, _ = menura(virtual_audio, "devices", "--json").communicate(timeout=30)
    assert {"vc_mic", "vc_speaker"} <= {device["name"] for device in json.loads(out)}
    out, _ = menura(virtual_audio, "devices").communicate(timeout=30)
    assert "vc_mic" in out


def test_ctrl_c_finishes_the_file(virtual_audio, tmp_path):
    """Best of three, for a busy machine."""
    x = speech(RATE, "am_michael")[: 3 * RATE]
    target, tries = tmp_path / "take.wav", []
    for _ in range(3):
        process = menura(virtual_audio, "capture", target, "--input", "vc_mic")
        virtual_audio.until_recorded("vc_mic")
        virtual_audio.play("vc_virtmic", np.concatenate([np.zeros((RATE // 2, 1), np.float32), x]))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, ""), err
        assert str(target) in err
        heard, rate = read_audio(target)
        assert rate == RATE
        assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]
        tries.append(alike(heard[:, 0], x[:, 0]))
        if tries[-1] > 0.98:
            return
    in_vain("likeness", tries)


def test_only_speech_is_kept_if_asked_for(virtual_audio, tmp_path):
    x = speech(RATE, "am_michael")[: 3 * RATE]
    quiet = np.zeros((2 * RATE, 1), np.float32)
    target = tmp_path / "take.flac"
    process = menura(virtual_audio, "capture", target, "-i", "vc_mic", "--vad", "--rate", "24000", "--seconds", 7)
    virtual_audio.until_recorded("vc_mic")
    virtual_audio.play("vc_virtmic", np.concatenate([quiet, x, quiet]))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    heard, rate = read_audio(target)
    assert rate == 24_000
    assert 2.0 < len(heard) / rate < 5.0


@pytest.mark.parametrize(
    ("name", "text"),
    [("nothing", "no input is named 'nothing'; there are"), ("vc_speaker", "'vc_speaker' does not open (")],
)
def test_what_is_no_microphone_is_one_clear_line(virtual_audio, tmp_path, name, text):
    _, err = menura(virtual_audio, "capture", tmp_path / "x.wav", "-i", name).communicate(timeout=30)
    [line] = err.strip().splitlines()
    assert line.startswith("menura: Audio device not available: ")
    assert text in line


def test_a_file_stays_in_time_while_its_microphone_is_away(tmp_path):
    """What is said after it came back lies where it was said: silence as long as it was away is between."""
    audio, target = VirtualAudio(), tmp_path / "take.wav"
    x = 0.3 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    try:
        process = menura(audio, "capture", target, "--input", "vc_mic")
        audio.until_recorded("vc_mic")
        audio.play("vc_virtmic", x)
        began = time.monotonic()
        audio.unplug_all()
        time.sleep(1.5)  # what is lost is time itself
        audio.plug_in()
        away_s = time.monotonic() - began
        audio.until_recorded("vc_mic")
        audio.play("vc_virtmic", x)
        silent_s = time.monotonic() - began - len(x) / RATE
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        audio.close()
    assert err.startswith("menura: Audio device not available: ")
    assert len(err.splitlines()) == 2, "what it says, and no more"
    assert re.search(r"take.wav: \d+\.\d s; \d\.\d s were lost, in a gap", err), err
    heard, _ = read_audio(target)
    loud = np.flatnonzero(np.abs(heard[:, 0]) > 0.05)
    pause_s = np.diff(loud).max() / RATE
    assert away_s - 0.2 < pause_s < silent_s + 0.5
