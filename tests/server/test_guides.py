"""The guides to the control protocol and to REST: every conversation and every command is as printed."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura.server.app import create_app
from menura.store.library import VoiceLibrary
from menura.store.recordings import Recordings
from menura.voices.builtin import builtin_voices
from tests.neural.rvc import FIXTURES
from tests.server.conftest import Served
from tests.serving import Client
from tests.utterances import SPEECH

CONTROL, REST = Path("docs/control.md").read_text(), Path("docs/api.md").read_text()
MINE = "custom-of-mine"
VARYING = {"id", "created_at", "updated_at", "ended_at", "duration_ms", "size", "details", "sha256", "about"}
MEASURED = {"input_level", "output_level", "latency_ms", "processing_time_ms"}
"""What is another each time; the others are as printed."""


def post(address: str, data: bytes) -> Any:
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def mine(served: Served) -> str:
    """Id of a voice that was saved with parameters."""
    stages = [{"kind": "shift", "params": {"pitch_st": -4}}]
    voice = {"name": "Mine", "stages": stages, "parameters": {"pitch_st": -4, "mix": 0.8}}
    return str(post(f"{served.address}api/voices", json.dumps(voice).encode())["id"])


def fits(printed: Any, said: Any, name: str = "") -> bool:
    """Whether something is said as it is printed: of what varies the kind, of lists the beginning."""
    if isinstance(printed, dict):
        if name in VARYING:
            return isinstance(said, dict)
        return printed.keys() == said.keys() and all(fits(printed[key], said[key], key) for key in printed)
    if isinstance(printed, list):
        return len(printed) <= len(said) and all(map(fits, printed, said))
    if (name in VARYING | MEASURED and printed) or printed == "queued" or name == "progress":
        return type(printed) is type(said)
    if isinstance(printed, str) and printed.endswith("…"):
        return str(said).startswith(printed[:-1])
    return bool(printed == said)


@pytest.mark.parametrize("text", re.findall(r"```control\n(.*?)```", CONTROL, re.DOTALL))
def test_conversation_goes_as_printed(served: Served, mine: str, text: str) -> None:
    with Client(served.address) as client:
        expected, came = 0, [client.greeting] if "connected" in text else []
        for line in text.replace(MINE, mine).splitlines():
            who, said = line.split(" ", 1)
            if said.endswith(" bytes"):
                size = int(said.split()[0])
                if who == ">":
                    client.socket.send(bytes(size))
                else:
                    expected += size
                    if len(client.audio) != expected:
                        client.hear(expected)
            elif who == ">":
                client.socket.send(said)
            else:
                reply = came.pop() if came else client.reply()
                assert fits(json.loads(said), reply), f"printed: {said}\nsaid: {json.dumps(reply, ensure_ascii=False)}"
        if "previewStarted" not in text:
            assert len(client.audio) == expected


# --- REST


class Shell:
    """Runs the commands of the guide one after the other; ids that were printed become those that were told."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address, self._folder = address.rstrip("/"), folder
        self.ids: dict[str, str] = {}

    def run(self, command: str) -> str:
        for printed, real in self.ids.items():
            command = command.replace(printed, real)
        command = command.replace("curl ", "curl --silent --show-error --write-out '\\n%{http_code}' ", 1)
        environment = {"PATH": os.environ["PATH"], "URL": self._address}
        done = subprocess.run(
            ["bash", "-c", command], cwd=self._folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def learn(self, printed: Any, said: Any) -> None:
        if isinstance(printed, dict) and "id" in printed and isinstance(said, dict) and "id" in said:
            self.ids[printed["id"]] = said["id"]


@pytest.fixture
def shell(served: Served, tmp_path: Path) -> Shell:
    shutil.copy(FIXTURES / "v2_48k_f0.pth", tmp_path / "voice.pth")
    shutil.copy(SPEECH / "am_michael_u1.flac", tmp_path / "me.flac")
    with VoiceLibrary(served.home) as library:
        opened = Recordings.of(library).start(("input", "output"), 48_000, voice_name="Robot")
        opened.write(np.zeros((48_000, 1), np.float32), np.ones((48_000, 1), np.float32))
        recording = opened.close().id
    shell = Shell(served.address, tmp_path)
    shell.ids["recording-0a1b2c3d4e5f6789"] = recording
    return shell


def steps() -> list[tuple[str, Any]]:
    """Commands, with the answer that is printed or None."""
    found: list[tuple[str, Any]] = []
    for kind, text in re.findall(r"```(bash|json)\n(.*?)```", REST, re.DOTALL):
        if kind == "bash":
            found += [(command, None) for command in text.splitlines()]
        else:
            assert found[-1][1] is None
            found[-1] = found[-1][0], json.loads(text)
    return found


def test_every_command_does_what_is_printed(shell: Shell) -> None:
    for command, printed in steps():
        deadline_s = time.monotonic() + 60
        while True:
            body, _, status = shell.run(command).rpartition("\n")
            said = json.loads(body) if printed else None
            if printed is None or fits(printed, said) or "/api/conversions/" not in command:
                break
            assert time.monotonic() < deadline_s, body
            time.sleep(0.05)  # it is being converted
        refused = printed is not None and "error" in printed and "state" not in printed
        assert (int(status) >= 400) is refused, f"{command}\n{status} {body}"
        assert printed is None or fits(printed, said), f"{command}\nprinted: {printed}\nsaid: {said}"
        shell.learn(printed, said)


def test_every_route_is_told_of() -> None:
    for path in create_app(builtin_voices(), relay=False).openapi()["paths"]:
        assert f"`{path}" in REST or f" {path}`" in REST or path == "/health", path
    assert len(steps()) > 25
