"""Programs that end without a stop, on a real sound server."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.devices

CAPTURE = """
from menura import AudioCaptureCallbacks, AudioCaptureManager
manager = AudioCaptureManager(callbacks=AudioCaptureCallbacks(on_audio_data=lambda *_: heard.set(), on_error=print))
manager.initialize()
manager.start_recording()
"""
DIRECT = """
from menura.live.capture import DirectAudioCapture
capture = DirectAudioCapture()
async def listen():
    capture.start()
    await anext(aiter(capture.stream()))
    heard.set()
asyncio.run(listen())
"""
PLAYER = """
from menura.live.player import BufferedAudioPlayer
player = BufferedAudioPlayer()
player.start()
heard.set()
"""
SPEAKING = """
from menura.live.session import VoiceSession
from menura.live.speaking import Speaking
from menura.voices.build import make_stage
from menura.voices.builtin import find_voice
speaking = Speaking(VoiceSession(make_stage(find_voice("robot"), 48000)), tell=print)
speaking.start()
while not speaking.session.stats().frames:
    pass
heard.set()
"""


@pytest.mark.parametrize("use", [CAPTURE, DIRECT, PLAYER, SPEAKING], ids=["manager", "direct", "player", "speaking"])
def test_a_program_that_stops_nothing_ends(virtual_audio, use):
    program = f"import asyncio, threading\nheard = threading.Event()\n{use}\nassert heard.wait(20)\nprint('end')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=virtual_audio.env, capture_output=True, text=True, timeout=100
    )
    # on a busy machine ALSA tells of what it lacked
    told = [line for line in done.stderr.splitlines() if not line.startswith("ALSA lib ")]
    assert (done.returncode, done.stdout, told) == (0, "end\n", [])
