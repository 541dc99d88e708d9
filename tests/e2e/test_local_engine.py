"""The document's local test, on real devices: an outside world speaks into the microphone."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.virtual_audio import PROMPT, VirtualAudio

SPEECH = Path(__file__).parents[1] / "fixtures/speech/am_michael_u1.flac"
pytestmark = pytest.mark.devices

PROGRAM = """
import asyncio, os
os.environ["ENABLE_LOCAL_TESTING"] = "1"
from menura import create_fast_lane_engine

engine = create_fast_lane_engine(input_device=None, enable_local_testing=True)

async def test_with_microphone():
    audio_stream = await engine.start_capture_stream()
    print("listening", flush=True)
    heard = 0
    async for chunk in audio_stream:
        processed = engine.process_audio(chunk)
        print(f"Processed {len(processed)} bytes", flush=True)
        vad_state = engine.process_vad_chunk(processed)
        if vad_state == "speech":
            print("Speech detected!", flush=True)
            heard += 1
            engine.queue_playback(processed)
        if heard == 40:
            engine.stop_capture_stream()
    engine.mark_playback_complete()
    while engine.is_playing:
        await asyncio.sleep(0.02)
    print("heard", round(engine.playback_position().played_ms), flush=True)

asyncio.run(test_with_microphone())
engine.close()
"""


def test_the_documents_microphone_test_runs_on_real_devices(virtual_audio: VirtualAudio) -> None:
    program = subprocess.Popen(
        [*PROMPT, sys.executable, "-c", PROGRAM], env=virtual_audio.env, stdout=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "listening\n"
        speech, rate = soundfile.read(SPEECH, dtype="float32")
        virtual_audio.play("vc_virtmic", speech, rate)
        text, _ = program.communicate(timeout=60)
    lines = text.splitlines()
    assert program.returncode == 0
    assert set(lines[:-1]) == {"Processed 960 bytes", "Speech detected!"}
    assert lines.count("Speech detected!") >= 40
    assert 780 <= int(lines[-1].split()[1]) <= 1400
