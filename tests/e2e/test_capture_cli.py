"""``menura devices`` and ``menura capture`` as they are used, on virtual devices."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from menura import read_audio
from tests.utterances import speech
from tests.virtual_audio import PROMPT

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
    x = speech(RATE, "am_michael")[: 4 * RATE]
    target = tmp_path / "take.wav"
    process = menura(virtual_audio, "capture", target, "--input", "vc_mic")
    virtual_audio.play("vc_virtmic", np.concatenate([np.zeros((RATE, 1), np.float32), x]))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, ""), err
    assert str(target) in err
    heard, rate = read_audio(target)
    assert rate == RATE
    assert alike(heard[:, 0], x[:, 0]) > 0.98
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]


def test_only_speech_is_kept_if_asked_for(virtual_audio, tmp_path):
    x = speech(RATE, "am_michael")[: 3 * RATE]
    quiet = np.zeros((2 * RATE, 1), np.float32)
    target = tmp_path / "take.flac"
    process = menura(virtual_audio, "capture", target, "-i", "vc_mic", "--vad", "--rate", "24000", "--seconds", 7)
    virtual_audio.play("vc_virtmic", np.concatenate([quiet, x, quiet]))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    heard, rate = read_audio(target)
    assert rate == 24_000
    assert 2.0 < len(heard) / rate < 5.0


def test_an_unknown_microphone_is_one_clear_line(virtual_audio, tmp_path):
    _, err = menura(virtual_audio, "capture", tmp_path / "x.wav", "-i", "nothing").communicate(timeout=30)
    lines = [line for line in err.splitlines() if line.startswith("menura: ")]
    assert len(lines) == 1
    assert "no input is named 'nothing'; there are" in lines[0]
    assert "Traceback" not in err
