"""A real sound server's devices: each opened is the one that was asked for."""

import subprocess
import sys

import pytest

from tests.virtual_audio import VirtualAudio

pytestmark = pytest.mark.devices

PROGRAM = """
import sys
from menura.live.session import VoiceSession
from menura.live.making import make_stage
from menura.live.sound_server import reached
from menura.live.speaking import Devices, Speaking
from menura.voices.builtin import find_voice

devices = reached(Devices("vc_virtmic.monitor", "vc_loop", "default"))
speaking = Speaking(VoiceSession(make_stage(find_voice("robot"), 48_000)), devices)
speaking.start()
print(*speaking.names, flush=True)
sys.stdin.readline()
speaking.stop()
"""


def used(audio: VirtualAudio, streams: str, devices: str) -> list[str]:
    """Names of the devices that programs' streams are on."""

    def rows(what: str) -> list[list[str]]:
        command = ["pactl", "list", "short", what]
        done = subprocess.run(command, env=audio.env, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    names = {row[0]: row[1] for row in rows(devices)}
    return sorted(names[row[1]] for row in rows(streams) if row[3].startswith("protocol-native"))


def test_a_voice_goes_where_it_shall_and_what_one_hears_oneself_elsewhere(virtual_audio: VirtualAudio) -> None:
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=virtual_audio.env, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "vc_virtmic.monitor vc_loop default\n"
        assert used(virtual_audio, "sink-inputs", "sinks") == ["vc_loop", "vc_speaker"]
        assert used(virtual_audio, "source-outputs", "sources") == ["vc_virtmic.monitor"]
        program.stdin.write("\n")
        program.stdin.close()
        assert program.wait(60) == 0
